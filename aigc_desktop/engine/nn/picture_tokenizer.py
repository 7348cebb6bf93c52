"""Pictures as grids of tokens: a convolutional autoencoder with finite scalar quantisation between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.convnet import BLOCK
from aigc_desktop.engine.nn.fsq import Fsq
from aigc_desktop.engine.nn.resnet import GROUPS, GroupNorm, from_pixels, narrowing, to_pixels, widening

GROWTH = (1, 2, 3)  # channels of each stage, fine to coarse, in units of the finest


@dataclass(frozen=True)
class TokenizerShape:
    """Size of the autoencoder; `side` is how many tokens a picture of `size` pixels has on a side."""

    size: int
    side: int
    channels: int
    blocks: int
    levels: tuple[int, ...]

    @property
    def patch(self) -> int:
        """Return how many pixels a token has on a side."""
        return self.size // self.side

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the channels of the stages, fine to coarse."""
        stages = (self.size // BLOCK // self.side).bit_length()
        width = max(GROUPS, self.channels // GROUPS * GROUPS)
        return tuple(width * GROWTH[min(stage, len(GROWTH) - 1)] for stage in range(stages))

    @classmethod
    def of(cls, told: dict[str, Any]) -> TokenizerShape:
        """Return the shape that a card tells."""
        return cls(**{**told, "levels": tuple(told["levels"])})


class PictureTokenizer(nn.Module):
    """Pictures (B, 3, R, R) in [-1, 1] to tokens (B, side²), row by row, and back."""

    def __init__(self, shape: TokenizerShape) -> None:
        super().__init__()
        self.shape, widths = shape, shape.widths
        self.fsq = Fsq(shape.levels)
        encoder = [*from_pixels(widths[0]), *narrowing(widths, shape.blocks)]
        last = nn.Conv2d(widths[-1], len(shape.levels), 1)
        self.encoder = nn.Sequential(*encoder, GroupNorm(GROUPS, widths[-1]), nn.SiLU(), last)
        first = nn.Conv2d(len(shape.levels), widths[-1], 3, padding=1)
        self.decoder = nn.Sequential(first, *widening(widths[::-1], shape.blocks), *to_pixels(widths[0]))

    def forward(self, images: Tensor) -> Tensor:
        """Return the copies of pictures in float32; gradients reach the encoder."""
        copies: Tensor = self.decoder(self.fsq(self.encoder(images))).float()
        return copies

    def tokens(self, images: Tensor) -> Tensor:
        """Return the tokens (B, side²) of pictures."""
        return self.fsq.numbers(self.fsq(self.encoder(images))).flatten(1)

    def pictures(self, tokens: Tensor) -> Tensor:
        """Return the pictures of tokens (B, side²)."""
        grid = tokens.view(len(tokens), self.shape.side, self.shape.side)
        made: Tensor = self.decoder(self.fsq.codes(grid)).float()
        return made

    def example(self) -> tuple[Tensor]:
        """Return inputs for one picture."""
        return (torch.zeros(1, 3, self.shape.size, self.shape.size),)
