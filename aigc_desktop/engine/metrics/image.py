"""Quality, diversity and memorisation of generated pictures, measured on feature vectors.

KID: arXiv:1801.01401. Fréchet distance (FID's formula): arXiv:1706.08500. Precision and recall: arXiv:1904.06991.
Density and coverage: arXiv:2002.09797. Every function takes vectors (N, D), as `image_features` returns them; values
from other features do not compare. Fréchet distances are biased by the number of pictures: read them beside the floor.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.metrics.distances import (
    Vectors,
    as_tensor,
    kth_neighbour_distance,
    nearest_neighbours,
    row_blocks,
    squared_distance_blocks,
)
from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_mean, centred_interval, interval

NEIGHBOURS = 5
MOST = 2000  # the error left is far below the differences that matter, and each metric takes one or two seconds
QUICK_LIMIT = 1000
FEW_RESAMPLES = 30
FEWEST = 20  # samples; below this neighbourhoods mean nothing
FEWEST_REAL = 12  # so that a half has as many as a ball reaches to
COPY_RATIO = 0.7  # below this the samples lie nearer to the training pictures than unseen real pictures do
NEAR_SHARE = 0.1  # twice what unseen real pictures give by construction


@dataclass(frozen=True)
class Neighbourhood:
    """Precision, recall, density and coverage; all want to be 1, density may exceed it."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Balls:
    """What precision, recall, density and coverage are the means of.

    `precise` and `dense` (M,) belong to the samples, `recalled` and `covered` (N,) to the real items.
    """

    precise: NDArray[np.float64]
    dense: NDArray[np.float64]
    recalled: NDArray[np.float64]
    covered: NDArray[np.float64]

    def means(self) -> Neighbourhood:
        """Return the four means."""
        parts = (self.precise, self.recalled, self.dense, self.covered)
        return Neighbourhood(*(float(part.mean()) for part in parts))

    def estimates(self) -> tuple[Estimate, Estimate, Estimate, Estimate]:
        """Return precision, recall, density and coverage with intervals; items are resampled, the balls stay."""
        parts = (self.precise, self.recalled, self.dense, self.covered)
        precision, recall, density, coverage = (bootstrap_mean(part) for part in parts)
        return precision, recall, density, coverage


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance and its floor: what two halves of the real pictures give at the same `count`."""

    value: float
    floor: float
    count: int


@dataclass(frozen=True)
class Memorisation:
    """How near samples lie to the training items, compared with unseen real items.

    `ratio` is median d(sample, train) / median d(held-out, train), wanted near 1. `near_share` is the share of samples
    nearer than the 5th percentile of the held-out distances. `nearest` (N, k) are indices of training items.
    """

    ratio: float
    near_share: float
    nearest: NDArray[np.int64]
    distances: NDArray[np.float64]

    @property
    def flagged(self) -> bool:
        """Return whether the samples copy: nearer than real pictures are, beyond what chance explains."""
        error = (self.near_share * (1 - self.near_share) / len(self.nearest)) ** 0.5
        return self.ratio < COPY_RATIO or self.near_share - 2 * error > NEAR_SHARE


@dataclass(frozen=True)
class ImageReport:
    """Everything measured on one set of samples; memorisation is None where it cannot be, for a reason `untold`.

    `kid_floor` is what two halves of the real pictures give.
    """

    kid: Estimate
    kid_floor: float
    frechet: Frechet
    balls: Balls
    memorisation: Memorisation | None
    memorisation_pixels: Memorisation | None
    untold: str = ""

    @property
    def neighbourhood(self) -> Neighbourhood:
        """Return precision, recall, density and coverage."""
        return self.balls.means()


def kid(real: Vectors, fake: Vectors, subsets: int = 100, seed: int = 0) -> Estimate:
    """Return the unbiased kernel distance with the cubic kernel (x.y / D + 1)^3; near 0, also below it, is good.

    The value uses all items. The interval comes from `subsets` random halves of both sets, whose spread is that of the
    whole sets. Multiply by 1000 to compare with tables of "KID x 1e3".
    """
    if min(len(real), len(fake)) < 4:
        raise ValueError("KID needs at least 4 items in each set")
    x, y = as_tensor(real), as_tensor(fake)
    generator = np.random.default_rng(seed)
    chosen_x = _halves(len(x), subsets, generator)
    chosen_y = _halves(len(y), subsets, generator)
    squared = (
        _kernel_mean(x, x, chosen_x, chosen_x, same=True)
        + _kernel_mean(y, y, chosen_y, chosen_y, same=True)
        - 2 * _kernel_mean(x, y, chosen_x, chosen_y, same=False)
    )
    return interval(float(squared[0]), squared[1:].numpy(), min(len(x), len(y)))


def quick_kid(features_real: Vectors, features_fake: Vectors) -> float:
    """Return KID on at most 1,000 items a side, without interval: the light validation metric during training."""
    x, y = as_tensor(features_real[:QUICK_LIMIT]), as_tensor(features_fake[:QUICK_LIMIT])
    all_x, all_y = torch.ones(1, len(x), dtype=torch.float64), torch.ones(1, len(y), dtype=torch.float64)
    within = _kernel_mean(x, x, all_x, all_x, same=True) + _kernel_mean(y, y, all_y, all_y, same=True)
    return float(within - 2 * _kernel_mean(x, y, all_x, all_y, same=False))


def frechet_distance(a: Vectors, b: Vectors) -> float:
    """Return |mu_a - mu_b|^2 + tr(A + B - 2 (AB)^1/2) of the Gaussians fitted to both sets, in float64.

    tr (AB)^1/2 is the sum of the square roots of the eigenvalues of A^1/2 B A^1/2, which is symmetric: unlike a general
    matrix root this stays real and stable when items are fewer than dimensions.
    """
    x, y = as_tensor(a), as_tensor(b)
    if min(len(x), len(y)) < 2:
        raise ValueError("the Fréchet distance needs at least 2 items in each set")
    mean = (x.mean(0) - y.mean(0)).square().sum()
    cov_x, cov_y = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(y.shape[1], -1)
    values, vectors = torch.linalg.eigh(cov_x)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    inner = root @ cov_y @ root
    trace = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    return float((mean + cov_x.trace() + cov_y.trace() - 2 * trace).clamp(min=0))


def frechet_interval(
    a: Vectors, b: Vectors, value: float, resamples: int = FEW_RESAMPLES, seed: int = 0
) -> Generator[None, None, Estimate]:
    """Return a Fréchet distance with an interval: items of both sets are resampled; yields after each time."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _resample in range(resamples):
        first, second = (part[generator.integers(len(part), size=len(part))] for part in (a, b))
        drawn.append(frechet_distance(first, second))
        yield
    found = centred_interval(value, drawn, min(len(a), len(b)))
    return Estimate(value, max(0.0, found.low), found.high, found.count)


