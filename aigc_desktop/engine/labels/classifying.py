"""Classes of whole texts: texts with labels from a data set, scores as classes, and the report."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import Section
from aigc_desktop.engine.labels.adapted import Loaded
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.labels.labelling import (
    AT_ONCE,
    Findings,
    Labelled,
    confusion_table,
    example_table,
    score_table,
    shortened,
)
from aigc_desktop.engine.labels.pieces import Piece, Scores, scores_of, whole_pieces
from aigc_desktop.engine.metrics.figures import figure
from aigc_desktop.engine.metrics.tagging import class_counts, class_report, confusion, f1_estimate


@dataclass(frozen=True)
class SortedTexts:
    """Texts with the number of the class of each."""

    texts: list[str]
    classes: list[int]

    def __len__(self) -> int:
        return len(self.texts)


def sorted_texts(dataset: Dataset, names: Sequence[str], *splits: Split) -> SortedTexts:
    """Return the texts of splits whose class is one of `names`, numbered as there."""
    number = {name: index for index, name in enumerate(names)}
    known = [number.get(name, -1) for name in dataset.info.classes]
    pairs = [
        (text, known[label]) for split in splits
        for text, label in zip(dataset.texts(split), dataset.labels(split), strict=True) if label >= 0
    ]  # fmt: skip
    pairs = [(text, label) for text, label in pairs if label >= 0]
    return SortedTexts([text for text, _label in pairs], [label for _text, label in pairs])


class ClassAim:
    """Learn the class of each text."""

    family, whole = "text_classifier", True

    def __init__(self, classes: Sequence[str], held_out: SortedTexts) -> None:
        self.classes, self.held_out = list(classes), held_out
        self.outputs = len(self.classes)

    def measure(self, pieces: Sequence[Piece], scores: Sequence[Scores]) -> dict[str, float]:
        """Return the share of wrong classes, of right ones, and the mean F1 of the classes."""
        truth = [self.classes[int(piece.labels[0])] for piece in pieces]
        report = class_report(truth, [self.classes[int(told[0].argmax())] for told in scores])
        accuracy = report.micro.recall
        return {"val_error": 1 - accuracy, "val_accuracy": accuracy, "val_macro_f1": report.macro.f1}

    def show(self, texts: Sequence[int], pieces: Sequence[Piece], scores: Sequence[Scores]) -> list[str]:
        """Return texts with their true class, and below each the one that was found."""
        told = {piece.text: scores[row][0] for row, piece in enumerate(pieces)}
        truth = self.held_out
        return [
            f"{shortened(truth.texts[i])} · {self.classes[truth.classes[i]]}\n→ {_best(told[i], self.classes)}"
            for i in texts
        ]


def find_classes(loaded: Loaded, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return log-probabilities (N, C) of the classes of texts."""
    pieces = value_of(whole_pieces(loaded.reader, texts, (), loaded.length))
    scores = value_of(scores_of(loaded.model, pieces, loaded.reader, loaded.device))
    return np.concatenate(scores)


def label_classes(loaded: Loaded, texts: Sequence[str]) -> list[Labelled]:
    """Return texts with the class found for each, and how sure it is."""
    labelled = []
    for text, told in zip(texts, find_classes(loaded, texts), strict=True):
        best = int(told.argmax())
        row = {"text": text, "label": loaded.classes[best], "probability": round(float(np.exp(told[best])), 4)}
        labelled.append(Labelled(f"{text}\n→ {_best(told, loaded.classes)}", row))
    return labelled


def predict(loaded: Loaded, source: SortedTexts) -> Generator[Event, str | None, np.ndarray[Any, Any]]:
    """Return log-probabilities (N, C) of texts; yields Progress."""
    told = []
    for start in range(0, len(source), AT_ONCE):
        told.append(find_classes(loaded, source.texts[start : start + AT_ONCE]))
        yield Progress(min(len(source), start + AT_ONCE), len(source), _("Labelling"))
    return np.concatenate(told)


def report_of(source: SortedTexts, classes: Sequence[str], told: np.ndarray[Any, Any]) -> Findings:
    """Return every figure of a classifier under the name of what it is."""
    best = told.argmax(1)
    truth = [classes[i] for i in source.classes]
    report = class_report(truth, [classes[i] for i in best])
    counts = class_counts([[i] for i in source.classes], [[int(i)] for i in best], range(len(classes)))
    figures = [
        figure(N_("Accuracy"), f1_estimate(*counts, "micro"), "higher", N_("Share of texts whose class is right."),
               headline=True),
        figure(N_("F1, mean of the classes (macro)"), f1_estimate(*counts, "macro"), "higher",
               N_("Precision and recall in one; each class counts the same, also a rare one."), headline=True),
        figure(N_("F1, weighted by class"), f1_estimate(*counts, "weighted"), "higher",
               N_("The same, where a class counts by how often it comes.")),
    ]  # fmt: skip
    examples = []
    for i, text in enumerate(source.texts):
        right = float(told[i, source.classes[i]])
        cells = [shortened(text), truth[i], classes[best[i]], round(float(np.exp(right)), 4)]
        examples.append((-right if best[i] != source.classes[i] else 0.0, cells))
    columns = (N_("text"), N_("true"), N_("found"), N_("probability of the true class"))
    taken = confusion(source.classes, best.tolist(), range(len(classes)))
    return Findings(len(source), [Section(N_("Sorting"), figures)], [
        score_table(N_("Classes"), report),
        confusion_table(N_("Confusion of texts: true class in rows"), classes, taken),
        example_table(N_("Worst examples"), columns, examples),
    ])  # fmt: skip


def _best(told: Scores, classes: Sequence[str]) -> str:
    best = int(told.argmax())
    return f"{classes[best]} ({np.exp(told[best]):.0%})"
