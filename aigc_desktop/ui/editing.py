"""Open the dialog that edits pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from aigc_desktop.core.library import Card, Library
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Services

if TYPE_CHECKING:
    from aigc_desktop.export.edited import Source

Kept = Callable[[Sequence[Card]], None]


def edit_pictures(
    owner: QWidget,
    services: Services,
    sources: Callable[[], list[Source]],
    library: Callable[[], Library],
    kept: Kept,
) -> None:
    """Ask what to do with pictures and do it; `kept` gets the cards of what was kept.

    `sources` and `library` are called on a thread, where the operations are imported too: all that takes longer than
    the window may wait.
    """
    Background(owner, partial(_prepare, sources), partial(_open, owner, services, library, kept), services.show_failure)


def _prepare(sources: Callable[[], list[Source]]) -> list[Source]:
    from aigc_desktop.editing.chain import operations

    operations()
    return sources()


def _open(
    owner: QWidget, services: Services, library: Callable[[], Library], kept: Kept, sources: list[Source]
) -> None:
    from aigc_desktop.ui.widgets.edit.edit_dialog import EditDialog

    dialog = EditDialog(services, sources, library, owner)
    dialog.kept.connect(kept)
    dialog.open()
