"""Attributes: what further columns of a table tell of a text, kept beside it as short texts by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.data.problems import shown_name

ALL = "*"
"""Stands for all columns but those of the text and the label."""
MOST = 32
MOST_CHARACTERS = 200
"""Longest name or value that is kept; more is cut off."""
_PARTS = re.compile(r"[,，;；\n]")


def parse_columns(entered: str) -> tuple[str, ...]:
    """Return the names of columns in what a user entered, without repeats; UserError when they are too many."""
    names = tuple(dict.fromkeys(name.strip() for name in _PARTS.split(entered) if name.strip()))
    if ALL in names:
        return (ALL,)
    need_few(names)
    return names


def need_few(names: Iterable[str]) -> None:
    """Raise UserError when there are more attributes than a model can be told of each text."""
    count = len(list(names))
    if count > MOST:
        raise UserError(
            _("{count} attribute columns are too many; {limit} are possible.").format(count=count, limit=MOST),
            _("Name only the columns that matter, parted by commas."),
        )


def need_found(wanted: tuple[str, ...], found: Iterable[str]) -> None:
    """Raise UserError when no text has a value in one of the wanted columns."""
    known = list(found)
    for name in wanted:
        if name != ALL and clean(name) not in known:
            raise UserError(
                _("No text has a value in the column “{column}”.").format(column=shown_name(name)),
                _("Leave it out of the attribute columns, or correct its name."),
            )
    need_few(known)


def clean(value: Any) -> str:
    """Return a cell or a JSON value as one short line; "" for nothing."""
    if isinstance(value, list):
        value = ", ".join(clean(part) for part in value)
    if not isinstance(value, str):
        value = "" if value is None else json.dumps(value, ensure_ascii=False)
    return " ".join(value.split())[:MOST_CHARACTERS].strip().encode("utf-8", "replace").decode()


def kept(told: Mapping[str, Any]) -> dict[str, str]:
    """Return names and values as they are kept; what is empty is left out."""
    lines = ((clean(name), clean(value)) for name, value in told.items())
    return {name: value for name, value in lines if name and value}


def encode(told: Mapping[str, str]) -> str:
    """Return attributes as the JSON text that an ItemRecord holds."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def decode(told: str) -> dict[str, str]:
    """Return the attributes of an ItemRecord; ValueError when they are damaged."""
    values = json.loads(told)
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("no attributes")
    return values
