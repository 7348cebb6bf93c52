"""What went wrong, shown in the place where it happened: one sentence, the way out, details on request."""

from __future__ import annotations

from PySide6.QtCore import Qt

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import button, label


class FailureCard(Card):
    """What went wrong in one sentence, and the way out; details open in the dialog."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, tone="red")
        self.services = services
        self.failed: Failed | None = None
        self.message = label("", "body", selectable=True)
        self.hint = label("", "secondary", selectable=True)
        self.details = button(services.theme, _("Details…"), kind="flat")
        self.details.clicked.connect(self._show_details)
        self.add(self.message)
        self.add(self.hint)
        self.body.addWidget(self.details, 0, Qt.AlignmentFlag.AlignRight)
        self.clear()

    def show_failure(self, failed: Failed) -> None:
        """Show a failure; what the user can put right needs no details."""
        self.failed = failed
        self.message.setText(failed.message)
        self.hint.setText(failed.hint)
        self.hint.setVisible(bool(failed.hint))
        self.details.setVisible(failed.kind not in ("UserError", "BadInput", "ConfigError", "OutOfSpace"))
        self.show()

    def clear(self) -> None:
        """Show nothing."""
        self.failed = None
        self.hide()

    def _show_details(self) -> None:
        if self.failed is not None:
            self.services.show_failure(self.failed)
