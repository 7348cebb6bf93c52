"""Trained models that ship with the program, so that a first user makes something before training anything.

resources/starters/NAME/   the folder of a run (core/run.py): its record, its curves, its last preview, and one version
                           without what going on with the training needs; README.md says what it was trained on, under
                           which licence, and how good it is

Bringing one into a workspace copies it to runs/: from then on it is a model like any other.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_folder, folder_size, need_space, write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import resources
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace

TITLES = {"emoji64": N_("Starter: emoji, 64 px")}
SETTINGS: dict[str, dict[str, Any]] = {"emoji64": {"guidance": 3.0}}
"""What to make the first pictures with."""


@dataclass(frozen=True)
class Starter:
    """A model that ships with the program; `family` made it, `bytes` is what its copy takes on the disk."""

    name: str
    family: str
    bytes: int

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that suit it."""
        return SETTINGS.get(self.name, {})

    @property
    def title(self) -> str:
        """Return its title in the user's language."""
        return _(TITLES.get(self.name, self.name))


def starters() -> list[Starter]:
    """Return the models that ship with this installation, by name."""
    folders = sorted(path.parent for path in _shelf().glob("*/run.json"))
    return [Starter(folder.name, _family(folder), folder_size(folder)) for folder in folders]


def bring_in(workspace: Workspace, name: str) -> Run:
    """Copy a starter into the workspace and return its run; one that is there already is returned as it is.

    UserError when no such starter ships with this installation, OutOfSpace when the disk is full.
    """
    source = shipped_run(name).folder
    run = Run(workspace.folder / "runs" / f"starter_{name}", workspace.folder)
    if run.folder.is_dir():
        return run
    need_space(workspace.folder, folder_size(source))
    with atomic_folder(run.folder) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        info = Run(partial, workspace.folder).info
        write_json(partial / "run.json", asdict(replace(info, title=_(TITLES.get(name, name)), created=now)))
    return run


def shipped_run(name: str) -> Run:
    """Return a starter where it ships; UserError when no such one ships with this installation."""
    folder = _shelf() / name
    if Path(name).name != name or not (folder / "run.json").is_file():
        raise UserError(
            _("The starter model “{name}” is not part of this installation.").format(name=name),
            _("Train a model of your own, or install the program again."),
        )
    return Run(folder, folder)


def _shelf() -> Path:
    return resources() / "starters"


def _family(folder: Path) -> str:
    return Run(folder, folder).info.task.split(".")[0]
