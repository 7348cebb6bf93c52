"""Live curves of every number a training reports, smooth with a million points.

Raw values are pale, the smoothed curve is strong, validation is dashed; losses share a plot, other scales have their
own below. Values are only stored when they come; drawing happens at most 30 times a second, and only when visible.
"""

from __future__ import annotations

import importlib
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.metric_words import GROUP_TITLES, MetricWords, words_for
from aigc_desktop.ui.qt_types import need_types
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import label
from aigc_desktop.ui.widgets.plots.metric_legend import ALL_LINES, SHOWN_LINES, Chip, Legend, curve_colours
from aigc_desktop.ui.widgets.plots.plot_controls import FIRST_SMOOTHING, PlotControls
from aigc_desktop.ui.widgets.plots.plot_export import write_csv, write_png
from aigc_desktop.ui.widgets.plots.series import Floats, Series

if TYPE_CHECKING:
    from aigc_desktop.ui.widgets.plots.plot_canvas import Curve, PlotCanvas

REDRAW_MS = 33
CANVAS_MODULE = "aigc_desktop.ui.widgets.plots.plot_canvas"
Columns = dict[str, tuple[Floats, Floats, Floats]]
"""Metric name -> (steps, values, seconds)."""


@dataclass
class _Metric:
    words: MetricWords
    series: Series
    chip: Chip


