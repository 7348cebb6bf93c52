"""Read a dataclass from its JSON file: every field has the type it is declared with, or the file is damaged."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import damaged_file, read_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.typed import typed

TOO_NEW = "TooNew"
"""The `kind` of the UserError for what a newer version of the program wrote."""
RecordT = TypeVar("RecordT")


def read_record(path: Path, record: type[RecordT]) -> RecordT:
    """Return the dataclass in a file; UserError when the file is damaged or of a newer format. See `record_of`."""
    try:
        return record_of(read_json(path), record, str(path))
    except ValueError:
        raise damaged_file(path) from None


def record_of(values: Any, record: type[RecordT], name: str) -> RecordT:
    """Return the dataclass in a JSON value; ValueError when it is none, UserError when its `format` is newer.

    Fields that `record` does not have are left out: a newer version of the program put them there.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{name} is no record")
    need_format(values, next(f.default for f in fields(record) if f.name == "format"), name)  # type: ignore[arg-type]
    return typed(record, values)


def read_table(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; UserError when it holds anything else."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise damaged_file(path)
    return values


def need_format(values: dict[str, Any], newest: int, name: str) -> None:
    """Raise UserError when `values` are of a later format than `newest`."""
    given = values.get("format", newest)
    if isinstance(given, int) and given > newest:
        raise UserError(
            _("“{name}” was made by a newer version of the program.").format(name=name),
            _("Update the program to open it."), kind=TOO_NEW,
        )  # fmt: skip
