"""Encoder and decoder whose code is a grid: each number stands for a place of the picture (arXiv:2112.10752).

They take and give the grid as one row of numbers, channel by channel, as those of nn/resnet.py do with their codes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.resnet import GROUPS, GroupNorm, from_pixels, narrowing, no_shares, to_pixels, widening
from aigc_desktop.engine.nn.variational import LIMITS

SIDE = 8  # places of the grid on a side


class SpatialEncoder(nn.Module):
    """From pictures (B, 3, R, R) to mean and log variance (B, C · 8 · 8); `widths` are fine to coarse.

    A vector of the class is added after the first convolution, at each place.
    """

    def __init__(
        self, resolution: int, widths: tuple[int, ...], blocks: int, latent: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.resolution, self.channels = resolution, latent // SIDE**2
        self.first = nn.Sequential(*from_pixels(widths[0]))
        last = nn.Conv2d(widths[-1], 2 * self.channels, 3, padding=1)
        self.layers = nn.Sequential(*narrowing(widths, blocks), GroupNorm(GROUPS, widths[-1]), nn.SiLU(), last)
        self.embedding = nn.Embedding(classes, widths[0]) if classes else None

    def forward(self, images: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance in float32; `shares` (B, K) of the classes, K 0 without classes."""
        x = self.first(images)
        if self.embedding is not None:
            x = x + (shares @ self.embedding.weight)[:, :, None, None]
        mean, logvar = self.layers(x).float().chunk(2, 1)
        return mean.flatten(1), logvar.clamp(*LIMITS).flatten(1)

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, 3, self.resolution, self.resolution), no_shares(self.embedding)


class SpatialDecoder(nn.Module):
    """From grids (B, C · 8 · 8) to pictures (B, 3, R, R); `widths` are coarse to fine.

    A vector of the class is added after the first convolution. `error` is that of nn/resnet.py's decoder.
    """

    error: Tensor

    def __init__(self, widths: tuple[int, ...], blocks: int, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.latent, self.channels = latent, latent // SIDE**2
        self.first = nn.Conv2d(self.channels, widths[0], 3, padding=1)
        self.embedding = nn.Embedding(classes, widths[0]) if classes else None
        self.layers = nn.Sequential(*widening(widths, blocks), *to_pixels(widths[-1]))
        self.register_buffer("error", torch.ones(()))

    def forward(self, z: Tensor, shares: Tensor) -> Tensor:
        """Return pictures in float32; `shares` (B, K) of the classes, K 0 without classes."""
        x = self.first(z.view(len(z), self.channels, SIDE, SIDE))
        if self.embedding is not None:
            x = x + (shares @ self.embedding.weight)[:, :, None, None]
        pictures: Tensor = self.layers(x).float()
        return pictures

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, self.latent), no_shares(self.embedding)
