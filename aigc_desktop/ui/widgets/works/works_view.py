"""What a job makes: a grid that fills while it works, a reader for texts, a close look, and a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QMenu,
    QPlainTextEdit,
    QSlider,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.rating import reasons_text
from aigc_desktop.ui.dragging import LIMIT, files_to_drag
from aigc_desktop.ui.explored import OFFERED, offers
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import icon_button, label
from aigc_desktop.ui.widgets.pictures.image_viewer import ImageViewer
from aigc_desktop.ui.widgets.pictures.thumbnail_grid import ThumbnailGrid
from aigc_desktop.ui.widgets.pictures.thumbnails import Source, to_image
from aigc_desktop.ui.widgets.side_by_side import SideBySide
from aigc_desktop.ui.widgets.works.quality_bar import QualityBar
from aigc_desktop.ui.widgets.works.quality_panel import QualityPanel
from aigc_desktop.ui.works import Batch, Work

NARROW_PX, QUALITY_PX = 140, 200
BADGES = {"kept": "✓", "rejected": "✕"}
ACTIONS = ("like", *OFFERED, "keep", "reject", "compare", "edit", "export", "copy", "folder")


class WorksView(QWidget):
    """Shows a Batch. `asked` gives an action of ACTIONS and the chosen works' places."""

    asked = Signal(str, object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.theme = theme = services.theme
        self.batch: Batch | None = None
        self.rows: list[int] = []
        self.seen = 0
        self.grid = ThumbnailGrid(theme)
        self.grid.setAccessibleName(_("Works"))
        self.grid.setToolTip(_("Space keeps, X rejects, C compares two, Enter looks closely"))
        self.reader = Reader()
        self.viewer = ImageViewer(theme, [
            ("like", "sparkles", _("Generate like this")), ("keep", "library", _("Keep in the Library (Space)")),
            ("edit", "pencil", _("Edit…")), ("export", "download", _("Export…")),
        ])  # fmt: skip
        self.quality = QualityPanel(theme, services.workspace)
        self.shown = QualityBar()
        self.actions_by_key = make_actions(theme, self.grid)
        for action in self.actions_by_key.values():
            action.triggered.connect(self._act)
        self._lay_out()
        self.grid.set_menu(self._menu)
        self.grid.set_drag_files(self._drag_files)
        self.grid.row_activated.connect(self.look)
        self.grid.current_changed.connect(self._current_changed)
        self.grid.selection_changed.connect(self._show_state)
        self.viewer.closed.connect(self.back)
        self.viewer.acted.connect(self._viewer_acted)
        self.quality.compare.connect(self._compare_nearest)
        for changed in self.shown.changes:
            changed.connect(self._fill)
        self.viewer.canvas.stepped.connect(self._step)

    # what is shown

    def show_batch(self, batch: Batch | None) -> None:
        """Show what a job has made so far."""
        self.batch, self.rows = batch, []  # rows of the batch before would name works that are not there
        self.stack.setCurrentIndex(0)
        is_text = bool(batch and batch.works and batch.works[0].kind == "text")
        self.reader.setVisible(is_text)
        self.reader.clear()
        self._fill()
        if self.rows:
            self.grid.select_rows([0])

    def grow(self, changed: Sequence[int] = ()) -> None:
        """Show works that have come since; `changed` are places whose text has grown."""
        if self.batch is None:
            return
        works = self.batch.works
        if works and works[0].kind == "text" and not self.reader.isVisibleTo(self):
            self.reader.show()
        if len(works) < self.seen or (self.shown.sorted and len(works) > self.seen):
            self._fill()  # unfinished texts were taken back, or new works come between others
            return
        self.shown.refresh(self.batch)
        self.rows += self.shown.places(self.batch, range(self.seen, len(works)))
        self.seen = len(works)
        self.grid.set_count(len(self.rows))
        for place in changed:
            if place in self.rows:
                self.grid.refresh(self.rows.index(place), reload=True)
        if self.grid.current() < 0 and self.rows:
            self.grid.select_rows([0])
        self._current_changed(self.grid.current())
        self._show_state()

    def places(self) -> list[int]:
        """Return the places of the chosen works."""
        return [self.rows[row] for row in self.grid.selected() if row < len(self.rows)]

    def works(self) -> list[Work]:
        """Return the chosen works."""
        return [self.batch.works[place] for place in self.places()] if self.batch else []

    def remark(self, places: Sequence[int]) -> None:
        """Paint works again whose mark has changed; with rejected ones hidden, fill the grid again."""
        if self.shown.hide_box.isChecked():
            self._fill()
            return
        for place in places:
            if place in self.rows:
                self.grid.refresh(self.rows.index(place))
        self._show_state()

    def advance(self) -> None:
        """Go to the next work, as one does when judging one after another."""
        if len(self.grid.selected()) <= 1 and 0 <= self.grid.current() < len(self.rows) - 1:
            self.grid.select_rows([self.grid.current() + 1])

    # a close look

    def look(self, row: int) -> None:
        """Look closely at a work."""
        if self.batch is None or not 0 <= row < len(self.rows):
            return
        work = self.batch.works[self.rows[row]]
        if work.kind == "image":
            self._view([work])

    def compare(self) -> None:
        """Look at two chosen pictures, or the chosen one and the next, with a divider between."""
        works = [work for work in self.works() if work.kind == "image"]
        if self.batch and len(works) == 1 and self.grid.current() + 1 < len(self.rows):
            works.append(self.batch.works[self.rows[self.grid.current() + 1]])
        if len(works) >= 2:
            self._view(works[:2])

    def back(self) -> None:
        """Go back to all works."""
        self.stack.setCurrentIndex(0)
        self.grid.setFocus()

    def copy(self) -> None:
        """Put the current picture, or the chosen texts, on the clipboard."""
        works = self.works()
        if works and works[0].kind == "image":
            QGuiApplication.clipboard().setImage(to_image(works[0].picture()))
        elif works:
            QGuiApplication.clipboard().setText("\n\n".join(work.text for work in works))

    def _view(self, works: list[Work]) -> None:
        try:
            images = [to_image(work.picture()) for work in works]
        except (OSError, BadInput) as error:
            self.state.setText(str(error))
            return
        caption = "   ⟷   ".join(work.title for work in works)
        self.quality.show_rating(works[0].rating if len(works) == 1 else None)
        self.viewer.show_images(images[0], images[1] if len(images) > 1 else None, caption)
        self.stack.setCurrentIndex(1)
        self.viewer.canvas.setFocus()

    def _step(self, step: int) -> None:
        row = self.grid.current() + step
        if 0 <= row < len(self.rows):
            self.grid.select_rows([row])
            self.look(row)

    def _compare_nearest(self) -> None:
        self.viewer.canvas.show_images(self.viewer.canvas.first, self.quality.nearest)

    def _viewer_acted(self, action: str) -> None:
        self.asked.emit(action, self.places())

    # inside

    def _lay_out(self) -> None:
        theme = self.theme
        self.state = label("", "secondary", wrap=False)
        self.size_slider = QSlider(Qt.Orientation.Horizontal)
        self.size_slider.setRange(80, 320)
        self.size_slider.setValue(160)
        self.size_slider.setFixedWidth(theme.px(120))
        self.size_slider.setAccessibleName(_("Size of the works"))
        self.size_slider.setToolTip(_("Size of the works"))
        self.size_slider.valueChanged.connect(self._resized)
        self.bar = FlowLayout(theme.px(8))
        for key in ("keep", "reject", "compare", "edit", "export"):
            self.bar.addWidget(action_button(theme, self.actions_by_key[key]))
        for widget in (self.shown.hide_box, self.shown.order, self.shown.failed, self.size_slider, self.state):
            self.bar.addWidget(widget)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.grid)
        splitter.addWidget(self.reader)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setChildrenCollapsible(False)
        self.reader.hide()
        self.stack = QStackedWidget()
        self.stack.addWidget(splitter)
        self.stack.addWidget(SideBySide(theme, self.viewer, self.quality, (NARROW_PX, QUALITY_PX)))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(self.bar)
        box.addWidget(self.stack, 1)

    def _fill(self) -> None:
        self.seen = len(self.batch.works) if self.batch else 0
        self.shown.refresh(self.batch)
        self.rows = self.shown.places(self.batch, range(self.seen)) if self.batch else []
        self.grid.set_source(len(self.rows), self._load, self._caption, self._badge, self._faint)
        self._show_state()

    def _work(self, row: int) -> Work:
        assert self.batch is not None
        return self.batch.works[self.rows[row]]

    def _load(self, row: int) -> Source:
        work = self._work(row)
        if work.kind == "text":
            return work.text
        if work.pixels is not None:
            return work.pixels
        assert work.file is not None
        return work.file

    def _caption(self, row: int) -> str:
        work = self._work(row)
        if work.failed and work.rating is not None:
            return reasons_text(work.rating)
        return _("Original") if work.original else work.title + (" …" if work.partial else "")

    def _badge(self, row: int) -> str:
        return BADGES.get(self._mark(row), "")

    def _faint(self, row: int) -> bool:
        return self._mark(row) == "rejected"

    def _mark(self, row: int) -> str:
        return self.batch.marks.get(self.rows[row], "") if self.batch else ""

    def _current_changed(self, row: int) -> None:
        if self.batch is None or not 0 <= row < len(self.rows) or self._work(row).kind != "text":
            return
        self.reader.show_text(self._work(row).text)

    def _resized(self, edge: int) -> None:
        self.grid.set_cell_size(self.theme.px(edge))

    def _show_state(self) -> None:
        works = self.works()
        picture = works[0] if works and works[0].kind == "image" else None
        good_for = offers(self.services, picture.origin, picture.file) if picture else set()
        for key in OFFERED:
            self.actions_by_key[key].setEnabled(key in good_for)
        self.state.setText(state_text(self.batch, len(self.grid.selected())) if self.batch else "")

    def _act(self) -> None:
        action = self.sender()
        if isinstance(action, QAction) and self.places():
            self.asked.emit(str(action.data()), self.places())

    def _menu(self, rows: list[int]) -> QMenu | None:
        menu = QMenu(self)
        for action in self.actions_by_key.values():
            menu.addAction(action)
        return menu

    def _drag_files(self, rows: list[int]) -> Sequence[Path]:
        made = [work for work in map(self._work, rows) if not work.original]
        return files_to_drag([work.piece() for work in made[:LIMIT]], self.services.preferences)


