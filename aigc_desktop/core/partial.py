"""The mark in the name of what is still being written; whoever reads a message knows only the name without it."""

from __future__ import annotations

import re
from pathlib import Path

PARTIAL = ".partial"
_BEYOND = re.compile(re.escape(PARTIAL) + r"(?=$|[/\\]).*", re.DOTALL)
_LONGEST = 240  # letters; a message must stay one sentence


def known_path(path: Path | str) -> str:
    """Return a path as its user knows it: without the mark and what lies below, and not endlessly long.

    What is no UTF-8 becomes a question mark.
    """
    text = _BEYOND.sub("", str(path).encode("utf-8", "replace").decode())
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"
