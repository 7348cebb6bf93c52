"""Finite scalar quantisation (FSQ, arXiv:2309.15505): numbers rounded to a fixed grid, with no codebook to learn."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_NORMAL = 1.702  # sigmoid(1.702 z) is near the distribution function of a standard normal z, so all levels come alike


class Fsq(nn.Module):
    """Vectors (B, D, ...) to codes, D numbers in [-1, 1] on `levels[d]` even steps, and to one whole number each."""

    sizes: Tensor
    places: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels {levels} are not two or more each")
        self.levels, self.count = levels, math.prod(levels)
        self.register_buffer("sizes", torch.tensor(levels), persistent=False)
        places = [math.prod(levels[:index]) for index in range(len(levels))]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return the codes of z, same shape, float32; gradients pass the rounding as if it were not there."""
        sizes = _along(self.sizes, z)
        position = sizes * torch.sigmoid(_NORMAL * z.float()) - 0.5
        rounded = torch.minimum(position.round().clamp_min(0), sizes - 1)
        return 2 * (position + (rounded - position).detach()) / (sizes - 1) - 1

    def numbers(self, codes: Tensor) -> Tensor:
        """Return the numbers (B, ...) in 0 … count - 1 of codes (B, D, ...)."""
        steps = ((codes + 1) * (_along(self.sizes, codes) - 1) / 2).round().long()
        return (steps * _along(self.places, codes)).sum(1)

    def codes(self, numbers: Tensor) -> Tensor:
        """Return the codes (B, D, ...) of numbers (B, ...): the inverse of `numbers`."""
        several = numbers[:, None]
        sizes = _along(self.sizes, several)
        return 2 * (several // _along(self.places, several) % sizes) / (sizes - 1) - 1


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Return `values` (D,) as (1, D, 1, ...) with as many dimensions as `like`."""
    return values.view(1, -1, *[1] * (like.ndim - 2))
