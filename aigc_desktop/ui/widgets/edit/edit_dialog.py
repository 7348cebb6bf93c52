"""Edit pictures: a chain of edits, a live look at what they do, then all chosen pictures into new works or files."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed, Finished, Stopped
from aigc_desktop.core.i18n import _, ngettext, sentences
from aigc_desktop.core.library import Card, Library
from aigc_desktop.core.partial import PARTIAL
from aigc_desktop.core.request import JobRequest
from aigc_desktop.data.sources import join_sources
from aigc_desktop.editing.chain import check_step, steps_text
from aigc_desktop.export.edited import Source, edited_piece, keep_edited, outcomes
from aigc_desktop.ui.asking import URGENT, Answer, Asker
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, icon_button, label
from aigc_desktop.ui.widgets.edit.edit_steps import EditSteps
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.pictures.before_after import BeforeAfter
from aigc_desktop.ui.widgets.pictures.rectangle_picker import RectanglePicker
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image
from aigc_desktop.ui.widgets.side_by_side import SideBySide

SIDE_PX = (260, 320)
BESIDE_PX = 520
"""So wide at 100 % the picture and its edits stand side by side; that is what a small screen gives at 200 %."""
SIZE = QSize(1080, 680)
TOLD = 3
"""So many pictures that could not be edited are named."""


class EditDialog(QDialog):
    """Edits the pictures of `sources`; `kept` gives the cards of the new works. `library` is called on a thread."""

    kept = Signal(object)

    def __init__(
        self,
        services: Services,
        sources: Sequence[Source],
        library: Callable[[], Library],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.services, self.sources, self.library = services, list(sources), library
        self.place = 0
        self.purpose = ""
        self.keeping = False
        self.folder: Path | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setSizeGripEnabled(True)
        count = len(self.sources)
        title = ngettext("Edit {count} picture", "Edit {count} pictures", count).format(count=f"{count:,}")
        self.setWindowTitle(title)
        self.view, self.picker = BeforeAfter(services.theme), RectanglePicker(services.theme)
        self.drawing = False
        self.steps = EditSteps(services)
        self.progress = JobProgress(services.theme)
        self.asker = Asker(services.jobs, self)
        self._lay_out()
        self.steps.changed.connect(self.look)
        self.steps.draw.connect(self.draw)
        self.picker.picked.connect(self._picked)
        self.picker.cancelled.connect(self.look)
        self.asker.answered.connect(self._show_look)
        self.asker.failed.connect(self._look_failed)
        self.progress.ended.connect(self._ended)
        px = services.theme.px
        self.resize(dialog_size(px(SIZE.width()), px(SIZE.height()), parent))
        self.steps.add_button.setFocus()
        self.look()

    # looking

    def look(self) -> None:
        """Show soon what the edits make of the picture that is shown."""
        self.drawing = False
        self.stack.setCurrentWidget(self.view)
        self._show_state()
        self._look_at(self.steps.steps())

    def draw(self) -> None:
        """Show the picture as it is before the chosen edit, to draw a rectangle on it."""
        self.drawing = True
        self.name.setText(_("Draw with the mouse what is kept"))
        self._look_at(list(self.steps.chain.steps[: self.steps.list.currentRow()]))

    def _look_at(self, steps: list[dict[str, Any]] | None) -> None:
        if steps is not None:
            values = {"picture": str(self.sources[self.place].file), "steps": steps_text(steps)}
            self.asker.ask(URGENT, JobRequest("edit.look", values, str(self.services.workspace.folder)))

    def show_place(self, place: int) -> None:
        """Show another one of the chosen pictures."""
        self.place = place % len(self.sources)
        self.look()

    def _show_look(self, _kind: str, answer: Answer) -> None:
        told, (before, after) = answer.data, map(to_image, answer.pictures)
        if self.drawing:
            ratio = self.steps.chain.steps[self.steps.list.currentRow()].get("ratio", "free")
            across, _colon, down = ratio.partition(":")
            self.picker.show_image(after, QSize(*told["after"]), int(across) / int(down) if down else 0.0)
            self.stack.setCurrentWidget(self.picker)
        else:
            sizes = _size_text(told["before"]), _size_text(told["after"])
            self.view.show_pair(before, after, sizes, told["palette"])
            self._say("")

    def _picked(self, rectangle: QRect) -> None:
        before = self.steps.chain.steps
        self.steps.set_rectangle(rectangle)
        if self.steps.chain.steps == before:  # the same one again
            self.look()

    def _look_failed(self, _kind: str, failed: Failed) -> None:
        self._say(sentences(failed.message, failed.hint))

    # doing

    def keep(self) -> None:
        """Edit all pictures and keep what comes out in the library."""
        self._run("keep")

    def export(self) -> None:
        """Edit all pictures and ask how to export what comes out."""
        self._run("export")

    def _run(self, purpose: str) -> None:
        steps = self.steps.steps()
        if not steps or self.progress.handle is not None:
            return
        self.purpose = purpose
        workspace = self.services.workspace.folder
        self.folder = workspace / "library" / f"edits {uuid.uuid4().hex}{PARTIAL}"  # swept at the next start
        values = {
            "pictures": join_sources([str(source.file) for source in self.sources]), "steps": steps_text(steps),
            "out": str(self.folder),
        }  # fmt: skip
        self.progress.follow(self.services.jobs.run(JobRequest("edit.apply", values, str(workspace))))
        self._say("")
        self._show_state()

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        found = outcomes(self.folder, self.sources) if self.folder is not None else []
        if isinstance(ending, Failed) or not found:
            self._clean_up()
            self._say(sentences(ending.message, ending.hint) if isinstance(ending, Failed) else "")
            self._show_state()
            return
        if self.progress.notes:
            self.services.notify("\n".join(self.progress.notes[:TOLD]))
        records = [check_step(step).record() for step in self.steps.steps() or []]
        if self.purpose == "keep":
            self.keeping = True
            Background(self, partial(_keep_all, self.library, found, records), self._kept, self._not_kept)
        else:
            self._export(found, records)

    def _kept(self, outcome: tuple[list[Card], list[str]]) -> None:
        self.keeping = False
        self._clean_up()
        cards, new = outcome
        text = ngettext(
            "{count} edited picture kept in the Library", "{count} edited pictures kept in the Library", len(new)
        )
        if new:
            self.services.notify(text.format(count=len(new)), partial(self.library().delete, new))
        else:
            self.services.notify(_("Kept in the Library already."))
        self.kept.emit(cards)
        self.accept()

    def _not_kept(self, failed: Failed) -> None:
        self.keeping = False
        self._clean_up()
        self._say(sentences(failed.message, failed.hint))
        self._show_state()

    def _export(self, found: list[tuple[Source, Path]], records: list[dict[str, Any]]) -> None:
        from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog

        loads = [partial(edited_piece, source, file, records) for source, file in found]
        dialog = ExportDialog(self.services, "image", loads, self)
        dialog.size_box.setCurrentIndex(0)  # the edits have decided the size
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished.connect(self._exported)
        dialog.open()

    def _exported(self) -> None:
        self._clean_up()
        self._show_state()

    def reject(self) -> None:
        """Close; a job that runs is stopped first. What is being kept is kept whole."""
        if self.keeping:
            return
        self.progress.stop()
        self.asker.forget()
        self._clean_up()
        super().reject()

    def _clean_up(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None

    # inside

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.name = label("", "card")
        head = QHBoxLayout()
        head.setSpacing(theme.px(8))
        head.addWidget(self.name, 1)
        self.turning = []
        for icon, text, step in (("chevron-left", _("Previous picture"), -1), ("chevron-right", _("Next picture"), 1)):
            made = icon_button(theme, icon, text)
            made.setProperty("step", step)
            made.clicked.connect(self._turn)
            made.setVisible(len(self.sources) > 1)
            self.turning.append(made)
            head.addWidget(made)
        main = QWidget()
        left = QVBoxLayout(main)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(theme.px(8))
        left.addLayout(head)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.view)
        self.stack.addWidget(self.picker)
        left.addWidget(self.stack, 1)
        self.problem = label("", "problem")
        self.problem.hide()
        left.addWidget(self.problem)
        self.keep_button = button(theme, _("Keep in the Library"), "library", "primary")
        self.keep_button.setToolTip(_("Make new works; the originals stay"))
        self.export_button = button(theme, _("Export…"), "download")
        self.keep_button.clicked.connect(self.keep)
        self.export_button.clicked.connect(self.export)
        foot = QHBoxLayout()
        foot.setSpacing(theme.px(8))
        foot.addWidget(self.progress, 1)
        foot.addStretch(0)
        foot.addWidget(self.export_button, 0, Qt.AlignmentFlag.AlignBottom)
        foot.addWidget(self.keep_button, 0, Qt.AlignmentFlag.AlignBottom)
        room = QScrollArea()  # at large text both parts stand one above the other and need more than a screen
        room.setWidgetResizable(True)
        room.setWidget(SideBySide(theme, main, self.steps, SIDE_PX, beside=BESIDE_PX))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(*[theme.px(24)] * 4)
        outer.setSpacing(theme.px(16))
        outer.addWidget(room, 1)
        outer.addLayout(foot)

    def _turn(self) -> None:
        self.show_place(self.place + int(self.sender().property("step")))

    def _show_state(self) -> None:
        busy = self.folder is not None
        ready = bool(self.steps.steps())
        self.steps.setEnabled(not busy)
        self.keep_button.setEnabled(ready and not busy)
        self.export_button.setEnabled(ready and not busy)
        number = f"{self.place + 1} / {len(self.sources)} · " if len(self.sources) > 1 else ""
        self.name.setText(number + self.sources[self.place].title)

    def _say(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.setVisible(bool(text))


def _keep_all(
    library: Callable[[], Library], found: Sequence[tuple[Source, Path]], records: Sequence[dict[str, Any]]
) -> tuple[list[Card], list[str]]:
    """Keep edited pictures; return their cards and the ids of those that were not there before. Called on a thread."""
    opened, started = library(), datetime.now().astimezone()
    cards = [keep_edited(opened, source, edited_piece(source, file, records), records) for source, file in found]
    return cards, [card.id for card in cards if datetime.fromisoformat(card.created) >= started]


def _size_text(size: Sequence[int]) -> str:
    return f"{size[0]:,}\u00a0×\u00a0{size[1]:,}"
