"""Files with one JSON object a line, which grow while a job runs: read what is whole, cut off what a crash left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST = 1 << 16
"""Bytes of a line at most; a longer one is damage."""


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the object of each line; none for a line that is damaged or cut off, nor for a file that is not there."""
    if not path.is_file():
        return
    with path.open("rb") as f:
        while line := f.readline(LONGEST):
            row = parse_line(line)
            if row is not None:
                yield row


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line that ends in a newline, None for anything else."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def drop_cut_line(path: Path) -> None:
    """Take off a last line without its newline, so that the next one does not grow together with it."""
    if not path.is_file() or not (size := path.stat().st_size):
        return
    with path.open("r+b") as f:
        f.seek(max(0, size - LONGEST))
        tail = f.read()
        if not tail.endswith(b"\n"):
            f.truncate(max(0, size - len(tail)) + tail.rfind(b"\n") + 1)
            f.flush()
            os.fsync(f.fileno())
