"""Relativistic pairing loss with R1 and R2, the regularised objective of R3GAN (arXiv:2501.05441)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pairing_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Return the mean of softplus(worse - better) over pairs of scores (B,); it falls as `better` gets ahead.

    The discriminator calls it with (real, fake), the generator with (fake, real): RpGAN, arXiv:1807.00734.
    """
    return F.softplus(worse - better).mean()


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared length of the gradient of scores (B,) by images (B, C, H, W); differentiable itself.

    On real pictures it is R1, on generated ones R2 (arXiv:1801.04406), both centred on zero.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def decayed(start: float, end: float, progress: float) -> float:
    """Return a value on the way from `start` to `end` along a geometric line; progress is 0 … 1."""
    return float(start * (end / start) ** progress) if start > 0 else 0.0
