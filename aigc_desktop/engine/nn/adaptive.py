"""Augment as often as the discriminator learns its pictures by heart (ADA, arXiv:2006.06676, section 3.2).

The sign of learning by heart is r, the mean sign of the scores of real pictures: 0 while they cannot be told from made
ones, 1 when all of them can. A relativistic game has no zero of its own, so it is put halfway between the mean scores
of real and of made pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TARGET = 0.6  # r above which augmentation rises, the paper's
MEMORY = 256  # pictures over which r is averaged, as in the paper


class AdaptiveProbability(nn.Module):
    """A probability that goes up while r is above TARGET and down while it is below, within 0 … `most`.

    `span` is how many pictures it takes from 0 to 1. Both numbers stay on the device.
    """

    probability: Tensor
    r: Tensor

    def __init__(self, most: float, span: int) -> None:
        super().__init__()
        self.most, self.span = most, span
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("r", torch.zeros(()))

    @torch.no_grad()
    def observe(self, real: Tensor, fake: Tensor) -> None:
        """Take account of the scores (B,) of one step; scores that are no numbers count as 0."""
        real, fake = real.float().nan_to_num(), fake.float().nan_to_num()
        middle = (real.mean() + fake.mean()) / 2
        self.r.lerp_((real - middle).sign().mean(), min(1.0, len(real) / MEMORY))
        self.probability.add_((self.r - TARGET).sign() * (len(real) / self.span)).clamp_(0.0, self.most)
