"""Presets the user saved: named settings of a task, one JSON file each in the workspace, so they can be shared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, safe_name, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import need_format

FORMAT = 1
SUFFIX = ".preset.json"


@dataclass(frozen=True)
class SavedPreset:
    """Settings to start from: the built-in preset they rest on, and what the user changed in it."""

    title: str
    task: str
    base: str
    values: dict[str, Any]
    file: Path


class Presets:
    """The presets in `recipes/presets` of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "recipes" / "presets"

    def of_task(self, task: str) -> list[SavedPreset]:
        """Return the presets of a task, by title; a damaged file is passed over."""
        found = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                preset = read_preset(path)
            except UserError:
                continue
            if preset.task == task:
                found.append(preset)
        return sorted(found, key=_title)

    def save(self, title: str, task: str, base: str, values: dict[str, Any]) -> SavedPreset:
        """Write a preset; one of the same title and task is replaced."""
        title = title.strip()
        if not title:
            raise UserError(_("The preset needs a name."), _("Enter a name."))
        same = [preset for preset in self.of_task(task) if preset.title == title]
        path = same[0].file if same else self._unused(title)
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in values.items() if name not in ("dataset", "run", "checkpoint")}
        write_json(path, {"format": FORMAT, "title": title, "task": task, "base": base, "values": kept})
        return read_preset(path)

    def rename(self, preset: SavedPreset, title: str) -> SavedPreset:
        """Give a preset another title."""
        renamed = self.save(title, preset.task, preset.base, preset.values)
        if renamed.file != preset.file:
            preset.file.unlink(missing_ok=True)
        return renamed

    def take_in(self, path: Path, task: str) -> SavedPreset:
        """Copy a preset file of somebody else into the workspace; UserError when it is not one of this task."""
        preset = read_preset(path)
        if preset.task != task:
            raise UserError(
                _("“{title}” is a preset for another kind of model.").format(title=preset.title),
                _("Choose that model first, then open the file again."),
            )
        return self.save(preset.title, task, preset.base, preset.values)

    def _unused(self, title: str) -> Path:
        name, number = safe_name(title), 1
        while (path := self.folder / f"{name}{f' {number}' if number > 1 else ''}{SUFFIX}").exists():
            number += 1
        return path


def read_preset(path: Path) -> SavedPreset:
    """Return the preset in a file; UserError when it is none."""
    try:
        content = read_json(path)
        need_format(content, FORMAT, path.name)
        values = {str(name): value for name, value in content["values"].items()}
        return SavedPreset(str(content["title"]), str(content["task"]), str(content["base"]), values, path)
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            _("“{name}” is not a preset of this program.").format(name=path.name), _("Choose another file.")
        ) from error


def _title(preset: SavedPreset) -> str:
    return preset.title.casefold()
