"""Plain 3×3 residual ConvNets without normalisation: generator, discriminator and encoder of small pictures.

After R3GAN (arXiv:2501.05441): no normalisation, bilinear resampling, residual branches that start small (Fixup,
arXiv:1901.09321). Its grouped convolutions are left out, because they ran ten times slower than dense ones on a
processor. The finest stage works on 2×2 blocks of pixels as channels, which halves its cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.tiling import doubled
from aigc_desktop.engine.nn.variational import LIMITS

BLOCK = 2  # pixels on a side that are folded into channels at the finest stage
COARSEST = 4  # pixels on a side of the coarsest stage of square pictures
_BRANCH = 0.1  # how much a residual branch adds at the start


@dataclass(frozen=True)
class PictureFormat:
    """What pictures are like besides their resolution: `columns` and `rows` of the coarsest stage.

    The fourth of `channels` is cover (alpha), by which the others are multiplied. `seamless` pictures tile a plane.
    """

    columns: int = COARSEST
    rows: int = COARSEST
    channels: int = 3
    seamless: bool = False

    @property
    def cells(self) -> int:
        """Return how many places the coarsest stage has."""
        return self.columns * self.rows

    def pixels(self, resolution: int) -> tuple[int, int]:
        """Return height and width of pictures; `resolution` is the side of square ones."""
        return resolution * self.rows // COARSEST, resolution * self.columns // COARSEST


SQUARE = PictureFormat()


def stages_of(resolution: int) -> int:
    """Return how many stages a network for this resolution has: 4, 8, … up to resolution / 2."""
    stages = int(math.log2(resolution // BLOCK // COARSEST)) + 1
    if COARSEST * BLOCK * 2 ** (stages - 1) != resolution:
        raise ValueError(f"resolution {resolution} is not 8, 16, 32, …")
    return stages


class Residual(nn.Module):
    """x + conv(act(conv(act(x)))), both 3×3."""

    def __init__(self, channels: int, around: bool = False) -> None:
        super().__init__()
        self.first = scaled_conv(channels, channels, 3, gain=math.sqrt(2), around=around)
        self.second = scaled_conv(channels, channels, 3, gain=_BRANCH, around=around)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W)."""
        out: Tensor = x + self.second(act(self.first(act(x))))
        return out


