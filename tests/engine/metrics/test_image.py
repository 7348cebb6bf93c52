"""The picture metrics against closed forms and against the shortest possible naive code."""

from __future__ import annotations

import numpy as np
import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.metrics import distances, image
from aigc_desktop.engine.metrics.distances import nearest_neighbours
from aigc_desktop.engine.metrics.image import (
    balls_around,
    frechet_distance,
    frechet_interval,
    frechet_with_floor,
    kid,
    measure_images,
    memorisation,
    neighbourhood,
    pixel_vectors,
    quick_kid,
)


@pytest.fixture
def vectors():
    return lambda count, dims=6, seed=0, shift=0.0: np.random.default_rng(seed).normal(shift, 1, (count, dims))


def naive_kid(x, y):
    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    within_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    return within_x + within_y - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_kid_is_the_unbiased_estimate(vectors):
    x, y = vectors(17), vectors(23, seed=1, shift=0.5)

    assert kid(x, y).value == pytest.approx(naive_kid(x, y), rel=1e-12)
    assert quick_kid(x, y) == pytest.approx(naive_kid(x, y), rel=1e-12)


def test_kid_of_one_distribution_is_zero_on_average_and_its_interval_covers_zero(vectors):
    values = [kid(vectors(60, seed=2 * i), vectors(60, seed=2 * i + 1), subsets=1).value for i in range(200)]
    covered = [
        (estimate := kid(vectors(60, seed=2 * i), vectors(60, seed=2 * i + 1))).low <= 0 <= estimate.high
        for i in range(60)
    ]

    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5
    assert np.mean(covered) > 0.85


def test_the_kid_interval_is_as_wide_as_repeating_the_experiment(vectors):
    pairs = [(vectors(80, seed=2 * i), vectors(80, seed=2 * i + 1, shift=0.4)) for i in range(60)]
    estimates = [kid(x, y) for x, y in pairs]

    spread = 2 * 1.96 * np.std([estimate.value for estimate in estimates])
    width = np.median([estimate.high - estimate.low for estimate in estimates])
    assert 0.6 < width / spread < 1.6


def test_pieces_give_the_same_values_as_the_whole(vectors, monkeypatch):
    x, y = vectors(50), vectors(40, seed=1, shift=0.3)
    whole = (kid(x, y), neighbourhood(x, y), nearest_neighbours(x, y, 3))

    monkeypatch.setattr(distances, "_BLOCK", 170)

    assert kid(x, y).value == pytest.approx(whole[0].value, rel=1e-12)
    assert neighbourhood(x, y) == whole[1]
    assert np.array_equal(nearest_neighbours(x, y, 3)[0], whole[2][0])


def standardised(count, dims, seed):
    """Return vectors whose sample mean is 0 and whose sample covariance is the identity, both exactly."""
    x = np.random.default_rng(seed).normal(size=(count, dims))
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T


def test_frechet_distance_of_two_gaussians_with_diagonal_covariance():
    sd_a, sd_b = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 1.0, 0.5, 0.1])
    a = standardised(200, 4, 0) * sd_a
    b = standardised(150, 4, 1) * sd_b + np.array([1.0, 0, -2, 0])

    assert frechet_distance(a, b) == pytest.approx(5 + ((sd_a - sd_b) ** 2).sum(), rel=1e-9)


def test_frechet_distance_with_covariances_that_do_not_commute():
    mix = np.random.default_rng(3).normal(size=(5, 5))
    a, b = standardised(300, 5, 0) @ mix, standardised(200, 5, 1) + 0.3

    trace_of_root = np.sqrt(np.linalg.eigvals(np.cov(a.T) @ np.cov(b.T)).astype(complex)).sum().real
    expected = 5 * 0.09 + np.trace(np.cov(a.T) + np.cov(b.T)) - 2 * trace_of_root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_stays_finite_with_fewer_items_than_dimensions(vectors):
    x, y = vectors(10, dims=40), vectors(12, dims=40, seed=1)

    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert 0 < frechet_distance(x, y) < 1000