def frechet_with_floor(real: Vectors, fake: Vectors, seed: int = 0) -> Frechet:
    """Return the distance of the samples and the floor, all three sets cut to one size so that the bias is the same."""
    count = min(len(fake), len(real) // 2)
    order = np.random.default_rng(seed).permutation(len(real))
    half_a, half_b = real[order[:count]], real[order[count : 2 * count]]
    return Frechet(frechet_distance(half_a, fake[:count]), frechet_distance(half_a, half_b), count)


def neighbourhood(real: Vectors, fake: Vectors, k: int = NEIGHBOURS) -> Neighbourhood:
    """Return precision, recall, density and coverage with balls that reach to the k-th nearest neighbour."""
    return balls_around(real, fake, k).means()


def balls_around(real: Vectors, fake: Vectors, k: int = NEIGHBOURS) -> Balls:
    """Return which items lie in the balls that reach to the k-th nearest neighbour of each other one."""
    x, y = as_tensor(real), as_tensor(fake)
    radius_x, radius_y = kth_neighbour_distance(x, k), kth_neighbour_distance(y, k)
    inside = torch.zeros(len(y), dtype=torch.int64)  # in how many real balls each sample lies
    recalled, covered = torch.zeros(len(x)), torch.zeros(len(x))
    for rows, squared in squared_distance_blocks(x, y):
        distances = squared.sqrt_()
        in_real = distances < radius_x[rows, None]
        inside += in_real.sum(0)
        covered[rows] = in_real.any(1).float()
        recalled[rows] = (distances < radius_y).any(1).float()
    dense = inside.double().numpy() / k
    return Balls((dense > 0).astype(np.float64), dense, recalled.double().numpy(), covered.double().numpy())


def memorisation(train: Vectors, held_out: Vectors, fake: Vectors, neighbours: int = 1) -> Memorisation:
    """Return how near `fake` lies to `train`, measured against `held_out`: real items that were not trained on.

    UserError when most of those are exact copies of training items, as nothing can be measured against them.
    """
    nearest, distances = nearest_neighbours(fake, train, neighbours)
    reference = nearest_neighbours(held_out, train)[1][:, 0]
    typical = float(np.median(reference))
    if typical == 0:
        raise UserError(
            _("Copying cannot be measured: most validation pictures are exact copies of training pictures."),
            _("Remove duplicates from the data set and train again."),
        )
    own = distances[:, 0]
    near_share = float(np.mean(own < np.percentile(reference, 5)))
    return Memorisation(float(np.median(own)) / typical, near_share, nearest, distances)


def pixel_vectors(images: NDArray[np.uint8], size: int = 16) -> NDArray[np.float32]:
    """Return pictures (N, H, W, 3) as vectors (N, size * size * 3) in [0, 1], averaged down to `size` pixels."""
    parts = [np.empty((0, size * size * 3), np.float32)]
    for start in range(0, len(images), 256):
        x = torch.from_numpy(np.array(images[start : start + 256])).permute(0, 3, 1, 2).float() / 255
        parts.append(torch.nn.functional.adaptive_avg_pool2d(x, size).flatten(1).numpy())
    return np.concatenate(parts)


def measure_images(
    train: tuple[Vectors, Vectors], held_out: tuple[Vectors, Vectors], fake: tuple[Vectors, Vectors]
) -> Generator[str, None, ImageReport]:
    """Yield the name of each metric before it is computed, so that a job can stop there; return the report.

    Each set is (features, pixel vectors). Quality is measured on at most MOST pictures a side, copying of all.
    """
    for count, fewest in ((len(train[0]), FEWEST_REAL), (len(fake[0]), FEWEST)):
        if count < fewest:
            raise UserError(
                _("Too few pictures to measure quality: {count}; at least {fewest} are needed.").format(
                    count=count, fewest=fewest
                ),
                _("Generate more pictures or use a larger data set."),
            )
    real, samples = _at_most(train[0], MOST), _at_most(fake[0], MOST)
    yield "KID"
    distance = kid(real, samples)
    order = np.random.default_rng(0).permutation(len(real))
    floor = quick_kid(real[order[::2]], real[order[1::2]])
    yield "FD"
    frechet = frechet_with_floor(real, samples)
    yield "PRDC"
    around = balls_around(real, samples)
    copying: list[Memorisation | None] = [None, None]
    untold = "" if len(held_out[0]) else _("No pictures were held out, so copying cannot be measured.")
    for space in (0, 1):
        yield "memorisation"
        if len(held_out[space]):
            unseen = _at_most(held_out[space], MOST)
            try:
                copying[space] = memorisation(train[space], unseen, fake[space], NEIGHBOURS)
            except UserError as error:  # the other figures stand without it
                untold = f"{error.message} {error.hint}"
    return ImageReport(distance, floor, frechet, around, copying[0], copying[1], untold)


def _at_most(vectors: Vectors, count: int) -> Vectors:
    """Return all vectors, or a random but always the same choice of `count`."""
    if len(vectors) <= count:
        return vectors
    return vectors[np.sort(np.random.default_rng(0).permutation(len(vectors))[:count])]


def _halves(count: int, subsets: int, generator: np.random.Generator) -> Tensor:
    """Return (1 + subsets, count) of 0 and 1: all items, then random halves.

    A half drawn without replacement varies around the whole as much as the whole does around the truth.
    """
    chosen = np.zeros((1 + subsets, count))
    chosen[0] = 1
    for row in chosen[1:]:
        row[generator.permutation(count)[: count // 2]] = 1
    return torch.from_numpy(chosen)


def _kernel_mean(x: Tensor, y: Tensor, chosen_x: Tensor, chosen_y: Tensor, same: bool) -> Tensor:
    """Return (S,) means of the kernel over each pair of subsets, in one pass; without the diagonal if `same`."""
    total = torch.zeros(len(chosen_x), dtype=torch.float64)
    for rows in row_blocks(len(x), len(y)):
        inner = (x[rows] @ y.T).div_(x.shape[1]).add_(1)
        kernel = (inner * inner).mul_(inner)  # ten times as fast as a power
        total += ((chosen_x[:, rows] @ kernel) * chosen_y).sum(1)
    if not same:
        return total / (chosen_x.sum(1) * chosen_y.sum(1))
    diagonal = ((x * x).sum(1) / x.shape[1] + 1) ** 3
    count = chosen_x.sum(1)
    return (total - chosen_x @ diagonal) / (count * (count - 1))
