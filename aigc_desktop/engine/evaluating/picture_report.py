"""What an evaluation tells of a generator of pictures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.events import Event, Note, Progress, Sample
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import REAL, UNSEEN, Figure, Mark, Report, Section
from aigc_desktop.engine.evaluating.picture_classes import class_section
from aigc_desktop.engine.evaluating.samples_made import make_samples
from aigc_desktop.engine.metrics.estimate import Estimate
from aigc_desktop.engine.metrics.features import FEATURES, iter_image_features
from aigc_desktop.engine.metrics.figures import figure
from aigc_desktop.engine.metrics.image import (
    MOST,
    ImageReport,
    Memorisation,
    kid,
    measure_images,
    pixel_vectors,
    quick_kid,
)
from aigc_desktop.engine.metrics.random_features import FEATURES as RANDOM_FEATURES
from aigc_desktop.engine.metrics.random_features import iter_random_features, standardised
from aigc_desktop.engine.pictures.alpha import opaque
from aigc_desktop.engine.pictures.judge import training_pictures
from aigc_desktop.engine.pictures.latent import LatentModel, decoded, of_class
from aigc_desktop.engine.training.data import to_model

MOST_REAL = 5_000
"""Real items compared at most: more change the third digit only and cost memory and time."""
SPLITS: tuple[Split, ...] = ("train", "validation")
_SHOWN, _PAIRS, _COPIED = 25, 6, 12
_ROUGH = 100  # training pictures below which it is said

Images = np.ndarray[Any, np.dtype[np.uint8]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


def measure_pictures(
    sample: Callable[[int, int], Any], dataset: Dataset, report: Report, model: LatentModel | None = None
) -> Generator[Event, str | None, Report]:
    """Return the report with its figures; yields samples, and pairs of those that look most copied.

    Of a `model` with classes pictures are judged by class too; of one that copies pictures, copies are yielded.
    """
    made: list[Images] = yield from make_samples(sample, report.count, report.seed)
    fake = np.concatenate(made)
    side = int(min(len(fake), _SHOWN) ** 0.5)
    yield Sample(0, fake[: side * side])  # a square sheet has no empty cells
    fake = opaque(fake)
    size = (fake.shape[1], fake.shape[2])
    train = _real(dataset, SPLITS[0], size)
    sets = []
    for images in (train, _real(dataset, SPLITS[1], size), fake):
        features = yield from _features(images)
        sets.append((features, pixel_vectors(images)))
    found: ImageReport | None = None
    measuring = measure_images(sets[0], sets[1], sets[2])
    while found is None:
        try:
            name = next(measuring)
        except StopIteration as end:
            found = end.value
        else:
            yield Progress(0, 0, _("Measuring {name}").format(name=_(PHASES[name])))
    if len(train) < _ROUGH:
        few = _("With {count} training pictures the figures are rough: see their intervals.")
        yield Note(few.format(count=len(train)), "warning")
    if found.untold:
        yield Note(found.untold, "warning")
    if found.memorisation is not None:
        nearest = np.argsort(found.memorisation.distances[:, 0], kind="stable")[:_PAIRS]
        pairs = [picture for i in nearest for picture in (train[found.memorisation.nearest[i, 0]], fake[i])]
        yield Sample(0, np.stack(pairs), role="reconstruction")
    outside = yield from _outside(train, fake)
    report = replace(report, sections=_sections(found, outside), methods=[METHOD])
    if model is not None and model.copies:
        yield Sample(0, held_out_copies(model, dataset), role="copies")
    if model is None or not model.classes:
        return report
    known, unseen = (
        (part[0], dataset.labels(split)[: len(part[0])]) for split, part in zip(SPLITS, sets, strict=False)
    )
    make = of_class(model)
    judged = yield from class_section(make, dataset.info.classes, known, unseen, report.count, report.seed)
    if judged is None:
        yield Note(_("Too few pictures carry a class to judge whether new ones look like theirs."))
        return report
    return replace(report, sections=[*report.sections, judged[0]], tables=[*report.tables, judged[1]])


PHASES = {
    "KID": N_("the kernel distance"), "FD": N_("the Fréchet distance"), "PRDC": N_("fidelity and variety"),
    "memorisation": N_("copying"),
}  # fmt: skip
METHOD = N_(
    "Intervals hold 95 %: those of shares from 200 resamples of the pictures, neighbourhoods kept; that of the kernel "
    "distance from 100 random halves."
)


def _outside(train: Images, fake: Images) -> Generator[Event, str | None, Figure]:
    """Return the kernel distance in features that no model was trained in."""
    sets = []
    for images in (train[:MOST], fake[:MOST]):
        features = yield from _features(images, iter_random_features, RANDOM_FEATURES)
        sets.append(features)
    real, made = standardised(*sets)
    order = np.random.default_rng(0).permutation(len(real))
    return figure(
        N_("Kernel distance in random features"), kid(real, made), "lower", digits=2,
        explanation=N_("The same in features of an untrained network, which no model can have learned to please."),
        marks=[Mark(REAL, quick_kid(real[order[::2]], real[order[1::2]]))],
    )  # fmt: skip


def _sections(report: ImageReport, outside: Figure) -> list[Section]:
    usual = report.kid
    thousand = Estimate(1000 * usual.value, 1000 * usual.low, 1000 * usual.high, usual.count)
    near = [
        figure(
            N_("Kernel distance (KID × 1000)"), thousand, "lower", digits=2, headline=True,
            explanation=N_("How far the pictures as a whole lie from real ones; near 0 they cannot be told apart."),
            marks=[Mark(REAL, 1000 * report.kid_floor)],
        ),
        Figure(
            N_("Fréchet distance (FD)"), report.frechet.value,
            N_("Another distance to the real pictures; compare it with what two halves of the real ones give."),
            better="lower", digits=2, headline=True, marks=[Mark(REAL, report.frechet.floor)],
        ),
        outside,
    ]  # fmt: skip
    precision, recall, density, coverage = report.balls.estimates()
    around = [
        figure(N_("Precision (fidelity)"), precision, "higher",
               N_("Share of pictures that lie among real ones: fidelity.")),
        figure(N_("Density"), density, "higher",
               N_("How densely pictures lie among real ones; 1 is as real ones do, more is typical ones only.")),
        figure(N_("Recall (variety)"), recall, "higher",
               N_("Share of real pictures that lie among made ones: variety.")),
        figure(N_("Coverage"), coverage, "higher", headline=True,
               explanation=N_("Share of real pictures that have a made one near them.")),
    ]  # fmt: skip
    sections = [Section(N_("Nearness to real pictures"), near), Section(N_("Fidelity and variety"), around)]
    copies = _copying(report.memorisation, _FEATURES, True) + _copying(report.memorisation_pixels, _PIXELS, False)
    return [*sections, Section(N_("Copies of training data"), copies)] if copies else sections


_FEATURES = (N_("Distance to training pictures (features)"), N_("Near copies (features)"))
_PIXELS = (N_("Distance to training pictures (pixels)"), N_("Near copies (pixels)"))


def _copying(found: Memorisation | None, names: tuple[str, str], headline: bool) -> list[Figure]:
    if found is None:
        return []
    ratio, share = names
    return [
        Figure(
            ratio, found.ratio, N_("1: as far from training pictures as unseen real ones are; below 0.7 it copies."),
            better="higher", digits=2, marks=[Mark(UNSEEN, 1.0)],
        ),
        Figure(
            share, found.near_share, N_("Share of pictures nearer to training pictures than 95 % of unseen real ones."),
            better="lower", headline=headline, marks=[Mark(UNSEEN, 0.05)],
        ),
    ]  # fmt: skip


def held_out_copies(model: LatentModel, dataset: Dataset) -> Images:
    """Return pictures (2N, H, W, 3): held-out ones, or training pictures without such, each followed by its copy."""
    assert model.encode is not None
    split: Split = "validation" if dataset.info.validation else "train"
    real = training_pictures(dataset, dataset.indices(split)[:_COPIED], model.size)
    with torch.inference_mode():
        points = torch.stack([model.encode(to_model(torch.from_numpy(one)[None]).to(model.device)) for one in real])
    pairs = zip(real, opaque(decoded(model, points)), strict=True)
    return np.stack([picture for pair in pairs for picture in pair])


def _features(
    images: Images, batches: Callable[[Images], Iterator[Vectors]] = iter_image_features, size: int = FEATURES
) -> Generator[Event, str | None, Vectors]:
    parts = [np.empty((0, size), np.float32)]
    done = 0
    for part in batches(images):
        parts.append(part)
        done += len(part)
        yield Progress(done, len(images), _("Looking at pictures"))
    return np.concatenate(parts)


def _real(dataset: Dataset, split: Any, size: tuple[int, int]) -> Images:
    """Return at most MOST_REAL pictures of a split, as a model of this size (height, width) sees them."""
    return training_pictures(dataset, dataset.indices(split)[:MOST_REAL], size)
