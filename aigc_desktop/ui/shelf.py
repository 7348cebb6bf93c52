"""A search in the library as rows: cards are fetched in pages, from any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from aigc_desktop.core.library import Card, Library, Query
from aigc_desktop.ui.widgets.pictures.thumbnails import Source

PAGE = 100
PAGES = 60


class Shelf:
    """What a query finds, by row; the newest first."""

    def __init__(self, library: Library, query: Query) -> None:
        self.library, self.query = library, query
        self.count = library.count(query)
        self._pages: OrderedDict[int, list[Card]] = OrderedDict()
        self._lock = threading.Lock()

    def card(self, row: int) -> Card | None:
        """Return the card of a row, None when it was deleted meanwhile."""
        number, place = divmod(row, PAGE)
        with self._lock:
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = self.library.search(self.query, number * PAGE, PAGE)
            self._pages.move_to_end(number)
            while len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        return page[place] if place < len(page) else None

    def forget(self) -> None:
        """Fetch the pages anew: a card was edited."""
        with self._lock:
            self._pages.clear()

    def load(self, row: int) -> Source:
        """Return what a cell shows; called on the grid's threads."""
        card = self.card(row)
        if card is None:
            return ""
        return card.excerpt if card.kind == "text" else self.path(card)

    def path(self, card: Card) -> Path:
        """Return the file of a card."""
        return self.library.path(card)

    def caption(self, row: int) -> str:
        """Return the title of a row."""
        card = self.card(row)
        return card.title if card else ""

    def badge(self, row: int) -> str:
        """Return the star of a row."""
        card = self.card(row)
        return "★" if card and card.starred else ""

    def ids(self, rows: list[int]) -> list[str]:
        """Return the ids of rows."""
        return [card.id for row in rows if (card := self.card(row)) is not None]
