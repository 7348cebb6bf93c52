"""What the user does with made works: keep, reject, export, look where they lie."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.library import Card
from aigc_desktop.ui.editing import edit_pictures
from aigc_desktop.ui.keeper import Keeper
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.reveal import open_outside

if TYPE_CHECKING:
    from aigc_desktop.export.edited import Source
    from aigc_desktop.ui.widgets.works.works_view import WorksView
    from aigc_desktop.ui.works import Batch, Work


class Judge:
    """Does for the works of a view what its actions ask; `owner` is the page that shows it."""

    def __init__(self, owner: QWidget, services: Services, view: WorksView) -> None:
        self.owner, self.services, self.view = owner, services, view
        self.keeper = Keeper(owner, services.workspace)

    def act(self, action: str, batch: Batch, places: list[int]) -> None:
        """Do one of "keep", "reject", "compare", "edit", "export", "copy", "folder".

        Nothing is made of the originals that stand beside their copies: they are the user's already.
        """
        if action in ("keep", "reject", "edit", "export"):
            made = [place for place in places if not batch.works[place].original]
            if places and not made:
                self.services.notify(_("This is your own picture; its copy stands beside it."))
                return
            places = made
        match action:
            case "keep":
                self.keep(batch, places)
            case "reject":
                self.reject(batch, places)
            case "compare":
                self.view.compare()
            case "export":
                self.export(batch, places)
            case "edit":
                self.edit(batch, places)
            case "copy":
                self.view.copy()
            case "folder":
                self.open_folder(batch, places)

    def keep(self, batch: Batch, places: list[int]) -> None:
        """Keep works in the library; the mark shows at once, the files follow."""
        chosen = [place for place in places if not batch.works[place].partial]
        self._mark(batch, chosen, "kept")
        works = [batch.works[place] for place in chosen]
        self.keeper.keep(works, partial(self._kept, batch, chosen), partial(self._not_kept, batch, chosen))
        self.view.advance()

    def reject(self, batch: Batch, places: list[int]) -> None:
        """Mark works as rejected; the same key takes it back."""
        back = all(batch.marks.get(place) == "rejected" for place in places)
        self._mark(batch, places, "" if back else "rejected")
        if not back:
            self.view.advance()

    def export(self, batch: Batch, places: list[int]) -> None:
        """Ask how, then export."""
        from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog

        works = [batch.works[place] for place in places]
        dialog = ExportDialog(self.services, works[0].kind, [work.piece for work in works], self.owner)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def edit(self, batch: Batch, places: list[int]) -> None:
        """Open the dialog that makes edited pictures of works; they come into the library."""
        works = [batch.works[place] for place in places if batch.works[place].file is not None]
        if not works or works[0].kind != "image":
            self.services.notify(_("Only pictures can be edited."))
            return
        edit_pictures(self.owner, self.services, partial(_sources, works), self.keeper.library, _nothing)

    def open_folder(self, batch: Batch, places: list[int]) -> None:
        """Show the folder the works lie in."""
        file = batch.works[places[0]].file
        folder = file.parent if file is not None else batch.result.samples_dir
        if not open_outside(folder):
            self.services.notify(_("The folder could not be opened: {path}").format(path=folder))

    def _kept(self, batch: Batch, places: list[int], cards: list[Card]) -> None:
        if not cards:
            self.services.notify(_("Kept in the Library already."))
            return
        text = ngettext("{count} work kept in the Library", "{count} works kept in the Library", len(cards))
        undo = partial(self._take_back, batch, places, [card.id for card in cards])
        self.services.notify(text.format(count=len(cards)), undo)

    def _not_kept(self, batch: Batch, places: list[int], failed: Failed) -> None:
        self._mark(batch, places, "")
        self.services.show_failure(failed)

    def _take_back(self, batch: Batch, places: list[int], ids: list[str]) -> None:
        self._mark(batch, places, "")
        self.keeper.delete(ids, _nothing, self.services.show_failure)

    def _mark(self, batch: Batch, places: list[int], mark: str) -> None:
        batch.mark(places, "kept" if mark == "kept" else "rejected" if mark == "rejected" else "")
        if batch is self.view.batch:
            self.view.remark(places)


def _sources(works: list[Work]) -> list[Source]:
    from aigc_desktop.export.edited import Source

    return [Source(work.file, work.title, work.origin) for work in works if work.file is not None]


def _nothing(_value: object) -> None:
    pass
