"""The plan before a fine-tuning: steps by the data, memory and what fits, time by trial steps of one layer."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Any

import torch

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError, is_out_of_memory, readable_size
from aigc_desktop.core.family import Plan, Problem
from aigc_desktop.core.i18n import _
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.model import Model
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, find_model
from aigc_desktop.engine.device import autocast, choose_device, choose_precision, set_threads
from aigc_desktop.engine.nn.four_bit import pack_linears
from aigc_desktop.engine.nn.lora import add_lora
from aigc_desktop.engine.pretrained.llama import Llama, LlamaShape
from aigc_desktop.engine.pretrained.load import check_language_model, template_of
from aigc_desktop.engine.training.planning import Draft, choose_preset, too_large
from aigc_desktop.engine.tuning.lessons import LEAST, need_prompt
from aigc_desktop.engine.tuning.memory import Need, frozen_of, is_packed, layer_of, parameters_of, what_fits
from aigc_desktop.engine.tuning.setup import PRESETS, TARGETS, TuneConfig
from aigc_desktop.engine.tuning.sweep import steps_of

_BYTES_PER_TOKEN = 3.6
_TRIAL_TOKENS = 256
_OVERHEAD = 1.15  # validation, previews and checkpoints
_SMALL_VOCAB = 64


def plan(values: dict[str, Any], preset_name: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return the plan of a fine-tuning; nothing here raises for bad values."""
    shape, model, problem = _base(values.get("base"), dataset)
    preset = choose_preset(PRESETS, preset_name, "lora")
    fitted = {**preset.values, **fit_to_data(dataset, shape, machine, values)}
    draft = Draft(TuneConfig, values, replace(preset, values=fitted))
    draft.check_data(dataset, "text", 1)
    if problem and draft.config is not None:
        draft.problems.append(Problem(problem, "base"))
    made = Plan(preset.name, PRESETS, draft.values, items=dataset.info.train if dataset else 0,
                device=machine.device_name or machine.device)  # fmt: skip
    if draft.config is None or shape is None or model is None or dataset is None:
        return replace(made, problems=draft.problems)
    if not draft.problems:
        _check_prompt(draft, draft.config, dataset)
    if draft.config.context > shape.context:
        text = _("“{title}” reads {most} tokens at most.").format(title=model.info.title, most=shape.context)
        draft.problems.append(Problem(text, "context"))
    return _estimate(made, draft, shape, model, dataset, machine)


