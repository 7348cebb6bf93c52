"""Ask the engine something quick, a moment after the last change; only the newest answer counts."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from aigc_desktop.core.events import Event, Failed, Finished, Stopped
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobCenter, JobHandle

DEBOUNCE_MS = 300


class Newest(QObject):
    """Asks one thing at a time; a question that comes meanwhile is asked when the answer is there."""

    answered = Signal(object)
    """The events of the answer."""
    failed = Signal(object)
    """A Failed."""

    def __init__(self, jobs: JobCenter, parent: QObject) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self._wanted: JobRequest | None = None
        self._handle: JobHandle | None = None
        self._events: list[Event] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._ask)

    def want(self, request: JobRequest) -> None:
        """Ask this, unless another question comes within a moment."""
        self._wanted = request
        self._timer.start()

    def forget(self) -> None:
        """Want no answer any more."""
        self._wanted = None
        self._timer.stop()

    @property
    def waiting(self) -> bool:
        """Return whether an answer is still to come."""
        return self._wanted is not None or self._handle is not None

    def _ask(self) -> None:
        if self._wanted is None or self._handle is not None:
            return
        self._events = []
        self._handle = self.jobs.run(self._wanted)
        self._wanted = None
        self._handle.events.connect(self._take)
        self._handle.ended.connect(self._ended)

    def _take(self, events: list[Event]) -> None:
        self._events += events

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self._handle = None
        if self._wanted is not None:  # asked again meanwhile: this answer is out of date
            self._ask()
        elif isinstance(ending, Failed):
            self.failed.emit(ending)
        elif isinstance(ending, Finished):
            self.answered.emit(self._events)