def test_the_floor_is_what_good_samples_reach(vectors):
    good = frechet_with_floor(vectors(400), vectors(200, seed=1))
    bad = frechet_with_floor(vectors(400), vectors(200, seed=1, shift=1))

    assert good.count == 200
    assert good.value < 2.5 * good.floor
    assert bad.value > 10 * bad.floor


def naive_neighbourhood(real, fake, k):
    def distance(a, b):
        return np.sqrt(((a - b) ** 2).sum())

    def radius(points, index):
        return sorted(distance(points[index], other) for j, other in enumerate(points) if j != index)[k - 1]

    radius_real = [radius(real, i) for i in range(len(real))]
    radius_fake = [radius(fake, j) for j in range(len(fake))]
    in_real = [[distance(r, f) < radius_real[i] for i, r in enumerate(real)] for f in fake]
    in_fake = [[distance(r, f) < radius_fake[j] for j, f in enumerate(fake)] for r in real]
    precision = np.mean([any(row) for row in in_real])
    recall = np.mean([any(row) for row in in_fake])
    density = np.mean([sum(row) for row in in_real]) / k
    coverage = np.mean([min(distance(r, f) for f in fake) < radius_real[i] for i, r in enumerate(real)])
    return precision, recall, density, coverage


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_neighbourhood_equals_the_definitions(vectors, shift):
    real, fake = vectors(30, dims=3), vectors(25, dims=3, seed=1, shift=shift)

    found = neighbourhood(real, fake, k=3)

    measured = (found.precision, found.recall, found.density, found.coverage)
    assert measured == pytest.approx(naive_neighbourhood(real, fake, 3), abs=1e-12)


def test_one_repeated_item_recalls_nothing(vectors):
    real = vectors(40)

    assert neighbourhood(real, np.repeat(real[:1], 40, axis=0)).recall == 0


def test_nearest_neighbours_are_sorted_and_exact(vectors):
    queries, references = vectors(20), vectors(30, seed=1)

    indices, found = nearest_neighbours(queries, references, 4)

    everything = np.linalg.norm(queries[:, None] - references[None], axis=2)
    assert np.array_equal(indices, everything.argsort(1)[:, :4])
    assert np.allclose(found, np.sort(everything, 1)[:, :4], rtol=1e-12)


def test_copies_are_at_distance_zero_and_flagged(vectors):
    train, held_out = vectors(100) + 1000, vectors(80, seed=1) + 1000

    copied = memorisation(train, held_out, train[::-1])

    assert copied.ratio == 0
    assert copied.near_share == 1
    assert copied.flagged
    assert np.array_equal(copied.nearest[:, 0], np.arange(100)[::-1])


def test_a_fifth_of_copies_is_flagged_although_the_median_is_not(vectors):
    train, held_out = vectors(400), vectors(300, seed=1)
    fake = vectors(300, seed=2)
    fake[:60] = train[:60]

    found = memorisation(train, held_out, fake)

    assert found.ratio > 0.7
    assert found.flagged


def test_new_samples_are_not_flagged(vectors):
    found = memorisation(vectors(400), vectors(300, seed=1), vectors(300, seed=2), neighbours=3)

    assert 0.9 < found.ratio < 1.1
    assert not found.flagged
    assert found.nearest.shape == (300, 3)


def test_memorisation_says_when_it_cannot_be_measured(vectors):
    train = vectors(20)

    with pytest.raises(UserError, match="exact copies") as caught:
        memorisation(train, train, vectors(10, seed=1))

    assert caught.value.hint


def test_pixel_vectors_average_areas():
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[1, :, :16] = 255
    images[1, 0, 31] = 255

    pixels = pixel_vectors(images, 16).reshape(2, 3, 16, 16)

    assert not pixels[0].any()
    assert (pixels[1, :, 1:, :8] == 1).all()
    assert not pixels[1, :, 1:, 8:].any()
    assert np.allclose(pixels[1, :, 0, 15], 0.25)


