"""Two or more runs beside each other: one metric as curves, its last and best value, the settings that differ."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.qt_types import need_types
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.run_table import RunRow
from aigc_desktop.ui.widgets.run_words import main_metric

Rows = list[dict[str, float]]


class CompareDialog(QDialog):
    """Compares runs; reading their metrics happens beside the window."""

    def __init__(self, services: Services, runs: list[RunRow], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.services, self.runs = services, runs
        theme = services.theme
        self.metrics: list[Rows] = []
        self.setWindowTitle(_("Compare runs"))
        self.setSizeGripEnabled(True)
        self.resize(theme.px(960), theme.px(640))
        self.metric_box = QComboBox()
        self.metric_box.setAccessibleName(_("Metric"))
        self.metric_box.setToolTip(_("The number that is compared"))
        self.plot: Any = None  # made when the curves are there, and anew for another theme
        self.place = QVBoxLayout()
        self.table = QTableWidget()
        self.table.setAccessibleName(_("Values and settings that differ"))
        self.table.setToolTip(_("Settings that are the same in all runs are left out."))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        close = button(theme, _("Close"), kind="primary")
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(16)] * 4)
        box.setSpacing(theme.px(12))
        head = QHBoxLayout()
        head.addWidget(label(_("Metric"), wrap=False))
        head.addWidget(self.metric_box)
        head.addStretch(1)
        box.addLayout(head)
        box.addLayout(self.place, 3)
        box.addWidget(self.table, 2)
        box.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        self.metric_box.activated.connect(self._show_metric)
        theme.changed.connect(self._restyle)
        need_types()
        Background(self, partial(_read, runs), self._take, services.show_failure)

    def _take(self, metrics: list[Rows]) -> None:
        self._make_plot()
        self.metrics = metrics
        names = list(dict.fromkeys(name for rows in metrics for row in rows for name in row if name != "step"))
        self.metric_box.addItems(names)
        self.metric_box.setCurrentText(main_metric([row for rows in metrics for row in rows]))
        self._show_metric()

    def _make_plot(self) -> None:
        from pyqtgraph import PlotWidget  # loaded already, with the metrics

        colours = self.services.theme.colours
        self.plot = PlotWidget(background=colours.surface)
        self.plot.addLegend(offset=(-10, 10), labelTextColor=colours.text)
        self.plot.showGrid(x=True, y=True, alpha=0.2)
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(colours.control)
            axis.setTextPen(colours.secondary)
        self.plot.setLabel("bottom", _("step"))
        self.plot.setAccessibleName(_("Curves of the compared runs"))
        self.place.addWidget(self.plot)

    def _restyle(self) -> None:
        if self.plot is not None:
            self.place.removeWidget(self.plot)
            self.plot.deleteLater()
            self._make_plot()
            self._show_metric()

    def _show_metric(self) -> None:
        theme, name = self.services.theme, self.metric_box.currentText()
        self.plot.clear()
        self.plot.setLabel("left", name)
        for number, rows in enumerate(self.metrics):
            points = [(row["step"], row[name]) for row in rows if name in row]
            colour = QColor(theme.plot_colours[number % len(theme.plot_colours)])
            if points:
                steps, values = zip(*points, strict=True)
                title = self.runs[number].info.title.replace("<", "‹").replace(">", "›")  # the legend reads HTML
                self.plot.plot(steps, values, pen=colour, name=title)
        self._fill_table(name)

    def _fill_table(self, name: str) -> None:
        lines = [(_("last value"), [_last(rows, name) for rows in self.metrics]),
                 (_("smallest value"), [_smallest(rows, name) for rows in self.metrics]),
                 *different_settings(self.runs)]  # fmt: skip
        self.table.setRowCount(len(lines))
        self.table.setColumnCount(len(self.runs))
        self.table.setHorizontalHeaderLabels([row.info.title for row in self.runs])
        self.table.setVerticalHeaderLabels([title for title, _values in lines])
        for number, (_title, values) in enumerate(lines):
            for column, value in enumerate(values):
                self.table.setItem(number, column, QTableWidgetItem(value))
        self.table.resizeColumnsToContents()


def _read(runs: list[RunRow]) -> list[Rows]:
    """Return the metrics of the runs, and load what draws them: on a thread, because that takes 0.3 s."""
    importlib.import_module("pyqtgraph")
    return [row.run.metrics() for row in runs]


def different_settings(runs: list[RunRow]) -> list[tuple[str, list[str]]]:
    """Return (name, value in each run) for the settings that are not the same in all runs."""
    configs: list[dict[str, Any]] = []
    for row in runs:
        try:
            configs.append(row.run.config_values)
        except (OSError, UserError):
            configs.append({})
    names = list(dict.fromkeys(name for config in configs for name in config))
    lines = [(name, [str(config.get(name, "–")) for config in configs]) for name in names]
    return [(name, values) for name, values in lines if len(set(values)) > 1]


def _last(rows: Rows, name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{values[-1]:.4g}" if values else "–"


def _smallest(rows: Rows, name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{min(values):.4g}" if values else "–"