class Reader(QPlainTextEdit):
    """A whole text; one that grows is followed at its end, if the end is what the user looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setAccessibleName(_("Chosen text"))
        self.setToolTip(_("The whole text; select to copy a part"))

    def show_text(self, text: str) -> None:
        """Show a text, from where the user was if it is the same one grown longer."""
        shown = self.toPlainText()
        if text == shown:
            return
        bar = self.verticalScrollBar()
        position, at_end = bar.value(), bar.value() == bar.maximum()
        self.setPlainText(text)
        if shown and text.startswith(shown[:40]):
            bar.setValue(bar.maximum() if at_end else position)


def state_text(batch: Batch, chosen: int) -> str:
    """Return how many works there are, and what the user thinks of them."""
    marks = list(batch.marks.values())
    count = sum(not work.failed and not work.original for work in batch.works)
    parts = [ngettext("{count} work", "{count} works", count).format(count=count)]
    if chosen > 1:
        parts.append(_("{count} chosen").format(count=chosen))
    if "kept" in marks:
        parts.append(_("{count} kept").format(count=marks.count("kept")))
    if "rejected" in marks:
        parts.append(_("{count} rejected").format(count=marks.count("rejected")))
    return " · ".join(parts)


def make_actions(theme: Theme, grid: ThumbnailGrid) -> dict[str, QAction]:
    """Return the actions on works; their keys hold while the grid has the focus."""
    made: dict[str, QAction] = {}
    for key, icon, text, shortcut in (
        ("like", "sparkles", _("Generate like this"), "G"), ("variants", "shuffle", _("Variants of this"), "V"),
        ("repaint", "paintbrush", _("Paint a part anew…"), "P"), ("extend", "scaling", _("Extend…"), "B"),
        ("keep", "library", _("Keep in the Library"), "Space"), ("reject", "x", _("Reject"), "X"),
        ("compare", "columns-2", _("Compare"), "C"), ("edit", "pencil", _("Edit…"), "E"),
        ("export", "download", _("Export…"), "Ctrl+E"), ("copy", "copy", _("Copy"), "Ctrl+C"),
        ("folder", "folder-open", _("Show in folder"), ""),
    ):  # fmt: skip
        made[key] = action = QAction(theme.icon(icon), text, grid)
        action.setData(key)
        action.setShortcut(QKeySequence(shortcut))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        grid.addAction(action)
    return made


def action_button(theme: Theme, action: QAction) -> QToolButton:
    """Return a button for an action, with its key in the tooltip."""
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    made = icon_button(theme, "x", f"{action.text()} ({keys})")
    made.setIcon(action.icon())
    made.clicked.connect(action.trigger)
    return made
