"""Bring data in: where to drop it, how to read it, and the progress of reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from PySide6.QtCore import QMimeData, Signal
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from aigc_desktop.core.events import Event, Failed, Finished, Result, Stopped
from aigc_desktop.core.files import safe_name, write_text
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.paths import resources
from aigc_desktop.core.request import JobRequest
from aigc_desktop.data.sources import join_sources, title_of
from aigc_desktop.data.texts import SUFFIXES
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.failure_card import FailureCard
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.job_progress import JobProgress

SCAN = "data.scan"
SAMPLES = {
    "emoji": N_("Emoji (pictures)"),
    "tang_quatrains": N_("Tang quatrains (Chinese)"),
    "song_lyrics": N_("Song lyrics (Chinese)"),
    "shakespeare_speeches": N_("Shakespeare (English)"),
}
"""Names of the bundled samples; one that is not named here is called after its file."""
SHOWN_SOURCES = 4
COLUMNS = ("label_column", "attribute_columns")
"""Fields of the import that tables alone have a use for."""
LOOKED_AT = 2000
"""Files of folders whose names are read to find tables."""


def bundled_samples() -> list[tuple[str, Path]]:
    """Return (name to show, path) of the samples that ship with the program."""
    folder = resources() / "samples"
    paths = [*sorted(p for p in folder.glob("*/") if p.name != "texts"), *sorted(folder.glob("texts/*"))]
    paths = [p for p in paths if p.is_dir() or p.suffix in (".csv", ".jsonl", ".txt")]
    paths = [p for p in paths if not p.name.upper().startswith(("LICENSE", "README"))]
    return [(_(SAMPLES.get(p.stem, p.stem)), p) for p in paths]


class DropPlace(QWidget):
    """What the Data page is while it is empty: drop here, choose, paste, or take a sample."""

    chosen = Signal(object)
    """A list of paths, and a title or "" as second entry of the tuple."""
    paste_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.empty = EmptyState(
            theme, "upload", _("Drop pictures or texts here"),
            _("A folder, files or a zip archive. They stay where they are and are never changed."),
            _("Choose a folder…"), drop=True,
        )  # fmt: skip
        files = button(theme, _("Choose files…"), "file", "", _("Pictures, texts, tables or a zip archive"))
        paste = button(theme, _("Paste"), "clipboard-copy", "", _("Take what the clipboard holds (Ctrl+V)"))
        self.empty.acted.connect(self.choose_folder)
        files.clicked.connect(self.choose_files)
        paste.clicked.connect(self.paste_asked)
        self.empty.add_action(files)
        self.empty.add_action(paste)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(12))
        box.addWidget(self.empty, 1)
        box.addWidget(label(_("Or begin with samples that are here already:"), "secondary"))
        flow = FlowLayout(theme.px(8))
        self.samples = bundled_samples()
        for number, (name, path) in enumerate(self.samples):
            made = button(theme, name, "image" if path.is_dir() else "file-text", "", _("Import this sample"))
            made.setProperty("number", number)
            made.clicked.connect(self._sample_clicked)
            flow.addWidget(made)
        box.addLayout(flow)

    def choose_folder(self) -> None:
        """Ask for a folder."""
        folder = QFileDialog.getExistingDirectory(self, _("Choose a folder with pictures or texts"))
        if folder:
            self.chosen.emit(([Path(folder)], ""))

    def choose_files(self) -> None:
        """Ask for files."""
        names, _filter = QFileDialog.getOpenFileNames(self, _("Choose pictures, texts or a zip archive"))
        if names:
            self.chosen.emit(([Path(name) for name in names], ""))

    def _sample_clicked(self) -> None:
        name, path = self.samples[int(self.sender().property("number"))]
        self.chosen.emit(([path], name))


class ImportPanel(Card):
    """How to read what was chosen, then the progress of reading it; `done` gives the id of the new data set."""

    done = Signal(str)
    cancelled = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Import"))
        self.services = services
        self.paths: list[Path] = []
        self.form: ConfigForm | None = None
        self.dataset_id = self.name = ""
        theme = services.theme
        self.sources = label("", "body", selectable=True)
        self.failure = FailureCard(services)
        self.waiting = label(_("The engine is starting…"), "secondary")
        self.place = QVBoxLayout()
        self.progress = JobProgress(theme)
        self.progress.ended.connect(self._ended)
        self.start_button = button(theme, _("Import"), "download", "primary", _("Look through everything (Ctrl+Enter)"))
        self.start_button.clicked.connect(self.start)
        self.cancel_button = button(theme, _("Cancel"), kind="flat")
        self.cancel_button.clicked.connect(self.cancelled)
        self.add_action(self.cancel_button)  # on top: the form below may be longer than the window
        self.add_action(self.start_button)
        for part in (self.sources, self.failure, self.waiting):
            self.add(part)
        self.body.addLayout(self.place)
        self.add(self.progress)
        services.jobs.ready.connect(self._make_form)
        self._make_form()

    def choose(self, paths: list[Path], title: str = "", *, add: bool = False) -> None:
        """Take what is to be imported; with `add` it comes to what was chosen before."""
        self.paths = [*self.paths, *paths] if add else paths
        names = [path.name or str(path) for path in self.paths]
        text = "\n".join(names[:SHOWN_SOURCES])
        if len(names) > SHOWN_SOURCES:
            more = len(names) - SHOWN_SOURCES
            text += "\n" + ngettext("and {count} more", "and {count} more", more).format(count=f"{more:,}")
        self.sources.setText(text)
        self.failure.clear()
        self.name = title or title_of(str(self.paths[0]))
        if self.form is not None:
            self._fill_form()

    @property
    def busy(self) -> bool:
        """Return whether an import runs."""
        return self.progress.handle is not None

    def start(self) -> None:
        """Begin to read."""
        if self.form is None or self.busy or not self.paths:
            return
        problems = [problem for problem in self.form.problems() if problem.field != "source"]
        self.form.show_problems(problems)
        if problems:
            return
        values: dict[str, Any] = {**self.form.values(), "source": join_sources([str(path) for path in self.paths])}
        self.attach(self.services.jobs.run(JobRequest(SCAN, values, str(self.services.workspace.folder))))

    def attach(self, handle: JobHandle) -> None:
        """Follow an import, also one that was started before this page was made."""
        self.dataset_id = ""
        self.failure.clear()
        handle.events.connect(self._take)
        if not self.paths:
            self.sources.setText(str(handle.request.values.get("source", "")))
        self.progress.follow(handle)
        self._show_running(True)

    def _make_form(self) -> None:
        spec = self.services.jobs.catalogue.get(SCAN)
        if spec is None or self.form is not None:
            self.start_button.setEnabled(self.form is not None)
            return
        fields = [field for field in spec.fields if field.name != "source"]
        self.form = ConfigForm(fields, self.services)
        self.place.addWidget(self.form)
        self.waiting.hide()
        self.start_button.setEnabled(True)
        if self.paths:
            self._fill_form()
        self._show_running(self.busy)

    def _fill_form(self) -> None:
        assert self.form is not None
        self.form.set_baseline({"title": self.name})
        self.form.set_values({"title": self.name, "labels": _guess_labels(self.paths)})
        self.form.set_aside(COLUMNS)
        look, show = partial(_may_hold_tables, self.paths), partial(self._show_columns, self.paths)
        Background(self, look, show, self.services.show_failure)

    def _show_columns(self, paths: list[Path], tables: bool) -> None:
        """Show the fields of tables, where those that were looked at are still the chosen ones."""
        if tables and self.form is not None and paths == self.paths:
            self.form.set_aside(())

    def _show_running(self, running: bool) -> None:
        self.cancel_button.setVisible(not running)
        self.start_button.setVisible(not running)
        if self.form is not None:
            self.form.setVisible(not running)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Result) and event.kind == "dataset":
                self.dataset_id = str(event.data["id"])

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self._show_running(False)
        for text in self.progress.notes:
            self.services.notify(text)
        match ending:
            case Finished() if self.dataset_id:
                self.paths = []
                self.done.emit(self.dataset_id)
            case Failed():
                self.failure.show_failure(ending)
            case _:
                self.cancelled.emit()


def take_mime(mime: QMimeData, workspace: Path) -> list[Path]:
    """Return the files that were dropped or pasted; pictures and texts without a file are saved in the workspace."""
    files = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
    if files:
        return files
    now = f"{datetime.now():%Y-%m-%d %H%M%S %f}"
    folder = workspace / "pasted"
    if mime.hasImage():
        image = mime.imageData()
        if isinstance(image, QImage) and not image.isNull():
            folder.mkdir(exist_ok=True)
            path = folder / safe_name(f"{_('Picture')} {now}.png")
            image.save(str(path), "PNG")  # type: ignore[call-overload]
            return [path]
    if mime.hasText() and mime.text().strip():
        folder.mkdir(exist_ok=True)
        path = folder / safe_name(f"{_('Text')} {now}.txt")
        write_text(path, mime.text())
        return [path]
    return []


def clipboard_files(workspace: Path) -> list[Path]:
    """Return what the clipboard holds as files."""
    return take_mime(QGuiApplication.clipboard().mimeData(), workspace)


def _guess_labels(paths: list[Path]) -> str:
    """Return "folders" for one folder that has sub-folders with files, as sets sorted by class have."""
    if len(paths) != 1 or not paths[0].is_dir():
        return "none"
    try:
        return "folders" if sum(entry.is_dir() for entry in paths[0].iterdir()) > 1 else "none"
    except OSError:
        return "none"


def _may_hold_tables(paths: list[Path]) -> bool:
    """Return whether tables are among the files, as far as the first names tell; archives may hold some.

    Called on a thread: a folder may be large, or far away.
    """
    def names() -> Iterator[str]:
        for path in paths:
            if path.is_dir():
                for _folder, _folders, files in os.walk(path):
                    yield from files
            else:
                yield path.name

    kinds = (PurePath(name).suffix.lower() for name in islice(names(), LOOKED_AT))
    return any(kind == ".zip" or SUFFIXES.get(kind) in ("csv", "jsonl") for kind in kinds)
