"""A MAUVE-like score of two sets of vectors: histograms over clusters, and the frontier of their divergences.

After Pillutla et al. (arXiv:2102.01454), with a k-means and vectors of our own: values do not compare with those of the
published program, only among themselves.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc_desktop.engine.metrics.distances import Vectors, as_tensor, squared_distance_blocks
from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_weights, centred_interval

SCALE = 5.0  # of the divergences, as in the paper
MOST_CLUSTERS = 500
ITEMS_PER_CLUSTER = 10  # of each set, as in the paper
_ROUNDS, _WEIGHTS = 30, 49
_RESAMPLES = 200

Shares = NDArray[np.float64]


def frontier_score(real: Vectors, made: Vectors, seed: int = 0) -> Generator[None, None, Estimate]:
    """Return the area under the frontier, in (0, 1]: 1 when both sets are spread alike; yields between small pieces.

    Both sets are cut to one size. The interval resamples the items of both; the clusters stay.
    """
    count = min(len(real), len(made))
    if count < ITEMS_PER_CLUSTER:
        raise ValueError(f"{count} items make no histogram")
    joint = as_tensor(np.concatenate([real[:count], made[:count]]))
    clusters = max(2, min(MOST_CLUSTERS, count // ITEMS_PER_CLUSTER))
    assigned = yield from k_means(joint, clusters, seed)
    numbers = assigned.numpy()
    first, second = (np.eye(clusters)[part] for part in (numbers[:count], numbers[count:]))
    value = frontier_area(first.mean(0), second.mean(0))
    draws = (bootstrap_weights(count, _RESAMPLES, seed + part) / count for part in (1, 2))
    shares = [weights @ part for weights, part in zip(draws, (first, second), strict=True)]
    yield
    areas = [frontier_area(p, q) for p, q in zip(*shares, strict=True)]
    found = centred_interval(value, areas, count)
    return Estimate(value, max(0.0, found.low), min(1.0, found.high), count)


def frontier_area(p: Shares, q: Shares) -> float:
    """Return the area under the divergence frontier of two histograms that sum to one."""
    x, y = [0.0, 1.0], [1.0, 0.0]
    for weight in np.linspace(0, 1, _WEIGHTS + 2)[1:-1]:
        mixture = weight * p + (1 - weight) * q
        x.append(float(np.exp(-SCALE * _divergence(q, mixture))))
        y.append(float(np.exp(-SCALE * _divergence(p, mixture))))
    order = np.lexsort((-np.array(y), np.array(x)))
    heights, steps = np.array(y)[order], np.diff(np.array(x)[order])
    return float((steps * (heights[1:] + heights[:-1]) / 2).sum())


def k_means(points: Tensor, clusters: int, seed: int) -> Generator[None, None, Tensor]:
    """Return the cluster (N,) of each point (N, D), begun by k-means++ (Arthur, Vassilvitskii, 2007).

    Yields often.
    """
    generator = torch.Generator().manual_seed(seed)
    first = int(torch.randint(len(points), (1,), generator=generator))
    chosen, nearest = [first], _distances(points, points[first])
    while len(chosen) < clusters and float(nearest.max()) > 0:
        chosen.append(int(torch.multinomial(nearest, 1, generator=generator)))
        nearest = torch.minimum(nearest, _distances(points, points[chosen[-1]]))
        if len(chosen) % 16 == 0:
            yield
    centres, assigned = points[chosen], torch.zeros(len(points), dtype=torch.long)
    for round_ in range(_ROUNDS):
        before = assigned
        assigned = torch.cat([squared.argmin(1) for _rows, squared in squared_distance_blocks(points, centres)])
        if round_ and torch.equal(before, assigned):
            break
        sums = torch.zeros_like(centres).index_add_(0, assigned, points)
        counts = torch.bincount(assigned, minlength=len(centres))
        filled = counts > 0
        centres = torch.where(filled[:, None], sums / counts.clamp(min=1)[:, None], centres)
        yield
    return assigned


def _distances(points: Tensor, centre: Tensor) -> Tensor:
    return (points - centre).square().sum(1)


def _divergence(p: Shares, q: Shares) -> float:
    """Return KL(p || q) in nats; q is above 0 wherever p is."""
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())
