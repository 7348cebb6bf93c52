"""What a crash left: a run that says it is running while nothing runs it, and the offer to go on with it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import RunInfo
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import button, label


class InterruptedBanner(Card):
    """Hidden while there is nothing to offer; `continue_asked` gives the run's id."""

    continue_asked = Signal(str)

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, tone="amber")
        self.services = services
        self.run_id = ""
        self.text = label("", "body")
        theme = services.theme
        self.go_on = button(theme, _("Continue"), "play", "", _("Train on from the last saved version"))
        self.leave = button(theme, _("Not now"), kind="flat", tip=_("Keep it as it is; the Runs page can go on later"))
        self.go_on.clicked.connect(self._go_on)
        self.leave.clicked.connect(self._leave)
        row = QHBoxLayout()
        row.addWidget(self.text, 1)
        row.addWidget(self.leave)
        row.addWidget(self.go_on)
        self.add(row)
        self.hide()

    def look(self, watched: str = "") -> None:
        """Look through the runs again; the one the user watches is not offered."""
        found = self._interrupted()
        self.run_id = found[0] if found else ""
        self.setVisible(found is not None and self.run_id != watched)
        if found is not None:
            self.text.setText(
                _("The training of “{title}” stopped at step {step}. Go on from the last saved version?").format(
                    title=found[1].title, step=f"{found[1].step:,}"
                )
            )

    def _interrupted(self) -> tuple[str, RunInfo] | None:
        running = {handle.run_folder for handle in self.services.jobs.training()}  # one may only be about to begin
        for run in self.services.workspace.runs():
            try:
                info = run.info
            except (OSError, UserError):
                continue
            if info.status == "interrupted" and run.folder not in running:
                return run.id, info
        return None

    def _go_on(self) -> None:
        self.continue_asked.emit(self.run_id)

    def _leave(self) -> None:
        """Mark the run as stopped: it stays, and the Runs page can go on with it."""
        self.services.workspace.run(self.run_id).update(status="stopped")
        self.look()
