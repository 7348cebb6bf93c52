"""Live curves of every number a training reports, smooth with a million points.

Raw values are pale, the smoothed curve is strong, validation is dashed; losses share a plot, other scales have their
own below. Values are only stored when they come; drawing happens at most 30 times a second, and only when visible.
"""

from __future__ import annotations

import csv
import importlib
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QBuffer, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import icon_button, label
from aigc_desktop.ui.widgets.metric_words import GROUP_TITLES, MetricWords, base_name, words_for
from aigc_desktop.ui.widgets.series import Floats, Series

if TYPE_CHECKING:
    from aigc_desktop.ui.widgets.plot_canvas import Curve, PlotCanvas

REDRAW_MS = 33
CANVAS_MODULE = "aigc_desktop.ui.widgets.plot_canvas"
SMOOTHINGS = (0.0, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Positions of the smoothing slider: weight of the past."""

Columns = dict[str, tuple[Floats, Floats, Floats]]
"""Metric name -> (steps, values, seconds)."""


@dataclass
class _Metric:
    words: MetricWords
    series: Series
    chip: QToolButton


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
        self.smoothing = 0.9
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
            self.legend.removeWidget(metric.chip)
            metric.chip.deleteLater()
        self.metrics = {}
        self.best_step = None
        self._panels_stale = self.fitting = True
        self.waiting.show()
        if self.canvas is not None:
            self.canvas.hide()
        self.update_soon()

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
        """Write all values, one line per step, atomically; empty cells where a metric was not measured."""
        names = list(self.metrics)
        series = [self.metrics[name].series for name in names]
        steps = np.unique(np.concatenate([s.steps.values for s in series])) if series else np.zeros(0)
        cells = np.full((len(steps), len(names) + 1), np.nan)
        for column, one in enumerate(series):
            rows = np.searchsorted(steps, one.steps.values)
            cells[rows, 0], cells[rows, column + 1] = one.times.values, one.raw.values
        with atomic_file(path, "w") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(["step", "seconds", *names])
            for step, row in zip(steps, cells, strict=True):
                writer.writerow([int(step), *("" if np.isnan(cell) else f"{cell:.7g}" for cell in row)])

    def export_png(self, path: Path) -> None:
        """Write the plots with their legend as a picture of twice the screen's resolution."""
        image = QImage(self.size() * 2, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(2)
        image.fill(QColor(self.theme.colours.surface))
        self.render(image)
        with atomic_file(path) as f:
            f.write(_png(image))

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
        from aigc_desktop.ui.widgets.plot_canvas import View

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
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(px(4))
        self.legend = FlowLayout(px(4))
        chips = QWidget()
        chips.setLayout(self.legend)
        foot = QHBoxLayout()
        foot.setSpacing(px(4))
        self.position = label("", "secondary", wrap=False)
        foot.addWidget(self.position, 1)
        for control in self._controls():
            foot.addWidget(control)
        self.place = QVBoxLayout()
        self.waiting = label(_("The curves appear with the first steps."), "secondary")
        self.waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.place.addWidget(self.waiting, 1)
        box.addWidget(chips)
        box.addLayout(self.place, 1)
        box.addLayout(foot)
        self.setMinimumHeight(px(230))

    def _controls(self) -> list[QWidget]:
        theme = self.theme
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(SMOOTHINGS) - 1)
        self.slider.setValue(SMOOTHINGS.index(self.smoothing))
        self.slider.setFixedWidth(theme.px(80))
        self.slider.setToolTip(_("Smoothing: how much the strong line follows the past. Left shows every value."))
        self.slider.setAccessibleName(_("Smoothing"))
        self.slider.valueChanged.connect(self._smoothing_moved)
        smooth: QLabel = label(_("Smoothing"), "secondary", wrap=False)
        smooth.setBuddy(self.slider)
        self.log_button = self._switch(_("Log"), _("Logarithmic scale: small differences at the end become visible."))
        self.clip_button = self._switch(_("Clip"), _("Clip outliers: single extreme values do not flatten the curve."))
        self.time_button = self._switch(_("Time"), _("Show time instead of steps on the horizontal axis."))
        self.clip_button.setChecked(True)
        for switch in (self.log_button, self.clip_button, self.time_button):
            switch.toggled.connect(self._switched)
        self.fit_button = icon_button(theme, "maximize", _("Fit: show everything and follow"))
        self.fit_button.clicked.connect(self.fit)
        self.csv_button = icon_button(theme, "table", _("Save the values as a table (CSV)…"))
        self.csv_button.clicked.connect(self._ask_csv)
        self.png_button = icon_button(theme, "image", _("Save the curves as a picture (PNG)…"))
        self.png_button.clicked.connect(self._ask_png)
        return [
            smooth, self.slider, self.log_button, self.clip_button, self.time_button, self.fit_button,
            self.csv_button, self.png_button,
        ]  # fmt: skip

    def _switch(self, text: str, tip: str) -> QToolButton:
        made = QToolButton()
        made.setText(text)
        made.setCheckable(True)
        made.setToolTip(tip)
        made.setAccessibleName(text)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return made

    def _metric(self, name: str) -> _Metric:
        if name not in self.metrics:
            words = words_for(name)
            chip = self._switch(words.title, _("Show or hide this curve"))
            chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            chip.setChecked(words.shown)
            chip.toggled.connect(self._chip_toggled)
            self.legend.addWidget(chip)
            series = Series(0.0 if words.validation else self.smoothing)
            self.metrics[name] = _Metric(words, series, chip)
            self._colour_chips()
            self._panels_stale = True
        return self.metrics[name]

    def _colours(self) -> dict[str, str]:
        """Return the colour of each metric; a validation curve has the one of the metric it belongs to."""
        palette = self.theme.plot_colours
        colours: dict[str, str] = {}
        groups: dict[str, int] = {}
        for name, metric in self.metrics.items():
            base = base_name(name)
            if base in colours:
                colours[name] = colours[base]
                continue
            place = groups.get(metric.words.group, 0)
            groups[metric.words.group] = place + 1
            colours[name] = palette[place % len(palette)]
        return colours

    def _panels(self) -> dict[str, tuple[str, list[Curve]]]:
        from aigc_desktop.ui.widgets.plot_canvas import Curve

        colours = self._colours()
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

    def _colour_chips(self) -> None:
        side = self.theme.px(12)
        for name, colour in self._colours().items():
            chip = self.metrics[name].chip
            picture = QPixmap(side * 2, side * 2)
            picture.fill(Qt.GlobalColor.transparent)
            dashed = self.metrics[name].words.validation
            _paint_line(picture, QColor(colour), dashed)
            chip.setIcon(QIcon(picture))
            chip.setIconSize(QSize(side, side))

    def _show_values(self, x: float | None) -> None:
        """Write the value of each curve at `x`, or the latest, into the legend."""
        if self.canvas is None:
            return
        places = {n: m.series.nearest(x, self.by_time) if x is not None else -1 for n, m in self._drawn().items()}
        for name, metric in self.metrics.items():
            text = metric.words.title
            if name in places:
                text = f"{text}  {metric.series.raw.values[places[name]]:.4g}"
            if metric.chip.text() != text:
                metric.chip.setText(text)
                metric.chip.setMinimumWidth(max(metric.chip.minimumWidth(), metric.chip.sizeHint().width()))
        self.position.setText(self._position(x))

    def _position(self, x: float | None) -> str:
        if x is None:
            return ""
        from aigc_desktop.ui.widgets.plot_canvas import readable_time

        return readable_time(max(0.0, x)) if self.by_time else _("Step {step}").format(step=f"{max(0.0, x):,.0f}")

    def _drawn(self) -> dict[str, _Metric]:
        return {name: metric for name, metric in self.metrics.items() if len(metric.series)}

    def _make_canvas(self) -> None:
        """Make the canvas once pyqtgraph is loaded and there is something to draw."""
        if not self.metrics or not preload():
            return
        from aigc_desktop.ui.widgets.plot_canvas import PlotCanvas

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

    def _smoothing_moved(self, position: int) -> None:
        self.set_smoothing(SMOOTHINGS[position])

    def _switched(self) -> None:
        self.log, self.clip = self.log_button.isChecked(), self.clip_button.isChecked()
        self.by_time = self.time_button.isChecked()
        self.fit()

    def _chip_toggled(self) -> None:
        self._panels_stale = True
        self.fit()

    def _ask_csv(self) -> None:
        self.export_asked.emit("csv")

    def _ask_png(self) -> None:
        self.export_asked.emit("png")

    def _restyle(self) -> None:
        self._colour_chips()
        self._panels_stale = True
        self.update_soon()


_loading: threading.Thread | None = None


def preload() -> bool:
    """Load pyqtgraph on a thread and return whether it is there; half a second that the window does not wait for."""
    global _loading
    if _loading is None:
        load = importlib.import_module
        _loading = threading.Thread(target=load, args=(CANVAS_MODULE,), name="load plots", daemon=True)
        _loading.start()
    return not _loading.is_alive() and CANVAS_MODULE in sys.modules


def _paint_line(picture: QPixmap, colour: QColor, dashed: bool) -> None:
    """Paint the sample of a curve's line across the middle of a picture."""
    with QPainter(picture) as painter:
        pen = QPen(colour, picture.height() / 6)
        if dashed:
            pen.setDashPattern([1.2, 0.8])
        painter.setPen(pen)
        middle = picture.height() // 2
        painter.drawLine(0, middle, picture.width(), middle)


def _png(image: QImage) -> bytes:
    """Return the picture as a PNG file."""
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())
