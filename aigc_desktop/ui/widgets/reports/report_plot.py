"""A plot of a report by pyqtgraph; importing this module takes as long as that, so a thread does it."""

from __future__ import annotations

from math import isfinite

import pyqtgraph as pg
from PySide6.QtGui import QColor, QShowEvent, QWheelEvent

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Plot, sign_of
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.plots.plot_canvas import Axis

_SYMBOLS = ("o", "|", "o", "s")  # as draw_sign draws them
_ROOM = 0.12  # of the range, on each side


class ReportPlot(pg.PlotWidget):  # type: ignore[misc]
    """Points over two axes, joined in their order, each with its word."""

    def __init__(self, theme: Theme, plot: Plot) -> None:
        super().__init__(axisItems={side: Axis(side) for side in ("bottom", "left")})
        self.theme, self.plot = theme, plot
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMinimumHeight(theme.px(300))
        self.setAccessibleName(_(plot.title))
        self.setMouseEnabled(x=False, y=False)
        self.setToolTip(_(plot.explanation))
        self._worn = theme.colours
        self.restyle()
        theme.changed.connect(self._follow_theme)

    def restyle(self) -> None:
        """Draw everything in the colours of the theme."""
        self._worn = self.theme.colours
        colours, font = self.theme.colours, self.theme.font("secondary")
        self.clear()
        self.setBackground(colours.surface)
        self.showGrid(x=True, y=True, alpha=0.15)
        for side, title in (("bottom", self.plot.x_title), ("left", self.plot.y_title)):
            axis = self.getAxis(side)
            axis.setPen(pg.mkPen(colours.line))
            axis.setTextPen(colours.secondary)
            axis.setTickFont(font)
            axis.enableAutoSIPrefix(False)
            axis.setLabel(_(title), color=colours.secondary)
            axis.label.setFont(font)
        self.getAxis("bottom").setHeight(self.getAxis("bottom").height_with_label())
        self.getAxis("left").setWidth(None)  # measures the label anew
        for curve in self.plot.curves:
            number = sign_of(curve.name)
            colour = QColor(self.theme.plot_colours[number % len(self.theme.plot_colours)])
            pen = pg.mkPen(colour, width=2, style=pg.QtCore.Qt.PenStyle.DashLine if number else None)
            if not number:
                pen = pg.mkPen(colour, width=2)
            symbol = _SYMBOLS[number % len(_SYMBOLS)]
            self.plotItem.plot(
                curve.x, curve.y, pen=pen, symbol=symbol, symbolSize=self.theme.px(10), antialias=True,
                symbolBrush=None if number % 4 else colour, symbolPen=pg.mkPen(colour, width=2),
            )  # fmt: skip
            for x, y, word in zip(curve.x, curve.y, curve.labels, strict=False):
                text = pg.TextItem(word, color=colour, anchor=(0.5, 1.4 if number % 2 == 0 else -0.4))
                text.setFont(font)
                text.setPos(x, y)
                self.addItem(text)
        self._fit()

    def _fit(self) -> None:
        """Show all points with room for their words; pyqtgraph's own range depends on the size when it is asked."""
        for axis, set_range in (("x", self.setXRange), ("y", self.setYRange)):
            values = [value for curve in self.plot.curves for value in getattr(curve, axis) if isfinite(value)]
            if values:
                low, high = min(values), max(values)
                room = _ROOM * (high - low or abs(high)) or 0.5  # a single point: in the middle, at its own scale
                set_range(low - room, high + room, padding=0)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._follow_theme()

    def _follow_theme(self) -> None:
        """Restyle when it is seen: a theme changes without waiting for plots on other pages."""
        if self.isVisible() and self._worn is not self.theme.colours:
            self.restyle()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls, not the plot
