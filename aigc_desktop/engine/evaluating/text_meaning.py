"""Meanings of texts: sentence vectors of the model's texts against those of training texts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import BASELINE, REAL, Figure, Mark, Section
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.evaluating.text_material import Batch, TextJob, Written, evenly
from aigc_desktop.engine.evaluating.text_vectors import Vectors, text_vectors
from aigc_desktop.engine.metrics.estimate import Estimate
from aigc_desktop.engine.metrics.figures import figure, mark
from aigc_desktop.engine.metrics.frontier import frontier_score
from aigc_desktop.engine.metrics.image import balls_around, frechet_distance, frechet_interval
from aigc_desktop.engine.pretrained.encoder import Encoder, encoder_folder, load_encoder

MOST = 2_000
FEWEST = 20  # below this neighbourhoods and clusters mean nothing
LETTERS = 4_000  # of a text that an encoder is given: more than it reads
WIDE = 512  # numbers of a vector above which a Fréchet distance takes too long to be resampled

FRECHET, FRONTIER = N_("Fréchet distance of meanings"), N_("MAUVE-like score")


@dataclass(frozen=True)
class Meaning:
    """Measurements of one set of vectors against real ones; `shares` are precision, recall, density, coverage."""

    frechet: Estimate
    frontier: Estimate
    shares: tuple[Estimate, Estimate, Estimate, Estimate]


@dataclass(frozen=True)
class RealVectors:
    """Two halves (N, width) of training texts: all is measured against `first`, `second` shows what is real."""

    first: Vectors
    second: Vectors


def open_encoder(job: TextJob) -> Encoder | None:
    """Return the chosen encoder, None without one; UserError when it cannot be used."""
    if not job.encoder:
        return None
    return load_encoder(encoder_folder(job.encoder, job.workspace), choose_device(job.device))


def real_vectors(job: TextJob, encoder: Encoder, count: int) -> Generator[Event, str | None, RealVectors | None]:
    """Return vectors of twice `count` training texts; None, with a note, when there are too few."""
    training = job.dataset.texts("train")
    beginnings = (training[i][:LETTERS] for i in evenly(training, 2 * min(count, MOST)))
    real = [text for text in beginnings if text.strip()]
    half = min(count, MOST, len(real) // 2)
    if half < FEWEST:
        yield Note(
            _("Meanings were not compared: that takes at least {count} training texts and {made} of the model.").format(
                count=2 * FEWEST, made=FEWEST
            ), "warning",
        )  # fmt: skip
        return None
    vectors = yield from text_vectors(encoder, real, choose_device(job.device))
    order = np.random.default_rng(0).permutation(len(vectors))
    return RealVectors(vectors[order[:half]], vectors[order[half : 2 * half]])


def meanings(
    job: TextJob, encoder: Encoder, written: Written, real: RealVectors
) -> Generator[Event, str | None, Section]:
    """Return the figures of the model, with those of its twin and of real texts beside them."""
    sets: list[tuple[str | None, Batch]] = [(None, written.main)]
    if written.twin is not None and len(written.twin) >= FEWEST:
        sets.append((BASELINE, written.twin))
    found = {REAL: (yield from _measure(real.first, real.second))}
    main: Meaning | None = None
    for name, batch in sets:
        vectors = yield from text_vectors(encoder, batch.texts[: len(real.first)], choose_device(job.device))
        measured = yield from _measure(real.first, vectors)
        if name is None:
            main = measured
        else:
            found[name] = measured
    assert main is not None
    return Section(N_("Meaning"), _figures(main, found))


def distance_of(job: TextJob, encoder: Encoder, texts: list[str], real: Vectors) -> Generator[Event, str | None, float]:
    """Return the Fréchet distance of texts to as many real ones."""
    vectors = yield from text_vectors(encoder, texts[: len(real)], choose_device(job.device))
    return frechet_distance(real[: len(vectors)], vectors)


def _measure(real: Vectors, made: Vectors) -> Generator[Event, str | None, Meaning]:
    count = min(len(real), len(made))
    real, made = real[:count], made[:count]
    yield Progress(0, 0, _("Measuring {name}").format(name=_(FRECHET)))
    distance = frechet_distance(real, made)
    frechet = Estimate(distance, distance, distance, count)
    if real.shape[1] <= WIDE:
        measuring = frechet_interval(real, made, distance)
        frechet = yield from _stoppable(measuring, _("Measuring {name}").format(name=_(FRECHET)))
    frontier = yield from _stoppable(frontier_score(real, made), _("Measuring {name}").format(name=_(FRONTIER)))
    return Meaning(frechet, frontier, balls_around(real, made).estimates())


def _stoppable(measuring: Generator[None, None, Estimate], phase: str) -> Generator[Event, str | None, Estimate]:
    """Pass on a chance to stop after each piece of a measurement."""
    while True:
        try:
            next(measuring)
        except StopIteration as end:
            found: Estimate = end.value
            return found
        yield Progress(0, 0, phase)


_SHARES = (
    (N_("Precision (fidelity)"), N_("Share of texts whose meaning lies among real ones: sense.")),
    (N_("Recall (variety)"), N_("Share of real texts whose meaning lies among made ones: variety.")),
    (N_("Density"), N_("How densely texts lie among real ones; far above 1 they are the usual ones only.")),
    (N_("Coverage"), N_("Share of real texts that have a made one of near meaning.")),
)


def _figures(main: Meaning, others: dict[str, Meaning]) -> list[Figure]:
    def marks(part: str) -> list[Mark]:
        return [mark(name, getattr(other, part)) for name, other in others.items()]

    known = main.frechet.low < main.frechet.high
    frechet = figure(
        FRECHET, main.frechet, "lower",
        N_("How far the texts as a whole lie from real ones in what they mean; real data show the least possible."),
        digits=4, headline=True, marks=marks("frechet"),
    )  # fmt: skip
    if not known:
        frechet = Figure(
            frechet.name, frechet.value, frechet.explanation, better="lower", digits=4, headline=True,
            marks=[Mark(one.name, one.value) for one in frechet.marks],
        )  # fmt: skip
    frontier = figure(
        FRONTIER, main.frontier, "higher",
        N_("1: meanings are spread as in real texts; lower: some are missing or invented. Ours, after MAUVE."),
        headline=True, marks=marks("frontier"),
    )  # fmt: skip
    shares = [
        figure(name, found, "higher", says, marks=[mark(who, other.shares[i]) for who, other in others.items()])
        for i, ((name, says), found) in enumerate(zip(_SHARES, main.shares, strict=True))
    ]
    return [frechet, frontier, *shares]