class MetricPlot(QWidget):
    """Curves with a legend that switches them, smoothing, log scale, outlier clip, crosshair, zoom and export."""

    export_asked = Signal(str)
    """"csv" or "png": the page asks where to and calls export_csv or export_png."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.metrics: dict[str, _Metric] = {}
        self.canvas: PlotCanvas | None = None
        self.by_time = self.log = False
        self.clip = self.fitting = True
        self.best_step: int | None = None
        self.smoothing = FIRST_SMOOTHING
        self._cross: float | None = None
        self._panels_stale = True
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self.redraw)
        self._build()
        theme.changed.connect(self._restyle)

    # what the page calls

    def append(self, step: int, values: dict[str, float], seconds: float = 0.0) -> None:
        """Take the numbers of one step, `seconds` after the start of the training."""
        at, when = np.array([step], np.float64), np.array([seconds], np.float64)
        for name, value in values.items():
            self._metric(name).series.extend(at, np.array([value], np.float64), when)
        self.update_soon()

    def load(self, columns: Columns) -> None:
        """Take a whole history at once."""
        for name, (steps, values, seconds) in columns.items():
            self._metric(name).series.extend(steps, values, seconds)
        self.update_soon()

    def load_series(self, series: dict[str, Series]) -> None:
        """Take a history that was prepared beside the window, as what comes before anything live."""
        for name, one in series.items():
            one.set_weight(0.0 if words_for(name).validation else self.smoothing)
            self._metric(name).series = one
        self._panels_stale = True
        self.update_soon()

    def clear(self) -> None:
        """Forget all curves."""
        for metric in self.metrics.values():
            self.legend.flow.removeWidget(metric.chip)
            metric.chip.deleteLater()
        self.metrics = {}
        self.best_step = None
        self._panels_stale = self.fitting = True
        self.waiting.show()
        if self.canvas is not None:
            self.canvas.hide()
        self.update_soon()

    def say_reading(self, reading: bool) -> None:
        """Say what an empty plot waits for: the first steps, or curves that are still being read."""
        words = _("The curves are being read…") if reading else _("The curves appear with the first steps.")
        self.waiting.setText(words)

    def mark_best(self, step: int | None) -> None:
        """Mark the step of the best saved version."""
        self.best_step = step
        self.update_soon()

    def fit(self) -> None:
        """Show everything and follow what comes."""
        self.fitting = True
        self.update_soon()

    def set_smoothing(self, weight: float) -> None:
        """Smooth with this weight of the past, 0 to below 1."""
        self.smoothing = weight
        for metric in self.metrics.values():
            metric.series.set_weight(0.0 if metric.words.validation else weight)
        self.update_soon()

    def export_csv(self, path: Path) -> None:
        """Write all values, one line per step."""
        write_csv(path, {name: metric.series for name, metric in self.metrics.items()})

    def export_png(self, path: Path) -> None:
        """Write the plots with their legend as a picture of twice the screen's resolution."""
        self.legend.show_lines(ALL_LINES)
        self.box.activate()
        write_png(path, self, QColor(self.theme.colours.surface))
        self.legend.show_lines(SHOWN_LINES)

    def update_soon(self) -> None:
        """Draw with the next round of the timer, once for all that has come till then."""
        if self.isVisible() and not self._redraw.isActive():
            self._redraw.start()

    def redraw(self) -> None:
        """Draw now, if there is a canvas; MetricPlot calls this itself."""
        if self.canvas is None:
            self._make_canvas()
        if self.canvas is None:
            if self.metrics:
                self._redraw.start()
            return
        from aigc_desktop.ui.widgets.plots.plot_canvas import View

        self.canvas.setVisible(bool(self.metrics))
        self.waiting.setVisible(not self.metrics)
        if self._panels_stale:
            self.canvas.set_panels(self._panels())
            self._panels_stale = False
        self.canvas.best = self.best_step
        self.canvas.best_text = _("Best version: step {step}").format(step=f"{self.best_step or 0:,}")
        x_title = _("Time (h:min:s)") if self.by_time else _("Step")
        self.canvas.draw(View(self.by_time, self.log, self.clip), self.fitting, x_title)
        self._show_values(self._cross)

    # own

    def _build(self) -> None:
        px = self.theme.px
        self.box = box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(px(4))
        self.legend = Legend(self.theme)
        self.controls = PlotControls(self.theme)
        self.controls.smoothing_changed.connect(self.set_smoothing)
        self.controls.switched.connect(self._switched)
        self.controls.fit_asked.connect(self.fit)
        self.controls.export_asked.connect(self.export_asked)
        self.place = QVBoxLayout()
        self.waiting = label("", "secondary")
        self.say_reading(False)
        self.waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.place.addWidget(self.waiting, 1)
        box.addWidget(self.legend)
        box.addLayout(self.place, 1)
        box.addWidget(self.controls)
        self.setMinimumHeight(px(230))

    def _metric(self, name: str) -> _Metric:
        if name not in self.metrics:
            words = words_for(name)
            chip = Chip(self.theme, words.title, words.validation, words.shown)
            chip.toggled.connect(self._chip_toggled)
            self.legend.flow.addWidget(chip)
            series = Series(0.0 if words.validation else self.smoothing)
            self.metrics[name] = _Metric(words, series, chip)
            self._colour_chips()
            self._panels_stale = True
        return self.metrics[name]

    def _curve_colours(self) -> dict[str, str]:
        groups = {name: metric.words.group for name, metric in self.metrics.items()}
        return curve_colours(groups, self.theme.plot_colours)

    def _colour_chips(self) -> None:
        for name, colour in self._curve_colours().items():
            self.metrics[name].chip.show_colour(colour)

    def _panels(self) -> dict[str, tuple[str, list[Curve]]]:
        from aigc_desktop.ui.widgets.plots.plot_canvas import Curve

        colours = self._curve_colours()
        groups: dict[str, tuple[str, list[Curve]]] = {}
        for group, title in GROUP_TITLES.items():
            curves = [
                Curve(name, metric.series, colours[name], metric.words.validation)
                for name, metric in self.metrics.items()
                if metric.words.group == group and metric.chip.isChecked()
            ]
            if curves:
                groups[group] = (_(title), curves)
        return groups

    def _show_values(self, x: float | None) -> None:
        """Write the value of each curve at `x`, or the latest, into the legend."""
        if self.canvas is None:
            return
        places = {n: m.series.nearest(x, self.by_time) if x is not None else -1 for n, m in self._drawn().items()}
        for name, metric in self.metrics.items():
            text = metric.words.title
            if name in places:
                text = f"{text}  {metric.series.raw.values[places[name]]:.4g}"
            metric.chip.show_text(text)
        self.controls.position.setText(self._position(x))

    def _position(self, x: float | None) -> str:
        if x is None:
            return ""
        from aigc_desktop.ui.widgets.plots.plot_canvas import readable_time

        return readable_time(max(0.0, x)) if self.by_time else _("Step {step}").format(step=f"{max(0.0, x):,.0f}")

    def _drawn(self) -> dict[str, _Metric]:
        return {name: metric for name, metric in self.metrics.items() if len(metric.series)}

    def _make_canvas(self) -> None:
        """Make the canvas once pyqtgraph is loaded and there is something to draw."""
        if not self.metrics or not preload():
            return
        from aigc_desktop.ui.widgets.plots.plot_canvas import PlotCanvas

        self.canvas = PlotCanvas(self.theme)
        self.canvas.hovered.connect(self._hover)
        self.canvas.zoomed.connect(self._zoomed)
        self.canvas.rearranged.connect(self.update_soon)
        self.canvas.setAccessibleName(_("Curves of the training"))
        self.waiting.hide()
        self.place.addWidget(self.canvas, 1)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        preload()
        if self.metrics:
            self.update_soon()

    def _hover(self, x: float | None) -> None:
        self._cross = x
        self._show_values(x)

    def _zoomed(self) -> None:
        self.fitting = False
        self.update_soon()

    def _switched(self) -> None:
        self.log, self.clip = self.controls.log.isChecked(), self.controls.clip.isChecked()
        self.by_time = self.controls.time.isChecked()
        self.fit()

    def _chip_toggled(self) -> None:
        self._panels_stale = True
        self.fit()

    def _restyle(self) -> None:
        self._colour_chips()
        self._panels_stale = True
        self.update_soon()


_loading: threading.Thread | None = None


def preload() -> bool:
    """Load pyqtgraph on a thread and return whether it is there; half a second that the window does not wait for."""
    global _loading
    if _loading is None:
        need_types()
        load = importlib.import_module
        _loading = threading.Thread(target=load, args=(CANVAS_MODULE,), name="load plots", daemon=True)
        _loading.start()
    return not _loading.is_alive() and CANVAS_MODULE in sys.modules
