"""A table of texts that asks for a row only when it is visible, so 100,000 texts open at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.ui.theme import Theme

Index = QModelIndex | QPersistentModelIndex
COLUMNS = (N_("Text"), N_("Label"), N_("Character count"), N_("State"))
NUMBER = 2
"""The column of numbers, which stand at its right edge as their heading does."""
_NOWHERE = QModelIndex()


@dataclass(frozen=True)
class TextRow:
    """What the table shows of one text; `state` is what is wrong with it, or ""."""

    text: str
    label: str
    characters: int
    state: str


class TextModel(QAbstractTableModel):
    """Rows by number; each is read when it is painted."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.count = 0
        self.load: Callable[[int], TextRow] | None = None

    def reset(self, count: int, load: Callable[[int], TextRow] | None) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.count, self.load = count, load
        self.endResetModel()

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else self.count

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole and orientation == Qt.Orientation.Horizontal:
            side = Qt.AlignmentFlag.AlignRight if section == NUMBER else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return _(COLUMNS[section]) if orientation == Qt.Orientation.Horizontal else f"{section + 1:,}"

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if self.load is None or not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == NUMBER:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        row = self.load(index.row())
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.state or row.text
        cells = (" ".join(row.text.split()), row.label, f"{row.characters:,}" if row.characters else "", row.state)
        return cells[index.column()]


class TextTable(QTableView):
    """The model above in a view with rows of one height."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.text_model = TextModel(self)
        self.setModel(self.text_model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.setAccessibleName(_("Texts of the data set"))
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(theme.px(30))
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 110), (2, 90), (3, 190)):
            self.setColumnWidth(column, theme.px(width))
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def show_rows(self, count: int, load: Callable[[int], TextRow] | None, with_labels: bool, with_state: bool) -> None:
        """Show `count` rows read by `load`; columns without content are left out."""
        self.text_model.reset(count, load)
        self.setColumnHidden(1, not with_labels)
        self.setColumnHidden(3, not with_state)
        self.scrollToTop()
