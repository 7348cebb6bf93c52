"""Keep works in the library, beside the window: encoding and writing to the disk takes a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from PySide6.QtCore import QObject

from aigc_desktop.core.events import Failed
from aigc_desktop.core.library import Card, Library
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.works import Work


class Keeper(QObject):
    """Opens the library when it is first needed; calls come back on the main thread."""

    def __init__(self, owner: QObject, workspace: Workspace) -> None:
        super().__init__(owner)
        self.workspace = workspace
        self._library: Library | None = None
        self._lock = threading.Lock()

    def library(self) -> Library:
        """Return the open library; to be called on a thread, since opening may take a while."""
        with self._lock:
            if self._library is None:
                self._library = Library(self.workspace.folder)
            return self._library

    def keep(
        self, works: Sequence[Work], done: Callable[[list[Card]], None], failed: Callable[[Failed], None]
    ) -> Background:
        """Keep works and then give the cards of those that were not kept before."""
        started = datetime.now().astimezone()

        def fresh(cards: list[Card]) -> None:
            done([card for card in cards if datetime.fromisoformat(card.created) >= started])

        return self.keep_all(works, fresh, failed)

    def keep_all(
        self, works: Sequence[Work], done: Callable[[list[Card]], None], failed: Callable[[Failed], None]
    ) -> Background:
        """Keep works and then give the card of each, also of one that was kept before."""

        def work() -> list[Card]:
            from aigc_desktop.export.results import keep

            library = self.library()
            return [keep(library, each.piece()) for each in works]

        return Background(self, work, done, failed)

    def delete(
        self, ids: Sequence[str], done: Callable[[object], None], failed: Callable[[Failed], None]
    ) -> Background:
        """Put kept works into the trash again: the way back from `keep`."""
        return Background(self, lambda: self.library().delete(list(ids)), done, failed)