def drain(generator):
    steps = []
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as finished:
            return steps, finished.value


def test_the_report_stops_between_metrics_and_agrees_with_them(vectors):
    train, held_out, fake = vectors(60), vectors(30, seed=1), vectors(50, seed=2, shift=0.2)

    steps, report = drain(measure_images((train, train), (held_out, held_out), (fake, fake)))

    assert steps == ["KID", "FD", "PRDC", "memorisation", "memorisation"]
    assert report.kid == kid(train, fake)
    assert report.neighbourhood == neighbourhood(train, fake)
    assert report.memorisation.ratio == memorisation(train, held_out, fake).ratio


def test_copying_that_cannot_be_measured_costs_no_other_figure(vectors):
    train, fake = vectors(60), vectors(50, seed=2, shift=0.2)

    report = drain(measure_images((train, train), (train[:5], vectors(5, seed=3)), (fake, fake)))[1]

    assert report.memorisation is None and "exact copies" in report.untold and "duplicates" in report.untold
    assert report.memorisation_pixels is not None and report.kid == kid(train, fake)


def test_the_report_measures_quality_on_a_choice_of_very_many_pictures(vectors, monkeypatch):
    monkeypatch.setattr(image, "MOST", 40)
    train, held_out, fake = vectors(90), vectors(50, seed=1), vectors(60, seed=2)

    found = drain(measure_images((train, train), (held_out, held_out), (fake, fake)))[1]

    assert found.kid.count == 40
    assert found.memorisation.nearest.shape[0] == 60
    assert found.memorisation.nearest.max() >= 40


def test_the_report_leaves_memorisation_out_without_held_out_pictures(vectors):
    nothing = np.empty((0, 6))

    report = drain(measure_images((vectors(30),) * 2, (nothing, nothing), (vectors(30, seed=1),) * 2))[1]

    assert report.memorisation is None
    assert report.memorisation_pixels is None


def test_too_few_pictures_are_refused(vectors):
    with pytest.raises(UserError, match="Too few pictures to measure quality: 5"):
        drain(measure_images((vectors(50),) * 2, (vectors(5),) * 2, (vectors(5),) * 2))


def test_twenty_pictures_with_some_held_out_are_enough_to_measure(vectors):
    report = drain(measure_images((vectors(18),) * 2, (vectors(2, seed=2),) * 2, (vectors(20, seed=1),) * 2))[1]
    balls = report.neighbourhood
    assert np.isfinite([report.kid.value, report.kid_floor, report.frechet.value, report.memorisation.ratio]).all()
    assert 0 < balls.coverage <= 1 and report.kid.low < report.kid.high
    with pytest.raises(UserError, match="11; at least 12"):
        drain(measure_images((vectors(11),) * 2, (vectors(2),) * 2, (vectors(20, seed=1),) * 2))


def test_the_frechet_interval_lies_around_the_value_and_covers_the_truth(vectors):
    rng = np.random.default_rng(3)
    covered = 0
    for _repeat in range(10):
        a, b = rng.normal(size=(400, 4)), rng.normal(size=(400, 4)) + 0.5
        value = frechet_distance(a, b)
        found = value_of(frechet_interval(a, b, value))
        assert found.low < value < found.high
        covered += found.low <= 1.0 <= found.high  # |shift|^2 of four dimensions
    assert covered >= 7


def test_balls_have_the_means_of_the_neighbourhood_with_intervals(vectors):
    rng = np.random.default_rng(4)
    real, fake = rng.normal(size=(200, 3)), rng.normal(size=(150, 3)) * 0.7
    balls, whole = balls_around(real, fake), neighbourhood(real, fake)
    assert balls.means() == whole
    for estimate, value in zip(
        balls.estimates(), (whole.precision, whole.recall, whole.density, whole.coverage), strict=True
    ):
        assert estimate.value == pytest.approx(value) and estimate.low <= value <= estimate.high
