"""A mixture of Gaussians with full covariances, fitted by expectation-maximisation, to sample latents from.

A decoder trained on encoded pictures is best where the encodings lie, and they do not fill the prior evenly. Fitting
their density afterwards and sampling from that is the ex-post estimation of Ghosh et al., arXiv:1903.12436.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class LatentDensity(nn.Module):
    """Component k has weight `weights[k]`, mean `means[k]` and covariance `factors[k] @ factors[k].T`.

    Buffers (K,), (K, D) and (K, D, D), float64; the factors are lower triangular. Until it is fitted it is N(0, I).
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, dimensions: int, components: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(components, dimensions, dtype=torch.float64))
        self.register_buffer("factors", torch.eye(dimensions, dtype=torch.float64).repeat(components, 1, 1))

    def log_density(self, points: Tensor) -> Tensor:
        """Return log p(point) in nats for points (N, D), shape (N,)."""
        return torch.logsumexp(_joint(points.double(), self.weights, self.means, self.factors), dim=1)

    def sample(self, generator: torch.Generator, spread: float = 1.0) -> Tensor:
        """Return one float32 draw (D,) on the processor, decided by the generator alone.

        `spread` scales the distance from the component's mean.
        """
        component = int(torch.multinomial(self.weights.cpu(), 1, generator=generator))
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
        overall = torch.cov(points.T, correction=0).reshape(points.shape[1], -1)
        overall = overall + 1e-6 * torch.eye(points.shape[1], dtype=torch.float64)
        count = len(self.weights)
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
            buffer.copy_(value)


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
