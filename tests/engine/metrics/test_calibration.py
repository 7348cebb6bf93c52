"""The metrics put sets of known quality in the right order: spoiled bundled emoji, and published text samples."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.paths import resources
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.image import kid, memorisation, neighbourhood, pixel_vectors, quick_kid
from aigc_desktop.engine.metrics.text import bleu_scores, self_bleu_scores, unique_share
from benchmarks.baselines import gaussian_blur
from benchmarks.metrics_calibration import TEXT_COLUMNS, TEXT_TABLE, read_texts
from benchmarks.report import data_folder


def bundled_emoji(folders):
    """Return the bundled pictures of these folders (N, 64, 64, 3) on white."""
    pictures = []
    for folder in folders:
        for path in sorted((resources() / "samples" / "emoji" / folder).glob("*.png")):
            rgba = Image.open(path).convert("RGBA")
            pictures.append(
                np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
            )
    return np.stack(pictures)


@pytest.fixture(scope="module")
def halves():
    images = bundled_emoji(["animals", "faces", "food"])
    order = np.random.default_rng(0).permutation(len(images))[:240]
    return images[order[:120]], images[order[120:]]


@pytest.fixture(scope="module")
def measured(halves):
    """Return the real features and those of sets spoiled more and more."""
    real, other = halves
    noise = np.random.default_rng(1).normal(0, 60, other.shape)
    sets = {
        "real": real,
        "floor": other,
        "blur": gaussian_blur(other, 1.5),
        "noise": (other + noise).clip(0, 255).astype(np.uint8),
        "five": other[np.arange(120) % 5],
    }
    return {name: image_features(images) for name, images in sets.items()}


def test_kid_orders_floor_blur_and_noise(measured):
    floor, blur, noise = (kid(measured["real"], measured[name]) for name in ("floor", "blur", "noise"))

    assert floor.value < 0.03
    assert floor.high < blur.low
    assert blur.value < noise.value
    assert quick_kid(measured["real"], measured["blur"]) == pytest.approx(blur.value)


def test_noise_lowers_coverage_and_repetition_lowers_recall(measured):
    found = {name: neighbourhood(measured["real"], measured[name]) for name in ("floor", "noise", "five")}

    assert found["floor"].coverage > 0.85 > 0.5 > found["noise"].coverage
    assert found["floor"].recall > 0.6
    assert found["five"].recall == 0


def test_copies_are_flagged_and_new_pictures_are_not(halves, measured):
    real, other = halves
    fresh, unseen = measured["floor"][:60], measured["floor"][60:]
    pixels = [pixel_vectors(images) for images in (real, other[60:], other[:60])]

    assert memorisation(measured["real"], unseen, measured["real"]).flagged
    assert memorisation(pixels[0], pixels[1], pixels[0]).ratio == 0
    assert not memorisation(measured["real"], unseen, fresh).flagged
    assert 0.8 < memorisation(*pixels).ratio < 1.25


@pytest.mark.parametrize("model", ["leakgan", "textgan"])
def test_published_text_scores_are_reproduced(model):
    data = data_folder()
    if not (data / "texygen_samples").is_dir():
        pytest.skip(f"the published samples are not in {data}; set AIGC_BENCH_DATA")
    texts = read_texts(data / "texygen_samples" / f"{model}.txt")

    bleu = bleu_scores(texts, read_texts(data / "captions" / "test.txt")).mean(0)
    found = dict(zip(TEXT_COLUMNS, [*bleu, *self_bleu_scores(texts).mean(0), unique_share(texts)], strict=True))

    assert found == pytest.approx(dict(zip(TEXT_COLUMNS, TEXT_TABLE[model], strict=True)), abs=0.01)
