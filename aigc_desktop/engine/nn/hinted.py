"""Augmentation that does not leak (arXiv:2206.00364, appendix F.2): the network is told what was done to a picture.

At generation it is told that nothing was done.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

HINTS = 6
"""Numbers that tell of it: mirrored, larger, turned (cosine - 1 and sine), moved down, moved right."""
_LARGEST, _MOST_TURN, _REACH = 0.2, math.pi / 12, 0.125


def hinted_augment(images: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Return pictures (B, C, H, W) mirrored, scaled, turned and moved, each with this probability, and hints (B, 6)."""
    count, device = len(images), images.device
    mirrored = (torch.rand(count, device=device) < probability).float()
    larger, turned, down, right = (_drawn(count, probability, device) for _kind in range(4))
    scale, angle = torch.exp2(_LARGEST * larger), _MOST_TURN * turned
    cos, sin, side = angle.cos() / scale, angle.sin() / scale, 1 - 2 * mirrored
    matrix = torch.stack([
        torch.stack([cos * side, -sin * side, 2 * _REACH * right], 1), torch.stack([sin, cos, 2 * _REACH * down], 1)
    ], 1)  # fmt: skip
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False).to(images.dtype)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    hints = torch.stack([mirrored, larger, angle.cos() - 1, angle.sin(), down, right], 1)
    done = (hints != 0).any(1)
    return torch.where(done[:, None, None, None], moved, images), hints


def _drawn(count: int, probability: float, device: torch.device) -> Tensor:
    """Return numbers (N,) of N(0, 1) cut at ±2, halved, and 0 where nothing is done."""
    chosen = torch.rand(count, device=device) < probability
    return torch.randn(count, device=device).clamp(-2, 2) / 2 * chosen
