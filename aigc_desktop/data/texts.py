"""Cut text files into items: lines, paragraphs, whole documents, or rows of a table; streamed, memory bounded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from aigc_desktop.data.encodings import Detected, bad_bytes, detect_encoding, open_text
from aigc_desktop.data.problems import ItemProblem

Unit = Literal["auto", "line", "paragraph", "document", "row"]
MAX_CHARACTERS = 4_000_000
"""Longest text kept as one item; a longer one is cut into pieces."""
SUFFIXES = {
    ".txt": "plain", ".text": "plain", ".md": "plain", ".markdown": "plain", "": "plain", ".log": "plain",
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".conll": "conll", ".iob": "conll", ".iob2": "conll", ".bio": "conll",
}  # fmt: skip
_CHUNK = 1 << 16
_PROBE_LINES = 2000


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text; `row` counts from 1. `problem` is a code of data/problems.py and `values` what its sentence needs.

    `marks` are the names marked in it, as a line of core/marks.py; "" where nobody looked for names. `note` is a code
    of NOTES.
    """

    row: int
    text: str = ""
    label: str = ""
    marks: str = ""
    problem: str = ""
    piece: bool = False
    note: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TextOptions:
    """How to read text files; empty column names mean "find out", `encoding` "auto" as well.

    `attributes` are the columns to keep beside text and label; data/attributes.py knows them.
    """

    unit: Unit = "auto"
    text_column: str = ""
    label_column: str = ""
    encoding: str = "auto"
    limit: int = MAX_CHARACTERS
    attributes: tuple[str, ...] = ()


def encoding_of(path: Path | str, options: TextOptions) -> Detected:
    """Return the encoding to read a file with; ItemProblem when it is no text."""
    try:
        found = detect_encoding(path)  # also with an encoding given: it refuses empty and binary files
    except ItemProblem as problem:
        if problem.code not in ("encoding", "mixed") or options.encoding == "auto":
            raise
        return Detected(options.encoding)
    return found if options.encoding == "auto" else Detected(options.encoding)


def read_plain(path: Path | str, encoding: str, options: TextOptions) -> Iterator[TextItem]:
    """Yield the items of a txt or md file."""
    unit = options.unit if options.unit in ("line", "paragraph", "document") else guess_unit(path, encoding)
    with open_text(path, encoding) as stream:
        lines = numbered_lines(stream, options.limit)
        if unit == "line":
            yield from (_item(row, text, not whole, encoding) for row, text, whole in _cut(lines) if text.strip())
        else:
            yield from _join(lines, unit == "paragraph", options.limit, encoding)


def guess_unit(path: Path | str, encoding: str) -> Literal["line", "paragraph"]:
    """Return "paragraph" for a text whose blocks of lines are parted by blank lines, else "line"."""
    with open_text(path, encoding) as stream:
        lines = [text for _row, text, _whole in itertools.islice(numbered_lines(stream, 100_000), _PROBE_LINES)]
    filled = [bool(line.strip()) for line in lines]
    starts = sum(now and not before for before, now in itertools.pairwise([False, *filled]))
    return "paragraph" if starts > 1 and sum(filled) >= 1.5 * starts else "line"


def numbered_lines(stream: IO[str], limit: int) -> Iterator[tuple[int, str, bool]]:
    """Yield (number, text, whole): a line longer than `limit` comes in pieces, all but its last not `whole`."""
    number, held, size = 1, list[str](), 0
    while chunk := stream.read(_CHUNK):
        first, *rest = chunk.split("\n")
        held.append(first)
        size += len(first)
        if rest:
            yield number, "".join(held), True
            for line in rest[:-1]:
                number += 1
                yield number, line, True
            number += 1
            held, size = [rest[-1]], len(rest[-1])
        elif size >= limit:
            yield number, "".join(held), False
            held, size = [], 0
    if size:
        yield number, "".join(held), True


def _cut(lines: Iterator[tuple[int, str, bool]]) -> Iterator[tuple[int, str, bool]]:
    """Mark also the last piece of a long line as a piece."""
    inside = False
    for row, text, whole in lines:
        yield row, text, whole and not inside
        inside = not whole


def _join(lines: Iterator[tuple[int, str, bool]], blank_ends: bool, limit: int, encoding: str) -> Iterator[TextItem]:
    """Join lines to paragraphs, or to one document; what grows beyond `limit` is cut between lines."""
    held, size, began, cut, inside = list[str](), 0, 1, False, False
    for row, text, whole in lines:
        if blank_ends and not inside and not text.strip():
            if held:
                yield _item(began, "\n".join(held), cut, encoding)
            held, size, cut = [], 0, False
            continue
        if held and size + len(text) > limit:
            yield _item(began, "\n".join(held), True, encoding)
            held, size, cut = [], 0, True
        if not held:
            began = row
        held.append(text)
        size += len(text) + 1
        inside = not whole
        cut = cut or inside
        if inside:
            yield _item(began, "\n".join(held), True, encoding)
            held, size = [], 0
    if any(line.strip() for line in held):
        yield _item(began, "\n".join(held).strip("\n"), cut, encoding)


def _item(row: int, text: str, piece: bool, encoding: str) -> TextItem:
    return checked(TextItem(row, text, piece=piece), encoding)


def checked(item: TextItem, encoding: str) -> TextItem:
    """Return the item, or the problem it has: zero bytes, or bytes that are wrong in its encoding."""
    parts = (item.text, item.label, item.marks, *item.attributes.values())
    if any("\0" in part for part in parts):
        return TextItem(item.row, problem="zero_byte")
    for part in parts:
        if marked := bad_bytes(part):
            return TextItem(item.row, problem="bad_bytes", values={"bytes": marked, "encoding": encoding})
    return item
