"""Which workspace the window works in: change to another, or ask for one when none can be opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog


def open_workspace(services: Services, folder: Path) -> None:
    """Work in this folder from now on; not while jobs run, which write into the present one."""
    if services.jobs.handles:
        services.notify(_("Something is running. Wait for it or stop it, then change the workspace."))
        return
    services.change_preferences(replace(services.preferences, workspace=str(folder)), move=True)


def choose_workspace(theme: Theme, error: UserError) -> Path | None:
    """Say why the workspace cannot be used and return the folder chosen instead; None to leave the program."""
    answers: list[str] = []
    sentence = f"{error.message}\n{error.hint}".strip()
    dialog = ChoiceDialog(
        theme, _("The workspace cannot be opened"), sentence,
        [("choose", _("Choose a folder…"), "primary"), ("quit", _("Quit"), "")],
    )  # fmt: skip
    dialog.chosen.connect(answers.append)
    dialog.exec()
    if answers != ["choose"]:
        return None
    folder = QFileDialog.getExistingDirectory(None, _("Open workspace"))
    return Path(folder) if folder else None
