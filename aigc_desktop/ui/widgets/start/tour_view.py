"""The guided tour as it is seen: the steps, how far the present one is, and what comes out of it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from aigc_desktop.core.events import Sample, Text
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.tour import STEPS, Tour
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import IconView, button, label, set_role
from aigc_desktop.ui.widgets.job_dock import state_words
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image

SHOWN = 8


class TourView(Card):
    """Shows a Tour; `left` when the user has seen enough of it."""

    left = Signal()

    def __init__(self, services: Services, tour: Tour) -> None:
        super().__init__(services.theme, _("The guided tour"), "accent")
        self.services, self.tour = services, tour
        theme = services.theme
        row = QHBoxLayout()
        row.setSpacing(theme.px(24))
        row.addLayout(self._make_steps())
        right = QVBoxLayout()
        right.setSpacing(theme.px(8))
        self.picture = _Works(services)
        self.words = label("", "secondary")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Progress"))
        right.addWidget(self.picture, 1)
        right.addWidget(self.words)
        right.addWidget(self.bar)
        row.addLayout(right, 1)
        self.add(row, 1)
        self.add(self._make_buttons())
        tour.changed.connect(self.update_state)
        tour.shown.connect(self.picture.show_event)
        if tour.last is not None:
            self.picture.show_event(tour.last)
        self.update_state()

    def update_state(self) -> None:
        """Show steps, progress and the buttons that make sense now."""
        tour = self.tour
        for key, (icon, text) in self.steps.items():
            if key in tour.done:
                icon.show_icon("circle-check", "green")
            elif key == tour.step:
                icon.show_icon("triangle-alert" if tour.state == "failed" else "loader-circle", "accent")
            else:
                icon.show_icon("minus", "secondary")
            role = "body" if key in tour.done or key == tour.step else "secondary"  # what comes is to be read too
            if text.property("role") != role:
                set_role(text, role=role)
        progress = tour.handle.progress if tour.handle else None
        self.bar.setRange(0, progress.total if progress else 0)
        self.bar.setValue(min(progress.step, progress.total) if progress else 0)
        running = tour.state == "running"
        self.bar.setVisible(running)
        self.words.setText(self._words())
        self.stop_button.setVisible(running)
        self.stop_button.setEnabled(tour.handle is not None)
        self.library_button.setVisible(tour.state == "finished")
        self.own_button.setVisible(tour.state == "finished")
        self.close_button.setVisible(not running)

    def _words(self) -> str:
        match self.tour.state:
            case "finished":
                files = self.tour.outcome.files
                where = files[0].parent if files else self.services.workspace.folder
                done = _("Done: your first works are in the Library, and as files in {folder}.").format(folder=where)
                honest = _("A minute of training gives rough works; the card before each training says how long good "
                           "ones take.")  # fmt: skip
                return f"{done}\n{honest}"
            case "stopped":
                return _("Stopped. What was made so far is kept.")
            case "failed":
                return _("The tour could not go on.")
        return state_words(self.tour.handle) if self.tour.handle else _("Writing files…")

    def _make_steps(self) -> QGridLayout:
        theme = self.services.theme
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.px(8))
        grid.setVerticalSpacing(theme.px(12))
        self.steps: dict[str, tuple[IconView, QLabel]] = {}
        for number, (key, title) in enumerate(STEPS.items()):
            icon, text = IconView(theme, "minus", 18), label(_(title), wrap=False)
            grid.addWidget(icon, number, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(text, number, 1)
            self.steps[key] = icon, text
        grid.setRowStretch(len(STEPS), 1)
        return grid

    def _make_buttons(self) -> FlowLayout:
        theme = self.services.theme
        row = FlowLayout(theme.px(8))
        self.library_button = button(theme, _("Open in Library"), "library", "primary")
        self.own_button = button(theme, _("Now with my own data"), "data")
        self.stop_button = button(theme, _("Stop the tour"), "square")
        self.close_button = button(theme, _("Close the tour"), kind="flat")
        for made in (self.library_button, self.own_button, self.stop_button, self.close_button):
            row.addWidget(made)
        self.library_button.clicked.connect(self._open_library)
        self.own_button.clicked.connect(self._open_data)
        self.stop_button.clicked.connect(self.tour.stop)
        self.close_button.clicked.connect(self.left)
        return row

    def _open_library(self) -> None:
        self.services.navigate("library")

    def _open_data(self) -> None:
        self.services.navigate("data")


class _Works(QWidget):
    """The newest pictures in a row, or the newest texts."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.theme = services.theme
        self.box = FlowLayout(self.theme.px(8))
        self.setLayout(self.box)
        self.setMinimumHeight(self.theme.px(120))
        self.labels: list[QLabel] = []

    def show_event(self, event: Sample | Text) -> None:
        """Show what a job has made."""
        items = list(event.images[:SHOWN]) if isinstance(event, Sample) else list(event.items[:2])
        while len(self.labels) < len(items):
            made = label("")
            self.labels.append(made)
            self.box.addWidget(made)
        for number, made in enumerate(self.labels):
            made.setVisible(number < len(items))
            if number >= len(items):
                continue
            item = items[number]
            if isinstance(item, str):
                made.setText(item[:400])
                made.setFixedWidth(self.theme.px(240))
                made.setAccessibleName(item[:80])
            else:
                edge = self.theme.px(96)
                mode = Qt.TransformationMode.SmoothTransformation
                picture = QPixmap.fromImage(to_image(item))
                made.setPixmap(picture.scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio, mode))
                made.setAccessibleName(_("Sample {number}").format(number=number + 1))
