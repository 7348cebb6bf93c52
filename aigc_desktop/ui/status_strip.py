"""The line at the foot: offline lamp, device, memory, disk and the state of the engine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.offline import connection_count
from aigc_desktop.ui.facts import device_words
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import IconView, label

if TYPE_CHECKING:
    import psutil

INTERVAL_MS = 2000


class StatusStrip(QFrame):
    """Facts that are measured, every two seconds while the window is seen."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.setObjectName("status")
        self.engine_failure: Failed | None = None
        self.process: psutil.Process | None = None
        theme = services.theme
        self.parts: list[QWidget] = []
        self.flow = FlowLayout(theme.px(16))
        self.flow.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self.setLayout(self.flow)
        self.lamp, self.lamp_text = self._add("wifi-off", _("The program makes no connections; attempts are refused."))
        self.device = self._add("cpu", _("Where models run"))[1]
        self.memory = self._add("memory-stick", _("Memory this program uses, engine included"))[1]
        self.disk_icon, self.disk = self._add("hard-drive", _("Free space on the disk of the workspace"))
        self.engine_icon, self.engine = self._add("activity", _("What the engine does"))
        services.jobs.changed.connect(self.update_facts)
        services.jobs.ready.connect(self._engine_ready)
        services.jobs.engine_failed.connect(self._engine_failed)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self.update_facts()

    def update_facts(self) -> None:
        """Measure and show everything now."""
        count = connection_count()
        text = ngettext("{count} connection since start", "{count} connections since start", count)
        self.lamp_text.setText(_("Offline") + " · " + text.format(count=count))
        self.lamp.show_icon("wifi-off", "red" if count else "green")
        self.device.setText(device_words(self.services.jobs.machine))
        self.memory.setText(readable_size(_memory_of(self.process)) if self.process is not None else "")
        words, colour = self._disk_words()
        self.disk.setText(words)
        self.disk_icon.show_icon("hard-drive", colour)
        words, colour = self._engine_words()
        self.engine.setText(words)
        self.engine_icon.show_icon("activity", colour)
        self._leave_out()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.process is None:
            QTimer.singleShot(0, self, self._look_at_process)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._leave_out()

    def _leave_out(self) -> None:
        """Leave out what never changes when not all fits in one line."""
        needed = sum(part.sizeHint().width() + self.flow.gap for part in self.parts) + self.services.theme.px(8)
        self.parts[1].setVisible(needed <= self.width())

    def _tick(self) -> None:
        if self.isVisible() and not self.window().isMinimized():
            self.update_facts()

    def _look_at_process(self) -> None:
        """Begin to measure the memory, now that the window is on the screen."""
        import psutil  # takes a moment that the start of the window does without

        self.process = psutil.Process()
        self.update_facts()

    def _disk_words(self) -> tuple[str, str]:
        try:
            free = shutil.disk_usage(self.services.workspace.folder).free
        except OSError:  # a disk that was pulled out, a folder that was moved: told here as long as it lasts
            return _("the workspace is not there"), "red"
        return _("{size} free").format(size=readable_size(free)), "secondary"

    def _engine_words(self) -> tuple[str, str]:
        jobs = self.services.jobs
        if self.engine_failure is not None:
            return _("engine did not start"), "red"
        if jobs.handles:
            return _("engine working"), "accent"
        if not jobs.catalogue:
            return _("engine starting…"), "amber"
        return _("engine ready"), "green"

    def _engine_ready(self) -> None:
        self.engine_failure = None
        self.update_facts()

    def _engine_failed(self, failed: Failed) -> None:
        self.engine_failure = failed
        self.update_facts()

    def _add(self, icon: str, tip: str) -> tuple[IconView, QLabel]:
        part = QWidget()
        part.setToolTip(tip)
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(self.services.theme.px(4))
        view, text = IconView(self.services.theme, icon, 14, "secondary"), label("", "secondary", wrap=False)
        row.addWidget(view)
        row.addWidget(text)
        self.flow.addWidget(part)
        self.parts.append(part)
        return view, text


def _memory_of(process: psutil.Process) -> int:
    """Return the resident bytes of the window and of its engine processes."""
    import psutil

    total = int(process.memory_info().rss)
    for child in process.children():
        try:
            total += int(child.memory_info().rss)
        except psutil.Error:  # it ended meanwhile
            continue
    return total
