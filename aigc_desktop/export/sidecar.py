"""Label and settings of formats that have no place for them: a JSON file beside the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.export.label import AigcLabel, is_label
from aigc_desktop.export.piece import Piece, parse_settings, settings_json

ENDING = ".aigc.json"


def sidecar(path: Path) -> Path:
    """Return the name of the file beside `path`."""
    return path.with_name(path.name + ENDING)


def write_sidecar(path: Path, pieces: list[Piece], label: AigcLabel) -> Path:
    """Write the file beside `path` and return its name."""
    file = sidecar(path)
    write_json(file, {"AIGC": label.values(), "settings": [settings_json(piece) for piece in pieces]})
    return file


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label beside a file, or None."""
    values = _read(path).get("AIGC")
    return values if is_label(values) else None


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings beside a file, of its first piece, or None."""
    listed = _read(path).get("settings")
    return parse_settings(str(listed[0])) if isinstance(listed, list) and listed else None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_json(sidecar(path))
    except (OSError, UserError):
        return {}
    return values if isinstance(values, dict) else {}
