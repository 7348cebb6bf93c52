"""Labelling beside the window: opens a session and does its writing on a thread, one thing after another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, Signal

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.core.labels import Kind
from aigc_desktop.data.label_session import LabelSession
from aigc_desktop.ui.background import Background

Then = Callable[[Any], None]


class LabelDesk(QObject):
    """Holds the session; `opened` when there is another, `failed` with a Failed when something could not be done.

    What was asked for after something that failed is not done: it may rest on it.
    """

    opened = Signal()
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.session: LabelSession | None = None
        self._made: list[LabelSession] = []
        self._idle = threading.Event()  # set when the thread is through with its work
        self._waiting: deque[tuple[Callable[[], Any], Then]] = deque()
        self._work: Background | None = None
        self._opening: Background | None = None
        self.destroyed.connect(partial(_close, self._made))
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)  # what waits is written

    @property
    def busy(self) -> bool:
        """Return whether something is being written or read."""
        return self._work is not None or self._opening is not None

    def open(self, dataset: Dataset, kind: Kind) -> None:
        """Open another session, once what waits is written."""
        self.close()
        made = self._made

        def work() -> LabelSession:
            session = LabelSession(dataset, kind)
            made.append(session)
            return session

        self._opening = Background(self, work, self._show, self._fail)

    def do(self, work: Callable[[], Any], then: Then) -> None:
        """Do `work` on the thread after all that was asked for before, then call `then` with its value."""
        self._waiting.append((work, then))
        self._next()

    def when_written(self, then: Callable[[], None]) -> None:
        """Call `then` when nothing waits to be written: at once, or after what waits."""
        if self.busy or self._waiting:
            self.do(lambda: None, lambda _nothing: self.when_written(then))
        else:
            then()

    def close(self) -> None:
        """Finish what waits and let go of the session; of what ends now nothing is shown."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self.session is not None:
            self.session.closing = True
        if self._work is not None:
            self._work.cancel()
            self._work = None
            self._idle.wait()
        waiting, self._waiting = list(self._waiting), deque()
        try:
            for work, _then in waiting:
                work()
        except OSError as error:  # a full disk must not keep the window open
            self.failed.emit(failure_of(error))
        self.session = None
        _close(self._made)

    def _next(self) -> None:
        if self._work is None and self._waiting:
            work, then = self._waiting.popleft()
            self._idle = threading.Event()
            self._work = Background(self, partial(_run, work, self._idle), partial(self._done, then), self._fail)

    def _done(self, then: Then, value: Any) -> None:
        self._work = None
        then(value)
        self._next()

    def _show(self, session: LabelSession) -> None:
        self._opening = None
        self.session = session
        self.opened.emit()

    def _fail(self, failed: Failed) -> None:
        self._work = self._opening = None
        self._waiting.clear()
        self.failed.emit(failed)


def _run(work: Callable[[], Any], idle: threading.Event) -> Any:
    try:
        return work()
    finally:
        idle.set()


def _close(sessions: list[LabelSession], _desk: object = None) -> None:
    while sessions:
        sessions.pop().close()
