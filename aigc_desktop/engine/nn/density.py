"""A mixture of Gaussians with full covariances, fitted by expectation-maximisation, to sample latents from.

A decoder trained on encoded pictures is best where the encodings lie, and they do not fill the prior evenly. Fitting
their density afterwards and sampling from that is the ex-post estimation of Ghosh et al., arXiv:1903.12436.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianMixture:
    """Component k has weight `weights[k]`, mean `means[k]` and covariance `factors[k] @ factors[k].T`.

    Shapes (K,), (K, D) and (K, D, D); the factors are lower triangular. All float64.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def log_density(self, points: Tensor) -> Tensor:
        """Return log p(point) in nats for points (N, D), shape (N,)."""
        return torch.logsumexp(self._joint(points.double()), dim=1)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return one float32 draw, (D,); the generator alone decides it."""
        component = int(torch.multinomial(self.weights, 1, generator=generator))
        noise = torch.randn(self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[component] + self.factors[component] @ noise).float()

    def _joint(self, points: Tensor) -> Tensor:
        """Return log(weight_k · N(point; mean_k, covariance_k)), (N, K)."""
        difference = points[None] - self.means[:, None]  # (K, N, D)
        whitened = torch.linalg.solve_triangular(self.factors, difference.mT, upper=False)  # (K, D, N)
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * points.shape[1] * math.log(2 * math.pi)
        log_normal = -0.5 * whitened.square().sum(1) - log_det[:, None] - constant  # (K, N)
        return (log_normal + self.weights.log()[:, None]).T


def fit_mixture(
    points: Tensor, components: int, generator: torch.Generator, iterations: int = 40, shrinkage: float = 0.05
) -> GaussianMixture:
    """Fit `components` Gaussians to points (N, D) by at most `iterations` steps of expectation-maximisation.

    `shrinkage` is the share of the overall covariance mixed into each component's, which keeps a component with fewer
    points than dimensions from collapsing onto them.
    """
    points = points.double()
    centre = points.mean(0)
    overall = (points - centre).T @ (points - centre) / len(points)
    overall = overall + 1e-6 * torch.eye(points.shape[1], dtype=torch.float64)
    means = _spread_seeds(points, components, generator)
    mixture = GaussianMixture(
        torch.full((components,), 1 / components, dtype=torch.float64),
        means,
        torch.linalg.cholesky(overall).repeat(components, 1, 1),
    )
    previous = -math.inf
    for _ in range(iterations):
        joint = mixture._joint(points)
        level = float(torch.logsumexp(joint, 1).mean())
        if level - previous < 1e-4:
            break
        previous = level
        mixture = _maximise(points, joint.softmax(1), overall, shrinkage)
    return mixture


def _maximise(points: Tensor, responsibility: Tensor, overall: Tensor, shrinkage: float) -> GaussianMixture:
    """Return the mixture that fits points (N, D) best under the responsibilities (N, K)."""
    mass = responsibility.sum(0) + 1e-9  # (K,)
    means = responsibility.T @ points / mass[:, None]
    factors = []
    for k, mean in enumerate(means):
        centred = points - mean
        covariance = (centred * responsibility[:, k : k + 1]).T @ centred / mass[k]
        factors.append(torch.linalg.cholesky((1 - shrinkage) * covariance + shrinkage * overall))
    return GaussianMixture(mass / mass.sum(), means, torch.stack(factors))


def _spread_seeds(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` of the points, each drawn in proportion to its squared distance from those before (k-means++)."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full((len(points),), math.inf, dtype=torch.float64)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        chosen.append(int(torch.multinomial(nearest + 1e-12, 1, generator=generator)))
    return points[chosen]
