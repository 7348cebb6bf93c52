"""Two or more runs beside each other: one metric as curves, its last and best value, the settings that differ."""

from __future__ import annotations

import importlib
from functools import partial
from itertools import chain
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
from aigc_desktop.core.metric_words import words_for
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.qt_types import need_types
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, label
from aigc_desktop.ui.widgets.forms.field_words import setting_words
from aigc_desktop.ui.widgets.run_words import main_metric
from aigc_desktop.ui.widgets.train.run_table import RunRow

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
        self.resize(dialog_size(theme.px(960), theme.px(640), parent))
        self.metric_box = ChoiceBox(_("Metric"), _("The number that is compared"))
        self.metric_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)  # names come later
        self.plot: Any = None  # made when the curves are there, and anew for another theme
        self.place = QVBoxLayout()
        self.table = QTableWidget()
        self.table.setAccessibleName(_("Values and settings that differ"))
        self.table.setToolTip(_("Settings that are the same in all runs are left out."))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        close = button(theme, _("Close"), kind="primary")
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
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
        for name in _names(metrics):
            self.metric_box.addItem(words_for(name).title, name)
        shared = [[{name: row[name] for name in _shared(metrics) if name in row} for row in rows] for rows in metrics]
        said = main_metric([row for rows in shared for row in rows])
        self.metric_box.setCurrentIndex(self.metric_box.findData(said or main_metric([*chain(*metrics)])))
        self._show_metric()

    def _make_plot(self) -> None:
        from pyqtgraph import PlotWidget  # loaded already, with the metrics

        from aigc_desktop.ui.widgets.plots.plot_canvas import Axis

        theme = self.services.theme
        colours, font = theme.colours, theme.font("secondary")
        axes = {"bottom": Axis("bottom"), "left": Axis("left")}
        axes["bottom"].kind = "step"
        self.plot = PlotWidget(background=colours.surface, axisItems=axes)
        self.plot.addLegend(offset=(-10, 10), brush=colours.surface, labelTextColor=colours.text,
                            labelTextSize=f"{theme.font('secondary').pixelSize()}px")  # fmt: skip
        self.plot.showGrid(y=True, alpha=0.2)
        for axis in axes.values():
            axis.enableAutoSIPrefix(False)
            axis.setPen(colours.control)
            axis.setTextPen(colours.secondary)
            axis.setTickFont(font)
            axis.label.setFont(font)
        self.plot.setLabel("bottom", _("Steps"))
        axes["bottom"].setHeight(axes["bottom"].height_with_label())
        self.plot.setAccessibleName(_("Curves of the compared runs"))
        self.place.addWidget(self.plot)

    def _restyle(self) -> None:
        if self.plot is not None:
            self.place.removeWidget(self.plot)
            self.plot.deleteLater()
            self._make_plot()
            self._show_metric()

    def _show_metric(self) -> None:
        from aigc_desktop.ui.widgets.plots.plot_canvas import FEW_POINTS

        theme, name = self.services.theme, str(self.metric_box.currentData())
        self.plot.clear()
        self.plot.setLabel("left", self.metric_box.currentText())
        for number, rows in enumerate(self.metrics):
            points = [(row["step"], row[name]) for row in rows if name in row]
            colour = QColor(theme.plot_colours[number % len(theme.plot_colours)])
            if points:
                steps, values = zip(*points, strict=True)
                title = self.runs[number].info.title.replace("<", "‹").replace(">", "›")  # the legend reads HTML
                dots = {"symbol": "o", "symbolSize": 5, "symbolBrush": colour, "symbolPen": colour}
                few = dots if len(points) <= FEW_POINTS else {}  # one value alone makes no line
                self.plot.plot(steps, values, pen=colour, name=title, **few)
        self._fill_table(name)

    def _fill_table(self, name: str) -> None:
        lines = [(_("last value"), [_last(rows, name) for rows in self.metrics]),
                 (_("smallest value"), [_smallest(rows, name) for rows in self.metrics]),
                 *self._settings()]  # fmt: skip
        self.table.setRowCount(len(lines))
        self.table.setColumnCount(len(self.runs))
        self.table.setHorizontalHeaderLabels([row.info.title for row in self.runs])
        self.table.setVerticalHeaderLabels([title for title, _values in lines])
        for number, (_title, values) in enumerate(lines):
            for column, value in enumerate(values):
                self.table.setItem(number, column, QTableWidgetItem(value))
        self.table.resizeColumnsToContents()
        self.table.resizeRowsToContents()

    def _settings(self) -> list[tuple[str, list[str]]]:
        """Return (title, value in each run) of the settings that differ, in the words of the forms."""
        catalogue = self.services.jobs.catalogue
        tasks = [catalogue.get(row.info.task) for row in self.runs]
        fields = [task.fields if task else [] for task in tasks]
        every = [*chain(*fields)]
        lines = []
        for name, values in different_settings(self.runs):
            told = [setting_words(own, name, value)[1] or "–" for own, value in zip(fields, values, strict=True)]
            lines.append((setting_words(every, name, None)[0], told))
        return lines


def _names(metrics: list[Rows]) -> list[str]:
    return list(dict.fromkeys(name for row in chain(*metrics) for name in row if name != "step"))


def _shared(metrics: list[Rows]) -> list[str]:
    """Return the metrics that all runs have: only these can be compared."""
    return [name for name in _names(metrics) if all(any(name in row for row in rows) for rows in metrics)]


def _read(runs: list[RunRow]) -> list[Rows]:
    """Return the metrics of the runs, and load what draws them: on a thread, because that takes 0.3 s."""
    importlib.import_module("pyqtgraph")
    return [row.run.metrics() for row in runs]


def different_settings(runs: list[RunRow]) -> list[tuple[str, list[Any]]]:
    """Return (name, value in each run) for the settings that are not the same in all runs; None for one it has not."""
    configs: list[dict[str, Any]] = []
    for row in runs:
        try:
            configs.append(row.run.config_values)
        except (OSError, UserError):
            configs.append({})
    names = list(dict.fromkeys(name for config in configs for name in config))
    lines = [(name, [config.get(name) for config in configs]) for name in names]
    return [(name, values) for name, values in lines if len({str(value) for value in values}) > 1]


def _last(rows: Rows, name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{values[-1]:.4g}" if values else "–"


def _smallest(rows: Rows, name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{min(values):.4g}" if values else "–"
