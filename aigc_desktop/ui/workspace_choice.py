"""Ask for another workspace when none can be opened: without one there is no window."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog


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
