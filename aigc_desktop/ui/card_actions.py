"""What the user does with kept works that changes none of them: make again, export, copy, drag, look where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.library import Card, Library
from aigc_desktop.ui.dragging import LIMIT, files_to_drag
from aigc_desktop.ui.explored import elsewhere, origin_of_card
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.reveal import open_outside

if TYPE_CHECKING:
    from aigc_desktop.export.piece import Piece


class CardActions:
    """Acts on works of an open library; `owner` is the page that shows them."""

    def __init__(self, owner: QWidget, services: Services, library: Library) -> None:
        self.owner, self.services, self.library = owner, services, library

    def act(self, action: str, cards: list[Card]) -> None:
        """Do one of "like", OFFERED, "export", "copy", "folder" with at least one work."""
        card = cards[0]
        told = elsewhere(
            self.services, action, origin_of_card(card), self.library.path(card), card.id, card.title
        )  # fmt: skip
        if told is not None:
            self.services.navigate(told[0], **told[1])
            return
        match action:
            case "like":
                self.like(card)
            case "export":
                self.export(cards)
            case "copy":
                self.copy(cards)
            case "folder":
                self.open_folder(card)

    def like(self, card: Card) -> None:
        """Go to Create and make the work again; without a seed of its own, with the settings of all its batch."""
        count = {} if card.seed is None else {"count": 1}
        self.services.navigate(
            "create", run=card.run, checkpoint=card.checkpoint, task=card.task, seed=card.seed, label=card.label,
            settings=card.settings, **count,
        )  # fmt: skip

    def export(self, cards: list[Card]) -> None:
        """Ask how, then export the works of the first one's kind."""
        from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog

        same = [card for card in cards if card.kind == cards[0].kind]
        if len(same) < len(cards):
            self.services.notify(_("Pictures and texts are exported one kind at a time."))
        dialog = ExportDialog(self.services, cards[0].kind, [self._loader(card) for card in same], self.owner)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def copy(self, cards: list[Card]) -> None:
        """Put the first picture, or all texts, on the clipboard."""
        clipboard = QGuiApplication.clipboard()
        if cards[0].kind == "image":
            clipboard.setImage(QImage(str(self.library.path(cards[0]))))
        else:
            texts = [self.library.path(card).read_text(encoding="utf-8") for card in cards if card.kind == "text"]
            clipboard.setText("\n\n".join(texts))

    def open_folder(self, card: Card) -> None:
        """Show the folder a work lies in."""
        folder = self.library.path(card).parent
        if not open_outside(folder):
            self.services.notify(_("The folder could not be opened: {path}").format(path=folder))

    def drag(self, cards: list[Card]) -> Sequence[Path]:
        """Return files of the works, named after their titles and labelled like any export."""
        pieces = [self._loader(card)() for card in cards[:LIMIT] if card.kind == cards[0].kind]
        return files_to_drag(pieces, self.services.preferences)

    def _loader(self, card: Card) -> Callable[[], Piece]:
        return partial(_piece, self.library, card)


def _piece(library: Library, card: Card) -> Piece:
    from aigc_desktop.export.results import piece_of_card

    return piece_of_card(library, card)
