"""Muon (Jordan 2024): the momentum of a matrix, made nearly orthogonal by Newton-Schulz steps, is its update.

torch's own class iterates in bfloat16 everywhere. A processor without instructions for it then needs 15 to 60 times as
long as in float32, minutes a step for wide models, and one with them a quarter; so what is faster is taken here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc_desktop.engine.device import bfloat16_pays

_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315  # of Jordan's quintic: steepest at zero, values stay near one


class Muon(Optimizer):
    """For 2-D weights only. The update of a matrix is scaled by sqrt(max(1, rows / columns)); decay is decoupled.

    `dtype` is what it iterates in. A training that goes on in another process keeps that of the first.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        device = self.param_groups[0]["params"][0].device
        self.dtype = torch.bfloat16 if bfloat16_pays(device.type) else torch.float32

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)

    def _update(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, lr, momentum = self.state[p], group["lr"], group["momentum"]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        mean = state["momentum_buffer"]
        mean.lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(mean, momentum)  # Nesterov's look ahead
        update = nearly_orthogonal(ahead, self.dtype)
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(update, alpha=-lr * math.sqrt(max(1.0, p.shape[0] / p.shape[1])))


def nearly_orthogonal(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Return U S V^T for `matrix` = U D V^T with all of S between about 0.7 and 1.2, computed in `dtype`."""
    x = matrix.to(dtype)
    upright = x.shape[0] > x.shape[1]
    if upright:
        x = x.T
    x = x / x.norm().clamp(min=1e-7)
    for _step in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.T if upright else x
