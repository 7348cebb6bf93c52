"""Pictures that tile a plane without a seam.

A generator whose convolutions wrap around makes them (padding as in arXiv:1611.08207); a discriminator that sees them
rolled by any way round cannot know where their edges were, so a seam is a fault like any other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SEAMLESS = 1.5  # seam_ratio up to which a picture is taken to tile


def roll(images: Tensor) -> Tensor:
    """Return (B, C, H, W) moved by random whole pixels around both edges, each picture in its own way."""
    batch, _channels, height, width = images.shape
    device = images.device
    rows = (torch.arange(height, device=device) + torch.randint(height, (batch, 1), device=device)) % height
    columns = (torch.arange(width, device=device) + torch.randint(width, (batch, 1), device=device)) % width
    item = torch.arange(batch, device=device)[:, None, None]
    return images[item, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def seam_ratio(images: Tensor) -> Tensor:
    """Return (B,) how much neighbours across the edges differ, in units of the neighbours next to them.

    The worse of both directions; 1 is without a seam, also where nothing differs.
    """
    ratios = []
    for axis in (2, 3):
        steps = (images - images.roll(1, axis)).abs().mean((1, 5 - axis))  # (B, H or W), the first across the edge
        ratios.append((steps[:, 0] + 1e-6) / (steps[:, [-2, -1, 1, 2]].mean(1) + 1e-6))
    return torch.maximum(*ratios)


def roll_tiles(images: Tensor) -> Tensor:
    """Return pictures (B, C, H, W), rolled where they tile already: there every way round is as good as theirs."""
    tiles = seam_ratio(images) <= SEAMLESS
    return torch.where(tiles[:, None, None, None], roll(images), images)


def doubled(x: Tensor, around: bool) -> Tensor:
    """Return (B, C, H, W) at twice the size, bilinear; `around` takes what lies beyond an edge from the other side."""
    if not around:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    x = F.interpolate(F.pad(x, (1, 1, 1, 1), mode="circular"), scale_factor=2, mode="bilinear", align_corners=False)
    return x[:, :, 2:-2, 2:-2]
