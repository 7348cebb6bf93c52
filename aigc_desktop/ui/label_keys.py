"""The keys of labelling."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import N_

LABEL_KEYS = (
    (N_("Give this class to the selected letters, or to the text"), "1 … 9"),
    (N_("Accept the labels and go to the next text"), "Enter"),
    (N_("Remove the name at the cursor, or the class"), "Backspace"),
    (N_("Next and previous text, leaving this one as it is"), "Ctrl+Down, Ctrl+Up"),
    (N_("Take back the last label"), "Ctrl+Z"),
)
"""Keys of labelling, for the list of keys."""


class LabelKeys(QObject):
    """The keys of labelling, in the text and in the list alike."""

    digit = Signal(int)
    accept = Signal()
    remove = Signal()
    undo = Signal()
    step = Signal(int)

    def __init__(self, parent: QObject, *widgets: QWidget) -> None:
        super().__init__(parent)
        for widget in widgets:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            if event.matches(QKeySequence.StandardKey.Undo):  # else the window's own command would take it
                event.accept()
                return True
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._pressed(event)
        return False

    def _pressed(self, event: QKeyEvent) -> bool:
        keys = Qt.Key
        plain = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.NoModifier
        control = event.modifiers() == Qt.KeyboardModifier.ControlModifier
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo.emit()
        elif plain and event.key() in (keys.Key_Return, keys.Key_Enter):
            self.accept.emit()
        elif plain and event.key() in (keys.Key_Backspace, keys.Key_Delete):
            self.remove.emit()
        elif plain and keys.Key_1 <= event.key() <= keys.Key_9:
            self.digit.emit(event.key() - keys.Key_0)
        elif control and event.key() in (keys.Key_Up, keys.Key_Down):
            self.step.emit(1 if event.key() == keys.Key_Down else -1)
        else:
            return False
        return True
