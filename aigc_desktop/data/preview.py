"""Look into a data set from the window: any item at once, filters over 100,000 of them, thumbnails.

The list stays on the disk; in memory are 8 bytes per item. Filters search the raw bytes of the list, which the
writer of data/items.py lays out in one known way, so nothing is parsed that is not shown.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.dataset import SPLITS, Dataset, ItemRecord, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.data.items import decode_item
from aigc_desktop.data.pictures import fit_picture, read_file
from aigc_desktop.data.problems import ItemProblem, bad_input, shown_name

Rows = npt.NDArray[np.int64]
_CHUNK = 1 << 20
_ROWS = 4096  # lines searched at once
_PREVIEW_PIXELS = 25_000_000  # a preview may not swell the window's memory
_PREVIEW_BYTES = 100_000_000


@dataclass(frozen=True)
class ItemFilter:
    """Which items to show; None means any.

    `problem` "" means usable, "any" every problem; `search` is a part of the name or of the text, without regard
    to case in Latin letters.
    """

    label: str | None = None
    problem: str | None = None
    split: Split | None = None
    search: str = ""


class ItemIndex:
    """Random access to the items of a data set."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        size = dataset.items_file.stat().st_size
        with dataset.items_file.open("rb") as f:  # the mapping keeps the file by itself
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self.starts = self._line_starts(size)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> ItemRecord:
        """Return the record of a line of items.jsonl; LookupError when there is none or the index was closed.

        A damaged line shows as a damaged item.
        """
        if not 0 <= row < len(self):
            raise IndexError(row)
        try:
            line = self.data[self.starts[row] : self.starts[row + 1]]
        except ValueError as error:  # closed by another thread
            raise LookupError("the list was closed") from error
        try:
            return decode_item(line)
        except UserError as error:
            return ItemRecord(f"{row + 1}", "", problem="corrupt", detail=error.message)

    def close(self) -> None:
        """Let go of the files."""
        if isinstance(self.data, mmap.mmap):
            self.data.close()
        if self._texts is not None:
            self._texts.close()

    def text(self, row: int, limit: int = 500) -> str:
        """Return the beginning of a text, at most `limit` characters; "" for an item without one."""
        record = self[row]
        if record.problem or self.dataset.info.kind != "text" or self._texts is None:
            return ""
        piece = self._texts[record.offset : record.offset + min(record.size, 4 * limit)]
        return piece.decode("utf-8", "ignore")[:limit]

    def having(self, name: Literal["label", "marks"]) -> npt.NDArray[np.bool_]:
        """Return for each line whether the item came with a label, or with marked names."""
        return self._matching(b'"%s":"' % name.encode())

    def usable(self) -> npt.NDArray[np.bool_]:
        """Return for each line whether the item can be used."""
        return self._with_problem("")

    def select(self, wanted: ItemFilter) -> Rows:
        """Return the rows that pass a filter, ascending."""
        chosen = np.ones(len(self), bool)
        if wanted.label is not None:
            chosen &= self._labelled(wanted.label)
        if wanted.problem is not None:
            chosen &= self._with_problem(wanted.problem)
        if wanted.split is not None:
            chosen &= self._in_split(wanted.split)
        if wanted.search:
            chosen &= self._containing(wanted.search)
        return np.flatnonzero(chosen)

    @cached_property
    def _texts(self) -> mmap.mmap | None:
        path = self.dataset.found_texts
        if not path.is_file() or not path.stat().st_size:
            return None
        with path.open("rb") as f:
            return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)

    @cached_property
    def _text_starts(self) -> tuple[Rows, Rows]:
        """Return (rows with a text, where each begins in texts.bin), both ascending."""
        usable = np.flatnonzero(self._with_problem(""))
        starts = np.zeros(len(usable), np.int64)
        for match in re.finditer(rb'"offset":(\d{1,18})', self.data):
            place = np.searchsorted(usable, self._row_at(match.start()))
            if place < len(usable):
                starts[place] = int(match.group(1))
        return usable, starts

    def _labelled(self, label: str) -> npt.NDArray[np.bool_]:
        if label:
            return self._matching(re.escape(b'"label":' + _quoted(label)))
        return ~self._matching(rb'"label":"')

    def _with_problem(self, problem: str) -> npt.NDArray[np.bool_]:
        if problem in ("", "any"):
            bad = self._matching(rb'"problem":"')
            return bad if problem else ~bad
        return self._matching(re.escape(b'"problem":' + _quoted(problem)))

    def _in_split(self, wanted: Split) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(len(self), bool)
        if self.dataset.info.frozen:
            rows = self.dataset.rows()[self.dataset.parts() == SPLITS[wanted]]
            chosen[rows[(rows >= 0) & (rows < len(self))]] = True
        return chosen

    def _containing(self, search: str) -> npt.NDArray[np.bool_]:
        inner = re.escape(_quoted(search)[1:-1])
        chosen = self._matching(rb'\{"name":"(?:[^"\\\n]|\\.)*?' + inner, re.IGNORECASE)
        rows, starts = self._text_starts if self._texts is not None else (np.zeros(0, np.int64),) * 2
        if self._texts is not None and len(rows):
            for match in re.finditer(re.escape(search.encode()), self._texts, re.IGNORECASE):
                chosen[rows[np.searchsorted(starts, match.start(), "right") - 1]] = True
        return chosen

    def _matching(self, pattern: bytes, flags: int = 0) -> npt.NDArray[np.bool_]:
        chosen, compiled = np.zeros(len(self), bool), re.compile(pattern, flags)
        for first in range(0, len(self), _ROWS):  # one search through all of it would make the window wait
            start, end = (int(self.starts[row]) for row in (first, min(len(self), first + _ROWS)))
            places = np.fromiter((match.start() for match in compiled.finditer(self.data, start, end)), np.int64)
            chosen[np.searchsorted(self.starts, places, "right") - 1] = True
        return chosen

    def _row_at(self, place: int) -> int:
        return int(np.searchsorted(self.starts, place, "right")) - 1

    def _line_starts(self, size: int) -> Rows:
        """Return where each line begins, and the end of the last one."""
        parts = [np.zeros(1, np.int64)]
        for begin, chunk in self._chunks(size):
            parts.append(np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + begin + 1)
        return np.concatenate(parts)

    def _chunks(self, size: int) -> Iterator[tuple[int, bytes]]:
        for begin in range(0, size, _CHUNK):
            yield begin, self.data[begin : begin + _CHUNK]


def load_thumbnail(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3) that fits into `side`; BadInput for any file that cannot be shown.

    Safe for foreign files: decoded by content, within limits, never hanging on a pipe.
    """
    try:
        return fit_picture(read_file(path, _PREVIEW_BYTES), side, _PREVIEW_PIXELS)
    except ItemProblem as problem:
        raise bad_input(problem, shown_name(path.name)) from problem


def _quoted(text: str) -> bytes:
    """Return a text as it stands in the list, with its quotation marks."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
