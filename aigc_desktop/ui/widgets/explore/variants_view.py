"""Variants of the picture looked at, and how far they may go from it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, guard_wheel, label
from aigc_desktop.ui.widgets.pictures.thumbnail_grid import ThumbnailGrid
from aigc_desktop.ui.widgets.pictures.thumbnails import Source

STRENGTH = 35  # percent, at first


class VariantsView(QWidget):
    """A grid of variants; choosing one makes it the picture looked at, Enter collects it."""

    collect_asked = Signal()

    def __init__(self, theme: Theme, exploration: Exploration) -> None:
        super().__init__()
        self.exploration = exploration
        self.first_seed = 0
        self.strength = QSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(5, 100)
        self.strength.setValue(STRENGTH)
        self.strength.setAccessibleName(_("How different"))
        self.strength.setToolTip(_("Left, variants differ in details; right, in everything but their class"))
        guard_wheel(self.strength)
        self.more = button(theme, _("Others"), "dices", "", _("Make other variants of the same picture"))
        self.hint = label(_("Choose a variant to look at it; variants of a variant lead further."), "hint")
        self.grid = ThumbnailGrid(theme)
        self.grid.set_cell_size(theme.px(72))
        self.grid.setAccessibleName(_("Variants"))
        row = QHBoxLayout()
        row.setSpacing(theme.px(8))
        row.addWidget(label(_("How different"), wrap=False))
        row.addWidget(self.strength, 1)
        row.addWidget(self.more)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(row)
        box.addWidget(self.grid, 1)
        box.addWidget(self.hint)
        self.strength.sliderReleased.connect(self.make)
        self.more.clicked.connect(self._others)
        self.grid.selection_changed.connect(self._chosen)
        self.grid.row_activated.connect(self._activated)
        exploration.variants_changed.connect(self._show)

    def make(self) -> None:
        """Make variants of the picture looked at."""
        self.exploration.make_variants(self.strength.value() / 100, self.first_seed)

    def _others(self) -> None:
        self.first_seed += len(self.exploration.variants)
        self.make()

    def _show(self) -> None:
        self.grid.set_source(len(self.exploration.variants), self._load)

    def _load(self, row: int) -> Source:
        pixels: Source = self.exploration.variants[row].pixels
        return pixels

    def _chosen(self) -> None:
        rows = self.grid.selected()
        if len(rows) == 1:
            self.exploration.look_at_variant(rows[0])

    def _activated(self, _row: int) -> None:
        self.collect_asked.emit()
