"""What the families on a published text encoder share: their settings, and the plan before a start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError, is_out_of_memory
from aigc_desktop.core.family import Plan, Planner, Preset, Problem
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_threads
from aigc_desktop.engine.labels.adapted import Adapted, lora_shape
from aigc_desktop.engine.labels.pieces import Batch
from aigc_desktop.engine.pretrained.encoder import (
    build_network,
    encoder_folder,
    layers_of,
    positions_of,
    read_config,
    width_of,
)
from aigc_desktop.engine.training.lora_setup import LoraConfig
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

FULL_LR, LORA_LR = 8e-5, 1e-3
LEAST_TEXTS = 4
_TRIAL_BATCH, _TRIAL_OUTPUTS = 4, 8
_OVERHEAD = 1.15  # validation, previews and checkpoints
_BYTES_PER_TOKEN = 4.0
_LONGEST_TRIAL = 128


class AdapterConfig(LoraConfig):
    """Settings of teaching a published text encoder a task; the presets choose them."""

    encoder: str = param(
        ..., N_("Text encoder"), N_("The published model that is taught; import one that knows your language."),
        kind=FieldKind.ENCODER,
    )  # fmt: skip
    method: Literal["full", "lora"] = param(
        "full", N_("What learns"),
        N_("All weights learn best with a small encoder; adapters (LoRA) take less memory with a large one."),
        labels={"full": N_("all weights"), "lora": N_("adapters (LoRA)")},
    )  # fmt: skip
    steps: int = param(
        600, N_("Steps"), N_("How many updates the weights get; 3 to 10 rounds through the data are usual."),
        ge=1, le=999_999,
    )  # fmt: skip
    batch_size: int = param(16, N_("Batch size"), N_("Texts per update; 16 or 32 suits most data."), ge=1, le=1024)
    lr: float = param(
        0.0, N_("Learning rate"),
        N_("How far an update goes; 0 takes 8e-5 for all weights and 1e-3 for adapters."), ge=0.0, le=1.0,
        advanced=True,
    )  # fmt: skip
    warmup: int = param(
        60, N_("Warm-up steps"), N_("The learning rate rises over these steps; a tenth of the steps is safe."),
        ge=0, le=100_000, advanced=True,
    )  # fmt: skip
    length: int = param(
        128, N_("Longest text"), N_("Tokens read at once; 128 suits sentences, 512 suits pages."), unit=N_("tokens"),
        ge=8, le=8192, advanced=True,
    )  # fmt: skip
    dropout: float = param(
        0.1, N_("Dropout"), N_("Share of numbers set to zero before the last layer while training; 0.1 is safe."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        100, N_("Validate every"), N_("Steps between two checks on texts the model never learns from; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip

    @property
    def peak_lr(self) -> float:
        """Return the highest learning rate."""
        return self.lr or (LORA_LR if self.method == "lora" else FULL_LR)


PRESETS = [
    Preset("full", N_("All weights"), N_("The whole encoder learns: best with small encoders."), {"method": "full"}),
    Preset("lora", N_("Adapters (LoRA)"), N_("Thin matrices learn beside a frozen encoder: for large encoders."),
           {"method": "lora"}),
]  # fmt: skip
LARGE = 150_000_000
"""Parameters of an encoder above which a processor trains adapters."""


def adapter_planner(config_type: type[AdapterConfig], whole: bool, need: Callable[[Dataset], str]) -> Planner:
    """Return the planner of a family; `need` says in a sentence what a data set lacks for it, or ""."""

    def plan(values: dict[str, Any], preset_name: str, dataset: Dataset | None, machine: Machine) -> Plan:
        encoder, problem = _encoder_config(values.get("encoder"), dataset)
        parameters = _parameters(encoder) if encoder else 0
        preset = choose_preset(PRESETS, preset_name, "lora" if machine.weak and parameters > LARGE else "full")
        fitted = {**preset.values, **fit_to_data(dataset, values.get("batch_size"))}
        draft = Draft(config_type, values, replace(preset, values=fitted))
        draft.check_data(dataset, "text", LEAST_TEXTS)
        if dataset is not None and not draft.problems and (lacking := need(dataset)):
            draft.problems.append(Problem(lacking, "dataset"))
        if problem and draft.config is not None:
            draft.problems.append(Problem(problem, "encoder"))
        result = Plan(preset.name, PRESETS, draft.values, items=dataset.info.train if dataset else 0,
                      device=machine.device_name or machine.device)  # fmt: skip
        if draft.config is None or encoder is None:
            return replace(result, problems=draft.problems)
        return _estimate(result, draft, encoder, parameters, dataset, machine, whole)

    return plan


def fit_to_data(dataset: Dataset | None, batch_size: Any = None) -> dict[str, Any]:
    """Return steps, warm-up and checks for the amount of data: few texts are seen more often."""
    if dataset is None or not dataset.info.train:
        return {}
    batch = batch_size if type(batch_size) is int and 0 < batch_size <= 1024 else 16
    count = dataset.info.train
    epochs = 20 if count <= 500 else 6 if count <= 20_000 else 3
    per_epoch = math.ceil(count / batch)
    steps = max(20, epochs * per_epoch)
    every = max(1, per_epoch if steps >= 3 * per_epoch else steps // 3)
    every = max(every, steps // 20)
    return {"steps": steps, "warmup": steps // 10, "validate_every": every, "sample_every": every}


def _encoder_config(value: Any, dataset: Dataset | None) -> tuple[dict[str, Any] | None, str]:
    """Return the configuration of the chosen encoder, or None and why there is none; a data set tells the workspace."""
    if not isinstance(value, str) or dataset is None:
        return None, ""
    try:
        return read_config(encoder_folder(value, Workspace(dataset.folder.parent.parent))), ""
    except UserError as error:
        return None, error.message


def _parameters(config: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build_network(config).parameters())


def _estimate(
    plan: Plan, draft: Draft[AdapterConfig], encoder: dict[str, Any], parameters: int, dataset: Dataset | None,
    machine: Machine, whole: bool,
) -> Plan:  # fmt: skip
    config = draft.config
    assert config is not None
    learned = _learned(config, encoder, whole) if config.method == "lora" else parameters
    length = min(_usual_length(config, dataset), positions_of(encoder))
    activations = config.batch_size * config.length * (34.0 * 2 * width_of(encoder) * layers_of(encoder))
    memory, disk = training_megabytes(learned, learned, activations)
    memory += 4.0 * (parameters - learned) / 1e6
    draft.check_machine(machine, memory)
    seconds = None
    if not draft.problems:
        try:
            seconds = config.steps * _seconds(config, encoder, parameters, length, whole) * _OVERHEAD
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            draft.problems.append(Problem(_("Not enough memory: choose a smaller model."), "encoder"))
    notes = []
    if dataset is not None and dataset.info.train:
        epochs = config.steps * config.batch_size / dataset.info.train
        notes.append(_("Each text is seen about {epochs:.1f} times.").format(epochs=epochs))
    if config.method == "lora":
        notes.append(_("{count} of {all} weights learn.").format(count=f"{learned:,}", all=f"{parameters:,}"))
    return replace(
        plan, parameters=parameters, steps=config.steps, seconds=seconds,
        good_after_s=draft.good_after(seconds, config.steps), memory_mb=memory,
        disk_mb=disk, problems=draft.problems, notes=notes,
    )  # fmt: skip


def _learned(config: AdapterConfig, encoder: dict[str, Any], whole: bool) -> int:
    with torch.device("meta"):
        model = _model(config, build_network(encoder), encoder, whole)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _model(config: AdapterConfig, network: nn.Module, encoder: dict[str, Any], whole: bool) -> Adapted:
    lora = None
    if config.method == "lora":
        lora = lora_shape(network, config.rank, config.alpha, config.lora_dropout)
    return Adapted(network, width_of(encoder), _TRIAL_OUTPUTS, config.dropout, whole, lora)


def _usual_length(config: AdapterConfig, dataset: Dataset | None) -> int:
    """Return about how many tokens a row has."""
    count = dataset.info.train + dataset.info.validation if dataset else 0
    tokens = dataset.info.bytes / _BYTES_PER_TOKEN / count if dataset and count else config.length
    return int(np.clip(tokens + 2, 4, min(config.length, _LONGEST_TRIAL)))


def _seconds(config: AdapterConfig, encoder: dict[str, Any], parameters: int, length: int, whole: bool) -> float:
    """Return the seconds of one step: the median of three of a few texts, with one layer of the network."""
    device = choose_device(config.device)
    set_threads(device, config.threads)
    layers = layers_of(encoder)
    with torch.random.fork_rng(devices=[]):
        model = _model(config, build_network(encoder, 1), encoder, whole).to(device)
        ids = torch.ones(_TRIAL_BATCH, length, dtype=torch.long, device=device)
        batch = Batch(ids, ids.bool(), ids[:, :1], ids[:, :1])
        times = [_timed(model, batch, device) for _repeat in range(4)][1:]
    update = parameters / 1.5e9 if config.method == "full" else 0.0  # AdamW reads and writes 24 bytes a weight
    return sorted(times)[1] * layers * config.batch_size / _TRIAL_BATCH + update


def _timed(model: nn.Module, batch: Batch, device: torch.device) -> float:
    start = time.perf_counter()
    model.zero_grad(set_to_none=True)
    model(batch).float().logsumexp(-1).mean().backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
