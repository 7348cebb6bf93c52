"""A curve as small as a word: where a loss went, without axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme

POINTS = 60


class Sparkline(QWidget):
    """Shows finite values, oldest first, thinned to as many points as can be seen."""

    def __init__(self, theme: Theme, values: Sequence[float] = ()) -> None:
        super().__init__()
        self.theme = theme
        self.values: list[float] = []
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)
        self.show_values(values)

    def show_values(self, values: Sequence[float]) -> None:
        """Show another curve."""
        finite = [value for value in values if math.isfinite(value)]
        self.values = thin(finite)
        text = ""
        if finite:
            text = _("from {first} to {last}").format(first=f"{finite[0]:.3g}", last=f"{finite[-1]:.3g}")
        self.setToolTip(text)
        self.setAccessibleName(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(120), self.theme.px(28))

    def paintEvent(self, event: QPaintEvent) -> None:
        if len(self.values) < 2:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(self.theme.plot_colours[0]), self.theme.scale / 100 * 1.5))
            painter.drawPolyline(curve(self.values, QRectF(self.rect()).adjusted(2, 3, -2, -3)))


def curve(values: Sequence[float], box: QRectF) -> QPolygonF:
    """Return the values as points in `box`, the largest on top."""
    low, high = min(values), max(values)
    span = high - low or 1.0
    step = box.width() / max(1, len(values) - 1)
    points = [QPointF(box.x() + i * step, box.bottom() - (v - low) / span * box.height()) for i, v in enumerate(values)]
    return QPolygonF(points)


def thin(values: Sequence[float], count: int = POINTS) -> list[float]:
    """Return at most `count` values: the mean of each of as many equal parts."""
    if len(values) <= count:
        return list(values)
    edges = [round(i * len(values) / count) for i in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
