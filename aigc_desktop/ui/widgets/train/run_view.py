"""What a training shows of itself: the sample wall over the curves, from the disk and live."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QSplitter, QVBoxLayout, QWidget

from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Checkpoint, Event, Failed, Metric
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.explored import is_explored
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.run_history import History, read_history
from aigc_desktop.ui.widgets.plots.metric_plot import MetricPlot
from aigc_desktop.ui.widgets.wall.sample_wall import SampleWall


class Stopwatch:
    """Counts the seconds a training computes; pauses do not count."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.before = seconds
        self.since: float | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + (time.monotonic() - self.since if self.since is not None else 0.0)

    def run(self, running: bool) -> None:
        """Count, or stop counting."""
        if running and self.since is None:
            self.since = time.monotonic()
        elif not running and self.since is not None:
            self.before, self.since = self.seconds, None


class RunView(QWidget):
    """Wall and curves of one run; events that come while its history is still being read wait for it."""

    like_this = Signal(object)
    variants_asked = Signal(object)
    """A SampleOrigin: the user wants more of it."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.run: Run | None = None
        self.stopwatch = Stopwatch()
        self._reading: Background | None = None
        self._waiting: list[tuple[list[Event], float]] = []
        self.wall = SampleWall(services.theme)
        self.plot = MetricPlot(services.theme)
        self.wall.generate_like_this.connect(self.like_this)
        self.wall.variants_asked.connect(self.variants_asked)
        self.plot.export_asked.connect(self._ask_export)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(self.wall)
        split.addWidget(self.plot)
        split.setSizes([1000, 1000])
        split.setHandleWidth(services.theme.px(12))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(split)

    def show_run(self, run: Run | None) -> None:
        """Show another run, from its files."""
        if self._reading is not None:
            self._reading.cancel()
        self.run, self._reading, self._waiting = run, None, []
        self.wall.varied = run is not None and is_explored(self.services, {"task": run.info.task, "model": run.id})
        self.wall.clear(run.id if run else "")
        self.plot.clear()
        self.stopwatch = Stopwatch(run.info.seconds if run else 0.0)
        if run is not None:
            read = partial(read_history, run, self.plot.smoothing)
            self._reading = Background(self, read, self._show_history, self._history_failed)
        self.plot.say_reading(run is not None)

    def add_events(self, events: list[Event]) -> None:
        """Show what the running training tells."""
        seconds = self.stopwatch.seconds
        if self._reading is not None:
            self._waiting.append((events, seconds))
            return
        for event in events:
            if isinstance(event, Metric):
                self.plot.append(event.step, event.values, seconds)
            elif isinstance(event, Checkpoint) and event.best:
                self.plot.mark_best(event.step)
        self.wall.add_events(events)

    def _show_history(self, history: History) -> None:
        self._reading = None
        self.plot.say_reading(False)
        self.plot.load_series(history.series)
        self.plot.mark_best(history.best_step)
        self.wall.add_events(history.samples)
        waiting, self._waiting = self._waiting, []
        for events, _seconds in waiting:
            self.add_events(events)

    def _history_failed(self, failed: Failed) -> None:
        self._show_history(History())
        self.services.notify(failed.message)

    def _ask_export(self, kind: str) -> None:
        if self.run is None:
            return
        filters = {"csv": _("Table (*.csv)"), "png": _("Picture (*.png)")}
        name = str(Path.home() / f"{self.run.id}.{kind}")
        path, _filter = QFileDialog.getSaveFileName(self, _("Save the curves"), name, filters[kind])
        if path:
            self.export(kind, Path(path))

    def export(self, kind: str, path: Path) -> None:
        """Save the curves as "csv" or "png", and say so."""
        try:
            if kind == "csv":
                self.plot.export_csv(path)
            else:
                self.plot.export_png(path)
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return
        self.services.notify(_("Saved: {path}").format(path=path))
