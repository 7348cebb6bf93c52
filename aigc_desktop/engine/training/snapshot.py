"""Turn a training between two steps into what a checkpoint holds, and back, to the bit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.device import products, rng_state, set_rng_state, use_products
from aigc_desktop.engine.training.checkpoint import Card, State, part, versions
from aigc_desktop.engine.training.muon import Muon
from aigc_desktop.engine.training.optim import load_optimizer_tensors, optimizer_tensors

if TYPE_CHECKING:
    from aigc_desktop.engine.training.loop import Loop

_DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16)}


def pack(loop: Loop) -> State:
    """Return the state of a training; its tensors are the live ones, so write it before the next step."""
    trainee = loop.trainee
    model = {
        f"{name}.{key}": tensor
        for name, module in loop.averages.models.items()
        for key, tensor in module.state_dict().items()
    }
    tensors: dict[str, Tensor] = {}
    for name, module in trainee.modules.items():
        if loop.averages.on or name not in trainee.generates:
            tensors |= {f"module.{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    for name, optimizer in trainee.optimizers.items():
        tensors |= optimizer_tensors(optimizer, f"optimizer.{name}")
    tensors |= {f"rng.{name}": tensor for name, tensor in rng_state(loop.device).items()}
    tensors |= {f"extra.{name}": tensor for name, tensor in trainee.state().items()}
    means = loop.means.tensors()
    tensors |= {f"mean.{i}": tensor for i, tensor in enumerate(means.values())}
    return State(_card(loop), model, tensors, _numbers(loop, list(means)))


def unpack(loop: Loop, state: State, keep_guard: bool = False) -> bool:
    """Put a training into a saved state; False when it cannot go on to the same bits as it would have there.

    `keep_guard` is for roll-backs: how often and how far the guard went down must survive them.
    """
    numbers, tensors = state.numbers, state.tensors
    unpack_models(loop, state)
    for name, module in loop.trainee.modules.items():
        if weights := part(tensors, f"module.{name}"):
            _load(module, weights)
    for name, optimizer in loop.trainee.optimizers.items():
        load_optimizer_tensors(optimizer, tensors, f"optimizer.{name}")
    if loop.recorder is not None:
        loop.recorder.forget()  # the moments are other tensors now
    if numbers["computed_by"][0] == loop.device.type:  # a card's choice may be the slow one of a processor
        _use_arithmetic(loop, numbers.get("arithmetic", {}))  # earlier releases kept none
    loop.trainee.load_state(part(tensors, "extra"))
    set_rng_state(part(tensors, "rng"), loop.device)
    saved_means = part(tensors, "mean")
    loop.means.load({name: saved_means[str(i)] for i, name in enumerate(numbers["means"])}, loop.device)
    loop.trainee.sampler.position = tuple(numbers["position"])
    loop.step, loop.accumulation = state.card.step, numbers["accumulation"]
    loop.precision = numbers["precision"]
    loop.validated_step, loop.metrics = numbers["validated_step"], dict(state.card.metrics)
    loop.best_value = math.inf if numbers["best_value"] is None else numbers["best_value"]
    loop.best_step, loop.without_gain = numbers["best_step"], numbers["without_gain"]
    if not keep_guard:
        loop.guard.load(numbers["guard"])
    kept = numbers.get("arithmetic", {}).items() <= _arithmetic(loop).items()
    return bool(kept and numbers["computed_by"] == _computed_by(loop))


def unpack_models(loop: Loop, state: State) -> None:
    """Load the generating weights only."""
    for name, model in loop.averages.models.items():
        _load(model, part(state.model, name))


def _load(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            _("The saved version does not fit the settings of this training."),
            _("Continue with the settings it began with, or start a new training."),
        ) from error


def _card(loop: Loop) -> Card:
    info = loop.run.info
    return Card(
        loop.trainee.family, loop.step, loop.config.model_dump(mode="json"), dict(loop.metrics),
        loop.config.dataset, info.dataset_hash, loop.trainee.card(), versions(),
    )  # fmt: skip


def _numbers(loop: Loop, means: list[str]) -> dict[str, Any]:
    return {
        "position": list(loop.trainee.sampler.position),
        "accumulation": loop.accumulation,
        "precision": loop.precision,
        "validated_step": loop.validated_step,
        "best_value": loop.best_value if math.isfinite(loop.best_value) else None,
        "best_step": loop.best_step,
        "without_gain": loop.without_gain,
        "guard": loop.guard.numbers(),
        "means": means,
        "computed_by": _computed_by(loop),
        "arithmetic": _arithmetic(loop),
    }


def _arithmetic(loop: Loop) -> dict[str, str]:
    """Return what each process chooses by its own clock, and what rounds otherwise when it is chosen otherwise."""
    muons = {name: str(o.dtype) for name, o in loop.trainee.optimizers.items() if isinstance(o, Muon)}
    return muons | ({"products": products()} if loop.device.type == "cpu" else {})


def _use_arithmetic(loop: Loop, chosen: dict[str, str]) -> None:
    """Compute as the process did that saved."""
    if "products" in chosen:
        use_products(chosen["products"])
    for name, optimizer in loop.trainee.optimizers.items():
        if isinstance(optimizer, Muon):
            optimizer.dtype = _DTYPES.get(chosen.get(name, ""), optimizer.dtype)


def _computed_by(loop: Loop) -> list[str | int]:
    """Return what equality to the bit depends on."""
    return [loop.device.type, torch.__version__, torch.get_num_threads()]
