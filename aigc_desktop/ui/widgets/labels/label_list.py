"""The texts of a data set that is being labelled: state and beginning of each, read when it is painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QListView

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.label_index import DONE, WAITING, Rows
from aigc_desktop.ui.theme import Theme

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()
STATES = {DONE: ("circle-check", "green", N_("labelled")), WAITING: ("sparkles", "accent", N_("proposed"))}
OPEN_STATE = ("minus", "secondary", N_("not labelled yet"))


class LabelModel(QAbstractListModel):
    """Rows by number; `load` gives (state, beginning of the text) of one when it is painted."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.rows: Rows = np.zeros(0, np.int64)
        self.load: Callable[[int], tuple[int, str]] | None = None

    def reset(self, rows: Rows, load: Callable[[int], tuple[int, str]] | None) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows, self.load = rows, load
        self.endResetModel()

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        roles = Qt.ItemDataRole
        known = (roles.DisplayRole, roles.DecorationRole, roles.ToolTipRole, roles.AccessibleTextRole)
        if self.load is None or not index.isValid() or role not in known:
            return None
        state, text = self.load(int(self.rows[index.row()]))
        icon, colour, title = STATES.get(state, OPEN_STATE)
        if role == roles.DecorationRole:
            return self.theme.icon(icon, colour)
        if role == roles.ToolTipRole:
            return _(title)
        line = " ".join(text.split())
        return f"{line} ({_(title)})" if role == roles.AccessibleTextRole else line


class LabelList(QListView):
    """The model above; `row_chosen` gives the line of items.jsonl of the text that was chosen."""

    row_chosen = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.label_model = LabelModel(theme, self)
        self.setModel(self.label_model)
        self.setUniformItemSizes(True)
        self.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.theme = theme
        self.setAccessibleName(_("Texts of the data set"))
        self.selectionModel().currentChanged.connect(self._changed)

    def sizeHint(self) -> QSize:
        """Return the size of four texts; the list takes what room there is."""
        return QSize(self.theme.px(300), self.theme.px(96))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.theme.px(160), self.theme.px(96))

    def show_rows(self, rows: Rows, load: Callable[[int], tuple[int, str]] | None, row: int = -1) -> None:
        """Show other rows; the text of line `row` stays chosen when it is among them, else the first one is."""
        self.label_model.reset(rows, load)
        found = np.flatnonzero(rows == row)
        if len(rows):
            self.go_to(int(found[0]) if len(found) else 0)

    def row(self) -> int:
        """Return the line of items.jsonl of the chosen text, -1 without one."""
        index = self.currentIndex()
        return int(self.label_model.rows[index.row()]) if index.isValid() else -1

    def go_to(self, place: int) -> None:
        """Choose the text at a place of the list."""
        index = self.label_model.index(place)
        self.setCurrentIndex(index)
        self.scrollTo(index)

    def step(self, count: int) -> bool:
        """Choose a text so many places on; return whether there was one."""
        place = self.currentIndex().row() + count
        inside = 0 <= place < len(self.label_model.rows)
        if inside:
            self.go_to(place)
        return inside

    def go_to_row(self, row: int) -> None:
        """Choose the text of a line of items.jsonl, if it is listed."""
        found = np.flatnonzero(self.label_model.rows == row)
        if len(found):
            self.go_to(int(found[0]))

    def repaint_states(self) -> None:
        """Show the states as they are now."""
        self.viewport().update()

    def _changed(self, index: QModelIndex) -> None:
        if index.isValid():
            self.row_chosen.emit(int(self.label_model.rows[index.row()]))
