"""The user's preferences: one model in one JSON file, shown by the settings page from its fields."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.paths import config_dir


class Preferences(TaskConfig):
    """What the user chose for the program as a whole."""

    language: Literal["system", "zh_CN", "en"] = param(
        "system", N_("Language"), N_("The language of the program; a change shows at once."),
        labels={"system": N_("As the system"), "zh_CN": "简体中文", "en": "English"},
    )  # fmt: skip
    theme: Literal["system", "light", "dark"] = param(
        "system", N_("Theme"), N_("Light or dark surfaces."),
        labels={"system": N_("As the system"), "light": N_("Light"), "dark": N_("Dark")},
    )  # fmt: skip
    scale: int = param(
        100, N_("Text size"), N_("Size of all texts and controls, in percent of the normal size."),
        unit="%", ge=75, le=200,
    )  # fmt: skip
    picture_label: Literal["auto", "zh_CN", "en", "none"] = param(
        "auto", N_("AI label on pictures"),
        N_("Exported pictures say in a corner that they are generated; rules ask for it where they are published."),
        labels={
            "auto": N_("In the language of the program"), "zh_CN": "AI生成", "en": "AI generated", "none": N_("None")
        },
    )  # fmt: skip
    text_label: Literal["end", "start", "none"] = param(
        "end", N_("AI label in texts"),
        N_("Exported texts say in a line of their own that they are generated; rules ask for it where they are "
           "published."),
        labels={"end": N_("At the end"), "start": N_("At the beginning"), "none": N_("None")},
    )  # fmt: skip
    workspace: str = param("", N_("Workspace"), N_("The folder where all data, models and works lie."))
    host: Literal["process", "thread"] = param(
        "process", N_("Engine runs"),
        N_("In its own process the engine can crash or be ended without harm to the window; choose it."),
        labels={"process": N_("in its own process"), "thread": N_("inside the window's process")}, advanced=True,
    )  # fmt: skip


def load_preferences(folder: Path | None = None) -> Preferences:
    """Return the saved preferences; a damaged file is set aside as `.damaged` and the defaults are used."""
    path = _file(folder)
    if not path.is_file():
        return Preferences()
    try:
        return Preferences.model_validate(read_json(path))
    except OSError:
        return Preferences()  # unreadable is not damaged: it stays where it is
    except (UserError, ValidationError):
        with contextlib.suppress(OSError):
            os.replace(path, path.with_suffix(".damaged"))
        return Preferences()


def save_preferences(preferences: Preferences, folder: Path | None = None) -> None:
    """Write the preferences, atomically."""
    path = _file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, preferences.model_dump())


def _file(folder: Path | None) -> Path:
    return (folder or config_dir()) / "preferences.json"
