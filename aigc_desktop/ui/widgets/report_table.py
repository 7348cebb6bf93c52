"""A table of a report, as high as its rows; the cells of a confusion matrix are shaded by their share of the row."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

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
        if table.kind == "examples":
            for column in range(min(2, len(table.columns))):
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self._shade()
        theme.changed.connect(self._shade)
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

    def _shade(self) -> None:
        if self.table.kind != "confusion":
            return
        for number, row in enumerate(self.table.rows[:MOST_ROWS]):
            total = max(1, sum(value for value in row[1:] if isinstance(value, int)))
            for column, value in enumerate(row[1:], 1):
                item = self.item(number, column)
                if item is not None and isinstance(value, int):
                    colour = QColor(self.theme.colours.green_soft if column == number + 1 else
                                    self.theme.colours.amber_soft)  # fmt: skip
                    colour.setAlphaF(min(1.0, value / total + 0.15) if value else 0.0)
                    item.setBackground(colour)


def _item(value: object) -> QTableWidgetItem:
    item = QTableWidgetItem(cell_text(value))
    if not isinstance(value, str):
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    item.setToolTip(cell_text(value))
    return item
