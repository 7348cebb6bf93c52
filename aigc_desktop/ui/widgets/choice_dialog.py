"""A question with a few answers, each saying what will happen."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import ButtonKind, button, label


class ChoiceDialog(QDialog):
    """Asks without stopping the window: open it with `open`; `chosen` gives the key of the answer.

    `choices` are (key, text, kind of button); closing the dialog chooses nothing.
    """

    chosen = Signal(str)

    def __init__(
        self,
        theme: Theme,
        title: str,
        sentence: str,
        choices: list[tuple[str, str, ButtonKind]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setSizeGripEnabled(True)
        self.setMinimumWidth(theme.px(440))
        self.box = box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
        box.setSpacing(theme.px(12))
        box.addWidget(label(title, "card"))
        box.addWidget(label(sentence))
        box.addStretch(1)
        row = FlowLayout(theme.px(8))
        self.buttons: dict[str, QPushButton] = {}
        for key, text, kind in choices:
            self.buttons[key] = made = button(theme, text, kind=kind)
            made.setProperty("key", key)
            made.setDefault(kind == "primary")
            made.clicked.connect(self._clicked)
            row.addWidget(made)
        box.addLayout(row)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # Qt's own size is that of the narrowest lines, which leaves a gap when they are wider
        self.resize(self.width(), self.box.totalHeightForWidth(self.width()))

    def _clicked(self) -> None:
        key = str(self.sender().property("key"))
        self.accept()
        self.chosen.emit(key)
