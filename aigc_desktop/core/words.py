"""Words of a text, and names as tags of its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aigc_desktop.core.marks import Span

Words = Sequence[tuple[int, int]]
"""(first letter, letter after the last) of each word, in order."""

_ALONE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Chinese characters and kana: each is a word
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|[^\w\s]")


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text are: runs of letters and digits, single Chinese characters, single signs."""
    return [match.span() for match in _WORD.finditer(text)]


def tags_on(words: Words, spans: Sequence[Span]) -> list[str]:
    """Return the IOB2 tag of each word: a name takes every word that it has a letter of, the first name wins."""
    tags = ["O"] * len(words)
    at = 0
    for start, end, name in spans:
        while at < len(words) and words[at][1] <= start:
            at += 1
        prefix = "B"
        while at < len(words) and words[at][0] < end:
            tags[at] = f"{prefix}-{name}"
            prefix, at = "I", at + 1
    return tags
