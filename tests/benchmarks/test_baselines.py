"""The baselines that generators have to beat."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baselines import PcaGaussian, gaussian_blur


def correlated_pictures(count):
    """Grey gradients whose brightness and slope vary: two components explain everything."""
    generator = np.random.default_rng(0)
    ramp = np.linspace(-1, 1, 8)[None, :, None, None]
    level, slope = generator.normal(0, 12, (2, count, 1, 1, 1))
    return np.broadcast_to((128 + level + slope * ramp).round(), (count, 8, 8, 3)).astype(np.uint8)


def test_the_gaussian_has_the_mean_and_covariance_of_the_data():
    images = correlated_pictures(500)

    samples = PcaGaussian(images, 2).sample(4000)

    assert samples.shape == (4000, 8, 8, 3)
    assert np.allclose(samples.mean(0), images.mean(0), atol=1.5)
    assert samples[:, 0, 0, 0].std() == pytest.approx(images[:, 0, 0, 0].std(), rel=0.05)
    rows = np.corrcoef(samples[:, 0, 0, 0], samples[:, 7, 0, 0])[0, 1]
    assert rows == pytest.approx(np.corrcoef(images[:, 0, 0, 0], images[:, 7, 0, 0])[0, 1], abs=0.05)


def test_the_gaussian_repeats_with_its_seed():
    gaussian = PcaGaussian(correlated_pictures(20), 4)

    assert np.array_equal(gaussian.sample(5, seed=3), gaussian.sample(5, seed=3))
    assert not np.array_equal(gaussian.sample(5, seed=3), gaussian.sample(5, seed=4))


def test_blur_equals_the_definition():
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    weights = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)

    padded = np.pad(images.astype(np.float64), [(0, 0), (6, 6), (6, 6), (0, 0)], mode="reflect")
    expected = np.zeros(images.shape)
    for i, in_row in enumerate(weights):
        for j, in_column in enumerate(weights):
            expected += in_row * in_column * padded[:, i : i + 24, j : j + 20]
    expected /= weights.sum() ** 2

    assert np.abs(gaussian_blur(images, 1.5) - expected).max() <= 0.501


def test_blur_keeps_even_pictures():
    images = np.full((300, 16, 16, 3), 77, np.uint8)

    assert np.array_equal(gaussian_blur(images, 2), images)
