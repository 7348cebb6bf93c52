"""The two terms of a variational autoencoder with a calibrated decoder (σ-VAE, arXiv:2006.13202).

The decoder's Gaussian has one variance for all pixels. For given pictures the best value of it is their mean squared
error, so it needs neither a setting nor a weight on the other term.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LIMITS = (-12.0, 4.0)  # of log variances: outside of these the exponential is of no use


def draw(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return one differentiable draw (B, D) from the encoder's Gaussian."""
    return mean + torch.randn_like(mean) * (0.5 * logvar).exp()


def kl_per_dimension(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(q || N(0, 1)) in nats of each latent dimension, (B, D). Appendix B of arXiv:1312.6114."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar)


def reconstruction_nats(squared_error: Tensor, dimensions: int) -> Tensor:
    """Return -log p(x | z) in nats per picture under the best shared variance, which is `squared_error`, a mean."""
    return 0.5 * dimensions * (math.log(2 * math.pi) + 1 + squared_error.clamp(min=1e-8).log())


def bits_per_dimension(nats: float, dimensions: int, levels: float = 127.5) -> float:
    """Return the bits per colour value of `nats` measured on values scaled by 1 / levels from whole numbers."""
    return (nats / dimensions + math.log(levels)) / math.log(2)


def between(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Return the code (D,) at `share` 0 … 1 of the arc from a to b: spherical interpolation, arXiv:1609.04468."""
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp(min=1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if float(angle.sin()) < 1e-4:
        return torch.lerp(a, b, share)
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
