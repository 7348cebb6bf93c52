"""Moving the workspace: how far the copy is, and a way to cancel it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QDialog, QProgressBar, QVBoxLayout, QWidget

from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.core.moving import Cancelled, copy_workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, label

INTERVAL_MS = 100


class MoveDialog(QDialog):
    """Copies a workspace beside the window; `moved` when all of it is there, `failed` gives a Failed."""

    moved = Signal()
    failed = Signal(object)

    def __init__(self, theme: Theme, old: Path, new: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Moving the workspace"))
        self.setSizeGripEnabled(True)
        self.setMinimumWidth(theme.px(440))
        self._told = (0, 0)
        self._cancelled = False
        self.words = label(_("Copying to {path}").format(path=new))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Progress"))
        self.cancel_button = button(theme, _("Cancel"), tip=_("Stop copying and remove what was copied"))
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
        box.setSpacing(theme.px(12))
        box.addWidget(self.words)
        box.addWidget(self.bar)
        box.addWidget(self.cancel_button, 0, Qt.AlignmentFlag.AlignRight)
        self.cancel_button.clicked.connect(self.reject)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._show_progress)
        self._timer.start()
        Background(self, lambda: self._copy(old, new), self._done, self._fail)

    def reject(self) -> None:
        """Cancel; the dialog closes when the copy has been removed."""
        self._cancelled = True
        self.cancel_button.setEnabled(False)
        self.words.setText(_("Removing what was copied…"))

    def _copy(self, old: Path, new: Path) -> bool:
        try:
            copy_workspace(old, new, self._tell, lambda: self._cancelled)
        except Cancelled:
            return False
        return True

    def _tell(self, done: int, total: int) -> None:
        """Remember how far it is; called on the copying thread, shown by the timer."""
        self._told = (done, total)

    def _show_progress(self) -> None:
        done, total = self._told
        if total and not self._cancelled:
            self.bar.setRange(0, 1000)
            self.bar.setValue(1000 * done // total)
            words = _("{done} of {total} copied").format(done=readable_size(done), total=readable_size(total))
            self.words.setText(words)

    def _done(self, moved: bool) -> None:
        self._timer.stop()
        super().accept() if moved else super().reject()
        if moved:
            self.moved.emit()

    def _fail(self, failed: Failed) -> None:
        self._timer.stop()
        super().reject()
        self.failed.emit(failed)
