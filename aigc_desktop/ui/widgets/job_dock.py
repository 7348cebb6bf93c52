"""The queue at the foot of the window: what runs, how far it is, and how to pause or stop it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.run import Run
from aigc_desktop.ui.format import readable_time
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import NameButton, icon_button, label


class JobDock(QFrame):
    """One line for each running job; hidden while there is none. `stop_asked` gives the job the user wants to stop."""

    stop_asked = Signal(object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.setObjectName("queue")
        self.rows: dict[JobHandle, JobRow] = {}
        theme = services.theme
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(theme.px(16), theme.px(4), theme.px(16), theme.px(4))
        self.box.setSpacing(theme.px(4))
        self.title = QPushButton()
        self.title.setProperty("kind", "flat")
        self.title.setIconSize(QSize(theme.px(20), theme.px(16)))
        self.title.setCheckable(True)
        self.title.setChecked(True)
        self.title.setToolTip(_("Show or hide what is running"))
        self.title.toggled.connect(self._show_rows)
        self.box.addWidget(self.title, 0, Qt.AlignmentFlag.AlignLeft)
        services.jobs.changed.connect(self.update_rows)
        self.update_rows()

    def update_rows(self) -> None:
        """Show the jobs that run now."""
        handles = [handle for handle in self.services.jobs.handles if handle.status != "ended"]
        for handle in [handle for handle in self.rows if handle not in handles]:
            row = self.rows.pop(handle)
            self.box.removeWidget(row)
            row.deleteLater()
        for handle in handles:
            if handle not in self.rows:
                self.rows[handle] = row = JobRow(handle, self.services)
                row.stop_asked.connect(self.stop_asked)
                self.box.addWidget(row)
        count = len(handles)
        text = ngettext("Queue: {count} running", "Queue: {count} running", count).format(count=count)
        self.title.setText(text)
        self.title.setAccessibleName(text)
        self._show_rows()
        self.setVisible(bool(handles))

    def _show_rows(self) -> None:
        opened = self.title.isChecked()
        self.title.setIcon(self.services.theme.icon("chevron-down" if opened else "chevron-right", "accent"))
        for row in self.rows.values():
            row.setVisible(opened)


class JobRow(QWidget):
    """One job: what it is, its phase, progress and time left, pause and stop."""

    stop_asked = Signal(object)

    def __init__(self, handle: JobHandle, services: Services) -> None:
        super().__init__()
        self.handle, self.services = handle, services
        theme = services.theme
        self.name = NameButton(job_title(handle, services), _("Show this job"))
        self.state = label("", "secondary", wrap=False)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Progress"))
        self.bar.setMinimumWidth(theme.px(60))
        self.bar.setMaximumWidth(theme.px(200))
        self.pause = icon_button(theme, "pause", _("Pause"))
        self.stop = icon_button(theme, "square", _("Stop…"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(12))
        row.addWidget(self.name)
        row.addWidget(self.bar, 1)
        row.addWidget(self.state)
        row.addStretch(1)
        row.addWidget(self.pause)
        row.addWidget(self.stop)
        self.name.clicked.connect(self._open)
        self.pause.clicked.connect(self._pause_or_resume)
        self.stop.clicked.connect(self._ask_stop)
        handle.events.connect(self.update_state)
        handle.status_changed.connect(self.update_state)
        self.update_state()

    def update_state(self) -> None:
        """Show phase, percent and time left as they are now."""
        handle, progress = self.handle, self.handle.progress
        total = progress.total if progress else 0
        self.bar.setRange(0, total)
        if progress and total:
            self.bar.setValue(min(progress.step, total))
        self.state.setText(state_words(handle))
        paused = handle.status == "paused"
        self.pause.setIcon(self.services.theme.icon("play" if paused else "pause"))
        self.pause.setToolTip(_("Resume") if paused else _("Pause"))
        self.pause.setAccessibleName(self.pause.toolTip())
        self.pause.setEnabled(handle.status in ("running", "paused"))
        self.stop.setEnabled(handle.status in ("starting", "running", "paused") or handle.can_end)
        self.stop.setToolTip(_("End now…") if handle.can_end else _("Stop…"))
        self.stop.setAccessibleName(self.stop.toolTip())

    def _pause_or_resume(self) -> None:
        if self.handle.status == "paused":
            self.handle.resume()
        else:
            self.handle.pause()

    def _ask_stop(self) -> None:
        self.stop_asked.emit(self.handle)

    def _open(self) -> None:
        task = self.services.jobs.catalogue.get(self.handle.request.task)
        place = {"train": "train", "create": "create", "data": "data"}.get(task.group if task else "", "runs")
        self.services.navigate(place)


def job_title(handle: JobHandle, services: Services) -> str:
    """Return what a job is called: its task, and the run's title when it has one."""
    task = services.jobs.catalogue.get(handle.request.task)
    words = _(task.title) if task else handle.request.task
    if not handle.request.run:
        return words
    try:
        title = Run(handle.run_folder or services.workspace.folder, services.workspace.folder).info.title
    except (OSError, UserError):
        return words
    return _("{task} “{title}”").format(task=words, title=title)


def state_words(handle: JobHandle) -> str:
    """Return phase, percent and time left in one line; what is not known yet says so."""
    match handle.status:
        case "starting":
            return _("Starting…")
        case "stopping":
            return _("Stopping and saving…")
    progress = handle.progress
    parts = [_("Paused")] if handle.status == "paused" else []
    if progress is not None:
        if progress.phase:
            parts.append(progress.phase)
        if progress.total:
            parts.append(f"{100 * progress.step / progress.total:.0f} %")
        if progress.eta_s is not None:
            parts.append(_("{time} left").format(time=readable_time(progress.eta_s)))
        elif progress.total and handle.status == "running":
            parts.append(_("estimating the time left…"))
    return " · ".join(parts)
