"""A measured value with the interval that resampling gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval; `count` is how many items it was measured on."""

    value: float
    low: float
    high: float
    count: int


def interval(value: float, resampled: ArrayLike, count: int) -> Estimate:
    """Return `value` with the 2.5 and 97.5 percentiles of the resampled values."""
    low, high = np.percentile(np.asarray(resampled, dtype=np.float64), [2.5, 97.5])
    return Estimate(float(value), float(low), float(high), count)


def centred_interval(value: float, resampled: ArrayLike, count: int) -> Estimate:
    """Return `value` with the spread of the resampled values laid around it.

    For distances between sets: copies in a resample make each of them greater, which says nothing of the uncertainty.
    """
    values = np.asarray(resampled, dtype=np.float64)
    return interval(value, values - values.mean() + value, count)


def bootstrap_mean(values: ArrayLike, resamples: int = 200, seed: int = 0) -> Estimate:
    """Return the mean of `values` with its bootstrap interval."""
    values = np.asarray(values, dtype=np.float64)
    return bootstrap_ratio(values, np.ones_like(values), resamples, seed)


def bootstrap_ratio(parts: ArrayLike, wholes: ArrayLike, resamples: int = 200, seed: int = 0) -> Estimate:
    """Return sum(parts) / sum(wholes) with its interval, resampling items (each has one part and one whole)."""
    part, whole = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    if len(part) == 0 or len(part) != len(whole) or whole.sum() <= 0:
        raise ValueError(f"cannot divide {len(part)} parts by {len(whole)} wholes of sum {whole.sum()}")
    weights = bootstrap_weights(len(part), resamples, seed)
    wholes_drawn = weights @ whole
    drawn = wholes_drawn > 0  # a resample of items without extent says nothing
    return interval(part.sum() / whole.sum(), (weights @ part)[drawn] / wholes_drawn[drawn], len(part))


def bootstrap_weights(count: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return (resamples, count): how often each item is drawn in each resample with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
