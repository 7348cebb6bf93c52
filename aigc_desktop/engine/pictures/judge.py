"""Judge made pictures by the training pictures of their model: quality, and whether they copy.

What is known of the training pictures is computed once and kept in the data set's folder, beside its snapshot; it may
be thrown away at any time. Memory stays bounded: features of at most MOST_TRAINING pictures; among more pictures the
candidate for a copy is looked for in all of them, reduced to a few pixels, and then compared in features.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.rating import Rating
from aigc_desktop.engine.metrics.distances import nearest_neighbours
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.picture_quality import (
    Measures,
    beyond,
    measure_pictures,
    oddness,
    percentile,
    reasons,
)
from aigc_desktop.engine.pictures.alpha import opaque
from aigc_desktop.engine.pictures.common import as_colour, fitted
from aigc_desktop.engine.training.data import to_model, to_pictures

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]

FOLDER = "quality"
VERSION = 2  # of what is kept; another one is computed anew
MOST_TRAINING, MOST_UNSEEN = 2000, 500
FEWEST = 8  # training pictures; with fewer nothing is usual or odd
AT_ONCE = 64
SMALL = 8  # pixels a side, in which a large set is searched
COPY_PERCENTILE = 5.0  # so many in a hundred unseen real pictures are called copies


@dataclass(frozen=True)
class Reference:
    """What made pictures are compared with.

    `rows` (M,) are places in the snapshot of the training pictures with `features` (M, 1280); `small` (N, 192) are all
    training pictures in few pixels with their places `all_rows`, or none when the former are all. `measures` are of
    the M, `odd` (M,) how much they stand out, `apart` the distances of unseen pictures to the nearest training picture.
    """

    rows: NDArray[np.int64]
    features: Floats
    measures: Measures
    odd: NDArray[np.float64]
    apart: NDArray[np.float64]
    all_rows: NDArray[np.int64]
    small: NDArray[np.uint8]


class Judge:
    """Rates pictures of one size by a data set; what it knows is read or computed when it is first asked."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.size = (0, 0)
        self.reference: Reference | None = None
        if dataset.info.train < FEWEST:
            raise UserError(
                _("Too few training pictures to judge quality by: {count}; at least {fewest} are needed.").format(
                    count=dataset.info.train, fewest=FEWEST
                ),
                _("Turn off rating and “Only good ones”, or train on more pictures."),
            )

    def rate(self, pictures: Pictures) -> Generator[Event, None, tuple[Rating, ...]]:
        """Return a rating for each picture (N, H, W, 1, 3 or 4), the same alone and among others."""
        pictures = opaque(pictures)
        if self.reference is None:
            self.size = (pictures.shape[1], pictures.shape[2])
            self.reference = yield from known_reference(self.dataset, self.size)
        return self._ratings(self.reference, pictures)

    def _ratings(self, reference: Reference, pictures: Pictures) -> tuple[Rating, ...]:
        # one by one: convolutions round differently in batches of different sizes
        features = np.concatenate([image_features(picture[None]) for picture in pictures])
        rows, distances = _nearest(self.dataset, reference, pictures, features)
        measures = measure_pictures(pictures)
        out = beyond(_all_measures(reference), measures | {"distance": np.log10(distances + 1e-6)})
        odd = oddness(out)
        typical, near = float(np.median(reference.apart)), float(np.percentile(reference.apart, COPY_PERCENTILE))
        found = []
        for i in range(len(pictures)):
            copies = ("copy",) if distances[i] <= near else ()
            places = {name: round(percentile(reference.measures[name], float(values[i])), 1)
                      for name, values in measures.items()}  # fmt: skip
            found.append(Rating(
                round(100.0 * float((reference.odd >= odd[i]).mean()), 1), reasons(out[i]) + copies, self.dataset.id,
                int(rows[i]), round(float(distances[i]) / typical, 3) if typical else 0.0, places,
            ))  # fmt: skip
        return tuple(found)


def known_reference(dataset: Dataset, size: tuple[int, int]) -> Generator[Event, None, Reference]:
    """Return what is known of the training pictures at this size (height, width), computed if it is not kept."""
    name = f"{size[0]}x{size[1]}-v{VERSION}-{dataset.manifest_hash()[:16]}.npz"
    path = dataset.folder / FOLDER / name
    if (kept := _read(path)) is not None:
        return kept
    reference = yield from _compute(dataset, size)
    with contextlib.suppress(OSError):  # a full or locked disk: it is computed again next time
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path) as f:
            np.savez(f, **_arrays(reference))
    return reference


