"""What the families that learn whole texts share: their settings, their data, and the plan before a start."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import is_out_of_memory
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.family import Plan, Planner, Preset, Problem
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import choose_device, set_threads
from aigc_desktop.engine.nn.language_model import Shape
from aigc_desktop.engine.text.sentences import Sentences
from aigc_desktop.engine.text.setup import TextConfig
from aigc_desktop.engine.text.tokenizer import Tokenizer
from aigc_desktop.engine.text.tokens import choose_tokenizer, prepare_tokens
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

LEAST_TEXTS = 32
_TRIAL_BATCH = 8
_OVERHEAD = 1.15  # validation, previews and checkpoints


class SentenceConfig(TextConfig):
    """Settings of a model that learns whole texts."""

    batch_size: int = param(
        64, N_("Batch size"), N_("Texts per update; more is steadier and needs more memory."), ge=1, le=4096
    )
    layers: int = param(
        3, N_("Layers"), N_("Depth of each network; 3 for a processor, 4 to 6 for a graphics card."), ge=1, le=48
    )
    length: int = param(
        48, N_("Longest text"), N_("Tokens of a text that are learned as one; longer texts are cut into pieces."),
        unit=N_("tokens"), ge=4, le=512,
    )  # fmt: skip
    dropout: float = param(
        0.1, N_("Dropout"), N_("Share of numbers set to zero while training; 0.1 to 0.3 helps small data."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip

    def shape(self, vocab: int) -> Shape:
        """Return the size of a network that writes such texts; its context holds the end token before them too."""
        return Shape(vocab, self.layers, self.width, self.heads, self.length + 1, dropout=self.dropout)


@dataclass(frozen=True)
class SentenceData:
    """Whole texts of a data set with their tokenizer; `classes` (N,) belong to the texts in training, -1 without."""

    tokenizer: Tokenizer
    train: Sentences
    validation: Sentences
    classes: Any
    class_names: list[str]


def prepare_sentences(run: Run, dataset: Dataset, config: SentenceConfig) -> Generator[Event, str | None, SentenceData]:
    """Return the texts of a run as tokens; yields Progress. UserError when there are too few."""
    tokens = yield from prepare_tokens(run, dataset, config.tokenizer, config.vocab, 2)
    train, validation = Sentences(tokens.train, config.length), Sentences(tokens.validation, config.length)
    cut = 1 - len({*train.text.tolist()}) / max(1, len(train))
    if cut > 0.02:
        yield Note(_("{share:.0%} of the pieces continue a text that is longer than {length} tokens.").format(
            share=cut, length=config.length
        ))  # fmt: skip
    return SentenceData(tokens.tokenizer, train, validation, dataset.labels("train"), list(dataset.info.classes))


ConfigT = TypeVar("ConfigT", bound=SentenceConfig)
Trial = Callable[[ConfigT, int, int, torch.device], tuple[Callable[[], None], nn.Module]]
"""(configuration, vocabulary, batch, device) -> (one training step, all modules)."""


def sentence_planner(
    config_type: type[ConfigT], presets: list[Preset], trial: Trial[ConfigT], notes: Callable[[ConfigT], list[str]]
) -> Planner:
    """Return the planner of a family of whole texts; the time is that of a few trial steps on this machine."""

    def plan(values: dict[str, Any], preset_name: str, dataset: Dataset | None, machine: Machine) -> Plan:
        preset = choose_preset(presets, preset_name, "cpu" if machine.weak else "gpu")
        draft = Draft(config_type, values, preset)
        draft.check_data(dataset, "text", LEAST_TEXTS)
        result = Plan(preset.name, presets, draft.values, items=dataset.info.train if dataset else 0,
                      device=machine.device_name or machine.device)  # fmt: skip
        config = draft.config
        if config is None:
            return replace(result, problems=draft.problems)
        return _estimate(result, draft, config, dataset, machine, trial, notes(config))

    return plan


def _estimate(
    plan: Plan, draft: Draft[ConfigT], config: ConfigT, dataset: Dataset | None, machine: Machine,
    trial: Trial[ConfigT], notes: list[str],
) -> Plan:  # fmt: skip
    vocab = _vocabulary(config, dataset)
    with torch.device("meta"):
        _step, modules = trial(config, vocab, 1, torch.device("meta"))
    parameters = sum(p.numel() for p in modules.parameters())
    activations = config.batch_size * config.length * (2.0 * config.layers * 68 * config.width + 16.0 * vocab)
    memory, disk = training_megabytes(parameters, parameters, activations)
    draft.check_machine(machine, memory)
    seconds = None
    if not draft.problems:
        try:
            seconds = config.steps * _seconds(config, vocab, trial) * _OVERHEAD
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            draft.problems.append(Problem(_("Not enough memory: choose a smaller model."), "width"))
    if dataset is not None:
        per_epoch = max(1.0, dataset.info.train / config.batch_size)
        notes = [*notes, _("Each text is seen about {epochs:.1f} times.").format(epochs=config.steps / per_epoch)]
    return replace(
        plan, parameters=parameters, steps=config.steps, seconds=seconds,
        good_after_s=draft.good_after(seconds, config.steps), memory_mb=memory,
        disk_mb=disk, problems=draft.problems, notes=notes,
    )  # fmt: skip


def _vocabulary(config: SentenceConfig, dataset: Dataset | None) -> int:
    size = dataset.info.bytes if dataset is not None else 1_000_000
    kind, vocab = choose_tokenizer(config.tokenizer, config.vocab, size)
    if kind == "bpe":
        return vocab
    wide = dataset is not None and dataset.info.bytes >= 1.5 * max(1, dataset.info.characters)
    return 5000 if wide else 100


def _seconds(config: ConfigT, vocab: int, trial: Trial[ConfigT]) -> float:
    """Return the seconds of one step: the median of three of a part of the batch."""
    device = choose_device(config.device)
    set_threads(device, config.threads)
    batch = min(config.batch_size, _TRIAL_BATCH)
    with torch.random.fork_rng(devices=[]):
        step, _modules = trial(config, vocab, batch, device)
        durations = []
        for _repeat in range(4):
            start = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            durations.append(time.perf_counter() - start)
    return sorted(durations[1:])[1] * config.batch_size / batch
