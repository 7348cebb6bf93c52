"""The model that ships with the program: one press, and it makes pictures in this workspace."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.starters import bring_in, starters
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button


class ReadyModel(QObject):
    """`button` copies the first starter into the workspace, beside the window, and has it make pictures.

    It is hidden where none ships.
    """

    def __init__(self, services: Services, owner: QWidget) -> None:
        super().__init__(owner)
        self.services = services
        self.starter = next(iter(starters()), None)
        self.button = button(
            services.theme, _("Make pictures with a ready model"), "create",
            tip=_("The model ships with the program; nothing has to be trained"),
        )
        self.button.setVisible(self.starter is not None)
        self.button.clicked.connect(self.use)

    def use(self) -> None:
        """Bring the starter in and go to Create."""
        if self.starter is not None:
            self.button.setEnabled(False)
            workspace = self.services.workspace
            Background(self, partial(bring_in, workspace, self.starter.name), self._here, self._failed)

    def _here(self, run: Run) -> None:
        self.button.setEnabled(True)
        settings = {} if self.starter is None else self.starter.settings
        self.services.navigate("create", run=run.id, start=True, settings=settings)

    def _failed(self, failed: Failed) -> None:
        self.button.setEnabled(True)
        self.services.show_failure(failed)
