"""Ask the engine what a task would take, a moment after the last change; only the newest answer counts."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from aigc_desktop.core.events import Event, Result
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobCenter
from aigc_desktop.ui.newest import Newest


class PlanMaker(QObject):
    """Makes one plan at a time."""

    made = Signal(object)
    """A Plan."""
    failed = Signal(object)
    """A Failed."""

    def __init__(self, jobs: JobCenter, parent: QObject) -> None:
        super().__init__(parent)
        self.newest = Newest(jobs, self)
        self.forget = self.newest.forget
        self.newest.answered.connect(self._take)
        self.newest.failed.connect(self.failed)

    def want(self, task: str, values: dict[str, Any], preset: str, workspace: str) -> None:
        """Ask for a plan of these values."""
        self.newest.want(JobRequest(task, values, workspace, mode="plan", preset=preset))

    @property
    def waiting(self) -> bool:
        """Return whether an answer is still to come."""
        return self.newest.waiting

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Result) and event.kind == "plan":
                self.made.emit(event.data["plan"])
