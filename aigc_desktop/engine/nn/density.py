"""A mixture of Gaussians with full covariances, fitted by expectation-maximisation, to sample latents from.

A decoder trained on encoded pictures is best where the encodings lie, and they do not fill the prior evenly. Fitting
their density afterwards and sampling from that is the ex-post estimation of Ghosh et al., arXiv:1903.12436.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

PRIOR_COUNT = 8  # points that the overall covariance counts for against those of a class



class LatentDensity(nn.Module):
    """Component k has weight `weights[k]`, mean `means[k]` and covariance `factors[k] @ factors[k].T`.

    Buffers (K,), (K, D) and (K, D, D), float64; the factors are lower triangular. Until it is fitted it is N(0, I).
    With `classes` each class has `components` of its own, one class after the other, whose weights sum to 1.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, dimensions: int, components: int, classes: int = 0) -> None:
        super().__init__()
        self.components, total = components, components * max(1, classes)
        self.register_buffer("weights", torch.full((total,), 1 / components, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(total, dimensions, dtype=torch.float64))
        self.register_buffer("factors", torch.eye(dimensions, dtype=torch.float64).repeat(total, 1, 1))

    def log_density(self, points: Tensor, label: int = 0) -> Tensor:
        """Return log p(point) in nats of the class for points (N, D), shape (N,)."""
        own = self._of(label)
        return torch.logsumexp(_joint(points.double(), self.weights[own], self.means[own], self.factors[own]), dim=1)

    def centre(self, label: int = 0) -> Tensor:
        """Return the mean (D,) of the class, float32."""
        own = self._of(label)
        return (self.weights[own, None] * self.means[own]).sum(0).float()

    def sample(self, generator: torch.Generator, spread: float = 1.0, label: int = 0) -> Tensor:
        """Return one float32 draw (D,) of the class on the processor, decided by the generator alone.

        `spread` scales the distance from the component's mean.
        """
        own = self._of(label)
        component = own.start + int(torch.multinomial(self.weights[own].cpu(), 1, generator=generator))
        noise = torch.randn(self.means.shape[1], generator=generator, dtype=torch.float64)
        mean, factor = self.means[component].cpu(), self.factors[component].cpu()
        return (mean + spread * (factor @ noise)).float()

    def fit(
        self, points: Tensor, generator: torch.Generator, iterations: int = 40, shrinkage: float = 0.1
    ) -> Iterator[float]:
        """Fit to points (N, D) on the processor; yield the mean log density before each step, in nats.

        The density changes when the iterator comes to its end. `shrinkage` is the share of the overall covariance
        mixed into each component's, which keeps one with fewer points than dimensions from collapsing onto them.
        """
        points = points.double()
        yield from self._fit(self._of(0), points, _covariance(points), generator, iterations, shrinkage)

    def fit_classes(
        self, points: Tensor, labels: Tensor, generator: torch.Generator, iterations: int = 40, shrinkage: float = 0.1
    ) -> Iterator[float]:
        """Fit each class to its points, of (N, D) with classes (N,), as `fit` does.

        A class with one point or none gets all points, and the fewer a class has, the more of the overall covariance.
        """
        points = points.double()
        overall = _covariance(points)
        for label in range(len(self.weights) // self.components):
            points_of = points[labels == label]
            points_of = points_of if len(points_of) > 1 else points
            share = max(shrinkage, PRIOR_COUNT / (PRIOR_COUNT + len(points_of)))
            yield from self._fit(self._of(label), points_of, overall, generator, iterations, share)

    def _of(self, label: int) -> slice:
        return slice(label * self.components, (label + 1) * self.components)

    def _fit(
        self, own: slice, points: Tensor, overall: Tensor, generator: torch.Generator, iterations: int, shrinkage: float
    ) -> Iterator[float]:
        count = self.components
        weights = torch.full((count,), 1 / count, dtype=torch.float64)
        means, factors = _spread_seeds(points, count, generator), torch.linalg.cholesky(overall).repeat(count, 1, 1)
        before = -math.inf
        for _ in range(iterations):
            joint = _joint(points, weights, means, factors)
            level = float(torch.logsumexp(joint, 1).mean())
            yield level
            if level - before < 1e-4:
                break
            before = level
            weights, means, factors = _maximise(points, joint.softmax(1), overall, shrinkage)
        for buffer, value in ((self.weights, weights), (self.means, means), (self.factors, factors)):
            buffer[own] = value


def _covariance(points: Tensor) -> Tensor:
    """Return the covariance (D, D) of points (N, D), which can be inverted."""
    overall = torch.cov(points.T, correction=0).reshape(points.shape[1], -1)
    return overall + 1e-6 * torch.eye(points.shape[1], dtype=torch.float64)


def _joint(points: Tensor, weights: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return log(weight_k · N(point; mean_k, covariance_k)), (N, K)."""
    difference = points[None] - means[:, None]  # (K, N, D)
    whitened = torch.linalg.solve_triangular(factors, difference.mT, upper=False)  # (K, D, N)
    log_det = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = 0.5 * points.shape[1] * math.log(2 * math.pi)
    log_normal = -0.5 * whitened.square().sum(1) - log_det[:, None] - constant  # (K, N)
    return (log_normal + weights.log()[:, None]).T


def _maximise(
    points: Tensor, responsibility: Tensor, overall: Tensor, shrinkage: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, means and factors that fit points (N, D) best under the responsibilities (N, K)."""
    mass = responsibility.sum(0) + 1e-9  # (K,)
    means = responsibility.T @ points / mass[:, None]
    factors = []
    for k, mean in enumerate(means):
        centred = points - mean
        covariance = (centred * responsibility[:, k : k + 1]).T @ centred / mass[k]
        factors.append(torch.linalg.cholesky((1 - shrinkage) * covariance + shrinkage * overall))
    return mass / mass.sum(), means, torch.stack(factors)


def _spread_seeds(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` of the points, each drawn in proportion to its squared distance from those before (k-means++)."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full((len(points),), math.inf, dtype=torch.float64)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        chosen.append(int(torch.multinomial(nearest + 1e-12, 1, generator=generator)))
    return points[chosen]
