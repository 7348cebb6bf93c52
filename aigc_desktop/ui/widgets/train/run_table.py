"""The table of runs: star, title, model, state, progress, time and date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run, RunInfo, status_words
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.format import readable_date, readable_time
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.run_words import status_icon

COLUMNS = (N_("Star"), N_("Title"), N_("Model"), N_("State"), N_("Step"), N_("Time"), N_("Data"), N_("Begun"))
STAR, TITLE, MODEL, STATE, STEP, TIME, DATA, BEGUN = range(len(COLUMNS))
SORT = Qt.ItemDataRole.UserRole
ROW = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex
NO_INDEX = QModelIndex()


@dataclass(frozen=True)
class RunRow:
    """What the table shows of a run."""

    run: Run
    info: RunInfo
    family: str


def read_rows(workspace: Workspace, families: dict[str, str]) -> list[RunRow]:
    """Return all runs that can be read, newest first; `families` maps task to the family's title."""
    rows = []
    for run in workspace.runs():
        try:
            info = run.info
        except (OSError, UserError, TypeError):  # half-written by a crash, or from a newer program
            continue
        rows.append(RunRow(run, info, families.get(info.task, info.task)))
    return rows


class RunTable(QAbstractTableModel):
    """Runs as rows; the title can be edited and the star toggled, both are written to the run."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.rows: list[RunRow] = []

    def show_rows(self, rows: list[RunRow]) -> None:
        """Show these runs."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def toggle_star(self, row: int) -> None:
        """Give the run a star, or take it."""
        self._update(row, starred=not self.rows[row].info.starred)

    def rowCount(self, parent: Index = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return "" if section == STAR else _(COLUMNS[section])
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return _(COLUMNS[section])
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.isValid() and index.column() == TITLE else flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return _text(row, column)
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return _star_words(row) if column == STAR else _text(row, column)
            case Qt.ItemDataRole.DecorationRole if column == STAR:
                return self.theme.icon(*(("star-filled", "amber") if row.info.starred else ("star", "secondary")))
            case Qt.ItemDataRole.DecorationRole if column == STATE:
                return self.theme.icon(*status_icon(row.info.status))
            case _ if role == SORT:
                return _sort_key(row, column)
            case _ if role == ROW:
                return row
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        title = str(value).strip()
        if index.column() != TITLE or role != Qt.ItemDataRole.EditRole or not title:
            return False
        self._update(index.row(), title=title)
        return True

    def _update(self, number: int, **changes: Any) -> None:
        row = self.rows[number]
        self.rows[number] = replace(row, info=row.run.update(**changes))
        self.dataChanged.emit(self.index(number, 0), self.index(number, len(COLUMNS) - 1))


class RunFilter(QSortFilterProxyModel):
    """Shows the runs whose title, model or data holds the words."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.words: list[str] = []
        self.setSortRole(SORT)

    def search(self, text: str) -> None:
        """Show the runs that hold all these words."""
        self.beginFilterChange()
        self.words = text.casefold().split()
        self.endFilterChange()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        row: RunRow = self.sourceModel().index(source_row, 0).data(ROW)
        text = f"{row.info.title} {row.family} {row.info.dataset} {status_words(row.info)}".casefold()
        return all(word in text for word in self.words)


def _text(row: RunRow, column: int) -> str:
    info = row.info
    match column:
        case 1:
            return info.title
        case 2:
            return row.family
        case 3:
            return status_words(info)
        case 4:
            return f"{info.step:,} / {info.total:,}" if info.total else f"{info.step:,}"
        case 5:
            return readable_time(info.seconds)
        case 6:
            return info.dataset
        case 7:
            return readable_date(info.created)
    return ""


def _sort_key(row: RunRow, column: int) -> Any:
    info = row.info
    numbers = {STAR: int(info.starred), STEP: info.step, TIME: info.seconds}
    return numbers.get(column, info.created if column == BEGUN else _text(row, column).casefold())


def _star_words(row: RunRow) -> str:
    return _("starred") if row.info.starred else _("not starred")
