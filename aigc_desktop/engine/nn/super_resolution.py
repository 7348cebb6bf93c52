"""Twice as many pixels a side: residual blocks at the small size, then pixels out of channels.

Sub-pixel convolution (arXiv:1609.05158) after blocks without normalisation (arXiv:1707.02921); what the network adds
goes on top of bicubic interpolation, so that one that has learned nothing interpolates.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, BLOCKS = 32, 5


class SuperResolution(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] to (B, 3, 2H, 2W); a pixel sees `reach` pixels around it."""

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*[_Block(width) for _ in range(blocks)])
        self.tail = nn.Conv2d(width, 12, 3, padding=1)
        self.reach = 2 + 2 * blocks
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged pictures; values may leave [0, 1] a little."""
        hidden = self.head(x)  # (B, width, H, W)
        hidden = hidden + self.blocks(hidden)
        details = F.pixel_shuffle(self.tail(hidden), 2)  # (B, 3, 2H, 2W)
        return F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False) + details


class _Block(nn.Module):
    """Convolution, ReLU, convolution, and the input added; the second begins small, as EDSR scales its blocks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, width, H, W)."""
        return x + self.second(F.relu(self.first(x)))
