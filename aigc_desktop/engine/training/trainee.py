"""What a family gives to the training loop: its settings (TrainConfig) and its parts (Trainee)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.events import Event
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.device import DEVICES, PRECISIONS, choose_device, set_up
from aigc_desktop.engine.training.data import Source
from aigc_desktop.engine.training.step import Step


class TrainConfig(TaskConfig):
    """Settings that every training has; families add theirs and override defaults."""

    dataset: str = param(
        ..., N_("Data"), N_("What the model learns from; it must be frozen on the Data page."), kind=FieldKind.DATASET
    )
    steps: int = param(
        2000, N_("Steps"),
        N_("How many updates the weights get; more steps take longer and learn more, until the validation gets worse."),
        ge=1, le=999_999,
    )  # fmt: skip
    batch_size: int = param(
        32, N_("Batch size"),
        N_("Items per update; more is steadier and needs more memory. 16 to 64 suits most data."), ge=1, le=4096,
    )  # fmt: skip
    lr: float = param(
        1e-3, N_("Learning rate"),
        N_("How far an update goes; too high makes the loss jump, too low makes it crawl. Keep the preset's."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    weight_decay: float = param(
        0.01, N_("Weight decay"), N_("Pulls weights towards zero; more helps against learning small data by heart."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    warmup: int = param(
        50, N_("Warm-up steps"), N_("The learning rate rises over these steps; 1 to 5 % of the steps is safe."),
        ge=0, le=100_000, advanced=True,
    )  # fmt: skip
    schedule: Literal["constant", "cosine", "wsd"] = param(
        "wsd", N_("Schedule"), N_("How the learning rate goes down; “late fall” is good for most."),
        labels={"constant": N_("constant"), "cosine": N_("cosine"), "wsd": N_("late fall")}, advanced=True,
    )  # fmt: skip
    grad_clip: float = param(
        1.0, N_("Gradient limit"), N_("Longer gradients are shortened to this; 1 is safe, 0 turns it off."),
        ge=0.0, le=1000.0, advanced=True,
    )  # fmt: skip
    ema: float = param(
        0.05, N_("Averaging"),
        N_("Half-life of the averaged weights as a share of the run; 0.05 makes results steadier, 0 turns it off."),
        ge=0.0, le=0.5, advanced=True,
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = param(
        "auto", N_("Precision"), N_("bfloat16 is faster on some machines; automatic measures it."),
        labels=PRECISIONS, advanced=True,
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda", "mps"] = param(
        "auto", N_("Device"), N_("Where to compute; automatic takes a graphics card when there is one."),
        labels=DEVICES, advanced=True,
    )  # fmt: skip
    threads: int = param(
        0, N_("Threads"), N_("Processor cores to use; 0 leaves one free for the window."), ge=0, le=256, advanced=True
    )
    seed: int = param(
        0, N_("Seed"), N_("The same seed and settings give the same model on the same machine."),
        ge=0, le=2**31 - 1, advanced=True,
    )  # fmt: skip
    log_every: int = param(
        10, N_("Report every"), N_("Steps between two points of the curves."), ge=1, le=10_000, advanced=True
    )
    validate_every: int = param(
        200, N_("Validate every"), N_("Steps between two checks on items the model never learns from; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    sample_every: int = param(
        200, N_("Show samples every"), N_("Steps between two previews; 0 shows them at the end only."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    checkpoint_every: int = param(
        1000, N_("Save every"), N_("Steps between two saved versions; 0 leaves it to the autosave."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    autosave_s: int = param(
        300, N_("Autosave"), N_("Seconds between two saved versions at most; a crash costs no more than this."),
        unit="s", ge=10, le=86_400, advanced=True,
    )  # fmt: skip
    patience: int = param(
        0, N_("Patience"),
        N_("Training ends after so many validations without gain and keeps the best version; 0 never ends early."),
        ge=0, le=1000, advanced=True,
    )  # fmt: skip
    keep: int = param(
        2, N_("Versions to keep"),
        N_("Newest versions that training can go on from, besides the best one; older ones can still generate."),
        ge=2, le=100, advanced=True,
    )  # fmt: skip


class Trainee:
    """What a family gives to `fit`. Set the attributes in the constructor; all modules lie on `device`.

    modules     everything with weights, by name
    generates   names of the modules that make results: they are averaged and written to model.safetensors
    optimizers  by name; their groups' "lr" is the peak rate, the loop applies the schedule to it
    sampler     gives the indices of each step; batch size is `config.batch_size`
    alarm       why training should end now, as a sentence, or ""; set in `validate`, kept in `state`
    may_end     False in a first part of the training that patience must not end; kept in `state`
    family      name of the family, for the card
    unit        what `units_per_step` counts: "pictures" or "tokens", translated where it is shown
    """

    family: str
    device: torch.device
    modules: Mapping[str, nn.Module]
    generates: tuple[str, ...]
    optimizers: Mapping[str, Optimizer]
    sampler: Source
    unit: str = ""
    units_per_step: int = 1
    alarm: str = ""
    may_end: bool = True

    def begin_step(self, number: int) -> None:
        """Note what a step changes besides tensors; called before each one."""

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Update the weights once and return detached scalars on the device; no `.item()` here."""
        raise NotImplementedError

    def rate_factor(self, optimizer: str, number: int) -> float:
        """Return what the learning rate of an optimizer is multiplied by in step `number`, besides the schedule."""
        return 1.0

    def recordable(self, number: int) -> str:
        """Return the name of what step `number` does, where a graphics card may repeat it (training/recording.py).

        It must be the same each time but for the items and the numbers of `step.along`. "" where it is not.
        """
        return ""

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return metrics of held-out items, the first one is minimised; yield between batches so that stop works.

        When the first one has another name than the last time, the search for the best version begins anew.
        `models` are the generating (averaged) modules in evaluation mode. An empty result means no validation.
        What this and `preview` draw from torch's generators is put back afterwards.
        """
        yield from ()
        return {}

    def verdict(self, best: int) -> str:
        """Return what there is to say, as a sentence, when a whole training was best at an earlier step; or ""."""
        return ""

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give Sample or Text events with fixed seeds, to watch the progress; may be a generator."""
        return ()

    def card(self) -> dict[str, Any]:
        """Return what building the model for generating needs besides the configuration, as JSON."""
        return {}

    def write_files(self, folder: Path) -> None:
        """Put small files of the family into a checkpoint."""

    def state(self) -> dict[str, Tensor]:
        """Return extra tensors that resuming needs."""
        return {}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""


def begin(config: TrainConfig) -> torch.device:
    """Set up torch for a training and return its device; call it before building modules."""
    device = choose_device(config.device)
    set_up(device, config.seed, config.threads)
    return device
