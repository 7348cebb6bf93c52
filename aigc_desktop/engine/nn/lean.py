"""RMSNorm, rotation and ReLU² with their gradients by hand: fewer passes over memory than automatic differentiation.

On a processor such passes, not the matrix products, are what a training step can save. Differentiable once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

EPS = 1e-6


def rms_norm(x: Tensor) -> Tensor:
    """Return x / RMS(x) over the last dimension (arXiv:1910.07467); there is no gain, the next matrix has it."""
    return _RMSNorm.apply(x)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs (i, i + D/2) of x (..., T, D) by angles whose cosines and sines are (T, D/2)."""
    return _Rotation.apply(x, cos, sin)


def heads_of(x: Tensor, heads: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values (B, H, T, D) of x (B, T, 3 H D); queries and keys are normalised and rotated.

    What `rms_norm` and `rotate` give, with one copy instead of three. `cos` and `sin` are those of `rotate`.
    """
    return _Heads.apply(x, heads, cos, sin)


def relu_squared(x: Tensor) -> Tensor:
    """Return max(x, 0)²."""
    return _ReLUSquared.apply(x)


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = _scale(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        y, scale = ctx.saved_tensors
        return _norm_gradient(y, grad, scale)


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad, cos, sin, -1), None, None  # the gradient turns back


class _Heads(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, heads: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        B, T, C = x.shape
        parts = x.view(B, T, 3, heads, C // 3 // heads).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        q, k, v = (x.new_empty(parts.shape[1:]) for _part in range(3))
        scale = _scale(parts[:2])
        for part, turned, by in zip(parts[:2], (q, k), scale, strict=True):
            _rotated(part * by, cos, sin, 1, turned)
        ctx.save_for_backward(q, k, scale, cos, sin)
        return q, k, v.copy_(parts[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *turned, scale, cos, sin = ctx.saved_tensors
        B, H, T, D = grads[2].shape
        out = grads[2].new_empty(B, T, 3, H, D)
        parts = out.permute(2, 0, 3, 1, 4)
        for y, grad, by, part in zip(turned, grads, scale, parts, strict=False):  # a rotation keeps the products
            _rotated(_norm_gradient(y, grad, by), cos, sin, -1, part)
        parts[2].copy_(grads[2])
        return out.view(B, T, 3 * H * D), None, None, None


def _scale(x: Tensor) -> Tensor:
    """Return 1 / RMS(x) over the last dimension, which stays with length 1."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    return length.square_().div_(x.shape[-1]).add_(EPS).rsqrt_().to(x.dtype)


def _norm_gradient(y: Tensor, grad: Tensor, scale: Tensor) -> Tensor:
    along = (grad * y).mean(-1, keepdim=True)
    return torch.addcmul(grad, y, along, value=-1).mul_(scale)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, sign: int, out: Tensor | None = None) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    out = torch.empty_like(x) if out is None else out
    first, second = out.chunk(2, dim=-1)
    torch.mul(a, cos, out=first)
    first.addcmul_(b, sin, value=-sign)
    torch.mul(b, cos, out=second)
    second.addcmul_(a, sin, value=sign)
    return out


class _ReLUSquared(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.clamp_min(0)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.addcmul(grad.new_zeros(()), grad, positive, value=2)  # one pass
