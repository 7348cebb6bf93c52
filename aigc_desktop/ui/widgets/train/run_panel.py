"""The right side of the Train page while a run is shown: how it goes, what can be done, and what comes next."""

from __future__ import annotations

import contextlib

import psutil
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QProgressBar, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, readable_size
from aigc_desktop.core.events import Checkpoint, Event, Failed, Finished, Metric, Note, Stopped
from aigc_desktop.core.i18n import _
from aigc_desktop.core.metric_words import base_name
from aigc_desktop.core.run import Run, RunInfo
from aigc_desktop.ui.format import readable_time
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.failure_card import FailureCard
from aigc_desktop.ui.widgets.train.run_cards import EndCard, FactGrid
from aigc_desktop.ui.widgets.train.run_view import Stopwatch

SHOWN_NOTES = 4
MEMORISING = 3
"""Validations without gain after which the user is told that it has begun to memorise."""


class RunPanel(QWidget):
    """Follows a running job, or tells of a run that is over."""

    stop_asked = Signal()
    continue_asked = Signal()
    create_asked = Signal()
    compare_asked = Signal()
    folder_asked = Signal()
    another_asked = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.handle: JobHandle | None = None
        self.run: Run | None = None
        self.stopwatch = Stopwatch()
        self.notes: list[str] = []
        self.best_step: int | None = None
        self.validations = 0
        self.device = ""
        self.memory = 0
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(services.theme.px(16))
        self.running_card, self.end_card = self._make_running(), EndCard(services.theme)
        for made, signal in (
            (self.end_card.use_button, self.create_asked), (self.end_card.compare_button, self.compare_asked),
            (self.end_card.continue_button, self.continue_asked),
            (self.end_card.folder_button, self.folder_asked), (self.end_card.another_button, self.another_asked),
        ):  # fmt: skip
            made.clicked.connect(signal)
        self.failure = FailureCard(services)
        self.note_card = Card(services.theme, _("Notes"))
        self.note_text = label("", "secondary", selectable=True)
        self.note_card.add(self.note_text)
        for part in (self.running_card, self.failure, self.end_card, self.note_card):
            box.addWidget(part)
        box.addStretch(1)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._tick)

    # what the page calls

    def show_run(self, run: Run, handle: JobHandle | None, stopwatch: Stopwatch) -> None:
        """Show a run: with its job while that runs, else as it lies on the disk."""
        self.run, self.handle, self.stopwatch = run, handle, stopwatch
        self.notes, self.validations, self.device, self.memory = [], 0, "", 0
        info = run.info
        self.best_step = int(info.best) if info.best.isdecimal() else None
        self.failure.clear()
        self._show_notes()
        if handle is None:
            self._clock.stop()
            self.show_ending(info, None)
            return
        self.running_card.title.setText(info.title)
        handle.status_changed.connect(self.update_state)
        self._clock.start()
        self.end_card.hide()
        self.running_card.show()
        self.update_state()

    def take(self, events: list[Event]) -> None:
        """Take what the job tells."""
        for event in events:
            match event:
                case Note():
                    self.notes.append(event.message)
                case Checkpoint(best=True):
                    self.best_step, self.validations = event.step, 0
                case Metric() if any(base_name(name) != name for name in event.values):
                    self.validations += 1
        self._show_notes()
        self.update_state()

    def show_ending(self, info: RunInfo, ending: Finished | Stopped | Failed | None) -> None:
        """Show how it ended and what can be done next."""
        self.handle = None
        self._clock.stop()
        self.running_card.hide()
        status = {Finished: "finished", Stopped: "stopped", Failed: "failed"}.get(type(ending), info.status)
        if isinstance(ending, Stopped) and ending.forced:  # nothing was saved then, whatever was asked for
            status = "interrupted"
            self.notes.append(
                _("The engine did not stop in time and was ended: what it learnt after the last saved version is lost.")
            )
            self._show_notes()
        if isinstance(ending, Failed):
            self.failure.show_failure(ending)
        elif status == "failed":
            self._show_old_failure()
        comparable = f"{info.task.split('.')[0]}.compare" in self.services.jobs.catalogue
        self.end_card.show_ending(info, status, self.run.checkpoints() if self.run is not None else [], comparable)

    def update_state(self) -> None:
        """Show phase, figures and buttons as they are now."""
        handle = self.handle
        if handle is None:
            return
        progress = handle.progress
        total = progress.total if progress else 0
        self.stopwatch.run(handle.status in ("running", "stopping"))
        self.bar.setRange(0, total)
        self.bar.setValue(min(progress.step, total) if progress and total else 0)
        self.phase.setText(self._phase())
        self._show_facts()
        active = handle.status in ("running", "paused")
        paused = handle.status == "paused"
        self.pause_button.setText(_("Resume") if paused else _("Pause"))
        self.pause_button.setAccessibleName(self.pause_button.text())
        self.pause_button.setIcon(self.services.theme.icon("play" if paused else "pause"))
        self.pause_button.setEnabled(active)
        for part in (self.sample_button, self.save_button):
            part.setEnabled(handle.status == "running")
        stopping = handle.status == "stopping"
        self.stop_button.setEnabled(active or handle.status == "starting" or handle.can_end)
        self.stop_button.setText(_("End now…") if handle.can_end else _("Stopping…") if stopping else _("Stop…"))
        self.memorising.setText(self._memorising_words())
        self.memorising.setVisible(bool(self.memorising.text()))

    # own

    def _make_running(self) -> Card:
        theme = self.services.theme
        card = Card(theme, " ")
        self.phase = label("", "body")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Progress of the training"))
        self.facts = FactGrid(theme, (
            _("Step"), _("Speed"), _("Time left"), _("Elapsed"), _("Device"), _("Memory"), _("Best version"),
        ))  # fmt: skip
        self.memorising = label("", "warning")
        card.add(self.phase)
        card.add(self.bar)
        card.add(self.facts)
        card.add(self.memorising)
        self.sample_button = button(theme, _("Sample now"), "image", "", _("Show at once what it can do"))
        self.save_button = button(theme, _("Save now"), "save", "", _("Save this version at once"))
        self.pause_button = button(theme, _("Pause"), "pause", "", _("Stop computing for a while; memory stays in use"))
        self.stop_button = button(theme, _("Stop…"), "square", "", _("Stop and save, or stop and discard"))
        self.sample_button.clicked.connect(self._sample_now)
        self.save_button.clicked.connect(self._save_now)
        self.pause_button.clicked.connect(self._pause_or_resume)
        self.stop_button.clicked.connect(self.stop_asked)
        actions = QGridLayout()
        actions.setSpacing(theme.px(8))
        for i, part in enumerate((self.sample_button, self.save_button, self.pause_button, self.stop_button)):
            actions.addWidget(part, i // 2, i % 2)
        card.add(actions)
        return card

    def _phase(self) -> str:
        handle = self.handle
        if handle is None:
            return ""
        match handle.status:
            case "starting":
                return _("Starting…")
            case "stopping":
                return _("Stopping and saving…")
            case "paused":
                return _("Paused")
        progress = handle.progress
        if progress is None:
            return _("Preparing…")
        return progress.phase or _("Training")

    def _show_facts(self) -> None:
        handle, progress = self.handle, self.handle.progress if self.handle else None
        if handle is None or self.run is None:
            return
        facts: dict[str, str] = {}
        if progress is not None:
            step = f"{progress.step:,}"
            if progress.total:
                step = _("{done} of {total}").format(done=step, total=f"{progress.total:,}")
            facts[_("Step")] = step
            if progress.rate:
                facts[_("Speed")] = _("{rate} {unit}/s").format(rate=_rate(progress.rate), unit=_(progress.unit))
            if handle.status != "stopping":
                left = _("estimating…") if progress.eta_s is None else readable_time(progress.eta_s)
                facts[_("Time left")] = left
        facts[_("Elapsed")] = readable_time(self.stopwatch.seconds)
        if self.device:
            facts[_("Device")] = _("processor") if self.device == "cpu" else self.device
        if self.memory:
            facts[_("Memory")] = readable_size(self.memory)
        if self.best_step is not None:
            facts[_("Best version")] = _("step {step}").format(step=f"{self.best_step:,}")
        self.facts.show_facts(facts)

    def _memorising_words(self) -> str:
        if self.best_step is None or self.validations <= MEMORISING:
            return ""
        return _("It has begun to memorise. Best version: step {step}.").format(step=f"{self.best_step:,}")

    def _show_old_failure(self) -> None:
        """Show what failure.txt of the run says: sentence, way out, details."""
        if self.run is None:
            return
        path = self.run.folder / "failure.txt"
        if path.is_file():
            message, _line, rest = path.read_text(encoding="utf-8", errors="replace").partition("\n")
            hint, _line, details = rest.partition("\n")
            self.failure.show_failure(Failed("Recorded", message, hint, details.strip()))

    def _show_notes(self) -> None:
        self.note_text.setText("\n".join(self.notes[-SHOWN_NOTES:]))
        self.note_card.setVisible(bool(self.notes))

    def _tick(self) -> None:
        """Look at what costs a system call once a second; events come thirty times as often."""
        if self.run is not None and not self.device:
            with contextlib.suppress(UserError, OSError):
                self.device = self.run.info.device
        if self.handle is not None:
            self.memory = engine_memory(self.handle)
        self.update_state()

    def _sample_now(self) -> None:
        if self.handle is not None:
            self.handle.ask("sample")

    def _save_now(self) -> None:
        if self.handle is not None:
            self.handle.ask("save")

    def _pause_or_resume(self) -> None:
        if self.handle is None:
            return
        if self.handle.status == "paused":
            self.handle.resume()
        else:
            self.handle.pause()


def engine_memory(handle: JobHandle) -> int:
    """Return the bytes of memory the job's engine uses, 0 when it is not known."""
    thread = getattr(handle, "thread_", None)
    pid = thread.engine.pid if thread is not None and thread.engine is not None else 0
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