def fit_to_data(
    dataset: Dataset | None, shape: LlamaShape | None, machine: Machine, given: dict[str, Any]
) -> dict[str, Any]:
    """Return window, batch, steps and checks for the amount of data: little text is seen up to three times."""
    most = shape.context if shape is not None else 1 << 20
    chosen = {"context": min(most, 256 if machine.weak else 1024), "batch_size": 4 if machine.weak else 8}
    chosen |= {name: given[name] for name in chosen if type(given.get(name)) is int and 0 < given[name] < 1 << 20}
    fitted = {name: value for name, value in chosen.items() if name not in given}
    if dataset is None or not dataset.info.bytes:
        return fitted
    per_epoch = max(1.0, tokens_of(dataset) / chosen["context"] / chosen["batch_size"])
    epochs = 3 if per_epoch < 200 else 2 if per_epoch < 1000 else 1
    steps = int(min(20_000, max(20, epochs * per_epoch)))
    every = max(5, steps // 12)
    return fitted | {"steps": steps, "warmup": max(1, steps // 20), "validate_every": every, "sample_every": 2 * every}


def tokens_of(dataset: Dataset) -> float:
    """Return about how many tokens the training part of a data set has."""
    info = dataset.info
    return info.bytes / _BYTES_PER_TOKEN * info.train / max(1, info.train + info.validation)


def _base(value: Any, dataset: Dataset | None) -> tuple[LlamaShape | None, Model | None, str]:
    """Return shape and model of the chosen base, or why there is none; a data set tells the workspace."""
    if not isinstance(value, str) or not value or dataset is None:
        return None, None, ""
    try:
        model = Workspace(dataset.folder.parent.parent).model(value)
        if model.info.kind != "language":
            return None, None, _("“{title}” is not a model that writes.").format(title=model.info.title)
        found = find_model(model.folder)
        assert isinstance(found, FoundModel)  # a model folder always has its configuration
        return check_language_model(found), model, ""
    except UserError as error:
        return None, None, error.message


def _check_prompt(draft: Draft[TuneConfig], config: TuneConfig, dataset: Dataset) -> None:
    try:
        need_prompt(dataset, config.prompt.strip())
    except UserError as error:
        draft.problems.append(Problem(f"{error.message} {error.hint}", "prompt"))
    if tokens_of(dataset) < 2 * LEAST:
        draft.problems.append(Problem(_("There is too little text to learn from: add more."), "dataset"))


def _estimate(
    made: Plan, draft: Draft[TuneConfig], shape: LlamaShape, model: Model, dataset: Dataset, machine: Machine
) -> Plan:
    config = draft.config
    assert config is not None
    whole = parameters_of(shape)
    try:
        device = choose_device(config.device)
    except UserError as error:
        return replace(made, problems=[*draft.problems, Problem(error.message, "device")])
    half = choose_precision(config.precision, device, whole) == "bfloat16"
    limit = 0.9 * (machine.memory if config.device == "cpu" else machine.device_memory or machine.memory)
    packed = False
    try:
        packed = is_packed(config, shape, half, limit, device)
    except UserError as error:
        draft.problems.append(Problem(f"{error.message} {error.hint}", "base_numbers"))
    need = Need.of(config, shape, half, packed)
    memory = need.with_wish(config.checkpointing, limit)
    if memory > limit:
        text = too_large(memory, limit)
        draft.problems.append(Problem(f"{text} {what_fits(config, shape, half, limit, device)}", "batch_size"))
    seconds = None
    if not draft.problems:
        steps = config.steps + steps_of(config) * len(config.rates)
        try:
            seconds = steps * _seconds(config, shape, half, packed, memory < need.bytes) * _OVERHEAD
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            draft.problems.append(Problem(_("Not enough memory: choose a smaller model."), "base"))
    notes = list(_notes(config, need, whole, model, dataset, memory < need.bytes))
    if packed:
        notes.append(_("The frozen model takes {packed} in 4 bits instead of {whole}; its weights are rounded.").format(
            packed=readable_size(round(frozen_of(shape, half, True))),
            whole=readable_size(round(frozen_of(shape, half, False))),
        ))  # fmt: skip
    return replace(
        made, parameters=whole, steps=config.steps, seconds=seconds,
        good_after_s=draft.good_after(seconds, config.steps), memory_mb=memory / 1e6,
        disk_mb=4 * 4.0 * need.learned * 4 / 1e6, problems=draft.problems, notes=notes,
    )  # fmt: skip


def _notes(
    config: TuneConfig, need: Need, whole: int, model: Model, dataset: Dataset, saving: bool
) -> list[str]:
    epochs = config.steps * config.batch_size * config.context / max(1.0, tokens_of(dataset))
    notes = [_("Each text is seen about {epochs:.1f} times.").format(epochs=epochs)]
    if config.method == "lora":
        notes.append(_("{count} of {all} weights learn.").format(count=f"{need.learned:,}", all=f"{whole:,}"))
    if steps_of(config):
        notes.append(_("First {count} learning rates are tried for {steps} steps each.").format(
            count=len(config.rates), steps=steps_of(config)
        ))  # fmt: skip
    if config.prompt.strip() and not (config.chat and template_of(model)):
        notes.append(_("Requests are learned as plain lines before their texts."))
    if saving:
        notes.append(_("Memory is short, so intermediate numbers are worked out twice: about a third slower."))
    return notes


def _seconds(config: TuneConfig, shape: LlamaShape, half: bool, packed: bool, saving: bool) -> float:
    """Return the seconds of a step, from one layer on a few tokens; the output counts by its products."""
    layer = _layer_seconds(shape, config.method, config.rank, half, packed, config.device, config.threads)
    output = shape.vocab * shape.width / layer_of(shape)
    tokens = config.batch_size * config.context / _TRIAL_TOKENS
    update = parameters_of(shape) / 1.5e9 if config.method == "full" else 0.0  # AdamW moves 24 bytes a weight
    return tokens * layer * (shape.layers * (4 / 3 if saving else 1) + output) + update


@functools.lru_cache(maxsize=32)
def _layer_seconds(
    shape: LlamaShape, method: str, rank: int, half: bool, packed: bool, device_name: str, threads: int
) -> float:
    """Return the seconds that one layer takes forward and backward: the median of a few steps."""
    device = choose_device(device_name)
    set_threads(device, threads)
    with torch.random.fork_rng(devices=[]):
        network = Llama(replace(shape, layers=1, vocab=_SMALL_VOCAB, tied=True))
        kind = torch.bfloat16 if half and method == "lora" else torch.float32
        network.to(device, kind)
        if packed:
            pack_linears(network.model, kind)
        if method == "lora":
            add_lora(network.model, TARGETS, rank, 1.0)
        tokens = torch.zeros(1, min(_TRIAL_TOKENS, shape.context), dtype=torch.long, device=device)
        times = [_timed(network, tokens, "bfloat16" if half else "float32") for _repeat in range(4)][1:]
    return sorted(times)[1] * _TRIAL_TOKENS / tokens.shape[1]


def _timed(network: Llama, tokens: torch.Tensor, precision: str) -> float:
    start = time.perf_counter()
    network.zero_grad(set_to_none=True)
    with autocast(precision, tokens.device):
        loss = network(tokens).float().square().mean()
    loss.backward()
    if tokens.device.type == "cuda":
        torch.cuda.synchronize(tokens.device)
    return time.perf_counter() - start
