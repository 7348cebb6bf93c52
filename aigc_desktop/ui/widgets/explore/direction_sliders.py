"""Sliders that change the picture in one way each: found in the model, or taught by examples; names can be changed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSlider, QVBoxLayout, QWidget

from aigc_desktop.core.directions import Direction
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import clear, guard_wheel, icon_button

REACH, TICKS = 3.0, 20
"""How far a slider goes, in usual spreads to either side, and its steps in one."""


class DirectionSlider(QWidget):
    """One slider with its name."""

    moved = Signal()
    renamed = Signal(str, str)
    removed = Signal(str)

    def __init__(self, theme: Theme, direction: Direction) -> None:
        super().__init__()
        self.direction = direction
        self.name = QLineEdit(direction.title)
        self.name.setFrame(False)
        self.name.setAccessibleName(_("Name of the slider"))
        self.name.setToolTip(_("Type what it changes and press Enter"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(-REACH * TICKS), round(REACH * TICKS))
        self.slider.setPageStep(TICKS)
        self.slider.setAccessibleName(direction.title)
        self.slider.setToolTip(_("To the right more of it, to the left less; the middle changes nothing"))
        guard_wheel(self.slider)
        self.remove = icon_button(theme, "x", _("Remove this slider"))
        row = QHBoxLayout()
        row.setSpacing(theme.px(4))
        row.addWidget(self.name, 1)
        row.addWidget(self.remove)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(2))
        box.addLayout(row)
        box.addWidget(self.slider)
        self.slider.valueChanged.connect(self.moved)
        self.name.returnPressed.connect(self._rename)
        self.remove.clicked.connect(self._remove)

    def amount(self) -> float:
        """Return how far it is moved, 0 in the middle."""
        return self.slider.value() / TICKS

    def rest(self) -> None:
        """Go to the middle without telling."""
        self.slider.blockSignals(True)
        self.slider.setValue(0)
        self.slider.blockSignals(False)

    def _rename(self) -> None:
        self.slider.setFocus()
        self.renamed.emit(self.direction.id, self.name.text())

    def _remove(self) -> None:
        self.removed.emit(self.direction.id)


class DirectionSliders(QWidget):
    """All sliders of a saved version; `moved` gives the amounts by direction."""

    moved = Signal(object)
    renamed = Signal(str, str)
    removed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.sliders: dict[str, DirectionSlider] = {}
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(theme.px(8))

    def show_directions(self, directions: list[Direction]) -> None:
        """Show these sliders; those that were there keep their place."""
        amounts = self.amounts()
        clear(self.box)
        self.sliders = {}
        for direction in directions:
            self.sliders[direction.id] = made = DirectionSlider(self.theme, direction)
            made.slider.setValue(round(amounts.get(direction.id, 0) * TICKS))
            made.moved.connect(self._moved)
            made.renamed.connect(self.renamed)
            made.removed.connect(self.removed)
            self.box.addWidget(made)

    def amounts(self) -> dict[str, float]:
        """Return how far each slider is moved."""
        return {item: made.amount() for item, made in self.sliders.items()}

    def rest(self) -> None:
        """Put all in the middle without telling."""
        for made in self.sliders.values():
            made.rest()

    def _moved(self) -> None:
        self.moved.emit(self.amounts())
