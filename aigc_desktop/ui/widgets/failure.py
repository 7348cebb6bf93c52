"""What went wrong, why, and what to do: the dialog for a Failed event or an error of the window itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.core.logs import scrub, write_report
from aigc_desktop.ui.facts import machine_facts
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import IconView, button, copy_text, label


class FailureDialog(QDialog):
    """A plain sentence and a way out; details stay folded. `on_resume` adds a button that goes on from the last save.

    Reports hold neither the user's name nor paths of the home folder unless the box is ticked.
    """

    def __init__(
        self, theme: Theme, failed: Failed, on_resume: Callable[[], None] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.theme, self.failed, self.on_resume = theme, failed, on_resume
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Something went wrong"))
        self.setSizeGripEnabled(True)
        self.setMinimumWidth(theme.px(480))
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
        box.setSpacing(theme.px(12))
        box.addLayout(self._make_message())
        self.details = QPlainTextEdit(scrub(failed.details))
        self.details.setReadOnly(True)
        self.details.setFont(theme.font("mono"))
        self.details.setAccessibleName(_("Details"))
        self.details.setToolTip(_("What the program was doing, for the person who repairs it."))
        self.details.setMinimumHeight(theme.px(180))
        self.details.hide()
        self.private = QCheckBox(_("Keep my user name and folders in the report"))
        self.private.setToolTip(_("Off, they are replaced by <user> and ~."))
        self.private.setAccessibleName(self.private.text())
        self.private.hide()
        box.addWidget(self.details, 1)
        box.addWidget(self.private)
        box.addLayout(self._make_buttons())
        first = self.close_button if on_resume is None else self.resume_button
        first.setDefault(True)
        first.setFocus()

    def sizeHint(self) -> QSize:
        # Qt makes a dialog no wider than this, but after it has counted the lines of its sentences at the wished width
        most = max(self.minimumWidth(), self.screen().size().width() * 2 // 3)
        return QSize(min(self.theme.px(560), most), super().sizeHint().height())

    def _make_message(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(self.theme.px(16))
        row.addWidget(IconView(self.theme, "circle-alert", 28, "red"), 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(self.theme.px(8))
        texts.addWidget(label(self.failed.message, "card", selectable=True))
        if self.failed.hint:
            texts.addWidget(label(self.failed.hint, selectable=True))
        row.addLayout(texts, 1)
        return row

    def _make_buttons(self) -> QVBoxLayout:
        helps, row = FlowLayout(self.theme.px(8)), QHBoxLayout()
        row.setSpacing(self.theme.px(8))
        self.details_button = button(self.theme, _("Details"), "chevron-down", "flat")
        self.copy_button = button(self.theme, _("Copy"), "copy", "flat", _("Copy message and details"))
        self.report_button = button(
            self.theme, _("Save report…"), "save", "flat", _("Save details and logs as a zip file; nothing is sent.")
        )
        for made in (self.details_button, self.copy_button, self.report_button):
            helps.addWidget(made)
        row.addStretch(1)
        self.close_button = button(self.theme, _("Close"), kind="" if self.on_resume else "primary")
        row.addWidget(self.close_button)
        self.resume_button = button(
            self.theme, _("Resume"), "play", "primary", _("Go on from the last save in a new engine.")
        )
        self.resume_button.setVisible(self.on_resume is not None)
        row.addWidget(self.resume_button)
        self.details_button.setEnabled(bool(self.failed.details))
        self.details_button.clicked.connect(self._toggle_details)
        self.copy_button.clicked.connect(self._copy)
        self.report_button.clicked.connect(self._save_report)
        self.close_button.clicked.connect(self.reject)
        self.resume_button.clicked.connect(self._resume)
        rows = QVBoxLayout()
        rows.setSpacing(self.theme.px(12))
        rows.addLayout(helps)
        rows.addLayout(row)
        return rows

    def text(self) -> str:
        """Return message, way out and details, as Copy gives them."""
        parts = (self.failed.message, self.failed.hint, self.failed.kind, self.failed.details)
        return scrub("\n\n".join(part for part in parts if part))

    def save_report(self, path: Path) -> None:
        """Write the report to `path`, a zip file."""
        text = "\n\n".join((self.failed.message, self.failed.hint, self.failed.kind, self.failed.details))
        write_report(path, text, machine_facts(), private=self.private.isChecked())

    def _toggle_details(self) -> None:
        shown = not self.details.isVisible()
        self.details.setVisible(shown)
        self.private.setVisible(shown)
        self.details_button.setIcon(self.theme.icon("chevron-up" if shown else "chevron-down", "accent"))
        self.adjustSize()

    def _copy(self) -> None:
        copy_text(self.text())
        self.copy_button.setText(_("Copied"))

    def _save_report(self) -> None:
        name, _filter = QFileDialog.getSaveFileName(self, _("Save report"), "aigc-desktop-report.zip", "*.zip")
        if name:
            self.save_report(Path(name))

    def _resume(self) -> None:
        self.accept()
        if self.on_resume is not None:
            self.on_resume()
