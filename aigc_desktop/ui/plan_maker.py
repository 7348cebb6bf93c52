"""Ask the engine what a task would take, a moment after the last change; only the newest answer counts."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from aigc_desktop.core.events import Event, Failed, Finished, Result, Stopped
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobCenter, JobHandle

DEBOUNCE_MS = 300


class PlanMaker(QObject):
    """Makes one plan at a time; a question that comes meanwhile is asked when the answer is there."""

    made = Signal(object)
    """A Plan."""
    failed = Signal(object)
    """A Failed."""

    def __init__(self, jobs: JobCenter, parent: QObject) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self._wanted: JobRequest | None = None
        self._handle: JobHandle | None = None
        self._answer: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._ask)

    def want(self, task: str, values: dict[str, Any], preset: str, workspace: str) -> None:
        """Ask for a plan of these values."""
        self._wanted = JobRequest(task, values, workspace, mode="plan", preset=preset)
        self._timer.start()

    def forget(self) -> None:
        """Want no plan any more."""
        self._wanted = None
        self._timer.stop()

    @property
    def waiting(self) -> bool:
        """Return whether an answer is still to come."""
        return self._wanted is not None or self._handle is not None

    def _ask(self) -> None:
        if self._wanted is None or self._handle is not None:
            return
        self._answer = None
        self._handle = self.jobs.run(self._wanted)
        self._wanted = None
        self._handle.events.connect(self._take)
        self._handle.ended.connect(self._ended)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Result) and event.kind == "plan":
                self._answer = event.data["plan"]

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self._handle = None
        if self._wanted is not None:  # asked again meanwhile: this answer is out of date
            self._ask()
        elif isinstance(ending, Failed):
            self.failed.emit(ending)
        elif self._answer is not None:
            self.made.emit(self._answer)
