"""Make pictures as a stream, rate each, and on demand keep only good ones: the same lines for all families.

"Only good ones" goes on with the next seeds until enough pictures passed, or TRIES times as many were made. Which ones
are kept depends on the seeds alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note, Progress, Sample
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.rating import Rating, counts_text
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.metrics.figures import trained_dataset
from aigc_desktop.engine.pictures.common import CHUNK, CreateConfig, Pictures
from aigc_desktop.engine.pictures.judge import Judge

TRIES = 8  # pictures made for each one wanted, at most

Made = tuple[Pictures, tuple[str, ...]]
"""Pictures (N, H, W, C) and the names of their classes, or none."""
Make = Callable[[Sequence[int]], Made]
"""Seeds -> what is made of them."""
Steps = Callable[[Sequence[int]], Generator[Event, None, Made]]
"""The same for models that take long for a picture: it yields events in between."""


class MakeConfig(CreateConfig):
    """Settings of every task that makes new pictures, one for each seed."""

    good: bool = param(
        False, N_("Only good ones"),
        N_("Rejects blurred, blank, noisy and copied pictures and makes new ones until enough are good."),
    )  # fmt: skip
    rate: bool = param(
        True, N_("Rate pictures"),
        N_("Compares each picture with the training pictures; the first time this takes a moment."), advanced=True,
    )  # fmt: skip


def stream_samples(make: Make, config: MakeConfig, run: Run) -> Iterator[Event]:
    """Yield Samples of `config.count` pictures with the seeds config.seed, config.seed + 1, … and their ratings."""

    def steps(seeds: Sequence[int]) -> Generator[Event, None, Made]:
        yield from ()
        return make(seeds)

    done = 0
    for event in stream_steps(steps, config, run, CHUNK):
        yield event
        if isinstance(event, Sample) and not config.good:
            done += len(event.images)
            yield Progress(done, config.count, unit=N_("pictures"))


def stream_steps(make: Steps, config: MakeConfig, run: Run, chunk: int) -> Iterator[Event]:
    """Yield the same from a `make` that tells its own Progress, up to `chunk` pictures at a time."""
    judge = yield from _judge(config, run)
    if config.good and judge is not None:
        yield from _only_good(make, config, judge, chunk)
        return
    for start in range(0, config.count, chunk):
        seeds = range(config.seed + start, config.seed + min(config.count, start + chunk))
        pictures, labels = yield from make(seeds)
        ratings = () if judge is None else (yield from judge.rate(pictures))
        yield Sample(start, pictures, tuple(seeds), labels, ratings=ratings)


def _judge(config: MakeConfig, run: Run) -> Generator[Event, None, Judge | None]:
    """Return who rates; None, and a note that says why, when that cannot be and good ones are not asked for."""
    if not (config.good or config.rate):
        return None
    workspace = Workspace(run.workspace)
    trained = workspace.run(config.run) if config.run else None
    if trained is None or not trained.info.dataset:
        if config.good:
            raise UserError(
                _("This model came without training pictures that others could be judged by."),
                _("Turn “Only good ones” off, or choose a model that was trained here."),
            )
        return None
    try:
        return Judge(trained_dataset(workspace, trained))
    except UserError as error:
        if config.good:
            raise
        yield Note(_("The pictures are not rated: {reason}").format(reason=error.message))
        return None


def _only_good(make: Steps, config: MakeConfig, judge: Judge, chunk: int) -> Iterator[Event]:
    """Yield good pictures until there are `config.count`, and what was rejected on the way."""
    most, made, kept = TRIES * config.count, 0, 0
    against: list[Rating] = []
    while kept < config.count and made < most:
        first, size = config.seed + made, min(chunk, config.count - kept, most - made)
        seeds = range(first, first + size)
        pictures, labels = yield from make(seeds)
        ratings = yield from judge.rate(pictures)
        good = np.array([rating.good for rating in ratings])
        made, kept = made + size, kept + int(good.sum())
        against += [rating for rating in ratings if not rating.good]
        if good.any():
            yield _part(made, np.flatnonzero(good), pictures, seeds, labels, ratings)
        if not good.all():
            yield _part(made, np.flatnonzero(~good), pictures, seeds, labels, ratings, rejected=True)
        phase = _("{count} rejected").format(count=len(against)) if against else ""
        yield Progress(kept, config.count, phase, unit=N_("pictures"))
    yield _told(kept, made, config.count, against)


def _part(
    step: int, chosen: np.ndarray, pictures: Pictures, seeds: Sequence[int], labels: tuple[str, ...],
    ratings: tuple[Rating, ...], rejected: bool = False,
) -> Sample:  # fmt: skip
    return Sample(
        step, np.ascontiguousarray(pictures[chosen]), tuple(seeds[i] for i in chosen),
        tuple(labels[i] for i in chosen) if labels else (), "rejected" if rejected else "samples",
        tuple(ratings[i] for i in chosen),
    )  # fmt: skip


def _told(kept: int, made: int, wanted: int, against: list[Rating]) -> Note:
    """Return how many passed and why others did not; a warning when the limit was reached."""
    text = ngettext(
        "{kept} good picture of {made} that were made.", "{kept} good pictures of {made} that were made.", kept
    ).format(kept=kept, made=made)
    if against:
        text += " " + _("Rejected: {reasons}.").format(reasons=counts_text(against))
    if kept == wanted:
        return Note(text)
    hint = _("That is the limit of {tries} tries for each picture wanted. Train longer, or turn “Only good ones” off.")
    return Note(text + " " + hint.format(tries=TRIES), "warning")
