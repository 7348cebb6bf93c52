"""Optimizers of the families: fused AdamW, and Muon for hidden matrices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from aigc_desktop.engine.training.muon import Muon


def adamw(
    modules: Iterable[nn.Module],
    lr: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-8,
) -> AdamW:
    """Return fused AdamW (arXiv:1711.05101); vectors such as biases and gains are not decayed."""
    parameters: list[Tensor] = [p for module in modules for p in module.parameters() if p.requires_grad]
    on_card = parameters[0].device.type == "cuda"  # there steps may be recorded
    return AdamW(_groups(parameters, weight_decay), lr=lr, betas=betas, eps=eps, fused=True, capturable=on_card)


def muon_and_adamw(
    model: nn.Module, matrices: Iterable[Tensor], lr: float, adam_lr: float, weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> dict[str, Optimizer]:  # fmt: skip
    """Return {"muon", "adamw"}: Muon for `matrices`, the hidden 2-D weights, AdamW for all others."""
    hidden = list(matrices)
    ids = {id(p) for p in hidden}
    others: list[Tensor] = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
    return {
        "muon": Muon(hidden, lr=lr, weight_decay=weight_decay, momentum=0.95),
        "adamw": AdamW(_groups(others, weight_decay), lr=adam_lr, betas=betas, eps=1e-10, fused=True),
    }


def _groups(parameters: list[Tensor], weight_decay: float) -> list[dict[str, Any]]:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def optimizer_tensors(optimizer: Optimizer, prefix: str) -> dict[str, Tensor]:
    """Return the optimizer's moments and counters as named tensors: `prefix.<parameter index>.<key>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{key}": torch.as_tensor(value)
        for index, entries in state.items()
        for key, value in entries.items()
    }


def forget_begun_moments(optimizer: Optimizer) -> None:
    """Drop moments of weights that took no step yet: Adam's are not whole where memory ran out while it made them."""
    for moments in optimizer.state.values():
        if "step" in moments and not float(moments["step"]):
            moments.clear()


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Give the optimizer the moments saved by `optimizer_tensors`; groups and rates stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            index, key = name.removeprefix(f"{prefix}.").split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for weight, entries in optimizer.state.items():
        for key, value in entries.items():  # fused updates need moments that lie in memory as the weights do
            if value.shape == weight.shape and value.stride() != weight.stride():
                entries[key] = torch.empty_like(weight).copy_(value)
