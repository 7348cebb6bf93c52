"""The pictures collected of the model that is explored, written down at each change."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from aigc_desktop.core.collected import Collected, kept_ancestors, read_collected, write_collected
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.run import Run


@dataclass(frozen=True)
class Look:
    """A picture the model made: uint8 (H, W, C), and how to make it again; `final` ones are in full quality.

    `parents` are the ids of the collected pictures it was made from.
    """

    pixels: Any
    latent: str
    label: str = ""
    parents: tuple[str, ...] = ()
    final: bool = True


class Collecting(QObject):
    """The collected pictures of one saved version, in the order in which they came."""

    changed = Signal()
    failed = Signal(object)
    """A Failed: what kept the list from being read or written."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.run: Run | None = None
        self.version = ""
        self.items: list[Collected] = []
        self.thumbnails: dict[str, Any] = {}

    def open(self, run: Run, version: str) -> None:
        """Show what was collected of a saved version."""
        self.run, self.version, self.thumbnails = run, version, {}
        try:
            self.items = [item for item in read_collected(run) if item.checkpoint == version]
        except UserError as error:
            self.items = []
            self.failed.emit(failure_of(error))
        self.changed.emit()

    def show(self, thumbnails: Mapping[str, Any]) -> None:
        """Take the pixels of collected pictures by id."""
        self.thumbnails |= thumbnails
        self.changed.emit()

    def get(self, item: str) -> Collected | None:
        """Return a collected picture by its id."""
        return next((each for each in self.items if each.id == item), None)

    def add(self, look: Look, title: str = "", card: str = "") -> Collected:
        """Collect a picture and return it; the same picture is collected once."""
        known = next((item for item in self.items if item.latent == look.latent), None)
        if known is None:
            known = Collected(uuid.uuid4().hex[:12], title or self._number(), self.version, look.latent, look.label,
                              look.parents, card)  # fmt: skip
            self.thumbnails[known.id] = look.pixels
            self._save([*self.items, known])
        return known

    def remove(self, ids: Sequence[str]) -> list[Collected]:
        """Take pictures out of the list and return what it was, for `restore`."""
        before = self.items
        self._save([item for item in self.items if item.id not in ids])
        return before

    def restore(self, items: list[Collected]) -> None:
        """Put the list back as it was."""
        self._save(items)

    def keep(self, item: str, card: str) -> None:
        """Remember the card of a picture that was kept in the library."""
        self._save([replace(each, card=card) if each.id == item else each for each in self.items])

    def cards_of(self, parents: Sequence[str]) -> tuple[str, ...]:
        """Return the cards of the nearest kept pictures among these and those they come from."""
        return kept_ancestors(self.items, parents)

    def _number(self) -> str:
        numbers = [int(item.title) for item in self.items if item.title.isdecimal()]
        return str(max(numbers, default=0) + 1)

    def _save(self, items: list[Collected]) -> None:
        if self.run is None:
            return
        try:
            others = [item for item in read_collected(self.run) if item.checkpoint != self.version]
            write_collected(self.run, [*others, *items])
        except (OSError, UserError) as error:
            self.failed.emit(failure_of(error))
            return
        self.items = items
        self.changed.emit()
