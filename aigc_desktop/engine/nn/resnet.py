"""Encoder and decoder of small pictures: 3×3 residual blocks with group normalisation and SiLU."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.convnet import BLOCK, COARSEST
from aigc_desktop.engine.nn.variational import LIMITS

GROUPS = 8


class GroupNorm(nn.GroupNorm):
    """Group normalisation (arXiv:1803.08494) that stays in bfloat16 on a graphics card; sums are float32 in any case.

    Autocast would pass float32 on, and these networks wait for memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        if not x.is_cuda or x.dtype == self.weight.dtype:
            return super().forward(x)
        with torch.autocast("cuda", enabled=False):
            return F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class NormResidual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), which is x at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            GroupNorm(GROUPS, channels), nn.SiLU(), zero_conv(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        out: Tensor = x + self.branch(x)
        return out


def from_pixels(width: int) -> list[nn.Module]:
    """Return the layers from pictures (B, 3, R, R) to the finest stage (B, width, R / BLOCK, R / BLOCK)."""
    return [nn.PixelUnshuffle(BLOCK), nn.Conv2d(3 * BLOCK**2, width, 3, padding=1)]


def narrowing(widths: tuple[int, ...], blocks: int) -> list[nn.Module]:
    """Return the stages of an encoder, each with `blocks` residual blocks and half the side of the one before."""
    layers: list[nn.Module] = [NormResidual(widths[0]) for _ in range(blocks)]
    for fine, coarse in pairwise(widths):
        layers += [nn.Conv2d(fine, coarse, 2, stride=2), *(NormResidual(coarse) for _ in range(blocks))]
    return layers


def widening(widths: tuple[int, ...], blocks: int) -> list[nn.Module]:
    """Return the stages of a decoder, each with `blocks` residual blocks and twice the side of the one before."""
    layers: list[nn.Module] = [NormResidual(widths[0]) for _ in range(blocks)]
    for coarse, fine in pairwise(widths):
        layers += [nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2), *(NormResidual(fine) for _ in range(blocks))]
    return layers


def to_pixels(width: int) -> list[nn.Module]:
    """Return the layers from the finest stage to pictures (B, 3, R, R)."""
    last = nn.Conv2d(width, 3 * BLOCK**2, 3, padding=1)
    return [GroupNorm(GROUPS, width), nn.SiLU(), last, nn.PixelShuffle(BLOCK)]


class PictureEncoder(nn.Module):
    """From pictures (B, 3, R, R) to mean and log variance (B, Z); `widths` are fine to coarse.

    A vector of the class is added after the first convolution, at each place.
    """

    def __init__(
        self, resolution: int, widths: tuple[int, ...], blocks: int, latent: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.layers = nn.Sequential(*from_pixels(widths[0]), *narrowing(widths, blocks), nn.SiLU(), nn.Flatten())
        self.head = nn.Linear(widths[-1] * COARSEST**2, 2 * latent)
        self.embedding = nn.Embedding(classes, widths[0]) if classes else None

    def forward(self, images: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance in float32; `shares` (B, K) of the classes, K 0 without classes."""
        x = self.layers[:2](images)
        if self.embedding is not None:
            x = x + (shares @ self.embedding.weight)[:, :, None, None]
        mean, logvar = self.head(self.layers[2:](x)).float().chunk(2, dim=1)
        return mean, logvar.clamp(*LIMITS)

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, 3, self.resolution, self.resolution), no_shares(self.embedding)


class PictureDecoder(nn.Module):
    """From latents (B, Z), each beside a vector of its class, to pictures (B, 3, R, R); `widths` are coarse to fine.

    The buffer `error` is the running mean squared error on training pictures, which is the decoder's variance.
    """

    error: Tensor

    def __init__(self, widths: tuple[int, ...], blocks: int, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.latent = latent
        self.embedding = nn.Embedding(classes, latent) if classes else None
        self.head = nn.Linear(latent * (2 if classes else 1), widths[0] * COARSEST**2)
        self.layers = nn.Sequential(*widening(widths, blocks), *to_pixels(widths[-1]))
        self.register_buffer("error", torch.ones(()))

    def forward(self, z: Tensor, shares: Tensor) -> Tensor:
        """Return pictures in float32; `shares` (B, K) of the classes, K 0 without classes."""
        if self.embedding is not None:
            z = torch.cat((z, shares @ self.embedding.weight), 1)
        x = self.head(z).view(len(z), -1, COARSEST, COARSEST)
        pictures: Tensor = self.layers(x).float()
        return pictures

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, self.latent), no_shares(self.embedding)


def no_shares(embedding: nn.Embedding | None) -> Tensor:
    """Return shares (1, K) of no class, to count with."""
    return torch.zeros(1, 0 if embedding is None else embedding.num_embeddings)


def zero_conv(channels: int) -> nn.Conv2d:
    """Return a 3×3 convolution whose output is zero until it is trained."""
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
