"""Which text of a data set has which label: the journals of core/labels.py as arrays, 22 bytes a text in memory.

Labels themselves stay on the disk and are read when they are asked for, so a million texts open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.dataset import Dataset, ItemRecord
from aigc_desktop.core.label_classes import FILE as CLASSES
from aigc_desktop.core.label_classes import read_classes
from aigc_desktop.core.labels import DECIDED, DIGITS, PROPOSED, Kind, TextLabel, journal_lines, read_label
from aigc_desktop.core.marks import Marks, read_marks

State = Literal["any", "open", "proposed", "done"]
"""What to show: everything, texts without a label, those with a proposal to look at, those that are labelled."""
OPEN, WAITING, DONE = 0, 1, 2
_STATES = {"open": OPEN, "proposed": WAITING, "done": DONE}
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """How many texts are labelled, wait with a proposal, or have neither."""

    done: int
    proposed: int
    open: int


class LabelIndex:
    """The newest word of user and model on each text of a data set, of one kind.

    `usable` are the lines of items.jsonl that hold a text, `imported` those whose label came with the data.
    """

    def __init__(self, dataset: Dataset, kind: Kind, usable: npt.NDArray[np.bool_], imported: npt.NDArray[np.bool_]):
        self.dataset, self.kind = dataset, kind
        self.usable, self.imported = usable, imported
        count = len(usable)
        self.decided = np.full(count, -1, np.int64)
        self.accepted = np.zeros(count, bool)
        self.proposed = np.full(count, -1, np.int64)
        self.certainty = np.full(count, np.nan, np.float32)
        self.classes: set[str] = set()
        self.damaged = 0
        self._read = {DECIDED: 0, PROPOSED: 0}
        self.refresh()

    def __len__(self) -> int:
        return len(self.usable)

    def refresh(self) -> None:
        """Take in what was appended to the journals since; a damaged line is counted and left out."""
        for name in (DECIDED, PROPOSED):
            for start, line in journal_lines(self.dataset.folder / name, self._read[name]):
                self._read[name] = start + len(line)
                try:
                    label = read_label(line)
                except ValueError:
                    self.damaged += bool(line.strip())
                    continue
                if label.kind == self.kind and label.row < len(self):
                    self.take(label, start, name)

    def take(self, label: TextLabel, start: int, name: str = DECIDED) -> None:
        """Take in a label that begins at byte `start` of a journal."""
        self.classes |= label.classes()
        if name == PROPOSED:
            self.proposed[label.row] = start
            self.certainty[label.row] = label.certainty
        else:
            self.decided[label.row] = -1 if label.withdrawn else start
            self.accepted[label.row] = label.accepted and not label.withdrawn

    def decision(self, row: int) -> TextLabel | None:
        """Return what the user told of a text, None when nothing or when it is damaged."""
        return self._label(DECIDED, int(self.decided[row]))

    def decision_at(self, start: int) -> TextLabel | None:
        """Return what the user told in the line that begins at byte `start`, None for -1."""
        return self._label(DECIDED, start)

    def proposal(self, row: int) -> TextLabel | None:
        """Return what a model proposes for a text, None without."""
        return self._label(PROPOSED, int(self.proposed[row]))

    def states(self) -> npt.NDArray[np.uint8]:
        """Return OPEN, WAITING or DONE for each line of items.jsonl."""
        waiting = (self.proposed >= 0) & ~self.accepted
        done = self.accepted | (self.imported & ~waiting)
        return np.where(done, DONE, np.where(waiting, WAITING, OPEN)).astype(np.uint8)

    def state(self, row: int) -> int:
        """Return OPEN, WAITING or DONE for one text."""
        if self.accepted[row]:
            return DONE
        return WAITING if self.proposed[row] >= 0 else DONE if self.imported[row] else OPEN

    def counts(self) -> Counts:
        """Return how far the labelling is."""
        numbers = np.bincount(self.states()[self.usable], minlength=3)
        return Counts(int(numbers[DONE]), int(numbers[WAITING]), int(numbers[OPEN]))

    def select(self, state: State, uncertain_first: bool) -> Rows:
        """Return the rows in a state, as they lie in the data or with the least certain proposal first."""
        chosen = self.usable if state == "any" else self.usable & (self.states() == _STATES[state])
        rows = np.flatnonzero(chosen)
        return rows[np.argsort(self.certainty[rows], kind="stable")] if uncertain_first else rows

    def above(self, certainty: float) -> Rows:
        """Return the rows with a proposal at least so certain; those that the user has begun to change are left out."""
        waiting = self.usable & (self.states() == WAITING) & (self.decided < 0)
        return np.flatnonzero(waiting & (self.certainty >= certainty))

    def _label(self, name: str, start: int) -> TextLabel | None:
        if start < 0:
            return None
        with (self.dataset.folder / name).open("rb") as f:
            f.seek(start)
            try:
                return read_label(f.readline())
            except ValueError:
                return None


class Corrections:
    """What the user decided of the texts of a data set, to be used in place of what was imported.

    Only what was accepted counts. `used` counts the texts it was applied to; `lost` those that are not there any
    more or have another text; `damaged` lines that cannot be read.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.there = (dataset.folder / DECIDED).is_file() or (dataset.folder / CLASSES).is_file()
        self.used = self.lost = self.damaged = 0
        if not self.there or dataset.info.kind != "text":
            self.there = False
            return
        every = np.ones(dataset.info.found, bool)
        self.indices = [LabelIndex(dataset, kind, every, ~every) for kind in ("names", "class")]
        classes = read_classes(dataset.folder)
        self.names, self.labels = classes.of("names").renamed, classes.of("class").renamed
        self.damaged = self.indices[0].damaged  # both read the same lines

    def of(self, row: int, record: ItemRecord) -> ItemRecord:
        """Return the record of a text with what was decided of it, under the present names of the classes."""
        if not self.there:
            return record
        found = [index.decision(row) for index in self.indices if row < len(index) and index.accepted[row]]
        fitting = [label for label in found if label is not None and _fits(label, record)]
        self.lost += len(fitting) < len(found)
        self.used += bool(fitting)
        return corrected(record, fitting, self.names, self.labels)


def corrected(
    record: ItemRecord, decided: Sequence[TextLabel], names: dict[str, str], labels: dict[str, str]
) -> ItemRecord:
    """Return a record with other marks and label; `names` and `labels` are the present names of classes."""
    marks = read_marks(record.marks) if record.marks else None
    label = record.label
    for told in decided:
        if told.kind == "names":
            marks = replace(marks, spans=told.spans) if marks else Marks(told.spans)
        else:
            label = told.label
    if marks and (names or decided):
        spans = tuple((start, end, names.get(name, name)) for start, end, name in marks.spans)
        record = replace(record, marks=replace(marks, spans=spans).line())
    return replace(record, label=labels.get(label, label)) if label != record.label or labels else record


def digest_of(record: ItemRecord) -> str:
    """Return by what a label knows its text."""
    return record.sha256[:DIGITS]


def _fits(label: TextLabel, record: ItemRecord) -> bool:
    ends_inside = not label.spans or label.spans[-1][1] <= record.length
    return label.digest == digest_of(record) and ends_inside and not record.problem
