"""The 1,911 base emoji as a data set, some of them held out, and how samples of a model compare with them."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Result
from aigc_desktop.core.family import Preset
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.image import kid, memorisation, neighbourhood
from aigc_desktop.engine.metrics.random_features import random_features, standardised
from benchmarks.baselines import PcaGaussian
from benchmarks.fetch_data import fetch_emoji, load_emoji
from benchmarks.report import DATA

SIZE = 32
HELD_OUT = {32: 0.2, 64: 0.5}
SAMPLES = 1000


def emoji_dataset(workspace: Workspace, size: int = SIZE) -> Dataset:
    """Return the frozen data set of the workspace, imported from folders named after the categories when it is new."""
    if found := [dataset for dataset in workspace.datasets() if dataset.info.size == size]:
        return found[0]
    package = fetch_emoji()
    source = workspace.folder / f"emoji{size}"
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    for entry, picture in zip(entries, load_emoji(package, size), strict=True):
        folder = source / entry["category"].replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / entry["image"])
    config = check(ScanConfig, {"source": str(source), "title": "emoji", "kind": "image", "labels": "folders"})
    run = Run(workspace.folder, workspace.folder)
    for event in import_dataset(config, {"size": str(size), "validation": HELD_OUT[size]}, run):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise RuntimeError("the import gave no data set")


def preset_values(presets: Iterable[Preset], size: int, device: str) -> dict[str, Any]:
    """Return the settings of a family's preset for a picture size and a device."""
    return preset_named(presets, f"{'cpu' if device == 'cpu' else 'gpu'}{size}")


def preset_named(presets: Iterable[Preset], name: str) -> dict[str, Any]:
    """Return the settings of a family's preset."""
    return next(preset.values for preset in presets if preset.name == name)


@dataclass(frozen=True)
class Quality:
    """KID against held-out pictures, the baseline's, their ratio, and what else says whether samples are good.

    The two `_random` are in features of a random network, which no model was trained in.
    """

    kid: float
    kid_pca: float
    kid_random: float
    kid_pca_random: float
    recall: float
    precision: float
    coverage: float
    memorisation: float
    near_copies: float

    @property
    def ratio(self) -> float:
        """Return KID in units of the baseline's."""
        return self.kid / self.kid_pca


def measure(dataset: Dataset, samples: np.ndarray[Any, np.dtype[np.uint8]]) -> Quality:
    """Return the quality of samples (N, S, S, 3), all distances to held-out pictures."""
    train, held_out, pca = _real_features(dataset)
    random = [random_features(pictures) for pictures in (dataset.images("validation"), samples, _baseline(dataset))]
    fake = image_features(samples)
    around = neighbourhood(held_out, fake[: len(held_out)])
    copies = memorisation(train, held_out, fake)
    return Quality(
        kid(held_out, fake).value, kid(held_out, pca).value, kid(*standardised(random[0], random[1])).value,
        kid(*standardised(random[0], random[2])).value, around.recall, around.precision, around.coverage,
        copies.ratio, copies.near_share,
    )  # fmt: skip


def _real_features(dataset: Dataset) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the features of training pictures, held-out pictures and the baseline, kept for the next benchmark."""
    path = DATA / f"emoji_features_{dataset.manifest_hash()[:16]}.npz"
    if not path.is_file():
        sets = [dataset.images("train"), dataset.images("validation"), _baseline(dataset)]
        np.savez(path, *[image_features(pictures) for pictures in sets])
    with np.load(path) as kept:
        return [kept[f"arr_{i}"] for i in range(3)]


def _baseline(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return PcaGaussian(dataset.images("train")).sample(SAMPLES, seed=0)


def cpu_seconds() -> float:
    """Return the processor seconds this process has used on all cores."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def sheet(pictures: np.ndarray[Any, np.dtype[np.uint8]], path: Path, columns: int = 16, scale: int = 2) -> None:
    """Write pictures (N, H, W, 3) as one PNG."""
    rows, (_, height, width, channels) = len(pictures) // columns, pictures.shape
    grid = pictures[: rows * columns].reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    image = Image.fromarray(grid.reshape(rows * height, columns * width, channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(path)
