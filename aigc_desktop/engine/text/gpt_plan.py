"""Plans for language models: a preset from data and machine, a fit for small data, and the time by trial steps."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import is_out_of_memory
from aigc_desktop.core.family import Plan, Preset, Problem
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.device import autocast, choose_device, choose_precision, set_threads
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.text.fields import all_lines_share, lines_share, names_of
from aigc_desktop.engine.text.gpt_setup import GPTConfig, make_optimizers
from aigc_desktop.engine.text.small_data import Restraint, restraint
from aigc_desktop.engine.text.tokens import choose_tokenizer
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

PRESETS = [
    Preset("XS", N_("Very small"), N_("For a processor: shows the style within minutes."),
           {"layers": 4, "width": 128, "heads": 4, "context": 128, "batch_size": 12, "steps": 1500}),
    Preset("S", N_("Small"), N_("For a graphics card, or a night on a processor: words and sentences come out well."),
           {"layers": 6, "width": 384, "heads": 6, "context": 256, "batch_size": 32, "steps": 4000, "lr": 0.015}),
    Preset("M", N_("Medium"), N_("For a graphics card with 8 GB and some megabytes of text."),
           {"layers": 12, "width": 512, "heads": 8, "context": 512, "batch_size": 32, "steps": 10_000, "lr": 0.015}),
    Preset("L", N_("Large"), N_("For a graphics card with 16 GB or more and very much text."),
           {"layers": 12, "width": 768, "heads": 12, "context": 1024, "batch_size": 32, "steps": 20_000, "lr": 0.01}),
]  # fmt: skip
_BYTES_PER_PIECE = 3.6  # of text per token of learned pieces, where the data set is not encoded yet
_TRIAL_FLOPS = 6e9  # of one trial step: about a tenth of a second on two cores
_LR = 0.02  # of presets that do not name one
_MANY_EPOCHS = 16  # after about so many, repetition teaches little that is new: arXiv:2305.16264
_LONGER = 1.2  # few texts of a data set are longer than so many times the mean, with their lines
_LEAST_CONTEXT = 8
_LEAST_WINDOWS = 12  # of the context in a data set
_OVERHEAD = 1.1  # validation, previews and checkpoints, as measured with the presets


def plan(values: dict[str, Any], preset_name: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return what training a language model on `dataset` takes; see `core.family.Planner`."""
    size = dataset.info.bytes if dataset is not None else 0
    preset = choose_preset(PRESETS, preset_name, automatic_preset(size, machine))
    fitted_values = {**preset.values, **fit_to_data(preset, dataset, values)}
    fitted = Preset(preset.name, preset.title, preset.summary, fitted_values)
    draft = Draft(GPTConfig, values, fitted)
    draft.check_data(dataset, "text", 1)
    result = Plan(preset.name, PRESETS, draft.values, items=dataset.info.train if dataset else 0,
                  steps=0, device=machine.device_name or machine.device)  # fmt: skip
    if draft.config is None:
        return replace(result, problems=draft.problems)
    return _estimate(result, draft, dataset, machine)


def automatic_preset(size: int, machine: Machine) -> str:
    """Return the preset's name for `size` bytes of text on this machine."""
    if machine.weak:
        return "XS"
    if size < 5_000_000 or machine.device_memory < 7e9:
        return "S" if size > 100_000 else "XS"
    return "L" if size > 200_000_000 and machine.device_memory > 15e9 else "M"


