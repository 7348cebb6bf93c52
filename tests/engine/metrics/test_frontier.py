"""The MAUVE-like score on sets whose likeness is known."""

import numpy as np
import pytest
import torch

from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.metrics.frontier import frontier_area, frontier_score, k_means

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(1200, 8))


def test_equal_histograms_give_one_and_disjoint_ones_nearly_none():
    half = np.array([0.5, 0.5, 0, 0])
    assert frontier_area(half, half) == pytest.approx(1)
    assert frontier_area(half, half[::-1].copy()) < 0.05


def test_the_area_is_symmetric_and_falls_with_the_distance():
    p, near, far = np.array([0.6, 0.4]), np.array([0.5, 0.5]), np.array([0.1, 0.9])
    assert frontier_area(p, near) == pytest.approx(frontier_area(near, p))
    assert 1 > frontier_area(p, near) > frontier_area(p, far) > 0


def test_two_draws_of_one_law_score_high_and_shifted_ones_low():
    same = value_of(frontier_score(CLOUD[:600], CLOUD[600:]))
    other = value_of(frontier_score(CLOUD[:600], CLOUD[600:] + 4))
    missing = value_of(frontier_score(CLOUD[:600], CLOUD[600:][np.argsort(CLOUD[600:, 0])[:300].repeat(2)]))
    assert same.value > 0.9 and other.value < 0.05 and other.value < missing.value < same.value
    assert same.low <= same.value <= same.high <= 1


def test_a_set_against_itself_scores_one():
    assert value_of(frontier_score(CLOUD[:100], CLOUD[:100])).value == pytest.approx(1)


def test_equal_items_do_not_stop_the_clustering():
    assert len(value_of(k_means(torch.ones(50, 3, dtype=torch.float64), 10, 0)).unique()) == 1


def test_clusters_that_lie_apart_are_found():
    centres = np.array([[0, 0], [50, 0], [0, 50]])
    points = torch.from_numpy(np.repeat(centres, 20, 0) + RNG.normal(size=(60, 2)))
    assigned = value_of(k_means(points, 3, 1)).reshape(3, 20)
    assert all(len(group.unique()) == 1 for group in assigned) and len(assigned[:, 0].unique()) == 3


def test_few_items_are_refused():
    with pytest.raises(ValueError, match="histogram"):
        value_of(frontier_score(CLOUD[:5], CLOUD[:5]))
