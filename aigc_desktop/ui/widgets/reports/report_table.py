"""A table of a report, as high as its rows; the cells of a confusion matrix are shaded by their share of the row."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QPainter, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
)

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Table
from aigc_desktop.core.report_words import cell_text, column_titles
from aigc_desktop.ui.theme import Theme

MOST_ROWS = 60


class ReportTable(QTableWidget):
    """Texts left, numbers right; nothing can be changed, and a selection can be copied."""

    def __init__(self, theme: Theme, table: Table) -> None:
        rows = table.rows[:MOST_ROWS]
        super().__init__(len(rows), len(table.columns))
        self.theme, self.table = theme, table
        self.setAccessibleName(_(table.title))
        self.setToolTip(_(table.title))
        self.setHorizontalHeaderLabels(column_titles(table))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setAlternatingRowColors(table.kind != "confusion")
        self.setTabKeyNavigation(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(True)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for number, row in enumerate(rows):
            for column, value in enumerate(row[: len(table.columns)]):
                self.setItem(number, column, _item(value))
        for column in range(len(table.columns)):
            if column < 2 and table.kind == "examples":
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
            elif column and table.kind != "examples" and (head := self.horizontalHeaderItem(column)) is not None:
                head.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if table.kind == "confusion":
            self.setItemDelegate(_Shades(theme, self))
        header.sectionResized.connect(self._fit_rows)
        self._fit_rows()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls, not a table that shows all its rows

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(300), self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self.theme.px(120), self._height())

    def _height(self) -> int:
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        bar = self.horizontalScrollBar().sizeHint().height()
        return rows + self.horizontalHeader().sizeHint().height() + bar + 2 * self.frameWidth()

    def _fit_rows(self) -> None:
        self.resizeRowsToContents()
        self.setFixedHeight(self._height())


class _Shades(QStyledItemDelegate):
    """Paints a cell of a confusion matrix by its share of the row: what is right green, what is wrong amber."""

    def __init__(self, theme: Theme, table: ReportTable) -> None:
        super().__init__(table)
        self.theme, self.rows = theme, table.table.rows

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:  # fmt: skip
        row, column = self.rows[index.row()], index.column()
        value = row[column]
        if column and isinstance(value, int) and value:
            colour = self.theme.colour("green" if column == index.row() + 1 else "amber")
            colour.setAlphaF(0.1 + 0.35 * value / max(1, sum(row[1:])))
            painter.fillRect(option.rect, colour)
        super().paint(painter, option, index)


def _item(value: object) -> QTableWidgetItem:
    item = QTableWidgetItem(cell_text(value))
    if not isinstance(value, str):
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    item.setToolTip(cell_text(value))
    return item
