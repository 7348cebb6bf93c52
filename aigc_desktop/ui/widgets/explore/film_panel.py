"""The part of the Explore panel that makes films through collected pictures, plays them and exports them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.collected import Collected
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Sample, Stopped
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.place import latent_place, places_text
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, label, spin_box
from aigc_desktop.ui.widgets.explore.collected_view import CollectedView
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image

FRAME_MS = 83


class FilmPanel(QWidget):
    """Makes a film of the chosen collected pictures, of all when fewer than two are chosen; `frame` while it plays."""

    frame = Signal(QImage)

    def __init__(self, services: Services, exploration: Exploration, collected: CollectedView) -> None:
        super().__init__()
        self.services, self.exploration, self.collected = services, exploration, collected
        theme = services.theme
        self.result: Run | None = None
        self.images: list[QImage] = []
        self.at = 0
        self.hint = label("", "hint")
        self.frames = spin_box(1, 240, 24)
        self.frames.setToolTip(_("More frames make the film longer and calmer"))
        self.loop = QCheckBox(_("Loop"))
        self.loop.setChecked(True)
        self.loop.setToolTip(_("Goes back to the first picture, so that the film repeats without a jump"))
        self.rest = QCheckBox(_("Rest at each picture"))
        self.rest.setChecked(True)
        self.rest.setToolTip(_("Slows down at each chosen picture; otherwise the pace is even"))
        self.make = button(theme, _("Make the film"), "film")
        self.progress = JobProgress(theme)
        self.play = button(theme, _("Play"), "play")
        self.play.setCheckable(True)
        self.export = button(theme, _("Export…"), "download", "", _("As GIF, WebP or MP4, or frame by frame"))
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._lay_out()
        self._connect()
        self.refresh()

    def stops(self) -> list[Collected]:
        """Return the pictures that the film goes through."""
        chosen = self.collected.items()
        return chosen if len(chosen) >= 2 else list(self.collected.shelf.items)

    def refresh(self) -> None:
        """Say what the film will be."""
        count = len(self.stops())
        enough = count >= 2
        text = ngettext("The film goes through {count} picture.", "The film goes through {count} pictures.", count)
        self.hint.setText(text.format(count=count) if enough else _("Collect two or more pictures for a film."))
        self.make.setEnabled(enough and self.progress.handle is None)
        for made in (self.play, self.export):
            made.setEnabled(bool(self.images) and self.progress.handle is None)

    def make_film(self) -> None:
        """Make the film as a job; its frames are recorded in a result of their own."""
        run, workspace = self.exploration.run, self.services.workspace
        if run is None or self.progress.handle is not None:
            return
        values = {
            **self.exploration.values(), "places": places_text([latent_place(item.latent) for item in self.stops()]),
            "frames": self.frames.value(), "loop": self.loop.isChecked(),
            "pace": "rest" if self.rest.isChecked() else "even",
        }  # fmt: skip
        try:
            self.result = workspace.new_run("explore.path", values, run.info.title, parent="results")
        except (OSError, UserError) as error:
            self.services.show_failure(failure_of(error))
            return
        self.images = []
        request = JobRequest("explore.path", values, str(workspace.folder), str(self.result.folder))
        handle = self.services.jobs.run(request)
        handle.events.connect(self._take)
        self.progress.follow(handle)
        self.refresh()

    def stop_playing(self) -> None:
        """Show the picture looked at again."""
        self.play.setChecked(False)
        self._timer.stop()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Sample):
                self.images += [to_image(pixels) for pixels in event.images]
        if self.images:
            self.frame.emit(self.images[-1])

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        if isinstance(ending, Failed):
            self.services.show_failure(ending)
        self.refresh()
        if self.images:
            self.play.setChecked(True)
            self._play_clicked()

    def _play_clicked(self) -> None:
        if self.play.isChecked():
            self._timer.start()
        else:
            self._timer.stop()

    def _next(self) -> None:
        if not self.images or not self.isVisible():
            self.stop_playing()
            return
        self.at = (self.at + 1) % len(self.images)
        self.frame.emit(self.images[self.at])

    def _export(self) -> None:
        """Ask how, then export the frames."""
        from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog
        from aigc_desktop.ui.works import Batch

        if self.result is None:
            return
        batch = Batch(self.result)
        batch.load()
        loads: list[Any] = [work.piece for work in batch.works]
        dialog = ExportDialog(self.services, "image", loads, self.window(), "gif")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _opened(self) -> None:
        self.stop_playing()
        self.images, self.result = [], None
        self.refresh()

    def _lay_out(self) -> None:
        theme = self.services.theme
        form = QFormLayout()
        form.setSpacing(theme.px(8))
        title = label(_("Frames between two"), wrap=False)
        title.setBuddy(self.frames)
        self.frames.setAccessibleName(_("Frames between two"))
        form.addRow(title, self.frames)
        row = QHBoxLayout()
        row.setSpacing(theme.px(8))
        row.addWidget(self.play)
        row.addWidget(self.export)
        row.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        box.addWidget(self.hint)
        box.addLayout(form)
        for widget in (self.loop, self.rest, self.make, self.progress):
            box.addWidget(widget)
        box.addLayout(row)
        box.addStretch(1)

    def _connect(self) -> None:
        self.make.clicked.connect(self.make_film)
        self.play.clicked.connect(self._play_clicked)
        self.export.clicked.connect(self._export)
        self.progress.ended.connect(self._ended)
        self._timer.timeout.connect(self._next)
        self.collected.chosen.connect(self.refresh)
        self.collected.shelf.changed.connect(self.refresh)
        self.exploration.opened.connect(self._opened)
        self.exploration.look_changed.connect(self.stop_playing)
