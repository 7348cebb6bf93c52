"""A job that runs: what it does, how far it is, how long it takes, and Stop."""

from __future__ import annotations

import time

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.events import Event, Failed, Finished, Note, Progress, Stopped
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.format import readable_time
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, label


class JobProgress(QWidget):
    """Follows one job at a time; `ended` passes its ending on, when `handle` is None and `last` is the job."""

    ended = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.handle: JobHandle | None = None
        self.last: JobHandle | None = None
        self.notes: list[str] = []
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        self.phase = label("", "body")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Progress"))
        self.detail = label("", "secondary")
        self.stop_button = button(theme, _("Stop"), "square", "", _("Stop; nothing half-finished is left behind"))
        self.stop_button.clicked.connect(self.stop)
        row = QHBoxLayout()
        row.addWidget(self.detail, 1)
        row.addWidget(self.stop_button)
        for part in (self.phase, self.bar):
            box.addWidget(part)
        box.addLayout(row)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self.update_state)
        self.hide()

    def follow(self, handle: JobHandle) -> None:
        """Show this job until it ends."""
        self.handle = handle
        self.notes = []
        handle.events.connect(self._take)
        handle.status_changed.connect(self.update_state)
        handle.ended.connect(self._ended)
        self._clock.start()
        self.update_state()
        self.show()

    def stop(self) -> None:
        """Stop the job."""
        if self.handle is not None:
            self.handle.stop()

    def update_state(self) -> None:
        """Show phase, bar and times as they are now."""
        handle = self.handle
        if handle is None:
            return
        progress = handle.progress
        total = progress.total if progress else 0
        self.bar.setRange(0, total)
        self.bar.setValue(min(progress.step, total) if progress and total else 0)
        stopping = handle.status == "stopping"
        self.stop_button.setEnabled(not stopping and handle.status != "ended")
        self.stop_button.setText(_("Stopping…") if stopping else _("Stop"))
        self.phase.setText((progress.phase if progress else "") or _("Starting…"))
        self.detail.setText(_detail(handle, progress))

    def _take(self, events: list[Event]) -> None:
        self.notes += [event.message for event in events if isinstance(event, Note)]
        self.update_state()

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self._clock.stop()
        self.hide()
        self.last, self.handle = self.handle, None
        self.ended.emit(ending)


def _detail(handle: JobHandle, progress: Progress | None) -> str:
    """Return counts, rate, elapsed and remaining time in one line."""
    parts = []
    if progress is not None:
        done, unit = _amount(progress.step, progress.unit)
        if progress.total:
            total, total_unit = _amount(progress.total, progress.unit)
            done = _("{done} of {total}").format(done=done if unit == total_unit else f"{done} {unit}", total=total)
            unit = total_unit
        parts.append(f"{done} {unit}".strip())
        if progress.rate:
            rate, unit = _amount(progress.rate, progress.unit)
            parts.append(_("{rate} {unit} per second").format(rate=rate, unit=unit))
    parts.append(_("{time} so far").format(time=readable_time(time.monotonic() - handle.started)))
    if progress is not None and progress.eta_s is not None:
        parts.append(_("{time} left").format(time=readable_time(progress.eta_s)))
    return " · ".join(parts)


def _amount(count: float, unit: str) -> tuple[str, str]:
    """Return a number and its unit as people read them; bytes in the unit that fits."""
    if unit != "B":
        return f"{count:,.0f}", _(unit)
    number, size = readable_size(count).split(" ")
    return number, size