class Generator(nn.Module):
    """From codes (B, Z) and classes (B,) to pictures (B, C, H, W), about in [-1, 1]; `widths` are coarse to fine.

    It keeps the distribution its codes are drawn from: a Gaussian per class, N(0, I) until `fit_codes`.
    """

    code_means: Tensor
    code_factors: Tensor

    def __init__(
        self, resolution: int, widths: tuple[int, ...], blocks: int, latent: int, classes: int = 0,
        picture: PictureFormat = SQUARE,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(resolution, widths)
        self.latent, self.picture = latent, picture
        self.register_buffer("code_means", torch.zeros(max(1, classes), latent))
        self.register_buffer("code_factors", torch.eye(latent).repeat(max(1, classes), 1, 1))
        self.embedding = nn.Embedding(classes, latent) if classes else None
        self.first = scaled_linear(latent * (2 if classes else 1), widths[0] * picture.cells)
        around = picture.seamless
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(width, around) for _ in range(blocks))) for width in widths
        )
        self.changes = nn.ModuleList(scaled_conv(a, b, 1) for a, b in pairwise(widths))
        self.last = scaled_conv(widths[-1], picture.channels * BLOCK**2, 3, around=around)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return pictures (B, C, H, W); classes are not looked at when there are none."""
        return self.decode(z if self.embedding is None else torch.cat([z, self.embedding(labels)], 1))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures of codes, each followed by the vector of its class if there are classes."""
        x = self.first(z).view(len(z), -1, self.picture.rows, self.picture.columns)
        x = self.stages[0](x)
        for change, stage in zip(self.changes, self.stages[1:], strict=False):
            x = stage(doubled(change(x), self.picture.seamless))
        return smooth(F.pixel_shuffle(self.last(act(x)), BLOCK), self.picture.seamless)

    def codes(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return codes (B, Z) of the classes from standard normal noise (B, Z)."""
        which = torch.zeros(len(noise), dtype=torch.long, device=noise.device) if self.embedding is None else labels
        spread = (self.code_factors[which] @ noise[:, :, None])[:, :, 0]
        return self.code_means[which] + spread

    @torch.no_grad()
    def fit_codes(self, codes: Tensor, labels: Tensor, shrinkage: float = 0.2) -> None:
        """Draw from now on from Gaussians fitted to codes (N, Z) of the classes (N,); a class without codes gets all.

        `shrinkage` is the share of the covariance of all codes in that of each class.
        """
        codes = codes.double()
        overall = torch.cov(codes.T, correction=0) + 1e-4 * torch.eye(self.latent, dtype=torch.float64)
        for k in range(len(self.code_means)):
            own = codes[labels == k] if self.embedding is not None else codes
            own = own if len(own) > 1 else codes
            covariance = (1 - shrinkage) * torch.cov(own.T, correction=0) + shrinkage * overall
            self.code_means[k] = own.mean(0)
            self.code_factors[k] = torch.linalg.cholesky(covariance)

    @torch.no_grad()
    def pool_codes(self, means: Tensor, factors: Tensor) -> None:
        """Draw for every class from one Gaussian with the moments of others, (K, Z) and (K, Z, Z), taken together."""
        means, factors = means.double(), factors.double()
        within, between = (
            (factors @ factors.mT).mean(0),
            (means - means.mean(0)).T @ (means - means.mean(0)) / len(means),
        )
        self.code_means.copy_(means.mean(0).expand_as(self.code_means))
        self.code_factors.copy_(torch.linalg.cholesky(within + between).expand_as(self.code_factors))

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, self.latent), torch.zeros(1, dtype=torch.long)


class Trunk(nn.Module):
    """From pictures (B, C, H, W) to features (B, F); `widths` are fine to coarse."""

    def __init__(
        self, resolution: int, widths: tuple[int, ...], blocks: int, picture: PictureFormat = SQUARE
    ) -> None:
        super().__init__()
        _check(resolution, widths)
        self.resolution, self.picture, self.features = resolution, picture, widths[-1] * picture.cells
        self.first = scaled_conv(picture.channels * BLOCK**2, widths[0], 3)
        self.stages = nn.ModuleList(nn.Sequential(*(Residual(width) for _ in range(blocks))) for width in widths)
        self.changes = nn.ModuleList(scaled_conv(a, b, 1) for a, b in pairwise(widths))
        self.last = scaled_conv(widths[-1], widths[-1], 3, gain=math.sqrt(2))

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, F)."""
        x = self.stages[0](self.first(F.pixel_unshuffle(images, BLOCK)))
        for change, stage in zip(self.changes, self.stages[1:], strict=False):
            x = stage(F.avg_pool2d(change(x), 2))
        return act(self.last(act(x))).flatten(1)

    def example(self) -> tuple[Tensor]:
        """Return inputs for one picture."""
        return (torch.zeros(1, self.picture.channels, *self.picture.pixels(self.resolution)),)


class Discriminator(nn.Module):
    """From pictures and classes (B,) to one number per picture; with classes each has a direction of its own.

    The number is head(features) + features · embedding(class): a projection discriminator, arXiv:1802.05637.
    """

    def __init__(
        self, resolution: int, widths: tuple[int, ...], blocks: int, classes: int = 0, picture: PictureFormat = SQUARE
    ) -> None:
        super().__init__()
        self.trunk = Trunk(resolution, widths, blocks, picture)
        self.head = scaled_linear(self.trunk.features, 1)
        self.embedding = nn.Embedding(classes, self.trunk.features) if classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(self.trunk.features))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return scores (B,); higher is more like a real picture."""
        features = self.trunk(images)
        score = self.head(features)[:, 0]  # (B,)
        if self.embedding is not None:
            score = score + (features * self.embedding(labels)).sum(1)
        return score

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return *self.trunk.example(), torch.zeros(1, dtype=torch.long)


class Encoder(nn.Module):
    """From features (B, F) of a trunk to mean and log variance (B, Z) of a latent; it starts nearly certain."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = scaled_linear(features, latent)
        self.logvar = nn.Linear(features, latent)
        nn.init.zeros_(self.logvar.weight)
        nn.init.constant_(self.logvar.bias, -4.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (B, Z) each."""
        return self.mean(features).float(), self.logvar(features).float().clamp(*LIMITS)


def act(x: Tensor) -> Tensor:
    """Return the nonlinearity of these networks."""
    return F.leaky_relu(x, 0.2)


def smooth(images: Tensor, around: bool = False) -> Tensor:
    """Return pictures (B, C, H, W) filtered with [1, 2, 1] / 4 along both sides, edges repeated or taken from `around`.

    It takes away the one frequency at which the channels of a folded block can disagree: a grain of 2×2 pixels.
    """
    x = F.pad(images, (1, 1, 1, 1), mode="circular" if around else "replicate")
    x = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
    return (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4


def scaled_conv(
    channels_in: int, channels_out: int, kernel: int, gain: float = 1.0, around: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps the size of the picture and multiplies the spread of its input by `gain`.

    What lies beyond an edge is 0, or with `around` the other side.
    """
    conv = nn.Conv2d(
        channels_in, channels_out, kernel, padding=kernel // 2, padding_mode="circular" if around else "zeros"
    )
    nn.init.normal_(conv.weight, 0, gain / math.sqrt(channels_in * kernel**2))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def scaled_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer that keeps the spread of its input."""
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, 0, 1 / math.sqrt(inputs))
    nn.init.zeros_(linear.bias)
    return linear


def _check(resolution: int, widths: tuple[int, ...]) -> None:
    if len(widths) != stages_of(resolution):
        raise ValueError(f"{resolution} pixels need {stages_of(resolution)} widths, not {len(widths)}")
