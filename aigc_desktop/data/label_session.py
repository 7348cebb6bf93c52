"""The labelling of a data set: what each text is labelled with now, and each change on the disk before the next one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.label_classes import ClassList, present, read_classes, write_classes
from aigc_desktop.core.labels import DECIDED, JournalWriter, Kind, TextLabel
from aigc_desktop.core.marks import Span, read_marks
from aigc_desktop.data.label_index import LabelIndex, Rows, digest_of
from aigc_desktop.data.preview import ItemIndex

MOST_SHOWN = 5_000
"""Letters of a text that are shown for labelling; names behind them stay as they are."""
_AT_ONCE = 1000  # labels accepted together
Origin = Literal["none", "imported", "proposed", "draft", "accepted"]


@dataclass(frozen=True)
class Shown:
    """A text with its labels as they are now; `whole` says whether all of it is shown."""

    row: int
    text: str
    whole: bool
    spans: tuple[Span, ...] = ()
    label: str = ""
    origin: Origin = "none"
    certainty: float = 1.0


class LabelSession:
    """One data set that is being labelled, names or classes; the window reads it while one thread writes."""

    def __init__(self, dataset: Dataset, kind: Kind) -> None:
        self.dataset, self.kind = dataset, kind
        self.items = ItemIndex(dataset)
        imported = self.items.having("marks" if kind == "names" else "label")
        self.index = LabelIndex(dataset, kind, self.items.usable(), imported)
        self.record = read_classes(dataset.folder)
        self._undo: list[tuple[Rows, Rows]] = []  # of each change: rows, and where what was told before begins
        self._lock = threading.Lock()
        self.closing = False
        """Set to end what takes long; what it wrote stays."""

    def close(self) -> None:
        """Let go of the files."""
        self.items.close()

    # what there is

    @property
    def class_list(self) -> ClassList:
        """Return what was added and renamed."""
        return self.record.of(self.kind)

    def classes(self) -> list[str]:
        """Return the present names of all classes."""
        info = self.dataset.info
        return present(
            self.class_list, info.span_classes if self.kind == "names" else info.classes, set(self.index.classes)
        )

    def use_classes(self, classes: ClassList) -> None:
        """Write other classes."""
        record = self.record.using(self.kind, classes)
        write_classes(self.dataset.folder, record)
        self.record = record

    def shown(self, row: int, limit: int = MOST_SHOWN) -> Shown:
        """Return a text with what is told of it: by the user, else by a model, else by the imported data."""
        record = self.items[row]
        text = self.items.text(row, limit)
        told, origin = self._told(row)
        if told is None and self.index.imported[row]:
            spans = read_marks(record.marks).spans if record.marks else ()
            told = TextLabel(row, "", self.kind, spans, record.label)
            origin = "imported"
        if told is None:
            return Shown(row, text, record.length <= len(text))
        told = told.renamed(self.class_list.renamed)
        spans = tuple(span for span in told.spans if span[1] <= record.length)
        return Shown(row, text, record.length <= len(text), spans, told.label, origin, told.certainty)

    def _told(self, row: int) -> tuple[TextLabel | None, Origin]:
        digest = digest_of(self.items[row])
        decision = self.index.decision(row)
        if decision is not None and decision.digest == digest:
            return decision, "accepted" if decision.accepted else "draft"
        proposal = self.index.proposal(row)
        return (proposal, "proposed") if proposal is not None and proposal.digest == digest else (None, "none")

    # changes; each is on the disk when its method returns

    def draft(self, row: int, spans: Iterable[Span] = (), label: str = "") -> None:
        """Keep labels of a text that is not finished; they are not used before they are accepted."""
        self._write([self._label(row, tuple(sorted(spans)), label, accepted=False)])

    def accept(self, row: int) -> None:
        """Accept the labels of a text as they are now; a text without any is one in which nothing is to be found."""
        shown = self.shown(row)
        self._write([self._label(row, shown.spans, shown.label, accepted=True)])

    def accept_above(self, certainty: float) -> int:
        """Accept all proposals that are at least so certain and return how many; one step to undo."""
        with self._lock:
            rows, done = self.index.above(certainty), 0
            before = self.index.decided[rows].copy()
            with JournalWriter(self.dataset.folder / DECIDED) as journal:
                while done < len(rows) and not self.closing:
                    start, done = done, min(len(rows), done + _AT_ONCE)
                    found = [self.index.proposal(int(row)) for row in rows[start:done]]
                    self._put(journal, [replace(told, accepted=True, time=_now()) for told in found if told])
                journal.sync()
            if done:
                self._undo.append((rows[:done], before[:done]))
            return done

    @property
    def can_undo(self) -> bool:
        """Return whether there is a change to take back."""
        return bool(self._undo)

    def undo(self) -> int:
        """Take back the last change and return the row of its first text, -1 when there is none.

        The journal grows by what was told before, so nothing of it is lost.
        """
        with self._lock:
            if not self._undo:
                return -1
            rows, before = self._undo[-1]
            with JournalWriter(self.dataset.folder / DECIDED) as journal:
                for first in range(0, len(rows), _AT_ONCE):
                    part = slice(first, first + _AT_ONCE)
                    pairs = zip(rows[part].tolist(), before[part].tolist(), strict=True)
                    self._put(journal, [self._earlier(row, start) for row, start in pairs])
                journal.sync()
            self._undo.pop()
            return int(rows[0])

    def _earlier(self, row: int, start: int) -> TextLabel:
        told = self.index.decision_at(start)
        return told or TextLabel(row, digest_of(self.items[row]), self.kind, time=_now(), withdrawn=True)

    def _label(self, row: int, spans: tuple[Span, ...], label: str, accepted: bool) -> TextLabel:
        proposal = self.index.proposal(row)
        names = self.class_list.renamed
        same = proposal is not None and _content(proposal.renamed(names)) == (spans, label)
        made = TextLabel(row, digest_of(self.items[row]), self.kind, spans, label, accepted=accepted, time=_now())
        if same and proposal is not None:
            return replace(made, source="model", certainty=proposal.certainty, run=proposal.run,
                           version=proposal.version)  # fmt: skip
        return made

    def _write(self, labels: list[TextLabel]) -> None:
        with self._lock:
            rows = np.array([label.row for label in labels], np.int64)
            before = self.index.decided[rows].copy()
            with JournalWriter(self.dataset.folder / DECIDED) as journal:
                self._put(journal, labels)
                journal.sync()
            self._undo.append((rows, before))

    def _put(self, journal: JournalWriter, labels: list[TextLabel]) -> None:
        for label, start in zip(labels, journal.write(labels), strict=True):
            self.index.take(label, start)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _content(label: TextLabel) -> tuple[tuple[Span, ...], str]:
    return label.spans, label.label
