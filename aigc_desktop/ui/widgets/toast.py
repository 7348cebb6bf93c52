"""A sentence in passing at the foot of the window, with Undo where something can be undone."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import label

SECONDS, SECONDS_WITH_UNDO = 5, 10


class Toast(QFrame):
    """Shows one message at a time above its parent's content; a new one takes the place of the old.

    It stays while the pointer rests on it. `undo` puts back what the message tells of, once.
    """

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = theme
        self.setProperty("toast", True)
        self.area = parent
        self._undo: Callable[[], None] | None = None
        self.row = row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(8), theme.px(8), theme.px(8))
        row.setSpacing(theme.px(12))
        self.text = label("", wrap=True)
        row.addWidget(self.text, 1)
        self.undo_button = _button(_("Undo"), _("Take this back (Ctrl+Z)"))
        self.close_button = _button(_("Close"), _("Hide this message"))
        row.addWidget(self.undo_button, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignVCenter)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.undo_button.clicked.connect(self.undo)
        self.close_button.clicked.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    def show_message(self, text: str, undo: Callable[[], None] | None = None) -> None:
        """Show `text`; `undo` adds a button that calls it."""
        self._undo = undo
        self.text.setText(text)
        self.setAccessibleName(text)
        self.undo_button.setVisible(undo is not None)
        self._place()
        self.show()
        self.raise_()
        self._timer.start(1000 * (SECONDS_WITH_UNDO if undo else SECONDS))

    def told(self) -> str:
        """Return the message that is shown, "" when there is none or one that can be taken back."""
        return "" if self.isHidden() or self.can_undo() else self.text.text()

    def can_undo(self) -> bool:
        """Return whether what was told last can still be taken back; also when its message is gone."""
        return self._undo is not None

    def undo(self) -> None:
        """Take back what was told last."""
        undo, self._undo = self._undo, None
        self.hide()
        if undo is not None:
            undo()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        self._timer.start(1000 * SECONDS)

    def _place(self) -> None:
        """Lie at the foot of the parent, as wide as the text needs, at most 560 px."""
        parent = self.area
        margin = self.theme.px(24)
        widest = min(self.theme.px(560), parent.width() - 2 * margin)
        buttons = self.undo_button.sizeHint().width() * self.undo_button.isVisibleTo(self)
        buttons += self.close_button.sizeHint().width() + self.theme.px(64)
        width = min(widest, self.text.fontMetrics().horizontalAdvance(self.text.text()) + buttons)
        height = self.row.totalHeightForWidth(width)
        height = height if height > 0 else self.sizeHint().height()
        x = (parent.width() - width) // 2
        self.setGeometry(x, parent.height() - height - margin, width, height)


def _button(text: str, tip: str) -> QPushButton:
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAccessibleName(text)
    return made