def fit_to_data(preset: Preset, dataset: Dataset | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings against learning by heart, by how often training would see each token of the data.

    `given` are the values of the user; they count instead of the preset's.
    """
    if dataset is None or not dataset.info.bytes:
        return {}
    chosen = {"lr": _LR, **preset.values} | {name: value for name, value in given.items() if _is_size(value)}
    tokens = token_estimate(dataset, "auto")
    fitting = max(_power_of_two(tokens / 40), _whole_text(dataset, tokens) if given.get("attributes", True) else 0)
    context = min(int(chosen["context"]), max(_LEAST_CONTEXT, fitting))
    held = _restraint({**chosen, "context": context}, tokens)
    every = max(20, int(chosen["steps"]) // 10)
    return {"dropout": held.dropout, "weight_decay": held.weight_decay, "patience": held.patience,
            "context": context, "validate_every": every, "sample_every": every}  # fmt: skip


def _power_of_two(size: float) -> int:
    """Return the greatest power of two that is no larger, at least 1."""
    return int(2 ** max(0, int(size).bit_length() - 1))


def _whole_text(dataset: Dataset, tokens: float) -> int:
    """Return a context that holds a text with all its lines, which have half of it; 0 for texts without lines."""
    if not names_of(dataset):
        return 0
    text = tokens / max(1, dataset.info.train)
    lines = text * all_lines_share(dataset)
    most = tokens * (1 + lines_share(dataset)) / _LEAST_WINDOWS
    return min(2 * _power_of_two(_LONGER * max(2 * lines, lines + text)), _power_of_two(most))


def _restraint(values: Mapping[str, Any], tokens: float) -> Restraint:
    seen = values["steps"] * values["batch_size"] * values["context"]
    weights = Shape(1000, int(values["layers"]), int(values["width"])).parameters
    return restraint(weights, tokens, seen / max(1.0, tokens), values["lr"])


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e9


def token_estimate(dataset: Dataset, kind: str, vocab: int = 0) -> float:
    """Return about how many tokens the training part of a data set has."""
    info = dataset.info
    share = info.train / max(1, info.train + info.validation)
    if choose_tokenizer(kind, vocab, info.bytes)[0] == "char":
        return share * (info.characters or info.bytes)
    return share * info.bytes / _BYTES_PER_PIECE


def _estimate(result: Plan, draft: Draft[GPTConfig], dataset: Dataset | None, machine: Machine) -> Plan:
    config = draft.config
    assert config is not None
    size = dataset.info.bytes if dataset is not None else 1_000_000
    kind, vocab = choose_tokenizer(config.tokenizer, config.vocab, size)
    if kind == "char":
        vocab = 100 if dataset is None or dataset.info.bytes < 1.5 * max(1, dataset.info.characters) else 5000
    shape = config.shape(vocab)
    memory, disk = (config.ensemble * size for size in _megabytes(shape, config.batch_size))
    draft.check_machine(machine, memory)
    notes = []
    if dataset is not None:
        tokens = token_estimate(dataset, config.tokenizer, config.vocab)
        shown = tokens * (1 + lines_share(dataset)) if config.attributes and names_of(dataset) else tokens
        epochs = config.steps * config.batch_size * config.context / max(1.0, shown)
        if shown < _LEAST_WINDOWS * config.context:
            smaller = shown >= _LEAST_WINDOWS * _LEAST_CONTEXT
            draft.problems.append(
                Problem(_("Too little text for this context; choose a smaller one."), "context") if smaller
                else Problem(_("This is too little text; add more."), "dataset")
            )  # fmt: skip
        notes.append(_("Each text is seen about {epochs:.1f} times.").format(epochs=epochs))
        if config.attributes and names_of(dataset):
            notes.append(_("It learns to follow: {names}.").format(names=", ".join(names_of(dataset))))
        notes += _advice(config, tokens)
        if tokens < 20_000:
            notes.append(_("This is very little text: expect the model to repeat it rather than to invent."))
    seconds = None
    if not draft.problems:
        try:
            seconds = config.steps * trial(shape, config) * _OVERHEAD * config.ensemble
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            draft.problems.append(Problem(_("Not enough memory: choose a smaller model."), "width"))
    return replace(
        result, parameters=config.ensemble * shape.parameters, steps=config.steps, seconds=seconds,
        good_after_s=draft.good_after(seconds, config.steps), memory_mb=memory, disk_mb=disk,
        problems=draft.problems, notes=notes,
    )  # fmt: skip


def _advice(config: GPTConfig, tokens: float) -> list[str]:
    """Return sentences on weight decay and dropout for this much text."""
    held = _restraint(config.model_dump(), tokens)
    ratio, chosen = f"{held.weights_per_token:.1f}", f"{config.weight_decay:g}"
    notes = [_(
        "{ratio} weights per token of text: weight decay {decay} and dropout {dropout} keep it from learning by heart."
    ).format(ratio=ratio, decay=chosen, dropout=f"{config.dropout:g}")]  # fmt: skip
    if config.weight_decay < held.weight_decay / 2:
        notes = [_(
            "{ratio} weights per token of text: weight decay {decay} is low for that, {better} is advised."
        ).format(ratio=ratio, decay=chosen, better=f"{held.weight_decay:g}")]  # fmt: skip
    if held.epochs >= _MANY_EPOCHS and config.ensemble == 1:
        better = _("With so little text, 2 to 4 models in an ensemble are likely to do better than one larger model.")
        notes.append(better)
    return notes


def _megabytes(shape: Shape, batch: int) -> tuple[float, float]:
    tokens = batch * shape.context
    per_layer = 34.0 * shape.width * 2  # bytes of activations per token, arXiv:2205.05198 in float32
    activations = tokens * (shape.layers * per_layer + 12.0 * shape.vocab)
    return training_megabytes(shape.parameters, shape.parameters, activations)


def trial(shape: Shape, config: GPTConfig) -> float:
    """Return the seconds of one training step, from steps of a smaller piece of the same model on this device."""
    matters = ("optimizer", "precision", "device", "threads", "batch_size")
    same = type(config)(dataset="", **{name: getattr(config, name) for name in matters})
    return _trial(shape, same)


@functools.lru_cache(maxsize=64)
def _trial(shape: Shape, config: GPTConfig) -> float:
    small = replace(shape, vocab=min(shape.vocab, 8192))
    while small.width > 512 and not small.width // 2 % (2 * small.heads):
        small = replace(small, width=small.width // 2)
    batch = config.batch_size
    while _flops(small, batch) > _TRIAL_FLOPS and max(batch, small.layers, small.context // 64) > 1:
        if batch > 1:
            batch //= 2
        elif small.layers > 1:
            small = replace(small, layers=small.layers // 2)
        else:
            small = replace(small, context=small.context // 2)
    with torch.random.fork_rng(devices=[]):
        passing, updating = _measure(small, config, batch, shape.parameters)
    work = _flops(shape, config.batch_size) / _flops(small, batch)
    return passing * work + updating * shape.parameters / small.parameters


def _flops(shape: Shape, batch: int) -> float:
    return shape.flops_per_token * shape.context * batch


def _measure(shape: Shape, config: GPTConfig, batch: int, parameters: int) -> tuple[float, float]:
    """Return the seconds of (forward and backward, update) of a piece of a model: the median of a few steps.

    `parameters` are those of the whole model; they decide the precision.
    """
    device = choose_device(config.device)
    set_threads(device, config.threads)
    precision = choose_precision(config.precision, device, parameters)
    model = LanguageModel(shape).to(device)
    optimizers = make_optimizers(model, config)
    tokens = torch.randint(shape.vocab, (batch, shape.context), device=device)
    times = [_timed_step(model, optimizers, tokens, precision, device) for _repeat in range(4)][1:]
    return sorted(t[0] for t in times)[1], sorted(t[1] for t in times)[1]


def _timed_step(
    model: LanguageModel, optimizers: dict[str, torch.optim.Optimizer], tokens: torch.Tensor, precision: str,
    device: torch.device,
) -> tuple[float, float]:  # fmt: skip
    clock = [time.perf_counter()]
    with autocast(precision, device):
        loss = model.loss(tokens, tokens)
    loss.backward()
    _wait(device)
    clock.append(time.perf_counter())
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    _wait(device)
    clock.append(time.perf_counter())
    return clock[1] - clock[0], clock[2] - clock[1]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
