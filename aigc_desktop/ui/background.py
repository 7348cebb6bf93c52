"""Reading and writing that takes longer than a blink, beside the window: a thread works, a timer takes the outcome.

For what is too small to be a job of the engine: the history of a run, a long table. The thread touches no widget,
and no Qt signal crosses threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer

from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.ui.held import keep, let_go

POLL_MS = 15


class Background(QObject):
    """Call `work` on a thread and then, on the main thread, `done` with its value or `failed` with a Failed.

    It belongs to `owner`: when that is gone, nothing is called any more.
    """

    def __init__(
        self, owner: QObject, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Failed], None]
    ) -> None:
        super().__init__(owner)
        self._done, self._failed = done, failed
        self._errand = _Errand(work)
        self._cancelled = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._errand.thread.start()
        keep(self._errand, self._errand.thread.is_alive)

    def cancel(self) -> None:
        """Forget the outcome; the thread ends by itself."""
        self._cancelled = True

    def _look(self) -> None:
        outcome = self._errand.outcome
        if outcome is None:
            return
        self._timer.stop()
        value, failure = outcome
        self._errand.outcome = None
        let_go()
        self.deleteLater()
        if self._cancelled:
            return
        if failure is not None:
            self._failed(failure)
        else:
            self._done(value)


class _Errand:
    """The work and its outcome: all that the thread knows, so that no widget depends on it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.outcome: tuple[Any, Failed | None] | None = None
        self.thread = threading.Thread(target=self._run, name="background", daemon=True)

    def _run(self) -> None:
        try:
            self.outcome = (self.work(), None)
        except Exception as error:  # noqa: BLE001 - the border of this thread: the owner shows it
            self.outcome = (None, failure_of(error))
