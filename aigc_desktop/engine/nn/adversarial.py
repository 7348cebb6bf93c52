"""Relativistic pairing loss with R1 and R2, the objective of R3GAN (arXiv:2501.05441); and the classic game's loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@contextmanager
def frozen(critic: nn.Module) -> Iterator[None]:
    """Let gradients pass through `critic` without making it learn, in the generator's turn."""
    critic.requires_grad_(False)
    try:
        yield
    finally:
        critic.requires_grad_(True)


def pairing_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Return the mean of softplus(worse - better) over pairs of scores (B,); it falls as `better` gets ahead.

    The discriminator calls it with (real, fake), the generator with (fake, real): RpGAN, arXiv:1807.00734.
    """
    return F.softplus(worse - better).mean()


def binary_loss(positive: Tensor, negative: Tensor | None = None) -> Tensor:
    """Return the binary cross-entropy of scores (B,) that should be positive and of those that should be negative.

    The discriminator calls it with (real, fake), the generator with (fake): non-saturating, arXiv:1406.2661.
    """
    loss = F.softplus(-positive).mean()
    return loss if negative is None else loss + F.softplus(negative).mean()


def hinge_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator: scores that should be above 1 and scores that should be below -1.

    Its generator maximises its scores (arXiv:1705.02894).
    """
    return F.relu(1 - positive).mean() + F.relu(1 + negative).mean()


def gradient_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    """Return the mean squared length of the gradient of scores (B,) by inputs (B, ...); differentiable itself.

    On real items it is R1, on generated ones R2 (arXiv:1801.04406), both centred on zero.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def decayed(start: float, end: float, progress: float) -> float:
    """Return a value on the way from `start` to `end` along a geometric line; progress is 0 … 1."""
    return float(start * (end / start) ** progress) if start > 0 else 0.0
