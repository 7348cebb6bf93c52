"""The Library page: everything that was kept, found again by words, kind, model, tag and star."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QKeySequence, QShortcut
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.i18n import N_, _, ngettext, sentences
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.explored import offers_of
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.widgets.controls import label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import SideBySide

if TYPE_CHECKING:
    from aigc_desktop.core.library import Card, Library
    from aigc_desktop.ui.card_actions import CardActions
    from aigc_desktop.ui.card_edits import CardEdits

PANEL_PX, NARROW_PX = 320, 220
EXPORT_LIMIT = 10_000


class LibraryPage(Page):
    """Filters on top, the works in the middle, the chosen one on the right."""

    title = N_("Library")
    icon = "library"
    order = 70

    def build(self) -> None:
        """Make the widgets and open the library beside the window."""
        from aigc_desktop.core.library import Library
        from aigc_desktop.ui.shelf import Shelf
        from aigc_desktop.ui.widgets.pictures.image_viewer import ImageViewer
        from aigc_desktop.ui.widgets.pictures.thumbnail_grid import ThumbnailGrid
        from aigc_desktop.ui.widgets.works.card_panel import CardPanel
        from aigc_desktop.ui.widgets.works.library_filters import LibraryFilters

        theme = self.services.theme
        self.make_shelf = Shelf
        self.shelf: Shelf | None = None
        self.library: Library | None = None
        self.actions_: CardActions | None = None
        self.edits: CardEdits | None = None
        self._wanted_item = ""
        self.grid = ThumbnailGrid(theme)
        self.grid.setAccessibleName(_("Kept works"))
        self.grid.setToolTip(_("Enter looks closely, S stars, Delete moves to the trash"))
        self.filters = LibraryFilters(theme)
        self.panel = CardPanel(theme)
        self.viewer = ImageViewer(theme)
        self.empty = EmptyState(
            theme, "library", _("Nothing kept yet"),
            _("Works you keep on the Create page lie here, with everything needed to make them again."),
            _("Go to Create"),
        )  # fmt: skip
        self.opening = label(_("The library is being opened…"), "secondary")
        self._lay_out()
        self._connect()
        Background(self, partial(Library, self.services.workspace.folder), self._opened, self._open_failed)

    def shown(self, **arguments: Any) -> None:
        """Read what was kept meanwhile; `item` is chosen."""
        self._wanted_item = str(arguments.get("item", ""))
        if self.library is not None:
            self.refresh()

    # opening

    def _opened(self, library: Library) -> None:
        from aigc_desktop.ui.card_actions import CardActions
        from aigc_desktop.ui.card_edits import CardEdits

        self.library = library
        self.actions_ = CardActions(self, self.services, library)
        self.edits = CardEdits(self, self.services, library)
        self.edits.edited.connect(self._edited)
        self.edits.moved.connect(self._moved)
        self.filters.trash.clicked.connect(self.edits.open_trash)
        if library.damaged:
            self.services.notify(_damaged_words(library.damaged))
        self.refresh()

    def _open_failed(self, failed: Any) -> None:
        self.opening.setText(sentences(failed.message, failed.hint))
        self.stack.setCurrentIndex(0)

    # searching

    def refresh(self) -> None:
        """Search again with the filters; the chosen work stays chosen if it is found."""
        if self.library is None:
            return
        from aigc_desktop.core.library import Query

        before = self._wanted_item or (self.panel.card.id if self.panel.card else "")
        self._wanted_item = ""
        try:
            self.filters.fill(self.library)
            query = self.filters.query()
            self.shelf = self.make_shelf(self.library, query)
            nothing = self.shelf.count == 0 and query == Query()
            self.grid.set_source(self.shelf.count, self.shelf.load, self.shelf.caption, self.shelf.badge)
        except UserError as error:
            if self.library.folder.is_dir():
                self.services.show_failure(failure_of(error))
            else:  # works that are gone must not look as if they were there
                self._open_failed(error)
            return
        self.stack.setCurrentIndex(1 if nothing else 2)
        self.filters.show_count(self.shelf.count)
        self._choose(before)

    def _choose(self, item: str) -> None:
        """Choose a work that the search finds, by its id."""
        assert self.library is not None and self.shelf is not None
        if item:
            row = self.library.position(self.shelf.query, item)
            card = self.shelf.card(row) if row < self.shelf.count else None
            if card is not None and card.id == item:
                self.grid.select_rows([row])
                return
        self._selection_changed()

    # the chosen works

    def chosen(self) -> list[Card]:
        """Return the chosen works, at most EXPORT_LIMIT."""
        if self.shelf is None:
            return []
        rows = self.grid.selected()[:EXPORT_LIMIT]
        return [card for row in rows if (card := self.shelf.card(row)) is not None]

    def _selection_changed(self) -> None:
        rows = self.grid.selected()
        self.panel.show_many(len(rows))
        card = self.shelf.card(rows[0]) if self.shelf is not None and len(rows) == 1 else None
        if card is not None and self.library is not None:
            try:
                offers = offers_of(self.services, card, self.library.path(card))
                task = self.services.jobs.catalogue.get(card.task)
                self.panel.show_card(card, self.library, offers, task.fields if task else ())
            except UserError as error:
                self.services.notify(error.message)

    def _asked(self, action: str) -> None:
        cards = self.chosen()
        if not cards or self.actions_ is None:
            return
        if action == "delete":
            self.delete()
        elif action == "star":
            self.star()
        elif action == "edit" and self.edits is not None:
            self.edits.edit(cards)
        else:
            self.actions_.act(action, cards)

    def star(self) -> None:
        """Give the chosen works a star, or take it when all have one."""
        cards = self.chosen()
        if self.edits is not None and cards:
            self.panel.show_star(self.edits.star(cards))

    def delete(self) -> None:
        """Move the chosen works to the trash."""
        cards = self.chosen()
        if self.edits is not None and cards:
            row = self.grid.selected()[0]
            self.edits.delete(cards)
            if self.shelf is not None and self.shelf.count:
                self.grid.select_rows([min(row, self.shelf.count - 1)])

    def _rename(self, title: str) -> None:
        card = self.panel.card
        if card is not None and self.edits is not None and title != card.title:
            self.edits.rename(card, title)

    def _tag(self, tags: list[str]) -> None:
        if self.panel.card is not None and self.edits is not None:
            self.edits.tag(self.panel.card, tags)

    def _edited(self) -> None:
        if self.shelf is not None:
            self.shelf.forget()
            self.grid.viewport().update()

    def _moved(self, item: str) -> None:
        self._wanted_item = item
        self.refresh()

    def _drag_files(self, rows: list[int]) -> Sequence[Path]:
        cards = self.chosen()
        return self.actions_.drag(cards) if self.actions_ is not None and cards else []

    # a close look

    def look(self, row: int) -> None:
        """Look closely at a picture; the arrows go on to the next."""
        card = self.shelf.card(row) if self.shelf is not None else None
        if card is not None and self.library is not None and card.kind == "image":
            self.viewer.show_images(QImage(str(self.library.path(card))), caption=card.title)
            self.middle.setCurrentIndex(1)
            self.viewer.canvas.setFocus()

    def back(self) -> None:
        """Go back to all works."""
        self.middle.setCurrentIndex(0)
        self.grid.setFocus()

    def _step(self, step: int) -> None:
        row = self.grid.current() + step
        if 0 <= row < self.grid.count:
            self.grid.select_rows([row])
            self.look(row)

    # inside

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.middle = QStackedLayout()
        self.middle.addWidget(self.grid)
        self.middle.addWidget(self.viewer)
        main = QWidget()
        left = QVBoxLayout(main)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(theme.px(8))
        left.addWidget(self.filters)
        left.addLayout(self.middle, 1)
        work = SideBySide(theme, main, self.panel, (NARROW_PX, PANEL_PX))
        self.opening.setAlignment(Qt.AlignmentFlag.AlignCenter)
        outer = QVBoxLayout(self)  # a stacked layout has no margins
        outer.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        self.stack = FittedStack()
        outer.addLayout(self.stack)
        for widget in (self.opening, self.empty, work):
            self.stack.addWidget(widget)

    def _connect(self) -> None:
        self.filters.changed.connect(self.refresh)
        self.grid.selection_changed.connect(self._selection_changed)
        self.grid.row_activated.connect(self.look)
        self.grid.set_menu(self.panel.menu)
        self.grid.set_drag_files(self._drag_files)
        self.viewer.closed.connect(self.back)
        self.viewer.canvas.stepped.connect(self._step)
        self.panel.asked.connect(self._asked)
        self.panel.renamed.connect(self._rename)
        self.panel.tagged.connect(self._tag)
        self.panel.opened.connect(self._open_relative)
        self.panel.placed.connect(self._go_to)
        self.empty.acted.connect(partial(self.services.navigate, "create"))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self.filters.search.setFocus)
        for keys, action in (("S", "star"), ("Delete", "delete"), ("Ctrl+C", "copy"), ("Ctrl+E", "export"),
                             ("G", "like"), ("E", "edit")):  # fmt: skip
            shortcut = QShortcut(QKeySequence(keys), self.grid)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)  # given to the constructor, it changes the key
            shortcut.activated.connect(partial(self._asked, action))

    def _open_relative(self, item: str) -> None:
        """Show a relative, without filters when they hide it."""
        self._wanted_item = item
        self.refresh()
        if self.panel.card is None or self.panel.card.id != item:
            self.filters.clear()
            self._wanted_item = item
            self.refresh()

    def _go_to(self, place: str, name: str) -> None:
        self.services.navigate(place, **{"dataset" if place == "data" else "run": name})


PAGE = LibraryPage


def _damaged_words(cards: list[Path]) -> str:
    text = ngettext(
        "{count} card of the library is damaged and left out: {name}",
        "{count} cards of the library are damaged and left out, the first: {name}", len(cards),
    )  # fmt: skip
    return text.format(count=len(cards), name=cards[0].name)
