"""Intervals by resampling."""

from __future__ import annotations

import numpy as np
import pytest

from aigc_desktop.engine.metrics.estimate import bootstrap_mean, bootstrap_ratio, interval


def test_the_mean_has_the_interval_of_the_normal_law():
    values = np.random.default_rng(0).normal(5, 2, 400)

    estimate = bootstrap_mean(values, resamples=2000)

    error = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - error, abs=0.03)
    assert estimate.high == pytest.approx(values.mean() + error, abs=0.03)
    assert estimate.count == 400


def test_equal_values_leave_no_doubt():
    estimate = bootstrap_mean([3.0] * 10)

    assert (estimate.low, estimate.value, estimate.high) == (3, 3, 3)


def test_the_seed_decides_the_resamples():
    values = [1.0, 5.0, 2.0, 8.0]

    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)


def test_percentiles_of_the_resampled_values():
    assert interval(1, np.arange(101), 7).low == 2.5
    assert interval(1, np.arange(101), 7).high == 97.5


@pytest.mark.parametrize(("parts", "wholes"), [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0])])
def test_nothing_is_divided_by_nothing(parts, wholes):
    with pytest.raises(ValueError, match="cannot divide"):
        bootstrap_ratio(parts, wholes)
