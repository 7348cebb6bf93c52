"""Projected GAN (arXiv:2111.01007): discriminators that look at pictures through a network trained on photographs.

Its feature maps at four scales are mixed by fixed random projections, across channels (1×1) and, from coarse to fine,
across scales (3×3), so that no discriminator can rely on few of them. One small discriminator looks at each scale.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from aigc_desktop.engine.metrics.features import INPUT_SIZE, TAPS, feature_network
from aigc_desktop.engine.pictures.alpha import on_colour

WIDTHS = (32, 64, 128, 256)  # channels of the mixed maps, fine to coarse
STRIDES = (4, 8, 16, 32)  # pixels of the input that one place of the maps stands for


def feature_maps(images: Tensor) -> list[Tensor]:
    """Return maps (B, C, h, w), fine to coarse, of pictures (B, 3 or 4, H, W) in [-1, 1]; gradients pass.

    Small pictures are enlarged to the size that metrics are taken at. What is transparent is laid on a colour drawn for
    each picture, so that a cover is judged by what shows through it.
    """
    if images.shape[1] == 4:
        images = on_colour(images, torch.rand(len(images), 3, 1, 1, device=images.device) * 2 - 1)
    x = F.interpolate(images.float(), input_size(*images.shape[2:]), mode="bilinear", align_corners=False)
    x = ((x + 1) * 127.5 - 127) / 128  # the network's own scale
    return feature_network(str(images.device)).maps(x.contiguous(memory_format=torch.channels_last))


def input_size(height: int, width: int) -> tuple[int, int]:
    """Return the size that pictures are enlarged to: at least the pixels of a square one, whole places of all maps."""
    scale, step = max(1.0, INPUT_SIZE / math.sqrt(height * width)), STRIDES[-1]
    return max(step, round(scale * height / step) * step), max(step, round(scale * width / step) * step)


class ProjectedCritic(nn.Module):
    """From feature maps and classes (B,) to scores (B, N), one for each place at each scale."""

    def __init__(self, classes: int = 0, pixels: tuple[int, int] = (INPUT_SIZE, INPUT_SIZE)) -> None:
        super().__init__()
        self.pixels = pixels
        channels = [channels for _block, channels in TAPS]
        self.across_channels = nn.ModuleList(FixedConv2d(c, w, 1) for c, w in zip(channels, WIDTHS, strict=True))
        self.across_scales = nn.ModuleList(FixedConv2d(c, w, 3) for c, w in zip(WIDTHS[1:], WIDTHS, strict=False))
        self.heads = nn.ModuleList(ScaleCritic(scale, classes) for scale in range(len(WIDTHS)))

    def forward(self, maps: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """Return scores; higher is more like a real picture."""
        mixed = [self.across_channels[-1](maps[-1])]
        for scale in reversed(range(len(WIDTHS) - 1)):
            own = self.across_channels[scale](maps[scale])
            coarser = F.interpolate(mixed[0], own.shape[2:], mode="bilinear", align_corners=False)
            mixed.insert(0, (own + self.across_scales[scale](coarser)) / math.sqrt(2))
        return torch.cat([head(x, labels) for head, x in zip(self.heads, mixed, strict=True)], 1)

    def example(self) -> tuple[list[Tensor], Tensor]:
        """Return inputs for one picture."""
        height, width = input_size(*self.pixels)
        maps = [
            torch.zeros(1, channels, height // stride, width // stride)
            for (_block, channels), stride in zip(TAPS, STRIDES, strict=True)
        ]
        return maps, torch.zeros(1, dtype=torch.long)


class ScaleCritic(nn.Module):
    """Halves the maps of one scale until the coarsest and scores each place; weights are spectrally normalised.

    With classes each place also has the product of its features with the direction of the class (arXiv:1802.05637).
    """

    def __init__(self, scale: int, classes: int) -> None:
        super().__init__()
        rest = WIDTHS[scale:]
        self.halvings = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(rest)
        )
        self.score = spectral_norm(nn.Conv2d(rest[-1], 1, 3, padding=1))
        self.embedding = nn.Embedding(classes, rest[-1]) if classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(rest[-1]))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Return scores (B, places)."""
        for halving in self.halvings:
            x = F.leaky_relu(halving(x), 0.2)
        scores = self.score(x)[:, 0]  # (B, h, w)
        if self.embedding is not None:
            scores = scores + (x * self.embedding(labels)[:, :, None, None]).sum(1) / math.sqrt(x.shape[1])
        return scores.flatten(1)


class FixedConv2d(nn.Conv2d):
    """A random convolution that keeps the size and is never trained; its weights are saved with the others."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__(channels, out, kernel, padding=kernel // 2, bias=False)
        weight = torch.randn_like(self.weight) / math.sqrt(channels * kernel**2)
        del self.weight
        self.register_buffer("weight", weight)
