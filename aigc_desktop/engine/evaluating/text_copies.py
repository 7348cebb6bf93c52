"""What texts repeat word for word from the training texts, with the passages to look at."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from aigc_desktop.core.dataset import Texts
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import BASELINE, UNSEEN, WORDS, Copied, Figure, Mark, Section
from aigc_desktop.engine.evaluating.text_material import Batch, parts_of
from aigc_desktop.engine.metrics.copying import find_passage, longest_copies
from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_weights, interval
from aigc_desktop.engine.metrics.figures import figure, mark
from aigc_desktop.engine.metrics.text import metric_places, metric_tokens

PART = 100_000  # tokens of training text that are searched at once
MOST = 5_000_000  # and in all
SHOWN, SHORTEST = 5, 4  # texts that are shown, and words in a row that are worth it
_AROUND = 160  # letters of a text around its passage
_OVERLAP = 2_000  # letters that parts of one long text share: no longer passage is cut

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Search:
    """The longest copy of each text (N,), and the number of the part it stands in, of parts that are texts each."""

    lengths: Ints
    part: Ints
    parts: list[list[tuple[int, int]]]
    """(number of the training text, number of its part) of each text in a part."""


def copying(
    main: Batch, twin: Batch | None, unseen: Batch, training: Texts
) -> Generator[Event, str | None, tuple[Section, list[Copied]]]:
    """Return the figures and the most copied texts; `unseen` are held-out texts, as many as there are of the model."""
    batches = [main, unseen, *([twin] if twin is not None else [])]
    search = yield from _search([text for batch in batches for text in batch.tokens], training)
    groups = np.split(search.lengths, np.cumsum([len(batch) for batch in batches])[:-1])
    others = [(name, group) for name, group in zip((UNSEEN, BASELINE), groups[1:], strict=False) if len(group)]
    figures = [
        figure(
            N_("Longest copied passage, median"), median_estimate(groups[0]), "lower",
            N_("Half of the texts repeat at least so many words in a row from a training text."), digits=0,
            headline=True, unit=WORDS, marks=[mark(name, median_estimate(group)) for name, group in others],
        ),
        Figure(
            N_("Longest copied passage of all"), float(groups[0].max()),
            N_("The most words in a row that any text repeats; from 4 on the passage is shown below."),
            unit=WORDS, better="lower", marks=[Mark(name, float(group.max())) for name, group in others], digits=0,
        ),
    ]  # fmt: skip
    copied = yield from _passages(main, search, training)
    return Section(N_("Copies of training data"), figures), copied


def median_estimate(values: Ints, resamples: int = 200, seed: int = 0) -> Estimate:
    """Return the median with its interval, resampling the texts."""
    ordered = np.sort(values)
    weights = bootstrap_weights(len(values), resamples, seed).cumsum(1)
    middles = ordered[(weights > len(values) / 2).argmax(1)]
    return interval(float(np.median(values)), middles, len(values))


def _search(texts: list[list[str]], training: Texts) -> Generator[Event, str | None, Search]:
    """Compare the texts with the training texts, part by part."""
    lengths, where = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    parts: list[list[tuple[int, int]]] = []
    waiting: list[list[str]] = []
    numbers: list[tuple[int, int]] = []
    total = pending = 0
    count = len(training)
    for i in range(count):
        for piece, letters in enumerate(parts_of(training[i], _OVERLAP)):
            waiting.append(metric_tokens(letters))
            numbers.append((i, piece))
            pending += len(waiting[-1])
        if pending >= PART or i == count - 1:
            found = longest_copies(texts, waiting)
            where[found > lengths] = len(parts)
            lengths = np.maximum(lengths, found)
            parts.append(numbers)
            total, pending, waiting, numbers = total + pending, 0, [], []
            yield Progress(i + 1, count, _("Looking for copied passages"))
        if total >= MOST and i < count - 1:
            yield Note(_("Copies were looked for in the first {count} of {all} training texts.").format(
                count=f"{i + 1:,}", all=f"{count:,}"
            ))  # fmt: skip
            break
    return Search(lengths, where, parts)


def _passages(main: Batch, search: Search, training: Texts) -> Generator[Event, str | None, list[Copied]]:
    """Return the texts with the longest copies, no text twice."""
    order = np.argsort(-search.lengths[: len(main)], kind="stable")
    chosen = list({main.texts[i]: int(i) for i in order[::-1]}.values())[::-1][:SHOWN]
    copied: list[Copied] = []
    for i in chosen:
        length = int(search.lengths[i])
        if length < SHORTEST:
            break
        numbers = search.parts[int(search.part[i])]
        letters = [list(parts_of(training[text], _OVERLAP))[piece] for text, piece in numbers]
        yield Progress(len(copied), len(chosen), _("Looking for copied passages"))
        found = find_passage(main.tokens[i], [metric_tokens(part) for part in letters], length)
        if found is not None:
            place, number, source_place = found
            copied.append(_copied(main.texts[i], place, letters[number], source_place, length))
    return copied


def _copied(text: str, place: int, source: str, source_place: int, length: int) -> Copied:
    shown, start, end = _around(text, place, length)
    other, first, last = _around(source, source_place, length)
    return Copied(shown, start, end, other, first, last, length)


def _around(text: str, place: int, length: int) -> tuple[str, int, int]:
    """Return what is shown of a text, and begin and end of the passage in it."""
    places = metric_places(text)
    start, end = places[place][0], places[place + length - 1][1]
    left, right = max(0, start - _AROUND), min(len(text), end + _AROUND)
    before, after = "…" * (left > 0), "…" * (right < len(text))
    return before + text[left:right] + after, start - left + len(before), end - left + len(before)
