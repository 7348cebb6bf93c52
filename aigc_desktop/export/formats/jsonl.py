"""JSON lines: one object a text, with its seed, settings and label; what other programs read best."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from aigc_desktop.core.files import write_text
from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import AigcLabel, is_label
from aigc_desktop.export.piece import Format, Options, Piece, parse_settings, settings_json


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all texts into one file."""
    lines = (
        {"title": piece.title, "text": piece.text, "settings": json.loads(settings_json(piece)), "AIGC": label.values()}
        for piece in pieces
    )
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of the first line."""
    values = _first(path).get("AIGC")
    return values if is_label(values) else None


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of the first line."""
    return parse_settings(json.dumps(_first(path).get("settings")))


def _first(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as f:
            values = json.loads(next(islice(f, 1), ""))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


FORMAT = Format(
    "jsonl", N_("JSON lines, all texts in one file"), ".jsonl", "text", write, read_label, read_settings,
    together=True, order=30,
)  # fmt: skip
