"""Cross entropy of a linear map onto many classes, in pieces: a large vocabulary's logits never lie whole in memory.

The gradient is worked out along with the loss, as in Liger kernels (arXiv:2410.10989), so each piece of logits is made
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

AT_ONCE = 1 << 23  # logits at a time; larger pieces are no faster and tear the memory of a processor apart


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of -log p of `targets` (N,), in nats and float32, for the logits hidden (N, C) · weight (V, C)ᵀ.

    Computes in the numbers of autocast where that is on. It has a first derivative only.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    with torch.autocast(kind, enabled=False):
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
            return _LinearCrossEntropy.apply(hidden, weight, targets)
        return sum(
            (F.cross_entropy((piece @ weight.T).float(), wanted, reduction="sum")
             for piece, wanted in _pieces(hidden, targets, len(weight))),
            torch.zeros((), device=hidden.device),
        )  # fmt: skip


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        to_hidden = []
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        for piece, wanted in _pieces(hidden, targets, len(weight)):
            logits = (piece @ weight.T).float()
            rows = torch.arange(len(wanted), device=hidden.device)
            chosen = logits[rows, wanted]
            norm = torch.logsumexp(logits, -1)
            total = total + (norm - chosen).sum()
            slope = logits.sub_(norm[:, None]).exp_()  # probabilities, then minus 1 at the target
            slope[rows, wanted] -= 1
            slope = slope.to(hidden.dtype)
            if needs_hidden:
                to_hidden.append(slope @ weight)
            if to_weight is not None:
                to_weight += slope.T @ piece
        ctx.slopes = (torch.cat(to_hidden) if to_hidden else None, to_weight)
        ctx.dtype = weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        to_hidden, to_weight = ctx.slopes
        return (
            None if to_hidden is None else to_hidden * slopes[0].to(to_hidden.dtype),
            None if to_weight is None else (to_weight * slopes[0]).to(ctx.dtype),
            None,
        )


def _pieces(hidden: Tensor, targets: Tensor, vocab: int) -> Iterator[tuple[Tensor, Tensor]]:
    rows = max(16, AT_ONCE // vocab)
    return zip(hidden.split(rows), targets.split(rows), strict=True)
