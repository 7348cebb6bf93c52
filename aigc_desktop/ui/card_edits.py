"""What the user changes in the library: star, title, tags; edited pictures beside works; delete with undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.library import Card, Library
from aigc_desktop.ui.editing import edit_pictures
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog

if TYPE_CHECKING:
    from aigc_desktop.export.edited import Source


class CardEdits(QObject):
    """Edits works of an open library; `edited` when cards have other contents, `moved` when there are other works.

    `moved` gives the id of the work to choose, or "".
    """

    edited = Signal()
    moved = Signal(str)

    def __init__(self, owner: QWidget, services: Services, library: Library) -> None:
        super().__init__(owner)
        self.owner, self.services, self.library = owner, services, library

    def star(self, cards: Sequence[Card]) -> bool:
        """Give works a star, or take it when all have one; return which."""
        starred = not all(card.starred for card in cards)
        self._change(lambda: self.library.star([card.id for card in cards], starred))
        return starred

    def rename(self, card: Card, title: str) -> None:
        """Give a work another title."""
        self._change(lambda: self.library.rename(card.id, title))
        self.moved.emit(card.id)

    def tag(self, card: Card, tags: Sequence[str]) -> None:
        """Set the tags of a work."""
        self._change(lambda: self.library.tag([card.id], tags))
        self.moved.emit(card.id)

    def delete(self, cards: Sequence[Card]) -> None:
        """Move works to the trash; the note has Undo."""
        ids = [card.id for card in cards]
        if self._change(lambda: self.library.delete(ids)):
            self.moved.emit("")
            text = ngettext("{count} work moved to the trash", "{count} works moved to the trash", len(ids))
            self.services.notify(text.format(count=len(ids)), partial(self._restore, ids))

    def edit(self, cards: Sequence[Card]) -> None:
        """Open the dialog that makes edited pictures of works; the works themselves stay."""
        pictures = [card for card in cards if card.kind == "image"]
        if not pictures:
            self.services.notify(_("Only pictures can be edited."))
            return
        sources = partial(_sources, self.library, pictures)
        edit_pictures(self.owner, self.services, sources, lambda: self.library, self._kept)

    def _kept(self, cards: Sequence[Card]) -> None:
        self.moved.emit(cards[0].id)

    def open_trash(self) -> None:
        """Offer to bring back what was deleted, or to remove it for good."""
        count = len(self.library.trashed())
        if not count:
            self.services.notify(_("The trash is empty."))
            return
        text = ngettext("{count} deleted work lies in the trash.", "{count} deleted works lie in the trash.", count)
        dialog = ChoiceDialog(
            self.services.theme, _("Trash"), text.format(count=f"{count:,}"),
            [("restore", _("Bring all back"), "primary"), ("purge", _("Remove for good"), "danger"),
             ("cancel", _("Cancel"), "")],
            self.owner,
        )  # fmt: skip
        dialog.chosen.connect(self._trash_chosen)
        dialog.open()

    def _trash_chosen(self, answer: str) -> None:
        if answer == "restore":
            self._restore(self.library.trashed())
        elif answer == "purge" and self._change(self.library.purge):
            self.services.notify(_("The trash is empty."))

    def _restore(self, ids: list[str]) -> None:
        if self._change(lambda: self.library.restore(ids)):
            self.moved.emit(ids[0])

    def _change(self, change: Callable[[], object]) -> bool:
        """Do a change and return whether it was done; what prevents it is shown."""
        try:
            change()
        except (UserError, OSError) as error:
            self.services.show_failure(failure_of(error))
            return False
        self.edited.emit()
        return True


def _sources(library: Library, cards: Sequence[Card]) -> list[Source]:
    from aigc_desktop.export.edited import source_of_card

    return [source_of_card(library, card) for card in cards]
