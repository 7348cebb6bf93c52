"""The drawn part of a MetricPlot: one plot per group of metrics, curves, marks and a crosshair, by pyqtgraph.

Importing this module imports pyqtgraph, which takes as long as the whole start of the window: MetricPlot does it on
a thread, when it is first shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QSizePolicy

from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.plots.series import Floats, Series

PALE = 80
"""Opacity of the raw curve under the smoothed one, of 255."""
CLIP_SHARE = 0.02
FLAT_PX = 110
"""Plots lower than this stand side by side instead of above each other."""
FEW_POINTS = 60
"""So many values of a direct curve have a dot each: they are single measurements, and one alone makes no line."""
FINE_LINE = 600
"""Curves of fewer points are drawn smooth-edged; beyond, it costs twice the time and shows nothing."""


@dataclass(frozen=True)
class Curve:
    """A series to draw; `direct` ones, such as validation, are few and drawn as they are, dashed."""

    name: str
    series: Series
    colour: str
    direct: bool


@dataclass(frozen=True)
class View:
    """How to draw."""

    by_time: bool = False
    log: bool = False
    clip: bool = True


class Axis(pg.AxisItem):  # type: ignore[misc]
    """An axis with whole steps in groups of three digits, or times as people write them."""

    kind = "value"

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the text at each tick."""
        if self.kind == "time":
            return [readable_time(value) for value in values]
        if self.kind == "step":
            return [f"{value:,.0f}" if float(value).is_integer() else "" for value in values]
        if self.logMode:
            return [f"{10**value:.3g}" for value in values]
        strings: list[str] = super().tickStrings(values, scale, spacing)
        return strings

    def height_with_label(self) -> int:
        """Return the height at which large letters of ticks and label do not touch; pyqtgraph's own lets them."""
        font, label = self.style["tickFont"] or self.label.font(), self.label.boundingRect()
        height: float = QFontMetrics(font).height() + self.style["tickTextOffset"][1] + label.height()
        return round(height)


@dataclass
class _Lines:
    raw: Any
    strong: Any
    dots: Any


@dataclass
class _Panel:
    plot: Any
    lines: dict[str, _Lines]
    cross: Any
    best: Any
    curves: list[Curve]


