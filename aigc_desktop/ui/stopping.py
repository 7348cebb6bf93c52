"""Stopping a job: what the user is asked, and what becomes of a run that is given up."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.jobs import PATIENT, JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.widgets.controls import ButtonKind


def ask_stop(handle: JobHandle, services: Services, parent: QWidget) -> ChoiceDialog:
    """Ask whether to stop a job; a run can also be given up, which Undo takes back.

    Of one that is stopping already, ask whether to wait until it has saved.
    """
    choices: list[tuple[str, str, ButtonKind]]
    title = _("Stop this job?")
    if handle.can_end:
        title = _("End it now?")
        sentence = _("It finishes what it is at and saves. Ended now, what came after the last saved version is lost.")
        choices = [("wait", _("Wait"), "primary"), ("end", _("End now"), "danger")]
    elif handle.request.run:
        sentence = _("“Stop and save” keeps what it has learnt or made so far; training can go on from there later.")
        choices = [("save", _("Stop and save"), "primary"), ("discard", _("Stop and discard"), "danger")]
        choices += [("go on", _("Go on"), "")]
    else:
        sentence = _("Nothing half-finished is left behind.")
        choices = [("save", _("Stop"), "primary"), ("go on", _("Go on"), "")]
    dialog = ChoiceDialog(services.theme, title, sentence, choices, parent)
    dialog.chosen.connect(_Stopping(handle, services, dialog).decide)
    dialog.open()
    return dialog


class _Stopping(QObject):
    """Carries out the answer; lives as long as the job."""

    def __init__(self, handle: JobHandle, services: Services, dialog: ChoiceDialog) -> None:
        super().__init__(handle)
        self.handle, self.services = handle, services

    def decide(self, answer: str) -> None:
        """Stop, and discard the run when it is over if that was chosen."""
        match answer:
            case "save":
                if self.handle.request.run:
                    self.handle.stop(PATIENT)
                else:
                    self.handle.stop()
            case "discard":
                self.handle.ended.connect(self._discard)
                self.handle.stop()
            case "end":
                self.handle.stop(0.0)

    def _discard(self) -> None:
        folder = self.handle.run_folder
        if folder is None or not folder.exists():
            return
        workspace = self.services.workspace
        trashed = workspace.trash(folder)
        self.services.notify(_("The run was discarded."), lambda: workspace.restore(trashed, folder))
