"""Turn a training between two steps into what a checkpoint holds, and back, to the bit."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.device import products, rng_state, set_rng_state, use_products
from aigc_desktop.engine.training.checkpoint import Card, State, part, versions
from aigc_desktop.engine.training.muon import Muon
from aigc_desktop.engine.training.optim import load_optimizer_tensors, optimizer_tensors
from aigc_desktop.engine.training.state import TrainingState

_DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16)}


def pack(training: TrainingState) -> State:
    """Return the state of a training; its tensors are the live ones, so write it before the next step."""
    trainee = training.trainee
    model = {
        f"{name}.{key}": tensor
        for name, module in training.averages.models.items()
        for key, tensor in module.state_dict().items()
    }
    tensors: dict[str, Tensor] = {}
    for name, module in trainee.modules.items():
        if training.averages.on or name not in trainee.generates:
            tensors |= {f"module.{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    for name, optimizer in trainee.optimizers.items():
        tensors |= optimizer_tensors(optimizer, f"optimizer.{name}")
    tensors |= {f"rng.{name}": tensor for name, tensor in rng_state(training.device).items()}
    tensors |= {f"extra.{name}": tensor for name, tensor in trainee.state().items()}
    means = training.means.tensors()
    tensors |= {f"mean.{i}": tensor for i, tensor in enumerate(means.values())}
    return State(_card(training), model, tensors, _numbers(training, list(means)))


def unpack(training: TrainingState, state: State, keep_guard: bool = False) -> bool:
    """Put a training into a saved state; False when it cannot go on to the same bits as it would have there.

    `keep_guard` is for roll-backs: how often and how far the guard went down must survive them.
    """
    numbers, tensors = state.numbers, state.tensors
    unpack_models(training, state)
    for name, module in training.trainee.modules.items():
        if weights := part(tensors, f"module.{name}"):
            _load(module, weights)
    for name, optimizer in training.trainee.optimizers.items():
        load_optimizer_tensors(optimizer, tensors, f"optimizer.{name}")
    if training.recorder is not None:
        training.recorder.forget()  # the moments are other tensors now
    if numbers["computed_by"][0] == training.device.type:  # a card's choice may be the slow one of a processor
        _use_arithmetic(training, numbers.get("arithmetic", {}))  # earlier releases kept none
    training.trainee.load_state(part(tensors, "extra"))
    set_rng_state(part(tensors, "rng"), training.device)
    saved_means = part(tensors, "mean")
    training.means.load({name: saved_means[str(i)] for i, name in enumerate(numbers["means"])}, training.device)
    training.trainee.sampler.position = tuple(numbers["position"])
    training.step, training.accumulation = state.card.step, numbers["accumulation"]
    training.precision = numbers["precision"]
    training.validated_step, training.metrics = numbers["validated_step"], dict(state.card.metrics)
    training.best_value = math.inf if numbers["best_value"] is None else numbers["best_value"]
    training.best_step, training.without_gain = numbers["best_step"], numbers["without_gain"]
    if not keep_guard:
        training.guard.load(numbers["guard"])
    kept = numbers.get("arithmetic", {}).items() <= _arithmetic(training).items()
    return bool(kept and numbers["computed_by"] == _computed_by(training))


def unpack_models(training: TrainingState, state: State) -> None:
    """Load the generating weights only."""
    for name, model in training.averages.models.items():
        _load(model, part(state.model, name))


def _load(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            _("The saved version does not fit the settings of this training."),
            _("Continue with the settings it began with, or start a new training."),
        ) from error


def _card(training: TrainingState) -> Card:
    info = training.run.info
    return Card(
        training.trainee.family, training.step, training.config.model_dump(mode="json"), dict(training.metrics),
        training.config.dataset, info.dataset_hash, training.trainee.card(), versions(),
    )  # fmt: skip


def _numbers(training: TrainingState, means: list[str]) -> dict[str, Any]:
    return {
        "position": list(training.trainee.sampler.position),
        "accumulation": training.accumulation,
        "precision": training.precision,
        "validated_step": training.validated_step,
        "best_value": training.best_value if math.isfinite(training.best_value) else None,
        "best_step": training.best_step,
        "without_gain": training.without_gain,
        "guard": training.guard.numbers(),
        "means": means,
        "computed_by": _computed_by(training),
        "arithmetic": _arithmetic(training),
    }


def _arithmetic(training: TrainingState) -> dict[str, str]:
    """Return what each process chooses by its own clock, and what rounds otherwise when it is chosen otherwise."""
    muons = {name: str(o.dtype) for name, o in training.trainee.optimizers.items() if isinstance(o, Muon)}
    return muons | ({"products": products()} if training.device.type == "cpu" else {})


def _use_arithmetic(training: TrainingState, chosen: dict[str, str]) -> None:
    """Compute as the process did that saved."""
    if "products" in chosen:
        use_products(chosen["products"])
    for name, optimizer in training.trainee.optimizers.items():
        if isinstance(optimizer, Muon):
            optimizer.dtype = _DTYPES.get(chosen.get(name, ""), optimizer.dtype)


def _computed_by(training: TrainingState) -> list[str | int]:
    """Return what equality to the bit depends on."""
    return [training.device.type, torch.__version__, torch.get_num_threads()]
