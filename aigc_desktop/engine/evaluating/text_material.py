"""What an evaluation of texts works on: texts of the model and of its twin, hot and cold ones, and real ones."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aigc_desktop.core.dataset import Dataset, Texts
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.family import Family
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.evaluating.samples_made import make_samples
from aigc_desktop.engine.metrics.text import metric_tokens

MOST_TOKENS = 150_000  # of one batch: its n-grams then take about 100 MB
LONGEST = 200_000  # letters of a real text that are read at once

Tokens = list[str]


@dataclass(frozen=True)
class TextJob:
    """What is measured: a checkpoint's folder, with what and against what."""

    family: Family
    folder: Path
    device: str
    dataset: Dataset
    workspace: Workspace
    encoder: str = ""
    sweep: int = 0
    temperatures: tuple[float, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Texts with their words; none is empty."""

    texts: list[str]
    tokens: list[Tokens]

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, count: int) -> Batch:
        """Return the first texts."""
        return Batch(self.texts[:count], self.tokens[:count])


@dataclass(frozen=True)
class Heated:
    """Texts of the model, or with `twin` of its twin, at one temperature."""

    temperature: float
    twin: bool
    batch: Batch


@dataclass(frozen=True)
class Written:
    """All that was written for an evaluation; `twin` is None for a family without one."""

    main: Batch
    twin: Batch | None
    heated: list[Heated]


def batch_of(texts: Iterable[str]) -> Batch:
    """Return the texts that hold a word or a mark, as many as are measured at most."""
    kept: tuple[list[str], list[Tokens]] = ([], [])
    total = 0
    for text in texts:
        tokens = metric_tokens(text)
        total += len(tokens)
        if total > MOST_TOKENS and len(kept[0]) > 1:
            break
        if tokens:
            kept[0].append(text)
            kept[1].append(tokens)
    return Batch(*kept)


def write_all(job: TextJob, count: int, seed: int) -> Generator[Event, str | None, Written]:
    """Return texts of the model and its twin, and those for the sweep; UserError when the model writes none."""
    assert job.family.sampler is not None
    temperatures = job.temperatures if job.sweep and job.family.tempered else ()
    made: list[Batch] = []
    heated: list[Heated] = []
    for twin, load in enumerate((job.family.sampler, job.family.baseline)):
        if load is None:
            continue
        sample = load(job.folder, job.device)
        phase = _("Writing texts of the likelihood model") if twin else _("Writing texts")
        texts = _flat((yield from make_samples(sample, count, seed, phase)))
        made.append((yield from _measured(texts, bool(twin))))
        for temperature in temperatures:
            hot = texts[: job.sweep]
            if temperature != 1 or len(hot) < job.sweep:
                phase = _("Writing texts at temperature {value}").format(value=f"{temperature:g}")
                settings = {"temperature": temperature}
                hot = _flat((yield from make_samples(sample, job.sweep, seed, phase, **settings)))
            heated.append(Heated(temperature, bool(twin), batch_of(hot)))
    return Written(made[0], made[1] if len(made) > 1 else None, [part for part in heated if len(part.batch) > 1])


def _measured(texts: list[str], twin: bool) -> Generator[Event, str | None, Batch]:
    """Return what is measured of the texts, and say what is not."""
    whose = _("Likelihood model: {note}") if twin else "{note}"
    batch = batch_of(texts)
    if len(batch) < 2:
        raise UserError(
            _("All texts of the model but {count} are empty.").format(count=len(batch)),
            _("Train it longer, then evaluate again."),
        )
    empty = sum(not text.strip() for text in texts)
    if empty:
        told = ngettext("{count} of {all} texts is empty and was left out.",
                        "{count} of {all} texts are empty and were left out.", empty)  # fmt: skip
        yield Note(whose.format(note=told.format(count=empty, all=len(texts))), "warning")
    if len(batch) + empty < len(texts):
        told = _("The texts are long: {count} of {all} were measured.").format(count=len(batch), all=len(texts))
        yield Note(whose.format(note=told))
    return batch


def evenly(texts: Texts, most: int) -> list[int]:
    """Return the places of at most `most` texts, evenly from first to last."""
    return [int(i) for i in np.linspace(0, len(texts) - 1, min(most, len(texts)))] if len(texts) else []


def real_batch(texts: Texts, most: int) -> Batch:
    """Return at most `most` real texts, evenly chosen."""
    return batch_of(texts[i][:LONGEST] for i in evenly(texts, most))  # one at a time: they may be books


def parts_of(text: str, overlap: int = 0) -> Iterator[str]:
    """Yield a text in parts of at most LONGEST letters; each but the first repeats the last letters before it."""
    for start in range(0, max(1, len(text)), LONGEST):
        yield text[max(0, start - overlap) : start + LONGEST]


def _flat(parts: list[Any]) -> list[str]:
    return [text for part in parts for text in part]
