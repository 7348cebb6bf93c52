"""Attention in one place: the fused kernel of torch, or on a processor plain products where those are faster.

For few places the fused kernel spends its time between products too small for it. Plain ones are taken of some heads at
a time, whose scores stay in the cache. Few scores are kept for the gradient; more are made anew, so that they never
fill the memory. Causal scores are taken in blocks of queries that leave out the keys after the block. Forward and
backward of 48 heads of 256 places, one thread: 13 ms in bfloat16 on an AMD EPYC, where the fused kernel took 32; 30 ms
in float32 on an Intel Xeon, where products without blocks took 44.
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
_KEPT = 4_000_000  # scores of a call that are kept for its gradient: no more than a feed-forward keeps beside it
_QUERIES = 128  # of a causal block; fewer make the products too small


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
    q, k, v = (part.reshape(batch * heads, -1, width) for part in (q, k, v))
    if causal:
        size = min(queries, _step(q))
        mask = torch.ones(size, size, dtype=torch.bool).tril()  # of the last keys of a block
    bias = _bias(mask, q, batch)
    mixed: Tensor = _Attention.apply(q, k, v, bias, causal, scale or 1 / math.sqrt(width))
    return mixed.view(batch, heads, queries, width)


def _kind(x: Tensor) -> torch.dtype:
    """Return the numbers to compute in, on a processor."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _bias(mask: Tensor | None, q: Tensor, batch: int) -> Tensor | None:
    """Return what is added to the scores: numbers (1, T, S) or (B H, T, S)."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:  # finite, so that the weights of a query that sees nothing are numbers
        mask = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, torch.finfo(q.dtype).min)
    mask = mask.to(q.dtype)
    if mask.ndim == 2 or mask.shape[:2].numel() == 1:
        return mask.view(1, *mask.shape[-2:])
    return mask.expand(batch, len(q) // batch, *mask.shape[2:]).reshape(-1, *mask.shape[2:])


class _Attention(Function):
    """Of q (N, T, D) and k, v (N, S, D); differentiable once, and not by the bias."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float
    ) -> Tensor:  # fmt: skip
        ctx.causal, ctx.scale = causal, scale
        mixed, kept = torch.empty_like(q), []
        for block in _blocks(q, k, causal):
            some, rows, seen = block
            weights = _weights(q, k, bias, block, causal, scale)
            torch.bmm(weights, v[some, seen], out=mixed[some, rows])
            if any(ctx.needs_input_grad) and len(q) * q.shape[1] * k.shape[1] <= _KEPT:
                kept.append(weights)
        ctx.save_for_backward(q, k, v, bias, mixed, *kept)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, mixed, *kept = ctx.saved_tensors
        dq, dk, dv = (torch.empty_like(part) for part in (q, k, v))
        along = (grad * mixed).sum(-1, keepdim=True)  # (N, T, 1): each query's mean of what its weights are told
        for i, block in enumerate(_blocks(q, k, ctx.causal)):
            some, rows, seen = block
            weights = kept[i] if kept else _weights(q, k, bias, block, ctx.causal, ctx.scale)
            first = rows.stop == q.shape[1]  # of these heads: it sees every key, the others add to its gradients
            dv[some, seen].baddbmm_(weights.transpose(1, 2), grad[some, rows], beta=int(not first))
            told = torch.bmm(grad[some, rows], v[some, seen].transpose(1, 2)).sub_(along[some, rows]).mul_(weights)
            dq[some, rows].baddbmm_(told, k[some, seen], beta=0, alpha=ctx.scale)
            dk[some, seen].baddbmm_(told.transpose(1, 2), q[some, rows], beta=int(not first), alpha=ctx.scale)
        return dq, dk, dv, None, None, None


def _step(q: Tensor) -> int:
    """Return the queries of a causal block; in bfloat16 all: sums of blocks round, and it wants large products."""
    return q.shape[-2] if q.dtype == torch.bfloat16 else _QUERIES


def _blocks(q: Tensor, k: Tensor, causal: bool) -> Iterator[tuple[slice, slice, slice]]:
    """Yield slices of N, of queries and of the keys that these see; the scores of a block fit together.

    Blocks of the same heads begin with their last queries.
    """
    queries, keys = q.shape[1], k.shape[1]
    size = max(1, _SCORES // (queries * keys))
    for start in range(0, len(q), size):
        some = slice(start, start + size)
        if not causal:
            yield some, slice(0, queries), slice(0, keys)
            continue
        for row in reversed(range(0, queries, _step(q))):
            end = min(row + _step(q), queries)
            yield some, slice(row, end), slice(0, end)


def _weights(
    q: Tensor, k: Tensor, bias: Tensor | None, block: tuple[slice, slice, slice], causal: bool, scale: float
) -> Tensor:  # fmt: skip
    """Return the softmax of the scores of a block, (n, queries, keys)."""
    some, rows, seen = block
    q, k = q[some, rows], k[some, seen].transpose(1, 2)
    if causal and bias is not None:
        bias = bias[:, : q.shape[1], : q.shape[1]]
    if bias is None or (causal and rows.start):
        scores = q.new_empty(len(q), q.shape[1], k.shape[2]).baddbmm_(q, k, beta=0, alpha=scale)
        if bias is not None:
            scores[..., rows].add_(bias)
    else:
        scores = torch.baddbmm(bias if len(bias) == 1 else bias[some], q, k, alpha=scale)
    return torch.softmax(scores, -1, out=scores)
