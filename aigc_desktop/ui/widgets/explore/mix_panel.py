"""The part of the Explore panel that mixes collected pictures: a weight for each chosen one."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QGridLayout, QLabel, QSlider, QVBoxLayout, QWidget

from aigc_desktop.core.collected import Collected
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import clear, guard_wheel, label
from aigc_desktop.ui.widgets.explore.collected_view import CollectedView
from aigc_desktop.ui.widgets.pictures.checks import on_checks
from aigc_desktop.ui.widgets.pictures.thumbnails import fit, to_image

MOST, EDGE_PX = 8, 40


class MixPanel(QWidget):
    """Weights of the pictures that are chosen in the collection."""

    def __init__(self, theme: Theme, exploration: Exploration, collected: CollectedView) -> None:
        super().__init__()
        self.theme, self.exploration, self.collected = theme, exploration, collected
        self.items: list[Collected] = []
        self.weights: list[QSlider] = []
        self.hint = label("", "hint")
        self.rows = QGridLayout()
        self.rows.setHorizontalSpacing(theme.px(8))
        self.rows.setVerticalSpacing(theme.px(8))
        self.rows.setColumnStretch(1, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        box.addWidget(self.hint)
        box.addLayout(self.rows)
        box.addStretch(1)
        collected.chosen.connect(self.refresh)
        collected.shelf.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show a weight for each chosen picture; the same choice keeps its weights."""
        items = self.collected.items()[:MOST]
        if [item.id for item in items] == [item.id for item in self.items] and self.items:
            return
        self.items, self.weights = items, []
        clear(self.rows)
        mixes = len(items) >= 2
        self.hint.setText(
            _("How much of each is in the picture.") if mixes
            else _("Choose two or more collected pictures, with Ctrl or Shift, to mix them.")
        )  # fmt: skip
        for row, item in enumerate(items if mixes else []):
            self._add_row(row, item)

    def _add_row(self, row: int, item: Collected) -> None:
        picture = QLabel()
        picture.setAccessibleName(item.title)
        pixels = self.collected.shelf.thumbnails.get(item.id)
        if pixels is not None:
            picture.setPixmap(QPixmap.fromImage(on_checks(fit(to_image(pixels), self.theme.px(EDGE_PX)))))
        weight = QSlider(Qt.Orientation.Horizontal)
        weight.setRange(0, 100)
        weight.setValue(50)
        weight.setAccessibleName(_("Weight of {title}").format(title=item.title))
        weight.setToolTip(_("How much of this picture is in the mixture"))
        guard_wheel(weight)
        weight.valueChanged.connect(self._weighed)
        self.weights.append(weight)
        self.rows.addWidget(picture, row, 0)
        self.rows.addWidget(weight, row, 1)

    def _weighed(self) -> None:
        self.exploration.look_at_collected(self.items, [weight.value() / 100 for weight in self.weights])
