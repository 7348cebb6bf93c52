"""Marked places in a text: names with their classes, and the words they were marked on, as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Span = tuple[int, int, str]
"""(first character, character after the last, class)"""
MOST_LETTERS = 200
"""Longest name of a class."""


@dataclass(frozen=True)
class Marks:
    """Spans of one text, in order and apart; `words` are (first, after the last) where the source gave them."""

    spans: tuple[Span, ...] = ()
    words: tuple[tuple[int, int], ...] = ()

    def line(self) -> str:
        """Return the marks as a line of JSON."""
        values: dict[str, Any] = {"spans": self.spans}
        if self.words:
            values["words"] = self.words
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def read_marks(line: str) -> Marks:
    """Return the marks of a line; ValueError when it is none."""
    try:
        values = json.loads(line)
        spans = read_spans(values["spans"])
        words = tuple((_place(a), _place(b)) for a, b in values.get("words", ()))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no marks: {line!r:.80}") from error
    if not _apart(words):
        raise ValueError(f"words that overlap: {line!r:.80}")
    return Marks(spans, words)


def read_spans(values: Any) -> tuple[Span, ...]:
    """Return spans in JSON values as they are written; TypeError or ValueError when they are none, or overlap."""
    spans = tuple((_place(a), _place(b), _name(name)) for a, b, name in values)
    if not _apart(spans):
        raise ValueError(f"marks that overlap: {values!r:.80}")
    return spans


def _place(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(value)
    return value


def _name(value: Any) -> str:
    if type(value) is not str or not value:
        raise TypeError(value)
    return value


def _apart(places: tuple[Any, ...]) -> bool:
    """Return whether each place has a letter and ends before the next begins."""
    ends = [0, *(place[1] for place in places)]
    return all(end <= place[0] < place[1] for end, place in zip(ends, places, strict=False))
