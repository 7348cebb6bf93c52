"""The part of the Explore panel that puts an own picture into the model and says how near it came."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from aigc_desktop.core.events import Event, Failed, Finished, Result, Sample, Stopped
from aigc_desktop.core.i18n import _
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.pictures.image_viewer import ImageCanvas
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image

CLOSE_DB, LIKE_DB = 26.0, 19.0
"""Peak signal-to-noise ratios from which a copy is called close, and alike."""


class PhotoPanel(QWidget):
    """`found` gives the latent of a picture and what to call it."""

    found = Signal(str, str)

    def __init__(self, services: Services, exploration: Exploration) -> None:
        super().__init__()
        self.services, self.exploration = services, exploration
        theme = services.theme
        self.name = ""
        self.told: dict[str, Any] = {}
        self.pair = ImageCanvas(theme)
        self.pair.setFixedHeight(theme.px(180))
        self.pair.setAccessibleName(_("Your picture and its copy"))
        self.pair.hide()
        self.choose_button = button(
            theme, _("Choose a picture…"), "image", "", _("Finds the place in the model that is most like your picture")
        )
        self.progress = JobProgress(theme)
        self.words = label("", "body")
        about = label(
            _("Put in a picture of yours: the nearest one that this model can make is collected. Then vary it, mix it, "
              "move the sliders."), "hint",
        )  # fmt: skip
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        for widget in (about, self.choose_button, self.progress, self.pair, self.words):
            box.addWidget(widget)
        box.addStretch(1)
        self.choose_button.clicked.connect(self.choose)
        self.progress.ended.connect(self._ended)
        exploration.opened.connect(self._opened)

    def choose(self) -> None:
        """Let the user choose a picture file."""
        path, _filter = QFileDialog.getOpenFileName(self, _("Choose a picture…"))
        if path:
            self.put_in(Path(path))

    def put_in(self, path: Path, name: str = "") -> None:
        """Put a picture into the model, as a job."""
        if self.exploration.run is None or self.progress.handle is not None:
            return
        self.name, self.told = name or path.stem, {}
        values = {**self.exploration.values(), "picture": str(path)}
        handle = self.services.jobs.run(JobRequest("explore.project", values, str(self.services.workspace.folder)))
        handle.events.connect(self._take)
        self.progress.follow(handle)
        self.choose_button.setEnabled(False)
        self.words.clear()
        self.pair.hide()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Sample):
                self.pair.show_images(*(to_image(pixels) for pixels in event.images[:2]))
                self.pair.show()
            elif isinstance(event, Result):
                self.told = event.data

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self.choose_button.setEnabled(True)
        if isinstance(ending, Failed):
            self.services.show_failure(ending)
        elif self.told:
            self.words.setText(nearness_words(self.told))
            self.found.emit(self.told["latent"], self.name)

    def _opened(self) -> None:
        self.pair.hide()
        self.words.clear()


def nearness_words(told: Mapping[str, Any]) -> str:
    """Return in words how near a copy is to the picture, from the data of a "projection"."""
    psnr = float(told["psnr"])
    if psnr >= CLOSE_DB:
        verdict = _("Very close: the model can show this picture.")
    elif psnr >= LIKE_DB:
        verdict = _("Alike: the model shows the main things and loses details.")
    else:
        verdict = _("Not close: the model has learned other pictures and cannot show this one.")
    figures = _("Likeness {psnr} dB; the most alike of {count} pictures by chance has {chance} dB.")
    numbers = {"psnr": f"{psnr:.1f}", "chance": f"{told['chance_psnr']:.1f}", "count": told["tried"]}
    return f"{verdict}\n{figures.format(**numbers)}"
