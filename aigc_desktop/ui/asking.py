"""Ask the engine small questions many times a second: one at a time, and of each kind only the newest.

While the pointer is dragged, questions come faster than answers; what is out of date when its turn comes is never
asked. The jobs are quiet: they are not in the queue.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from aigc_desktop.core.events import Event, Failed, Finished, Progress, Result, Sample, Stopped
from aigc_desktop.core.request import JobRequest

if TYPE_CHECKING:
    from aigc_desktop.ui.jobs import JobCenter, JobHandle

URGENT = "look"
"""The kind of question that is asked before all others."""


@dataclass
class Answer:
    """What came back: pictures with their labels and seeds in order, and the data of the Result.

    `about` is what was given with the question, `seconds` how long the answer took.
    """

    about: Any = None
    seconds: float = 0.0
    pictures: list[Any] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


class Asker(QObject):
    """Passes questions to the engine; `answered` gives kind and Answer, `failed` kind and Failed."""

    answered = Signal(str, object)
    failed = Signal(str, object)
    progressed = Signal(str, object)

    def __init__(self, jobs: JobCenter, parent: QObject) -> None:
        super().__init__(parent)
        self.jobs = jobs
        self._wanted: dict[str, tuple[JobRequest, Any]] = {}
        self._handle: JobHandle | None = None
        self._kind = ""
        self._answer = Answer()
        self._dropped = False
        self._asked_at = 0.0

    def ask(self, kind: str, request: JobRequest, about: Any = None) -> None:
        """Ask when there is time; an older question of this kind that still waits is forgotten."""
        self._wanted[kind] = (request, about)
        self._next()

    def forget(self) -> None:
        """Want no answer any more, not even to the question that is being answered."""
        self._wanted.clear()
        if self._handle is not None:
            self._dropped = True
            self._handle.stop()

    def waiting(self, kind: str) -> bool:
        """Return whether an answer of this kind is still to come."""
        return kind in self._wanted or (self._handle is not None and self._kind == kind and not self._dropped)

    def _next(self) -> None:
        if self._handle is not None or not self._wanted:
            return
        self._kind = URGENT if URGENT in self._wanted else next(iter(self._wanted))
        request, about = self._wanted.pop(self._kind)
        self._answer, self._dropped = Answer(about), False
        self._asked_at = time.monotonic()
        self._handle = self.jobs.run(request, quiet=True)
        self._handle.events.connect(self._take)
        self._handle.ended.connect(self._ended)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Sample):
                self._answer.pictures += list(event.images)
                self._answer.labels += event.labels or [""] * len(event.images)
                self._answer.seeds += event.seeds
            elif isinstance(event, Result):
                self._answer.data = event.data
            elif isinstance(event, Progress) and not self._dropped:
                self.progressed.emit(self._kind, event)

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self._handle = None
        kind, answer = self._kind, self._answer
        answer.seconds = time.monotonic() - self._asked_at
        if not self._dropped:
            if isinstance(ending, Finished):
                self.answered.emit(kind, answer)
            elif isinstance(ending, Failed):
                self.failed.emit(kind, ending)
        self._next()
