"""How well labels are found: of whole entities (strict, IOB2), of single tokens, and of whole texts.

An entity counts only when both its ends and its class are right. Per-token figures with O are shown too, under their
own name, because O is most of any text and makes them high. The numbers equal those of seqeval in its strict mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_weights, interval

Entity = tuple[int, int, str]
"""(first word, word after the last, class)"""
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """How one class, or an average of classes, is found; `support` counts what is really there."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report:
    """Scores of each class in alphabetical order, and their three averages."""

    classes: dict[str, Scores]
    micro: Scores
    macro: Scores
    weighted: Scores


@dataclass(frozen=True)
class TagReport:
    """The figures of a tagger, each named for what it is.

    entities         strict entity-level scores
    tokens           scores of each tag per token, O among them; its micro average is the token accuracy
    token_macro_f1   mean F1 of the tags without O, per token
    """

    entities: Report
    tokens: Report
    token_accuracy: float
    token_macro_f1: float


def entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of one text's IOB2 tags; an I- that continues nothing of its class belongs to none."""
    found: list[Entity] = []
    start, name = -1, ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, _dash, kind = tag.partition("-")
        if prefix == "I" and start >= 0 and kind == name:
            continue
        if start >= 0:
            found.append((start, place, name))
        start, name = (place, kind) if prefix == "B" else (-1, "")
    return found


def tag_report(truth: Sequence[Sequence[str]], told: Sequence[Sequence[str]]) -> TagReport:
    """Compare predicted IOB2 tags with the true ones, text by text; ValueError when the lengths differ."""
    if [len(tags) for tags in truth] != [len(tags) for tags in told]:
        raise ValueError("the texts differ in length")
    tokens = class_report([tag for tags in truth for tag in tags], [tag for tags in told for tag in tags])
    named = [scores.f1 for tag, scores in tokens.classes.items() if tag != "O"]
    return TagReport(
        entity_report([entities(tags) for tags in truth], [entities(tags) for tags in told]), tokens,
        tokens.micro.recall, float(np.mean(named)) if named else 0.0,
    )  # fmt: skip


def entity_report(truth: Sequence[Iterable[Entity]], told: Sequence[Iterable[Entity]]) -> Report:
    """Return strict scores of the entities of texts: same place and same class."""
    there = {(i, *entity) for i, found in enumerate(truth) for entity in found}
    named = {(i, *entity) for i, found in enumerate(told) for entity in found}
    return _report(*(Counter(str(entity[-1]) for entity in part) for part in (there & named, named, there)))


def class_report(truth: Sequence[str], told: Sequence[str]) -> Report:
    """Return the scores of items that have one class each; ValueError when there are more of one than of the other."""
    right = Counter(a for a, b in zip(truth, told, strict=True) if a == b)
    return _report(right, Counter(told), Counter(truth))


def confusion(
    truth: Sequence[Hashable], told: Sequence[Hashable], classes: Sequence[Hashable]
) -> npt.NDArray[np.int64]:
    """Return how often each class (row) was taken for each (column), int64 (C, C)."""
    place = {name: index for index, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(table, ([place[a] for a in truth], [place[b] for b in told]), 1)
    return table


def f1_estimate(
    right: Counts, named: Counts, there: Counts, average: Literal["micro", "macro", "weighted"]
) -> Estimate:  # fmt: skip
    """Return an average F1 with its interval, resampling texts; the counts (N, C) belong to texts and classes."""
    weights = np.concatenate([np.ones((1, len(right))), bootstrap_weights(len(right), 200, 0)])
    hit, told, true = (weights @ part for part in (right, named, there))
    if average == "micro":
        hit, told, true = (part.sum(1, keepdims=True) for part in (hit, told, true))
    scores = 2 * hit / np.maximum(told + true, 1)
    shares = true if average == "weighted" else ((told + true) > 0).astype(np.float64)
    averages = (scores * shares).sum(1) / np.maximum(shares.sum(1), 1)
    return interval(float(averages[0]), averages[1:], len(right))


def class_counts(truth: Sequence[Sequence[Hashable]], told: Sequence[Sequence[Hashable]], classes: Sequence[Hashable]
) -> tuple[Counts, Counts, Counts]:  # fmt: skip
    """Return for each text how often each class was told rightly, told, and there, (N, C) each."""
    place = {name: index for index, name in enumerate(classes)}
    counts = np.zeros((3, len(truth), len(classes)))
    for i, (true, found) in enumerate(zip(truth, told, strict=True)):
        for a, b in zip(true, found, strict=True):
            counts[1, i, place[b]] += 1
            counts[2, i, place[a]] += 1
            counts[0, i, place[a]] += a == b
    return counts[0], counts[1], counts[2]


def entity_counts(truth: Sequence[Iterable[Entity]], told: Sequence[Iterable[Entity]]) -> tuple[Counts, Counts, Counts]:
    """Return the same for the entities of texts, classes in alphabetical order."""
    sets = [(set(a), set(b)) for a, b in zip(truth, told, strict=True)]
    classes = sorted({entity[2] for pair in sets for part in pair for entity in part})
    place = {name: index for index, name in enumerate(classes)}
    counts = np.zeros((3, len(sets), max(1, len(classes))))
    for i, (true, found) in enumerate(sets):
        for part, members in enumerate((true & found, found, true)):
            for entity in members:
                counts[part, i, place[entity[2]]] += 1
    return counts[0], counts[1], counts[2]


def kinds(tags: Iterable[str]) -> list[str]:
    """Return the class of each IOB2 tag, O where there is none: what a confusion matrix of tokens is about."""
    return [tag if tag == "O" else tag.partition("-")[2] for tag in tags]


def _report(right: Counter[str], named: Counter[str], there: Counter[str]) -> Report:
    names = sorted(there.keys() | named.keys())
    classes = {name: _scores(right[name], named[name], there[name]) for name in names}
    micro = _scores(right.total(), named.total(), there.total())
    weights = [scores.support for scores in classes.values()]
    return Report(
        classes, micro, _average(classes, [1] * len(names), micro.support), _average(classes, weights, micro.support)
    )


def _scores(right: int, named: int, there: int) -> Scores:
    """Return scores of counts; a share of nothing is 0."""
    precision, recall = right / named if named else 0.0, right / there if there else 0.0
    both = precision + recall
    return Scores(precision, recall, 2 * precision * recall / both if both else 0.0, there)


def _average(classes: dict[str, Scores], weights: Sequence[int], support: int) -> Scores:
    if not sum(weights):
        return Scores(0.0, 0.0, 0.0, support)
    rows = np.array([[s.precision, s.recall, s.f1] for s in classes.values()])
    precision, recall, f1 = (float(value) for value in np.average(rows, axis=0, weights=weights))
    return Scores(precision, recall, f1, support)
