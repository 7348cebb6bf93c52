"""Work of the main thread cut into slices: one at a time, whenever no event waits."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer


class Slices(QObject):
    """Takes the next value of `steps` each time the event loop has nothing else to do, until there is none."""

    def __init__(self, steps: Iterator[None], parent: QObject) -> None:
        super().__init__(parent)
        self._steps = steps
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._take)
        self._timer.start(0)

    @property
    def active(self) -> bool:
        """Return whether something is left to do."""
        return self._timer.isActive()

    def stop(self) -> None:
        """Leave the rest undone."""
        self._timer.stop()
        self._steps = iter(())

    def _take(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self.stop()
        except BaseException:
            self.stop()
            raise
