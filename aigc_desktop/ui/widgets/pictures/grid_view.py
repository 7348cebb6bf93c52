"""A view of equal cells whose geometry is arithmetic: 100,000 rows need no layout, so resizing costs nothing.

QListView lays every row out again at each resize and cannot scroll to a row it has not come to yet.
"""

from __future__ import annotations

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QRegion, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyleOptionViewItem, QWidget

Index = QModelIndex | QPersistentModelIndex
Move = QAbstractItemView.CursorAction


class GridView(QAbstractItemView):
    """Rows of a list model as cells, line by line, spread over the width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cell = QSize(100, 100)
        self._band: QRect | None = None
        self.setFrameShape(QAbstractItemView.Shape.NoFrame)
        self.setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    # geometry

    @property
    def cell(self) -> QSize:
        """Return the least size of a cell; cells grow in width to fill the line."""
        return self._cell

    @cell.setter
    def cell(self, size: QSize) -> None:
        self._cell = size
        self.updateGeometries()
        self.viewport().update()

    @property
    def columns(self) -> int:
        """Return how many cells a line has."""
        return max(1, self.viewport().width() // self._cell.width())

    def row_count(self) -> int:
        """Return how many rows the model has."""
        return self.model().rowCount() if self.model() is not None else 0

    def visible_rows(self) -> range:
        """Return the rows that are at least partly in the viewport."""
        return self._rows_between(0, self.viewport().height() - 1)

    def visualRect(self, index: Index) -> QRect:
        """Return where a row is, in the viewport's coordinates."""
        if not index.isValid():
            return QRect()
        line, column = divmod(index.row(), self.columns)
        width = self.viewport().width() // self.columns
        top = line * self._cell.height() - self.verticalOffset()
        return QRect(column * width, top, width, self._cell.height())

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Return the row at a point of the viewport."""
        row = self._row_at(point)
        return self.model().index(row, 0) if 0 <= row < self.row_count() else QModelIndex()

    def scrollTo(
        self, index: Index, hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        """Bring a row into view, by the shortest way or into the centre."""
        rect, bar, height = self.visualRect(index), self.verticalScrollBar(), self.viewport().height()
        if rect.isEmpty():
            return
        if hint == QAbstractItemView.ScrollHint.PositionAtCenter:
            bar.setValue(bar.value() + rect.center().y() - height // 2)
        elif rect.top() < 0 or hint == QAbstractItemView.ScrollHint.PositionAtTop:
            bar.setValue(bar.value() + rect.top())
        elif rect.bottom() >= height:
            bar.setValue(bar.value() + rect.bottom() - height + 1)

    def horizontalOffset(self) -> int:
        """Return 0: lines fit the width."""
        return 0

    def verticalOffset(self) -> int:
        """Return how far the view is scrolled."""
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: Index) -> bool:
        """Return False: no row is hidden."""
        return False

    def updateGeometries(self) -> None:
        """Set the scroll bar's range to the number of lines."""
        lines = -(-self.row_count() // self.columns)
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, lines * self._cell.height() - self.viewport().height()))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(max(20, self._cell.height() // 3))
        super().updateGeometries()

    def reset(self) -> None:
        """Take a changed model into the scroll bar's range at once."""
        super().reset()
        self.updateGeometries()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the first visible row where it is when the number of columns changes."""
        first = self.visible_rows().start
        super().resizeEvent(event)
        self.updateGeometries()
        if event.oldSize().width() != event.size().width() and self.verticalOffset():
            self.verticalScrollBar().setValue(first // self.columns * self._cell.height())

    def rowsInserted(self, parent: Index, start: int, end: int) -> None:
        """Take new rows into the scroll bar's range."""
        super().rowsInserted(parent, start, end)
        self.updateGeometries()
        self.viewport().update()

    # keyboard and selection

    def moveCursor(self, action: Move, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Return the row a key goes to."""
        last = self.row_count() - 1
        row = max(0, self.currentIndex().row())
        page = max(1, self.viewport().height() // self._cell.height()) * self.columns
        steps = {
            Move.MoveLeft: -1, Move.MovePrevious: -1, Move.MoveRight: 1, Move.MoveNext: 1,
            Move.MoveUp: -self.columns, Move.MoveDown: self.columns, Move.MovePageUp: -page, Move.MovePageDown: page,
        }  # fmt: skip
        if action in (Move.MoveHome, Move.MoveEnd):
            target = 0 if action == Move.MoveHome else last
        else:
            target = row + steps[action]
            if action in (Move.MoveUp, Move.MoveDown) and not 0 <= target <= last:
                target = row
        return self.model().index(max(0, min(last, target)), 0) if last >= 0 else QModelIndex()

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Choose what a dragged band touches, or all rows from one corner of `rect` to the other."""
        selection = QItemSelection()
        if self.state() == QAbstractItemView.State.DragSelectingState:
            self._band = rect.normalized()
            self.viewport().update()
            for rows in self._band_rows(self._band):
                selection.select(self.model().index(rows.start, 0), self.model().index(rows.stop - 1, 0))
        else:
            first, last = sorted((self._clamped(rect.topLeft()), self._clamped(rect.bottomRight())))
            if self.row_count():
                selection.select(self.model().index(first, 0), self.model().index(last, 0))
        self.selectionModel().select(selection, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """Return the whole viewport: it is repainted faster than 100,000 rectangles are united."""
        return QRegion(self.viewport().rect())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a dragged band."""
        super().mouseReleaseEvent(event)
        if self._band is not None:
            self._band = None
            self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter activates on every system."""
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers()
        if enter and self.currentIndex().isValid():
            self.activated.emit(self.currentIndex())
            return
        super().keyPressEvent(event)

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the visible rows."""
        painter = QPainter(self.viewport())
        base = QStyleOptionViewItem()
        self.initViewItemOption(base)
        area, focused = event.rect(), self.hasFocus()
        pointer = self.viewport().mapFromGlobal(self.cursor().pos())
        hovered = self.indexAt(pointer) if self.underMouse() else QModelIndex()
        for row in self._rows_between(area.top(), area.bottom()):
            index = self.model().index(row, 0)
            option = QStyleOptionViewItem(base)
            option.rect = self.visualRect(index)
            option.state = self._state(index, hovered, focused)
            self.itemDelegate().paint(painter, option, index)
        if self._band is not None:
            self._paint_band(painter, self._band)
        painter.end()

    def _state(self, index: QModelIndex, hovered: QModelIndex, focused: bool) -> QStyle.StateFlag:
        state = QStyle.StateFlag.State_Enabled
        if self.selectionModel().isSelected(index):
            state |= QStyle.StateFlag.State_Selected
        if index == self.currentIndex() and focused:
            state |= QStyle.StateFlag.State_HasFocus
        if index == hovered:
            state |= QStyle.StateFlag.State_MouseOver
        return state

    def _paint_band(self, painter: QPainter, band: QRect) -> None:
        colour = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(colour)
        colour.setAlphaF(0.15)
        painter.setBrush(colour)
        painter.drawRect(band)

    # rows and points

    def _row_at(self, point: QPoint) -> int:
        """Return the row at a point, -1 right of the last column; it may be behind the last row."""
        column = point.x() // max(1, self.viewport().width() // self.columns)
        if not 0 <= column < self.columns:
            return -1
        return (point.y() + self.verticalOffset()) // self._cell.height() * self.columns + column

    def _clamped(self, point: QPoint) -> int:
        """Return the row nearest to a point."""
        column = min(self.columns - 1, max(0, point.x() // max(1, self.viewport().width() // self.columns)))
        row = (point.y() + self.verticalOffset()) // self._cell.height() * self.columns + column
        return max(0, min(self.row_count() - 1, row))

    def _rows_between(self, top: int, bottom: int) -> range:
        """Return the rows of the lines that cross a band of the viewport."""
        height, columns = self._cell.height(), self.columns
        first = max(0, (top + self.verticalOffset()) // height)
        last = (bottom + self.verticalOffset()) // height
        return range(min(self.row_count(), first * columns), min(self.row_count(), (last + 1) * columns))

    def _band_rows(self, band: QRect) -> list[range]:
        """Return a range of rows for each line the band touches."""
        width = max(1, self.viewport().width() // self.columns)
        left, right = max(0, band.left() // width), min(self.columns - 1, band.right() // width)
        lines = self._rows_between(band.top(), band.bottom())
        ranges = (
            range(start + left, min(lines.stop, start + right + 1)) for start in lines[:: self.columns]
        )
        return [rows for rows in ranges if rows]
