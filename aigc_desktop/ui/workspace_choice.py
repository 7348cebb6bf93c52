"""Ask for another workspace when none can be opened: without one there is no window."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMessageBox

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _


def choose_workspace(error: UserError) -> Path | None:
    """Say why the workspace cannot be used and return the folder chosen instead; None to leave the program."""
    box = QMessageBox(QMessageBox.Icon.Warning, "AIGC Desktop", error.message)
    box.setInformativeText(error.hint)
    choose = box.addButton(_("Choose a folder…"), QMessageBox.ButtonRole.AcceptRole)
    box.addButton(_("Quit"), QMessageBox.ButtonRole.RejectRole)
    box.exec()
    if box.clickedButton() is not choose:
        return None
    folder = QFileDialog.getExistingDirectory(None, _("Open workspace"))
    return Path(folder) if folder else None
