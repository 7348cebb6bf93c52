"""What a later start of the program asks of the open window: to come to the front, with files, in a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.workspace_choice import open_workspace

if TYPE_CHECKING:
    from aigc_desktop.ui.main_window import MainWindow


class SecondStart(QObject):
    """Answers later starts; before the window changes to another workspace it asks."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.window = window
        self.dialog: ChoiceDialog | None = None
        self._asked: tuple[list[Path], Path] | None = None
        self._waiting: list[Path] = []
        window.rebuilt.connect(self._bring)

    def answer(self, paths: list[Path], workspace: Path | None) -> None:
        """Show the window with the files, after a question if they are for another workspace than it shows."""
        self.window.closing.come_back()
        shown = self.window.services.workspace.folder
        if workspace is None or workspace.resolve() == shown.resolve():
            self.window.open_paths(paths)
            return
        if self.dialog is not None:  # the newest start counts
            self.dialog.close()
        self._asked = paths, workspace
        sentence = _("The program was started again for the workspace {asked}. This window shows {shown}.")
        self.dialog = ChoiceDialog(
            self.window.services.theme, _("Open the other workspace?"),
            sentence.format(asked=workspace, shown=shown),
            [("open", _("Open it here"), "primary"), ("stay", _("Stay in this one"), "")], self.window,
        )  # fmt: skip
        self.dialog.chosen.connect(self.decide)
        self.dialog.finished.connect(self._forget_dialog)
        self.dialog.open()

    def decide(self, answer: str) -> None:
        """Do what was chosen: "open" or "stay"; the files go where the user is then."""
        if self._asked is None:
            return
        (paths, workspace), self._asked = self._asked, None
        if answer == "stay":
            self.window.open_paths(paths)
            return
        open_workspace(self.window.services, workspace)  # or it tells why not
        if self.window.services.workspace.folder == workspace:
            self._waiting = paths

    def _bring(self) -> None:
        paths, self._waiting = self._waiting, []
        self.window.open_paths(paths)

    def _forget_dialog(self) -> None:
        self.dialog = None
