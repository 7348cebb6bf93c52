"""The user's preferences: one dataclass in one JSON file, shown by the settings page from its fields.

No pydantic here, unlike in the configurations of tasks: the preferences are read before the window shows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import ConfigError, FieldKind, FieldSpec, kind_of
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import config_dir


def preference(default: Any, title: str, help_text: str, **shown: Any) -> Any:
    """Declare a field: default, label, one sentence of help; `shown` are further fields of its FieldSpec.

    `labels` names the choices of a Literal. Texts are marked with N_ by the caller.
    """
    return dataclasses.field(default=default, metadata={"title": title, "help": help_text, **shown})


@dataclass(frozen=True)
class Preferences:
    """What the user chose for the program as a whole."""

    language: Literal["system", "zh_CN", "en"] = preference(
        "system", N_("Language"), N_("The language of the program; a change shows at once."),
        labels={"system": N_("As the system"), "zh_CN": "简体中文", "en": "English"},
    )  # fmt: skip
    theme: Literal["system", "light", "dark"] = preference(
        "system", N_("Theme"), N_("Light or dark surfaces."),
        labels={"system": N_("As the system"), "light": N_("Light"), "dark": N_("Dark")},
    )  # fmt: skip
    scale: int = preference(
        100, N_("Text size"), N_("Size of all texts and controls, in percent of the normal size."),
        unit="%", minimum=75, maximum=200,
    )  # fmt: skip
    picture_label: Literal["auto", "zh_CN", "en", "none"] = preference(
        "auto", N_("AI label on pictures"),
        N_("Exported pictures say in a corner that they are generated; rules ask for it where they are published."),
        labels={
            "auto": N_("In the language of the program"), "zh_CN": "AI生成", "en": "AI generated", "none": N_("None")
        },
    )  # fmt: skip
    text_label: Literal["end", "start", "none"] = preference(
        "end", N_("AI label in texts"),
        N_("Exported texts say in a line of their own that they are generated; rules ask for it where they are "
           "published."),
        labels={"end": N_("At the end"), "start": N_("At the beginning"), "none": N_("None")},
    )  # fmt: skip
    workspace: str = preference("", N_("Workspace"), N_("The folder where all data, models and works lie."))
    host: Literal["process", "thread"] = preference(
        "process", N_("Engine runs"),
        N_("In its own process the engine can crash or be ended without harm to the window; choose it."),
        labels={"process": N_("in its own process"), "thread": N_("inside the window's process")}, advanced=True,
    )  # fmt: skip


def preference_fields() -> list[FieldSpec]:
    """Return the preferences as plain data, in the order they are declared."""
    hints = typing.get_type_hints(Preferences)
    return [_spec(field, hints[field.name]) for field in dataclasses.fields(Preferences)]


def check_preferences(values: Any) -> Preferences:
    """Return the preferences in a JSON value, or raise ConfigError with one sentence for each wrong field."""
    fields = {spec.name: spec for spec in preference_fields()}
    if not isinstance(values, dict):
        raise ConfigError([], {"": _("must be a table of settings")})
    problems = {name: _problem(fields.get(name), value) for name, value in values.items()}
    found = {name: problem for name, problem in problems.items() if problem}
    if found:
        raise ConfigError(list(fields.values()), found)
    return Preferences(**values)


def load_preferences(folder: Path | None = None) -> Preferences:
    """Return the saved preferences; a damaged file is set aside as `.damaged` and the defaults are used.

    Fields that this version does not know are left alone: a newer one has written them.
    """
    path = _file(folder)
    try:
        values = read_json(path) if path.is_file() else {}
        return check_preferences(_split(values)[0] if isinstance(values, dict) else values)
    except OSError:
        return Preferences()  # unreadable is not damaged: it stays where it is
    except UserError:
        with contextlib.suppress(OSError):
            os.replace(path, path.with_suffix(".damaged"))
        return Preferences()


def save_preferences(preferences: Preferences, folder: Path | None = None) -> None:
    """Write the preferences, atomically; fields in the file that this version does not know stay in it."""
    path = _file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = read_json(path) if path.is_file() else {}
    except (OSError, UserError):
        written = {}
    unknown = _split(written)[1] if isinstance(written, dict) else {}
    write_json(path, {**asdict(preferences), **unknown})


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that this version knows, and the others."""
    names = {field.name for field in dataclasses.fields(Preferences)}
    known = {name: value for name, value in values.items() if name in names}
    return known, {name: value for name, value in values.items() if name not in names}


def _file(folder: Path | None) -> Path:
    return (folder or config_dir()) / "preferences.json"


def _spec(field: dataclasses.Field[Any], annotation: Any) -> FieldSpec:
    shown = dict(field.metadata)
    labels = shown.pop("labels", {})
    kind, values = kind_of(annotation)
    choices = tuple((value, labels.get(value, value)) for value in values)
    return FieldSpec(field.name, kind, field.default, choices=choices, **shown)


def _problem(spec: FieldSpec | None, value: Any) -> str:
    """Return what is wrong with the value of a field, as a translated sentence, or nothing."""
    if spec is None:
        return _("is not a setting of the program")
    if spec.kind is FieldKind.CHOICE:
        names = [name for name, _label in spec.choices]
        return "" if value in names else _("must be one of {values}").format(values=", ".join(map(repr, names)))
    if type(value) is not type(spec.default):
        return _("must be a whole number") if spec.kind is FieldKind.INT else _("must be a text")
    if spec.minimum is not None and value < spec.minimum:
        return _("must be at least {limit}").format(limit=spec.minimum)
    if spec.maximum is not None and value > spec.maximum:
        return _("must be at most {limit}").format(limit=spec.maximum)
    return ""