class PlotCanvas(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """Plots above each other that share their horizontal range."""

    hovered = Signal(object)
    """Where the crosshair is on the horizontal axis, or None."""
    rearranged = Signal()
    zoomed = Signal()
    """The user changed the range by hand."""

    made = False  # pyqtgraph resizes the view while it is still being made

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.panels: dict[str, _Panel] = {}
        self.view = View()
        self.beside = False
        self.best: float | None = None
        self.best_text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFrameShape(self.Shape.NoFrame)
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.ci.layout.setVerticalSpacing(theme.px(4))
        self.scene().sigMouseMoved.connect(self._point_at)
        self.made = True
        self.restyle()

    def set_panels(self, groups: dict[str, tuple[str, list[Curve]]]) -> None:
        """Show one plot per group: name -> (label of its axis, curves)."""
        if list(groups) != list(self.panels):
            self.clear()
            self.panels = {}
            for name in groups:
                self.panels[name] = self._panel()
            self._place_panels()
        for name, (title, curves) in groups.items():
            panel = self.panels[name]
            panel.plot.getAxis("left").setLabel(title)
            self._match_lines(panel, curves)
        self.restyle()

    def draw(self, view: View, fit: bool, x_title: str) -> None:
        """Draw the visible part of all curves; with `fit` the ranges follow the data."""
        self.view = view
        if fit:
            self._fit_x()
        for name, panel in self.panels.items():
            bottom = panel.plot.getAxis("bottom")
            bottom.kind = "time" if view.by_time else "step"
            last = name == list(self.panels)[-1] or self.beside
            bottom.setLabel(x_title if last else None)
            bottom.setStyle(showValues=last)
            bottom.setHeight(bottom.height_with_label() if last else None)
            panel.plot.getAxis("left").setLogMode(view.log)
            drawn = [self._draw_curve(panel, curve) for curve in panel.curves]
            if fit:
                self._fit_y(panel, [part for part in drawn if part is not None])
            self._place_best(panel)

    def restyle(self) -> None:
        """Take the colours and fonts of the theme."""
        colours = self.theme.colours
        self.setBackground(colours.surface)
        font = self.theme.font("secondary")
        for panel in self.panels.values():
            for side in ("left", "bottom"):
                axis = panel.plot.getAxis(side)
                axis.setPen(pg.mkPen(colours.line, width=1))
                axis.setTextPen(colours.secondary)
                axis.setTickFont(font)
                axis.label.setFont(font)
            panel.plot.getAxis("left").setWidth(self.theme.px(64))
            panel.cross.setPen(pg.mkPen(colours.control, width=1))
            panel.best.setPen(pg.mkPen(colours.green, width=1, style=Qt.PenStyle.DashLine))
            panel.best.label.setColor(QColor(colours.green))
            panel.best.label.fill = pg.mkBrush(colours.surface)  # the words may lie on a curve
            panel.best.label.textItem.setFont(font)
            for curve in panel.curves:
                self._style_lines(panel.lines[curve.name], curve)

    def leaveEvent(self, event: QEvent) -> None:
        self._show_cross(None)
        super().leaveEvent(event)

    # making

    def _place_panels(self) -> None:
        """Put the plots above each other, or side by side where that would leave them flat."""
        self.beside = self._flat()
        plots = [panel.plot for panel in self.panels.values()]
        for plot in plots:
            if plot in self.ci.items:
                self.ci.removeItem(plot)
        for place, plot in enumerate(plots):
            self.ci.addItem(plot, 0 if self.beside else place, place if self.beside else 0)
            self.ci.layout.setRowStretchFactor(place, 3 if place == 0 else 0 if self.beside else 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.made and self.beside != self._flat():
            self._place_panels()
            self.rearranged.emit()

    def _flat(self) -> bool:
        """Return whether plots above each other would be too low."""
        count = len(self.panels)
        return count > 1 and self.viewport().height() / count < self.theme.px(FLAT_PX)

    def _panel(self) -> _Panel:
        axes = {"left": Axis("left"), "bottom": Axis("bottom")}
        plot = pg.PlotItem(axisItems=axes)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.disableAutoRange()  # and no grid: its pale lines cost as much as all curves together
        axes["left"].enableAutoSIPrefix(False)
        axes["bottom"].enableAutoSIPrefix(False)
        plot.vb.sigRangeChangedManually.connect(self.zoomed)
        if self.panels:
            plot.setXLink(next(iter(self.panels.values())).plot)
        cross = pg.InfiniteLine(angle=90, movable=False)
        beside = {"position": 0.92, "anchors": [(0, 0), (1, 0)]}  # left of the line near the right edge
        best = pg.InfiniteLine(angle=90, movable=False, label="", labelOpts=beside)
        for mark in (cross, best):
            mark.setVisible(False)
            mark.setZValue(1)  # the words of a mark lie over the curves
            plot.addItem(mark, ignoreBounds=True)
        return _Panel(plot, {}, cross, best, [])

    def _match_lines(self, panel: _Panel, curves: list[Curve]) -> None:
        panel.curves = curves
        wanted = {curve.name for curve in curves}
        for name in [name for name in panel.lines if name not in wanted]:
            lines = panel.lines.pop(name)
            for item in (lines.raw, lines.strong, lines.dots):
                panel.plot.removeItem(item)
        for name in sorted(wanted - set(panel.lines)):
            raw, strong = pg.PlotCurveItem(skipFiniteCheck=True), pg.PlotCurveItem(skipFiniteCheck=True)
            lines = _Lines(raw, strong, pg.ScatterPlotItem(pen=None, pxMode=True))
            lines.raw.setZValue(-1)
            panel.lines[name] = lines
            for item in (raw, strong, lines.dots):
                panel.plot.addItem(item)

    def _style_lines(self, lines: _Lines, curve: Curve) -> None:
        pale = QColor(curve.colour)
        pale.setAlpha(PALE)
        style = Qt.PenStyle.DashLine if curve.direct else Qt.PenStyle.SolidLine
        lines.raw.setPen(pg.mkPen(pale, width=1))
        lines.strong.setPen(pg.mkPen(curve.colour, width=1, style=style))
        lines.dots.setBrush(pg.mkBrush(curve.colour))
        lines.dots.setSize(self.theme.px(6))

    # drawing

    def _draw_curve(self, panel: _Panel, curve: Curve) -> tuple[Floats, Floats] | None:
        """Draw one curve and return the (raw, strong) heights drawn, or None where it has nothing to show."""
        lines, series = panel.lines[curve.name], curve.series
        if not len(series):
            for item in (lines.raw, lines.strong, lines.dots):
                item.setData([], [])
            return None
        series.refresh()
        axis = series.axis(self.view.by_time)
        left, right = panel.plot.vb.viewRange()[0]
        start = max(0, int(np.searchsorted(axis, left)) - 1)
        end = min(len(axis), int(np.searchsorted(axis, right)) + 1)
        limit = max(100, int(panel.plot.vb.width()))
        smooth = not curve.direct and series.weight > 0
        raw = self._points(axis, series.raw_pyramid.reduce(series.raw.values, start, end, limit))
        strong = self._points(axis, series.smooth_pyramid.reduce(series.smooth.values, start, end, limit))
        if not smooth:
            strong = raw
        lines.raw.setVisible(smooth)
        if smooth:
            lines.raw.setData(*raw)
        lines.strong.setData(*strong, antialias=len(strong[0]) < FINE_LINE)
        dotted = len(strong[0]) <= (FEW_POINTS if curve.direct else 1)
        lines.dots.setData(*(strong if dotted else ([], [])))
        return raw[1], strong[1]

    def _points(self, axis: Floats, blocks: tuple[npt.NDArray[np.int64], Floats, Floats]) -> tuple[Floats, Floats]:
        """Return the line through minimum and maximum of each block, in the units of the screen's axis."""
        index, low, high = blocks
        x = axis[index]
        if low is not high:
            x = np.repeat(x, 2)
            low = np.column_stack((low, high)).ravel()
        if self.view.log:
            positive = low > 0
            x, low = x[positive], np.log10(low[positive])
        return x, low

    def _fit_x(self) -> None:
        axes = [c.series.axis(self.view.by_time) for p in self.panels.values() for c in p.curves if len(c.series)]
        if axes:
            low, high = min(float(a[0]) for a in axes), max(float(a[-1]) for a in axes)
            first = next(iter(self.panels.values()))
            first.plot.setXRange(low, high if high > low else low + 1, padding=0.01)

    def _fit_y(self, panel: _Panel, drawn: list[tuple[Floats, Floats]]) -> None:
        drawn = [pair for pair in drawn if len(pair[0])]
        if not drawn:
            return
        low, high = _bounds([raw for raw, _strong in drawn], 0.0)
        if self.view.clip:
            low, high = _bounds([raw for raw, _strong in drawn], CLIP_SHARE)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        panel.plot.setYRange(low, high, padding=0.06)

    def _place_best(self, panel: _Panel) -> None:
        panel.best.setVisible(self.best is not None)
        if self.best is None:
            return
        x = self.best
        known = next((curve.series for curve in panel.curves if len(curve.series)), None)
        if self.view.by_time and known is not None:
            x = float(known.times.values[known.nearest(self.best, by_time=False)])
        panel.best.setValue(x)
        panel.best.label.setFormat(self.best_text if panel is next(iter(self.panels.values())) else "")

    # pointing

    def _point_at(self, position: QPointF) -> None:
        for panel in self.panels.values():
            if panel.plot.vb.sceneBoundingRect().contains(position):
                self._show_cross(float(panel.plot.vb.mapSceneToView(position).x()))
                return
        self._show_cross(None)

    def _show_cross(self, x: float | None) -> None:
        for panel in self.panels.values():
            panel.cross.setVisible(x is not None)
            if x is not None:
                panel.cross.setValue(x)
        self.hovered.emit(x)


def _bounds(columns: Iterable[Floats], share: float) -> tuple[float, float]:
    """Return the lowest and highest value, without the outer `share` of each curve at both ends."""
    lows, highs = [], []
    for values in columns:
        if share and len(values) > 20:
            low, high = np.quantile(values, [share, 1 - share])
        else:
            low, high = values.min(), values.max()
        lows.append(float(low))
        highs.append(float(high))
    return min(lows), max(highs)


def readable_time(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    whole = int(abs(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
