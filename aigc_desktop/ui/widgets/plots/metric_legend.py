"""The legend of the curves: a switch for each, with a piece of its line, its name and its value."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.metric_words import base_name
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.side_by_side import Scrolled

SHOWN_LINES, ALL_LINES = 2, 99


class Legend(Scrolled):
    """The switches of all curves, SHOWN_LINES of them at once and the edge of the next; scrolling shows more."""

    def __init__(self, theme: Theme) -> None:
        self.flow, self.lines = FlowLayout(theme.px(4)), SHOWN_LINES
        chips = QWidget()
        chips.setLayout(self.flow)
        super().__init__(chips)
        chips.installEventFilter(self)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_lines(self, count: int) -> None:
        """Show so many lines at once."""
        self.lines = count
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        first = self.flow.itemAt(0)
        line = first.sizeHint().height() + self.flow.gap if first is not None else 0
        most = int((self.lines + 0.3) * line)
        self.setFixedHeight(min(self.flow.heightForWidth(self.viewport().width()), most))


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
