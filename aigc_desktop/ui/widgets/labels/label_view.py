"""Label texts: choose one, mark names or give a class, accept, go on; each change is on the disk at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.labels import Kind
from aigc_desktop.core.marks import Span
from aigc_desktop.data.label_index import Rows
from aigc_desktop.data.label_session import LabelSession, Shown
from aigc_desktop.ui.label_desk import LabelDesk
from aigc_desktop.ui.label_keys import LabelKeys
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.labels.label_board import LabelBoard

PREVIEW = 160  # letters in the list


class LabelView(QWidget):
    """`current` is the text that is chosen, with its labels as they are on the screen."""

    opened = Signal()
    """Another session is there."""
    changed = Signal()
    """Something was decided, or proposals came."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.current: Shown | None = None
        self.desk = LabelDesk(self)
        self.desk.opened.connect(self._opened)
        self.desk.failed.connect(self._failed)
        self.board = board = LabelBoard(services.theme)
        self.text, self.list = board.text, board.list
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(board)
        board.wanted.connect(self.show_rows)
        board.accept_button.clicked.connect(self.accept)
        board.skip_button.clicked.connect(self.skip)
        board.back_button.clicked.connect(self.go_back)
        board.remove_button.clicked.connect(self.remove)
        board.undo_button.clicked.connect(self.undo)
        self.text.mark_clicked.connect(self._remove_at)
        self.list.row_chosen.connect(self._choose)
        self.keys = LabelKeys(self, self.text, self.list)
        self.keys.digit.connect(self._digit)
        self.keys.accept.connect(self.accept)
        self.keys.remove.connect(self.remove)
        self.keys.undo.connect(self.undo)
        self.keys.step.connect(self.list.step)

    @property
    def session(self) -> LabelSession | None:
        """Return what is being labelled, None while it is opened."""
        return self.desk.session

    # what the panel calls

    def open(self, dataset: Dataset, kind: Kind) -> None:
        """Label a data set, its names or its classes."""
        self._empty(_("Opening…"))
        self.board.kind.choose(kind)
        self.desk.open(dataset, kind)

    def close_session(self) -> None:
        """Let go of the data set; what was decided is on the disk."""
        self._empty("")
        self.desk.close()

    def show_rows(self) -> None:
        """List the texts that pass the filter, in the order that is chosen."""
        session, board = self.session, self.board
        if session is not None:
            state, uncertain_first = board.state.currentData(), board.order.currentData() == "certainty"
            self.desk.do(partial(session.index.select, state, uncertain_first), self._show_rows)

    def refresh(self) -> None:
        """Take in what was proposed since."""
        if self.session is not None:
            self.desk.do(self.session.index.refresh, self._refreshed)

    def reload(self) -> None:
        """Show the chosen text anew, from the disk."""
        if self.list.row() >= 0:
            self._choose(self.list.row())

    # what the user does

    def use_class(self, name: str) -> None:
        """Mark what is selected, or the word at the cursor, with a class; or give it to the whole text."""
        session, shown = self.session, self.current
        if session is None or shown is None:
            return
        if session.kind == "class":
            self._draft(shown, (), name)
            return
        place = self.text.selected()
        if place is None:
            self.services.notify(_("Select the letters of a name first."))
            return
        start, end = place
        others = [span for span in shown.spans if span[1] <= start or span[0] >= end]
        self._draft(shown, tuple(sorted([*others, (start, end, name)])))
        self.text.go_to(end)

    def remove(self) -> None:
        """Take away the names that are selected or at the cursor, or the class of the text."""
        shown = self.current
        if shown is None:
            return
        start, end = self.text.selected() or (self.text.letter(),) * 2
        touched = [span for span in shown.spans if span[0] < max(end, start + 1) and span[1] > start]
        if touched or shown.label:
            self._draft(shown, tuple(span for span in shown.spans if span not in touched))

    def accept(self) -> None:
        """Accept what is shown, and go to the next text once it is on the disk."""
        session, shown = self.session, self.current
        if session is None or shown is None:
            return
        if not session.classes():
            self.services.notify(_("Add a class first: what do you want to find or tell apart?"))
        elif session.kind == "class" and not shown.label:
            self.services.notify(_("Choose a class for this text first, or skip it."))
        else:
            self.desk.do(partial(session.accept, shown.row), self._accepted)

    def accept_above(self, certainty: float) -> None:
        """Accept all proposals that are at least so certain."""
        if self.session is not None:
            self.desk.do(partial(self.session.accept_above, certainty), self._accepted_above)

    def undo(self) -> None:
        """Take back the last change, and show the text it was made in."""
        if self.session is not None:
            self.desk.do(self.session.undo, self._undone)

    def skip(self) -> None:
        """Go to the next text and leave this one as it is."""
        self.list.step(1)

    def go_back(self) -> None:
        """Go to the text before."""
        self.list.step(-1)

    # own

    def _digit(self, number: int) -> None:
        names = self.session.classes() if self.session is not None else []
        if number <= len(names):
            self.use_class(names[number - 1])

    def _draft(self, shown: Shown, spans: tuple[Span, ...], name: str = "") -> None:
        """Show other labels at once and write them; they are not used before they are accepted."""
        session = self.session
        if session is not None:
            self._show(replace(shown, spans=spans, label=name, origin="draft"), keep_place=True)
            self.desk.do(partial(session.draft, shown.row, spans, name), self._written)

    def _remove_at(self, letter: int) -> None:
        shown = self.current
        if shown is not None:
            self._draft(shown, tuple(span for span in shown.spans if not span[0] <= letter < span[1]))

    def _written(self, _value: object) -> None:
        if self.session is not None:
            self.board.show_counts(self.session.index.counts())
            self.list.repaint_states()
            self.changed.emit()

    def _accepted(self, _none: object) -> None:
        self._written(None)
        if not self.list.step(1):
            self.reload()
            self.services.notify(_("This was the last text of the list."))

    def _accepted_above(self, count: int) -> None:
        self._written(None)
        self.reload()
        text = ngettext("{count} proposal accepted.", "{count} proposals accepted.", count)
        self.services.notify(text.format(count=f"{count:,}"), self.undo)

    def _undone(self, row: int) -> None:
        self._written(None)
        if row < 0:
            self.services.notify(_("There is nothing to take back."))
        else:
            self.list.go_to_row(row)
            self.reload()

    def _opened(self) -> None:
        session = self.session
        if session is not None and session.index.damaged:
            count = session.index.damaged
            message = ngettext(
                "{count} line of the labels is damaged and left out; all others are used.",
                "{count} lines of the labels are damaged and left out; all others are used.", count,
            )  # fmt: skip
            self.services.notify(message.format(count=f"{count:,}"))
        self._written(None)
        self.opened.emit()
        self.show_rows()
        self.text.setFocus()

    def _refreshed(self, _none: object) -> None:
        self._written(None)
        if self.current is not None and self.current.origin in ("none", "proposed"):
            self.reload()

    def _show_rows(self, rows: Rows) -> None:
        row = self.list.row()
        self.current = None
        self.list.show_rows(rows, self._listed, row)
        if not len(rows):
            self.board.show_nothing(_("No text is in this state."))
            self._enable()

    def _empty(self, reason: str) -> None:
        self.current = None
        self.list.show_rows(self.list.label_model.rows[:0], None)
        self.board.counts.setText("")
        self.board.show_nothing(reason)
        self._enable()

    def _choose(self, row: int) -> None:
        if self.session is not None:
            self._show(self.session.shown(row), keep_place=self.current is not None and self.current.row == row)

    def _show(self, shown: Shown, *, keep_place: bool) -> None:
        self.current = shown
        if self.session is not None:
            self.board.show_text(shown, colours_of(self.session), keep_place=keep_place)
        self._enable()

    def _enable(self) -> None:
        self.board.enable(self.current is not None, self.session is not None)

    def _listed(self, row: int) -> tuple[int, str]:
        session = self.session
        return (session.index.state(row), session.items.text(row, PREVIEW)) if session is not None else (0, "")

    def _failed(self, failed: Failed) -> None:
        self.services.show_failure(failed)
        if self.session is None:
            self._empty(failed.message)
        else:
            self.reload()


def colours_of(session: LabelSession) -> dict[str, int]:
    """Return the number of the colour of each class: the chosen one, else its place in the list."""
    chosen = session.class_list.colours
    return {name: chosen.get(name, place) for place, name in enumerate(session.classes())}
