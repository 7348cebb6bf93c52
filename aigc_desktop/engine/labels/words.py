"""Names of a text from the tags of its words, as a tagger gives them."""

from __future__ import annotations

from collections.abc import Sequence

from aigc_desktop.core.marks import Span
from aigc_desktop.core.words import Words
from aigc_desktop.engine.metrics.tagging import entities


def spans_on(words: Words, tags: Sequence[str]) -> list[Span]:
    """Return the names that IOB2 tags of words mean, as letters of the text."""
    return [(words[start][0], words[end - 1][1], name) for start, end, name in entities(tags)]


def marked_up(text: str, spans: Sequence[Span]) -> str:
    """Return a text with its names in brackets: "[Oslo | place] is cold."."""
    parts, done = [], 0
    for start, end, name in spans:
        parts += [text[done:start], f"[{text[start:end]} | {name}]"]
        done = end
    return "".join([*parts, text[done:]])
