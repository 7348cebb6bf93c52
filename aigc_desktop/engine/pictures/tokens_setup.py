"""Settings of turning pictures into tokens, the presets, and the plan shown before such a training."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.pictures.plan import Cost, automatic_size, cost_of, eyes_cost, seconds_per_gigaflop
from aigc_desktop.engine.pictures.setup import (
    PATIENCE,
    PictureConfig,
    best_version_notes,
    plain_notes,
    preset,
    size_notes,
)
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes
from aigc_desktop.engine.training.trainee import TrainConfig

FAMILY_NAME = "image_tokens"
LEAST_ITEMS = 16
FEATURE_WEIGHT = 1.0  # as arXiv:2012.09841 weighs LPIPS; steps take 1.4 times as long
KEPT_INPUTS = 4  # values kept for the gradients per output of a layer: normalisation and SiLU keep theirs too
SIDES = {32: 8, 64: 8, 128: 16}  # tokens on a side of a picture
LEVELS = {"240": (8, 6, 5), "1000": (8, 5, 5, 5), "4375": (7, 5, 5, 5, 5)}  # Table 1 of arXiv:2309.15505 and smaller


class TokenizerConfig(PictureConfig):
    """Settings that say how pictures become tokens; part of every training that needs tokens."""

    resolution: Literal["32", "64", "128"] = again(PictureConfig, "resolution", "32")
    shift: int = param(
        2, N_("Shift pictures"), N_("Moves each picture by up to so many pixels; helps with few pictures."),
        unit="px", ge=0, le=8, advanced=True,
    )  # fmt: skip
    codes: Literal["240", "1000", "4375"] = param(
        "240", N_("Kinds of tokens"),
        N_("Few are learned sooner, many copy more exactly: 240 for up to 2,000 pictures, 1000 for more."),
        advanced=True,
    )  # fmt: skip
    feature_weight: float = param(
        0.0, N_("Weight of features"),
        N_("How much copies must agree in what a trained network sees; makes pictures crisper and steps slower."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    lr: float = again(TrainConfig, "lr", 2e-3)
    sample_every: int = again(TrainConfig, "sample_every", 500)

    def tokenizer_channels(self) -> int:
        """Return the channels of the tokenizer at its finest stage."""
        return self.width

    def tokenizer_shape(self) -> TokenizerShape:
        """Return the size of the tokenizer."""
        size = int(self.resolution)
        return TokenizerShape(size, SIDES[size], self.tokenizer_channels(), self.blocks, LEVELS[self.codes])


class ImageTokensConfig(TokenizerConfig):
    """Settings of training a tokenizer alone; the presets choose them."""

    steps: int = param(
        3000, N_("Steps"), N_("How many updates the weights get; more steps take longer and copy more exactly."),
        ge=1, le=999_999,
    )  # fmt: skip


PRESETS = [
    preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: rough copies in ten minutes."),
        resolution="32", width=32, batch_size=32, steps=3000,
    ),
    preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and an hour or two."),
        resolution="64", width=32, batch_size=32, steps=10_000, codes="1000", feature_weight=FEATURE_WEIGHT,
    ),
    preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", width=96, blocks=2, batch_size=64, steps=20_000, codes="1000", lr=1e-3,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
    preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", width=96, blocks=2, batch_size=64, steps=30_000, codes="1000", lr=1e-3,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
]  # fmt: skip


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine.

    It tells no time to a good result: none was reached where it could be measured.
    """
    chosen = choose_preset(PRESETS, preset, automatic_preset(dataset, machine))
    draft = Draft(ImageTokensConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    shape = config.tokenizer_shape()
    cost = reading_cost(config)
    memory, disk = training_megabytes(cost.parameters, cost.parameters, 4.0 * config.batch_size * cost.activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(PictureTokenizer, (shape,), cost.parameters, config.device, machine)
    per_image = pace and pace * 3 * cost.gigaflops
    return Plan(
        chosen.name, PRESETS, draft.values, cost.parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        None, memory, disk, machine.device_name or machine.device, draft.problems, _notes(config, dataset),
    )  # fmt: skip


def reading_cost(config: TokenizerConfig) -> Cost:
    """Return what a picture costs while the tokens are learned; `activations` are numbers kept for the gradients."""
    shape = config.tokenizer_shape()
    cost, eyes = cost_of(lambda: PictureTokenizer(shape)), eyes_cost(config.feature_weight, shape.size)
    return Cost(
        cost.parameters, cost.gigaflops + eyes.gigaflops, KEPT_INPUTS * cost.activations + eyes.activations
    )


def automatic_preset(dataset: Dataset | None, machine: Machine) -> str:
    """Return the preset that suits data and machine."""
    return "cpu32" if machine.weak else f"gpu{max(64, automatic_size(dataset, machine.weak))}"


def hungry_note() -> str:
    """Return what the plan tells of how much these models need."""
    return _("Wants a graphics card and thousands of pictures: after minutes on a processor pictures are blobs.")


def _notes(config: ImageTokensConfig, dataset: Dataset | None) -> list[str]:
    alone = _("Tokens make no pictures by themselves; an image Transformer learns to write them.")
    return [alone, hungry_note(), *size_notes(config, dataset), *plain_notes(dataset), *best_version_notes(dataset)]
