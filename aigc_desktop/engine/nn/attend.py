"""Attention in one place: the fused kernel of torch, or on a processor plain products where those are faster.

For few places the fused kernel spends its time between products too small for it. Plain ones are taken of some heads at
a time, whose scores stay in the cache, and anew for the gradient, so that scores never fill the memory. Forward and
backward on an AMD EPYC, one thread: 48 heads of 256 places in bfloat16 take 13 ms where the fused kernel took 32, 128
heads of 16 places 0.6 and 6 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_PLACES = {torch.float32: 512, torch.bfloat16: 2048}  # that a query may look at; more are faster in the fused kernel
_SCORES = 1_000_000  # at a time


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False, dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """Return softmax(scale q kᵀ + mask) v, (B, H, T, D), for q (B, H, T, D) and k, v (B, K, S, D), K a divisor of H.

    `mask` broadcasts to (B, H, T, S): bool, true where a query looks, or numbers that are added. `causal`, without a
    mask and for T = S, lets each look at the places up to its own. The scale is 1/√D unless given. Computes in the
    numbers of autocast where that is on, as the kernel does.
    """
    batch, heads, queries, width = q.shape
    places = k.shape[2]
    learned = mask is not None and mask.requires_grad
    near = q.device.type == "cpu" and places <= _PLACES.get(_kind(q), 0)
    if not near or dropout or learned:
        return F.scaled_dot_product_attention(
            q, k, v, mask, dropout, causal, scale=scale, enable_gqa=k.shape[1] != heads
        )  # fmt: skip
    q, k, v = (part.to(_kind(q)) for part in (q, k, v))
    if k.shape[1] != heads:
        k, v = (part.repeat_interleave(heads // k.shape[1], 1) for part in (k, v))
    if causal:
        mask = torch.ones(queries, places, dtype=torch.bool).tril()
    q, k, v = (part.reshape(batch * heads, -1, width) for part in (q, k, v))
    mixed: Tensor = _Attention.apply(q, k, v, _bias(mask, q, batch), scale or 1 / math.sqrt(width))
    return mixed.view(batch, heads, queries, width)


def _kind(x: Tensor) -> torch.dtype:
    """Return the numbers to compute in, on a processor."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _bias(mask: Tensor | None, q: Tensor, batch: int) -> Tensor:
    """Return what is added to the scores: numbers (1, 1, 1), (1, T, S) or (B H, T, S)."""
    if mask is None:
        return q.new_zeros(1, 1, 1)
    if mask.dtype == torch.bool:  # finite, so that the weights of a query that sees nothing are numbers
        mask = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, torch.finfo(q.dtype).min)
    mask = mask.to(q.dtype)
    if mask.ndim == 2 or mask.shape[:2].numel() == 1:
        return mask.view(1, *mask.shape[-2:])
    return mask.expand(batch, len(q) // batch, *mask.shape[2:]).reshape(-1, *mask.shape[2:])


class _Attention(Function):
    """Of q (N, T, D) and k, v (N, S, D); differentiable once, and not by the bias."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
        mixed = torch.empty_like(q)
        for some in _parts(q, k):
            torch.bmm(_weights(q[some], k[some], _of(bias, some), scale), v[some], out=mixed[some])
        ctx.save_for_backward(q, k, v, bias, mixed)
        ctx.scale = scale
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, mixed = ctx.saved_tensors
        dq, dk, dv = (torch.empty_like(part) for part in (q, k, v))
        along = (grad * mixed).sum(-1, keepdim=True)  # (N, T, 1): each query's mean of what its weights are told
        for some in _parts(q, k):
            weights = _weights(q[some], k[some], _of(bias, some), ctx.scale)
            torch.bmm(weights.transpose(1, 2), grad[some], out=dv[some])
            told = torch.bmm(grad[some], v[some].transpose(1, 2)).sub_(along[some]).mul_(weights)
            torch.bmm(told, k[some], out=dq[some])
            torch.bmm(told.transpose(1, 2), q[some], out=dk[some])
        return dq.mul_(ctx.scale), dk.mul_(ctx.scale), dv, None, None


def _parts(q: Tensor, k: Tensor) -> Iterator[slice]:
    """Yield slices of N whose scores fit together."""
    size = max(1, _SCORES // (q.shape[1] * k.shape[1]))
    for start in range(0, len(q), size):
        yield slice(start, start + size)


def _of(bias: Tensor, some: slice) -> Tensor:
    return bias if len(bias) == 1 else bias[some]


def _weights(q: Tensor, k: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Return the softmax of scores (n, T, S)."""
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale)
    return torch.softmax(scores, -1, out=scores)
