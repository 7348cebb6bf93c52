"""The workspaces used last, newest first; one that is gone stays in the list until it is forgotten."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.paths import config_dir

LIMIT = 8


def recent_workspaces(folder: Path | None = None) -> list[Path]:
    """Return the workspaces used last, newest first."""
    path = _file(folder)
    try:
        values = read_json(path) if path.is_file() else []
    except (OSError, UserError):
        return []
    return [Path(value) for value in values if isinstance(value, str)][:LIMIT] if isinstance(values, list) else []


def remember_workspace(workspace: Path, folder: Path | None = None) -> None:
    """Put a workspace at the head of the list, where that can be written: it is open all the same."""
    others = [path for path in recent_workspaces(folder) if path != workspace]
    with suppress(OSError):
        _write([workspace, *others][:LIMIT], folder)


def forget_workspace(workspace: Path, folder: Path | None = None) -> None:
    """Take a workspace out of the list; its files stay."""
    _write([path for path in recent_workspaces(folder) if path != workspace], folder)


def _write(paths: list[Path], folder: Path | None) -> None:
    path = _file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, [str(item) for item in paths])


def _file(folder: Path | None) -> Path:
    return (folder or config_dir()) / "recent.json"
