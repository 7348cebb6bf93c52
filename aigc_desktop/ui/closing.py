"""Closing the window while something runs: keep in the tray, stop and save, or stay."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QSystemTrayIcon

from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.ui.jobs import PATIENT
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.widgets.controls import ButtonKind


class Closing(QObject):
    """Asks what to do and does it; `ready` comes when nothing runs any more and the window may go."""

    ready = Signal()

    def __init__(self, window: QMainWindow, services: Services) -> None:
        super().__init__(window)
        self.window, self.services = window, services
        self.dialog: ChoiceDialog | None = None
        self.tray: QSystemTrayIcon | None = None
        self.leaving = False
        services.jobs.changed.connect(self._jobs_changed)

    def ask(self) -> None:
        """Open the question; the tray is offered only where there is one."""
        if self.dialog is not None:
            self.dialog.raise_()
            return
        count = len(self.services.jobs.handles)
        sentence = ngettext(
            "{count} job is running. Stopped jobs save what they have; training goes on from there later.",
            "{count} jobs are running. Stopped jobs save what they have; training goes on from there later.",
            count,
        ).format(count=count)
        tray = QSystemTrayIcon.isSystemTrayAvailable()
        choices: list[tuple[str, str, ButtonKind]] = [
            ("stop", _("Stop and save"), "" if tray else "primary"), ("cancel", _("Cancel"), ""),
        ]  # fmt: skip
        if tray:
            choices.insert(0, ("tray", _("Keep running in the tray"), "primary"))
        title = _("Close while something is running?")
        self.dialog = ChoiceDialog(self.services.theme, title, sentence, choices, self.window)
        self.dialog.chosen.connect(self.decide)
        self.dialog.finished.connect(self._forget_dialog)
        self.dialog.open()

    def decide(self, answer: str) -> None:
        """Do what was chosen: "tray", "stop" or "cancel"."""
        if answer == "tray":
            self._go_to_tray()
        elif answer == "stop":
            self.leaving = True
            for handle in list(self.services.jobs.handles):
                handle.stop(PATIENT)
            self.services.notify(_("Stopping and saving; the window closes when that is done."))
            self._jobs_changed()

    def come_back(self) -> None:
        """Show the window again, in front."""
        self.window.show()
        self.window.setWindowState(self.window.windowState() & ~self.window.windowState().WindowMinimized)
        self.window.raise_()
        self.window.activateWindow()
        if self.tray is not None:
            self.tray.hide()
        QApplication.setQuitOnLastWindowClosed(True)

    def tell_end(self, text: str) -> None:
        """Show a message of the system when the window is not seen."""
        if self.tray is not None and self.tray.isVisible():
            self.tray.showMessage(_("AIGC Desktop"), text)

    def _go_to_tray(self) -> None:
        QApplication.setQuitOnLastWindowClosed(False)
        if self.tray is None:
            self.tray = QSystemTrayIcon(self.window.windowIcon(), self)
            menu = QMenu(self.window)
            menu.addAction(_("Open the window")).triggered.connect(self.come_back)
            menu.addAction(_("Stop, save and quit")).triggered.connect(self._quit_from_tray)
            self.tray.setContextMenu(menu)
            self.tray.activated.connect(self._tray_clicked)
        self.tray.show()
        self.window.hide()

    def _tray_clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason != QSystemTrayIcon.ActivationReason.Context:
            self.come_back()

    def _quit_from_tray(self) -> None:
        self.come_back()
        self.decide("stop")

    def _jobs_changed(self) -> None:
        if self.leaving and not self.services.jobs.handles:
            self.ready.emit()

    def _forget_dialog(self) -> None:
        self.dialog = None
