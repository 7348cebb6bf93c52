"""Labels beside a data set: what the user decided and what a model proposes; what was imported is never touched.

datasets/<id>/
  labels.jsonl          what the user decided, one TextLabel a line; the last line of a text wins
  proposals.jsonl       what a model proposes, in the same form; nothing of it is used before the user accepts it
  label_classes.json    LabelClasses: the classes that were added, and those that have another name now

Both journals only grow. A line is on the disk before the next one is asked for, a damaged one counts as not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from aigc_desktop.core.files import naming_disk, sync_folder
from aigc_desktop.core.marks import Span, read_spans

Kind = Literal["names", "class"]
DECIDED, PROPOSED = "labels.jsonl", "proposals.jsonl"
DIGITS = 16
"""So many hexadecimal digits of the text's SHA-256 say which text a line is about."""
_LONGEST = 1 << 22  # bytes of a line; a longer one is damage


@dataclass(frozen=True)
class TextLabel:
    """What is told of one text: the names in it, or its class.

    `row` is its line of items.jsonl and `digest` begins its SHA-256. Only what is `accepted` is used for training;
    before that it is a draft. `certainty` is the model's, 0 to 1. `withdrawn` takes back what was told before.
    """

    row: int
    digest: str
    kind: Kind
    spans: tuple[Span, ...] = ()
    label: str = ""
    source: Literal["hand", "model"] = "hand"
    accepted: bool = False
    certainty: float = 1.0
    run: str = ""
    version: str = ""
    time: str = ""
    withdrawn: bool = False

    def line(self) -> bytes:
        """Return the label as a line of a journal, with its newline."""
        values: dict[str, Any] = {"row": self.row, "text": self.digest, "kind": self.kind}
        if self.withdrawn:
            values["withdrawn"] = True
        elif self.kind == "names":
            values["spans"] = self.spans
        else:
            values["label"] = self.label
        values |= {"source": self.source, "accepted": self.accepted, "certainty": round(self.certainty, 5)}
        values |= {name: told for name in ("run", "version", "time") if (told := getattr(self, name))}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    def renamed(self, names: dict[str, str]) -> TextLabel:
        """Return the label with classes that have another name now."""
        spans = tuple((start, end, names.get(name, name)) for start, end, name in self.spans)
        return replace(self, spans=spans, label=names.get(self.label, self.label))

    def classes(self) -> set[str]:
        """Return the classes it tells of."""
        return {name for _start, _end, name in self.spans} | ({self.label} if self.label else set())


def read_label(line: bytes) -> TextLabel:
    """Return the label of a line; ValueError when it is damaged."""
    try:
        values = json.loads(line)
        row, digest, kind = values["row"], values["text"], values["kind"]
        withdrawn = values.get("withdrawn") is True
        spans = read_spans(values["spans"]) if kind == "names" and not withdrawn else ()
        label = values["label"] if kind == "class" and not withdrawn else ""
        source, accepted, certainty = values["source"], values["accepted"], values["certainty"]
        told = {name: values.get(name, "") for name in ("run", "version", "time")}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no label: {line[:80]!r}") from error
    texts = (digest, label, *told.values())
    right = type(row) is int and row >= 0 and all(type(text) is str for text in texts) and type(accepted) is bool
    right = right and kind in ("names", "class") and source in ("hand", "model") and type(certainty) in (int, float)
    if not right or not 0 <= certainty <= 1 or not line.endswith(b"\n"):
        raise ValueError(f"no label: {line[:80]!r}")
    return TextLabel(row, digest, kind, spans, label, source, accepted, float(certainty), **told, withdrawn=withdrawn)


def journal_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (where it begins, line) of a journal from byte `start` on; a last line without its end is left out."""
    if not path.is_file():
        return
    with path.open("rb") as f:
        f.seek(start)
        while line := f.readline(_LONGEST):
            if line.endswith(b"\n") or len(line) == _LONGEST:
                yield start, line
            start += len(line)


class JournalWriter:
    """Appends to a journal; after `append` the lines are on the disk, after `write` they are with the system.

    A line that a crash cut off stays as it is: the next one begins on a line of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = ExitStack()

    def __enter__(self) -> JournalWriter:
        is_new = not self.path.exists()
        self._file = self._open.enter_context(self.path.open("a+b", buffering=0))
        if is_new:
            sync_folder(self.path.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def write(self, labels: Sequence[TextLabel]) -> list[int]:
        """Append labels and return where in the file each begins."""
        lines = [label.line() for label in labels]
        data = memoryview((b"" if self._ends_whole() else b"\n") + b"".join(lines))
        with naming_disk(self.path):
            while data:
                data = data[self._file.write(data) :]
        starts, place = list[int](), self._file.tell()
        for line in reversed(lines):
            place -= len(line)
            starts.append(place)
        return starts[::-1]

    def append(self, labels: Sequence[TextLabel]) -> list[int]:
        """Append labels, wait until the disk has them, and return where each begins."""
        starts = self.write(labels)
        self.sync()
        return starts

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        os.fsync(self._file.fileno())

    def _ends_whole(self) -> bool:
        size = self._file.seek(0, os.SEEK_END)
        if not size:
            return True
        self._file.seek(size - 1)
        return self._file.read(1) == b"\n"
