"""A few choices side by side, of which one holds."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from aigc_desktop.ui.theme import Theme


class Segmented(QWidget):
    """Buttons of which exactly one is pressed; `chosen` gives its value when the user presses another."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, choices: list[tuple[str, str]], value: str = "") -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(2))
        self.buttons: dict[str, QPushButton] = {}
        self.group = QButtonGroup(self)
        for key, text in choices:
            self.buttons[key] = made = QPushButton(text)
            made.setCheckable(True)
            made.setAccessibleName(text)
            made.setToolTip(text)
            self.group.addButton(made)
            row.addWidget(made)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.choose(value or choices[0][0])
        self.group.buttonClicked.connect(self._clicked)

    def value(self) -> str:
        """Return the value of the pressed button."""
        return next(key for key, made in self.buttons.items() if made.isChecked())

    def choose(self, value: str) -> None:
        """Press a button without telling."""
        self.buttons[value].setChecked(True)

    def _clicked(self) -> None:
        self.chosen.emit(self.value())
