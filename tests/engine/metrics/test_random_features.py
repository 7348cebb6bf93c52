import numpy as np

from aigc_desktop.engine.metrics.image import quick_kid
from aigc_desktop.engine.metrics.random_features import FEATURES, random_features, standardised


def stripes(count: int, seed: int, wide: int = 4) -> np.ndarray:
    """Return pictures (N, 32, 32, 3) of stripes in random colours and places."""
    random = np.random.default_rng(seed)
    place = (np.arange(32) + random.integers(0, 32, (count, 1))) // wide % 2
    colours = random.integers(0, 256, (count, 2, 3))
    return colours[np.arange(count)[:, None], place][:, None].repeat(32, 1).astype(np.uint8)


def test_features_are_the_same_every_time_and_tell_pictures_apart():
    pictures = stripes(70, 0)
    first, second = random_features(pictures), random_features(pictures)
    assert first.shape == (70, FEATURES) and np.array_equal(first, second)
    assert np.ptp(first, 0).min() >= 0 and (first.std(0) > 0).mean() > 0.9
    assert random_features(pictures[:0]).shape == (0, FEATURES)


def test_the_kernel_distance_in_them_orders_sets_of_pictures():
    real, alike, other = (random_features(stripes(200, seed, wide)) for seed, wide in ((1, 4), (2, 4), (3, 8)))
    near, far = quick_kid(*standardised(real, alike)), quick_kid(*standardised(real, other))
    assert abs(near) < 0.2 * far
