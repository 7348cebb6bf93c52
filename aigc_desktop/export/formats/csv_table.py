"""CSV: a table for spreadsheet programs, which would run a cell that begins like a formula."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Any

from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import AigcLabel, parse_label
from aigc_desktop.export.piece import Format, Options, Piece, parse_settings, settings_json

COLUMNS = ("title", "text", "seed", "settings", "AIGC")


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all texts into one file, with the mark by which Excel knows UTF-8."""
    with atomic_file(path) as f:
        f.write(b"\xef\xbb\xbf")
        f.write(_rows([COLUMNS, *(_row(piece, label) for piece in pieces)]).encode())


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of the first row."""
    return parse_label(_first(path).get("AIGC", ""))


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of the first row."""
    return parse_settings(_first(path).get("settings", ""))


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet program takes for a formula: a leading apostrophe makes it a text."""
    return f"'{cell}" if cell.lstrip(" \u3000\ufeff\xa0")[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "|") else cell


def _row(piece: Piece, label: AigcLabel) -> tuple[str, ...]:
    seed = piece.origin.get("seed")
    shown = (piece.title, piece.text, "" if seed is None else str(seed))
    return (*(harmless(cell) for cell in shown), settings_json(piece), label.json())


def _rows(rows: list[tuple[str, ...]]) -> str:
    class Lines(list[str]):
        def write(self, line: str) -> None:
            self.append(line)

    lines = Lines()
    csv.writer(lines).writerows([[cell.replace("\0", "") for cell in row] for row in rows])
    return "".join(lines)


def _first(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            row = next(islice(csv.DictReader(f), 1), {})
    except (OSError, ValueError, csv.Error):
        return {}
    return {name: row[name] for name in COLUMNS if isinstance(row.get(name), str)}


FORMAT = Format(
    "csv", N_("CSV table, all texts in one file"), ".csv", "text", write, read_label, read_settings,
    together=True, order=40,
)  # fmt: skip
