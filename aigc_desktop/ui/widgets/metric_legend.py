"""The legend of the curves: a switch for each, with a piece of its line, its name and its value."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QToolButton

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.metric_words import base_name


class Chip(QToolButton):
    """Shows or hides one curve; dashed ones are measured on what was kept aside."""

    def __init__(self, theme: Theme, title: str, dashed: bool, shown: bool) -> None:
        super().__init__()
        self.theme, self.dashed = theme, dashed
        self.setCheckable(True)
        self.setChecked(shown)
        self.setText(title)
        self.setAccessibleName(title)
        self.setToolTip(_("Show or hide this curve"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)

    def show_text(self, text: str) -> None:
        """Show name and value; the chip never gets narrower, so that the row stays calm."""
        if text != self.text():
            self.setText(text)
            self.setMinimumWidth(max(self.minimumWidth(), self.sizeHint().width()))

    def show_colour(self, colour: str) -> None:
        """Show a piece of the line in this colour."""
        side = self.theme.px(12)
        picture = QPixmap(side * 2, side * 2)
        picture.fill(Qt.GlobalColor.transparent)
        with QPainter(picture) as painter:
            pen = QPen(QColor(colour), side / 3)
            if self.dashed:
                pen.setDashPattern([1.2, 0.8])
            painter.setPen(pen)
            painter.drawLine(0, side, side * 2, side)
        self.setIcon(QIcon(picture))
        self.setIconSize(QSize(side, side))


def curve_colours(groups: dict[str, str], palette: tuple[str, ...]) -> dict[str, str]:
    """Return the colour of each metric (name -> group); a validation metric has that of the one it belongs to."""
    assigned: dict[str, str] = {}
    used: dict[str, int] = {}
    for name, group in groups.items():
        base = base_name(name)
        if base not in assigned:
            place = used.get(group, 0)
            used[group] = place + 1
            assigned[base] = palette[place % len(palette)]
    return {name: assigned[base_name(name)] for name in groups}
