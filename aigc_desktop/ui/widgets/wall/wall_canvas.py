"""The painted part of a sample wall: all steps, one step, or one cell; pixels stay crisp when enlarged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.wall.wall_parts import (
    REAL,
    Cell,
    cell_size,
    paint_head,
    paint_item,
    single_rect,
    step_cells,
    step_grid,
    text_height,
    wall_cells,
)
from aigc_desktop.ui.widgets.wall.wall_rows import WallRow, WallRows

Mode = Literal["wall", "step", "cell"]
EDGES = (32, 48, 64, 96, 128, 192, 256)


class WallCanvas(QAbstractScrollArea):
    """Rows of cells with a current one; the arrow keys go left and right through samples, up and down through steps."""

    moved = Signal()
    """Another cell is current now."""
    mode_changed = Signal()
    play_asked = Signal()
    menu_asked = Signal(QPoint)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.rows = WallRows()
        self.real: WallRow | None = None
        self.mode: Mode = "wall"
        self.row, self.column = 0, 0
        self.edge: int | None = None
        """Longest side of a cell of the wall before scaling, None to fill the width."""
        self._count = 0
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(_("Samples by step"))
        theme.changed.connect(self.viewport().update)

    # what is shown

    def current(self) -> WallRow | None:
        """Return the row the current cell is in."""
        return self.rows[self.row] if 0 <= self.row < len(self.rows) else None

    def show_rows(self, rows: WallRows, row: int) -> None:
        """Show these rows with `row` current."""
        anchor = self.verticalScrollBar().value()
        grown = len(rows) - self._count if rows is self.rows else 0
        self.rows, self._count = rows, len(rows)
        self.row = max(0, min(len(rows) - 1, row))
        self._clamp()
        self._measure()
        if anchor and grown > 0:
            self.verticalScrollBar().setValue(anchor + grown * self._pitch().height())
        self.viewport().update()

    def go_to(self, row: int, column: int | None = None) -> None:
        """Make a cell current and bring it into view."""
        self.row = max(0, min(len(self.rows) - 1, row))
        if column is not None:
            self.column = column
        self._clamp()
        self._reveal()
        self.moved.emit()

    def set_mode(self, mode: Mode) -> None:
        """Show all steps ("wall"), the current step ("step") or the current cell ("cell")."""
        if mode != self.mode:
            self.mode = mode
            self._reveal()
            self.mode_changed.emit()

    def enlarge(self, steps: int) -> None:
        """Make the cells of the wall larger or smaller."""
        edge = self._target() / self.theme.px(100) * 100
        place = min(range(len(EDGES)), key=lambda i: abs(EDGES[i] - edge))
        self.edge = EDGES[max(0, min(len(EDGES) - 1, place + steps))]
        self._reveal()

    # geometry

    def _like(self) -> WallRow | None:
        """Return the row the cells have the shape of: before the first sample that is the real data."""
        return self.current() or self.real

    def _gap(self) -> int:
        return self.theme.px(4)

    def _head(self) -> int:
        return self.theme.px(76)

    def _target(self) -> int:
        """Return the longest side a cell of the wall may have."""
        if self.edge is not None:
            return self.theme.px(self.edge)
        row = self._like()
        if row is None or row.images is None:
            return self.theme.px(EDGES[2])
        room = (self.viewport().width() - self._head()) // max(1, len(row)) - self._gap()
        return max(self.theme.px(EDGES[2]), min(self.theme.px(160), room))

    def _pitch(self) -> QSize:
        return cell_size(self._like(), self._target()) + QSize(self._gap(), self._gap())

    def _real_rows(self) -> int:
        return 1 if self.real is not None and len(self.real) else 0

    def cells(self) -> Iterator[Cell]:
        """Yield the cells in or near the viewport, with their place in the viewport."""
        row, view = self.current(), self.viewport().size()
        scroll = QPoint(self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        if self.mode == "wall":
            size = cell_size(self._like(), self._target())
            yield from wall_cells(self.rows, self.real, size, self._gap(), self._head(), scroll, view.height())
        elif row is not None and self.mode == "step":
            yield from step_cells(self.row, row, view, self.theme, scroll)
        elif row is not None:
            yield Cell(self.row, self.column, single_rect(row, view, self.theme, scroll))

    def _measure(self) -> None:
        """Set the ranges of the scroll bars."""
        view, pitch, row = self.viewport().size(), self._pitch(), self.current()
        wide = tall = 0
        if self.mode == "wall":
            columns = max((len(shown) for shown in (self.real, row) if shown is not None), default=0)
            wide = self._head() + columns * pitch.width()
            tall = len(self.rows) * pitch.height() + self._real_rows() * (pitch.height() + self._gap())
        elif self.mode == "step" and row is not None and row.images is None:
            count, size = step_grid(row, view, self.theme)
            tall = -(-len(row) // count) * (size.height() + self._gap())
        elif self.mode == "cell" and row is not None and row.images is None:
            tall = text_height(self.current(), self.column, view.width(), self.theme) + 2 * self.theme.px(16)
        for bar, length, room, step in (
            (self.horizontalScrollBar(), wide, view.width(), pitch.width()),
            (self.verticalScrollBar(), tall, view.height(), pitch.height() // 2),
        ):
            bar.setRange(0, max(0, length - room))
            bar.setPageStep(room)
            bar.setSingleStep(max(16, step))

    def _clamp(self) -> None:
        row = self.current()
        self.column = max(0, min((len(row) if row else 1) - 1, self.column))

    def _reveal(self) -> None:
        """Measure and paint again, with the current cell scrolled into view."""
        self._measure()
        self.viewport().update()
        if self.mode != "wall":
            self.verticalScrollBar().setValue(0)
            return
        pitch, view = self._pitch(), self.viewport().size()
        x, y = self.horizontalScrollBar(), self.verticalScrollBar()
        pinned = self._real_rows() * (pitch.height() + self._gap())
        top = (len(self.rows) - 1 - self.row) * pitch.height()
        y.setValue(max(top + pitch.height() + pinned - view.height(), min(y.value(), top)))
        left = self.column * pitch.width()
        x.setValue(max(left + pitch.width() + self._head() - view.width(), min(x.value(), left)))

    # events of the user

    def event(self, event: QEvent) -> bool:
        """Keep Escape while it leads back to the wall; else it is the window's key to stop a job."""
        asks = event.type() == QEvent.Type.ShortcutOverride and self.mode != "wall"
        if asks and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (1, 0), Qt.Key.Key_Down: (-1, 0),
            Qt.Key.Key_Home: (-len(self.rows), 0), Qt.Key.Key_End: (len(self.rows), 0),
        }  # fmt: skip
        if event.key() in moves:
            rows, columns = moves[Qt.Key(event.key())]
            self.go_to(self.row + rows, self.column + columns)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.set_mode("wall" if self.mode == "cell" else "cell")
        elif event.key() == Qt.Key.Key_Escape and self.mode != "wall":
            self.set_mode("wall")
        elif event.key() == Qt.Key.Key_Space:
            self.play_asked.emit()
        elif event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            self.enlarge(-1 if event.key() == Qt.Key.Key_Minus else 1)
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.enlarge(1 if event.angleDelta().y() > 0 else -1)
            event.accept()
            return
        super().wheelEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if cell is not None and cell.row != REAL:
            self.go_to(cell.row, cell.column)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if cell is not None and cell.row != REAL:
            self.set_mode("wall" if self.mode == "cell" else "cell")

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            cell = self.cell_at(event.pos())
            if cell is None or cell.row == REAL:
                return
            self.go_to(cell.row, cell.column)
        if self.current() is not None:
            self.menu_asked.emit(event.globalPos())

    def cell_at(self, point: QPoint) -> Cell | None:
        """Return the cell at a point of the viewport; the pinned real row lies over the others."""
        return next((cell for cell in self.cells() if cell.rect.contains(point)), None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self.viewport()) as painter:
            painter.fillRect(event.rect(), self.theme.colour("surface"))
            cells = list(self.cells())
            for cell in cells:
                if cell.row != REAL:
                    self._paint_cell(painter, cell)
            if self.mode == "wall":
                self._paint_heads(painter, cells)

    def _paint_heads(self, painter: QPainter, cells: list[Cell]) -> None:
        """Paint the step beside each row, and the pinned row of real data over what scrolls below it."""
        pitch, head = self._pitch(), self._head()
        heads = {cell.row: cell.rect for cell in reversed(cells)}
        top = self._real_rows() * (pitch.height() + self._gap())
        for row, rect in heads.items():
            if row != REAL:
                colour = "text" if row == self.row else "secondary"
                place = QRect(0, rect.top(), head, rect.height())
                paint_head(painter, self.theme, place, f"{self.rows[row].step:,}", colour)
        if not self._real_rows():
            return
        painter.fillRect(QRect(0, 0, self.viewport().width(), top), self.theme.colour("surface"))
        for cell in cells:
            if cell.row == REAL:
                self._paint_cell(painter, cell)
        paint_head(painter, self.theme, QRect(0, 0, head, pitch.height()), _("Real"), "secondary")
        painter.setPen(QPen(self.theme.colour("line"), 1))
        painter.drawLine(0, top - self._gap() // 2 - 1, self.viewport().width(), top - self._gap() // 2 - 1)

    def _paint_cell(self, painter: QPainter, cell: Cell) -> None:
        row = self.real if cell.row == REAL else self.rows[cell.row]
        if row is None or cell.column >= len(row) or not cell.rect.intersects(self.viewport().rect()):
            return
        paint_item(painter, self.theme, cell.rect, row, cell.column, whole=self.mode == "cell")
        if cell.row == self.row and cell.column == self.column and self.mode != "cell":
            colour = self.theme.colour("accent" if self.hasFocus() else "control")
            painter.setPen(QPen(colour, self.theme.px(2)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(cell.rect.adjusted(-1, -1, 0, 0))
