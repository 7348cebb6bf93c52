"""A field in words, in the language in use: its title, its help with limits and default, its values as people read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.forms.inputs import readable_number

_WRITTEN = (
    FieldKind.TEXT, FieldKind.CLASS, FieldKind.ATTRIBUTES, FieldKind.CAPTION, FieldKind.PATH, FieldKind.FILE,
    FieldKind.MASK,
)  # fmt: skip


def setting_words(fields: Iterable[FieldSpec], name: str, value: Any) -> tuple[str, str]:
    """Return title and value of a setting that something was made with; one that no field knows keeps its name."""
    spec = next((field for field in fields if field.name == name), None)
    if spec is None or value in (None, ""):
        return (name if spec is None else _(spec.title)), ("" if value is None else str(value))
    return _(spec.title), default_text(spec, value) or str(value)


def explanation(spec: FieldSpec, baseline: Any) -> str:
    """Return the help of a field with its limits and default, as several lines of plain text."""
    lines = [_(spec.help)]
    if spec.minimum is not None and spec.maximum is not None:
        limits = (readable_number(spec.minimum), readable_number(spec.maximum))
        lines.append(_("Range: {low} to {high}").format(low=limits[0], high=limits[1]))
    shown = default_text(spec, baseline)
    if shown:
        lines.append(_("Default: {value}").format(value=shown))
    return "\n".join(line for line in lines if line)


def default_text(spec: FieldSpec, value: Any) -> str:
    """Return a value as the user reads it, or "" for none."""
    match spec.kind:
        case FieldKind.BOOL:
            return _("on") if value else _("off")
        case FieldKind.CHOICE:
            return _(dict(spec.choices).get(value, str(value)))
        case FieldKind.INT | FieldKind.FLOAT if value is not None:
            return f"{readable_number(value)} {_(spec.unit)}".strip()
        case kind if kind in _WRITTEN and value:
            return str(value)
        case _:
            return ""


def field_title(spec: FieldSpec) -> str:
    """Return the title of a field with its unit, as it stands above the input."""
    return _("{title} ({unit})").format(title=_(spec.title), unit=_(spec.unit)) if spec.unit else _(spec.title)