def training_pictures(dataset: Dataset, rows: NDArray[np.int64], size: tuple[int, int]) -> Pictures:
    """Return pictures (N, height, width, 3) of the snapshot as a model of this size sees them."""
    pictures = np.asarray(dataset.image_map[rows])
    if pictures.shape[1:3] == size:
        return opaque(pictures)
    return to_pictures(fitted(as_colour(to_model(torch.from_numpy(pictures))), size))


def _compute(dataset: Dataset, size: tuple[int, int]) -> Generator[Event, None, Reference]:
    train, unseen = dataset.indices("train"), spread(dataset.indices("validation"), MOST_UNSEEN)
    rows = spread(train, MOST_TRAINING)
    large = len(rows) < len(train)
    total = len(rows) + len(unseen) + (len(train) if large else 0)
    done = 0
    small = np.empty((0, 3 * SMALL * SMALL), np.uint8)
    if large:
        small = np.empty((len(train), 3 * SMALL * SMALL), np.uint8)
        for start in range(0, len(train), AT_ONCE):
            part = train[start : start + AT_ONCE]
            small[start : start + len(part)] = _reduced(training_pictures(dataset, part, size))
            done += len(part)
            yield _progress(done, total)
    parts, measured = [], []
    for start in range(0, len(rows), AT_ONCE):
        pictures = training_pictures(dataset, rows[start : start + AT_ONCE], size)
        parts.append(image_features(pictures))
        measured.append(measure_pictures(pictures))
        done += len(pictures)
        yield _progress(done, total)
    measures = {name: np.concatenate([part[name] for part in measured]) for name in measured[0]}
    features = np.concatenate(parts)
    # nothing was held out: training pictures among each other, each without itself
    apart = nearest_neighbours(features, features, 2)[1][:, 1]
    known = Reference(rows, features, measures, np.zeros(len(rows)), apart, train if large else rows[:0], small)
    if len(unseen) >= FEWEST:
        distances = []
        for start in range(0, len(unseen), AT_ONCE):
            pictures = training_pictures(dataset, unseen[start : start + AT_ONCE], size)
            distances.append(_nearest(dataset, known, pictures, image_features(pictures))[1])
            done += len(pictures)
            yield _progress(done, total)
        known = replace(known, apart=np.concatenate(distances))
    odd = oddness(beyond(_all_measures(known), measures | {"distance": np.log10(apart + 1e-6)}))
    return replace(known, odd=odd)


def spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most `most` of the rows, evenly spread, so that a sorted set is seen from all sides."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def _all_measures(reference: Reference) -> Measures:
    return reference.measures | {"distance": np.log10(reference.apart + 1e-6)}


def _nearest(
    dataset: Dataset, reference: Reference, pictures: Pictures, features: Floats
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each picture the nearest training picture's place in the snapshot and its distance in features."""
    found, distances = nearest_neighbours(features, reference.features)
    rows, nearest = reference.rows[found[:, 0]], distances[:, 0]
    if not len(reference.small):
        return rows, nearest
    reduced, size = _reduced(pictures), (pictures.shape[1], pictures.shape[2])
    candidates = np.array([reference.all_rows[_nearest_small(reference.small, wanted)] for wanted in reduced])
    known = image_features(training_pictures(dataset, candidates, size))
    apart = np.linalg.norm(features.astype(np.float64) - known, axis=1)
    return np.where(apart < nearest, candidates, rows), np.minimum(apart, nearest)


def _nearest_small(small: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> int:
    best, least = 0, np.inf
    for start in range(0, len(small), 8192):
        apart = np.square(small[start : start + 8192].astype(np.int32) - wanted.astype(np.int32)).sum(1)
        place = int(apart.argmin())
        if apart[place] < least:
            best, least = start + place, float(apart[place])
    return best


def _reduced(pictures: Pictures) -> NDArray[np.uint8]:
    """Return pictures (N, H, W, 3) as (N, 192): means of SMALL x SMALL areas."""
    images = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    areas: NDArray[np.uint8] = F.adaptive_avg_pool2d(images, SMALL).round().to(torch.uint8).flatten(1).numpy()
    return areas


def _progress(done: int, total: int) -> Progress:
    return Progress(done, total, _("Looking at the training pictures, once"), unit=N_("pictures"))


def _arrays(reference: Reference) -> dict[str, Any]:
    arrays = {name: value for name, value in vars(reference).items() if name != "measures"}
    return arrays | {f"measure.{name}": value for name, value in reference.measures.items()}


def _read(path: Path) -> Reference | None:
    """Return what is kept, None when there is nothing or the file is damaged."""
    try:
        with path.open("rb") as f, np.load(f, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        measures = {name.removeprefix("measure."): arrays.pop(name) for name in list(arrays) if "." in name}
        return Reference(measures=measures, **arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None
