"""The painted part of a sample wall: all steps, one step, or one cell; pixels stay crisp when enlarged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QImage,
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
from aigc_desktop.ui.widgets.wall_rows import WallRow, WallRows

Mode = Literal["wall", "step", "cell"]
REAL = -1
"""Row index of the real data."""
EDGES = (32, 48, 64, 96, 128, 192, 256)
TEXT_SIZE = QSize(240, 100)
_FORMATS = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}


@dataclass(frozen=True)
class Cell:
    """A cell on the screen: row (REAL for real data), column, and where it is in the content."""

    row: int
    column: int
    rect: QRect


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
        self.setToolTip("")
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
        self._measure()
        self._reveal()
        self.viewport().update()
        self.moved.emit()

    def set_mode(self, mode: Mode) -> None:
        """Show all steps ("wall"), the current step ("step") or the current cell ("cell")."""
        if mode != self.mode:
            self.mode = mode
            self._measure()
            self._reveal()
            self.viewport().update()
            self.mode_changed.emit()

    def enlarge(self, steps: int) -> None:
        """Make the cells of the wall larger or smaller."""
        edge = self._target() / self.theme.px(100) * 100
        place = min(range(len(EDGES)), key=lambda i: abs(EDGES[i] - edge))
        self.edge = EDGES[max(0, min(len(EDGES) - 1, place + steps))]
        self._measure()
        self._reveal()
        self.viewport().update()

    # geometry

    def _text(self) -> bool:
        row = self.current()
        return row is not None and row.images is None

    def _gap(self) -> int:
        return self.theme.px(4)

    def _head(self) -> int:
        return self.theme.px(76)

    def _target(self) -> int:
        """Return the longest side a cell of the wall may have."""
        if self.edge is not None:
            return self.theme.px(self.edge)
        row = self.current()
        if row is None or row.images is None:
            return self.theme.px(EDGES[2])
        room = (self.viewport().width() - self._head()) // max(1, len(row)) - self._gap()
        return max(self.theme.px(EDGES[2]), min(self.theme.px(160), room))

    def _cell_size(self) -> QSize:
        """Return the size of a cell of the wall: whole multiples of small pictures, so pixels stay square."""
        target = self._target()
        row = self.current()
        if row is None or row.images is None:
            return TEXT_SIZE * (target / EDGES[2])
        height, width = row.images.shape[1:3]
        factor = max(1, target // max(height, width))
        if max(height, width) > target:
            return QSize(width, height).scaled(target, target, Qt.AspectRatioMode.KeepAspectRatio)
        return QSize(width * factor, height * factor)

    def _pitch(self) -> QSize:
        return self._cell_size() + QSize(self._gap(), self._gap())

    def _real_rows(self) -> int:
        return 1 if self.real is not None and len(self.real) else 0

    def cells(self) -> Iterator[Cell]:
        """Yield the cells in or near the viewport, with their place in the viewport."""
        if self.current() is None and not self._real_rows():
            return
        if self.mode == "wall":
            yield from self._wall_cells()
        elif self.mode == "step":
            yield from self._step_cells()
        else:
            yield Cell(self.row, self.column, self._single())

    def _wall_cells(self) -> Iterator[Cell]:
        size, pitch = self._cell_size(), self._pitch()
        shift = self.horizontalScrollBar().value()
        if self.real is not None:
            for column in range(len(self.real)):
                yield Cell(REAL, column, QRect(QPoint(self._head() + column * pitch.width() - shift, 0), size))
        top = self._real_rows() * (pitch.height() + self._gap()) - self.verticalScrollBar().value()
        for line in range(len(self.rows)):
            y = top + line * pitch.height()
            if y > self.viewport().height():
                return
            if y + size.height() < 0:
                continue
            row = len(self.rows) - 1 - line
            for column in range(len(self.rows[row])):
                yield Cell(row, column, QRect(QPoint(self._head() + column * pitch.width() - shift, y), size))

    def _step_cells(self) -> Iterator[Cell]:
        row = self.current()
        if row is None:
            return
        columns, size = self._step_grid(len(row))
        gap = self._gap()
        lines = -(-len(row) // columns)
        used = QSize(columns * (size.width() + gap) - gap, lines * (size.height() + gap) - gap)
        left = max(0, (self.viewport().width() - used.width()) // 2)
        top = max(0, (self.viewport().height() - used.height()) // 2) - self.verticalScrollBar().value()
        for column in range(len(row)):
            y, x = divmod(column, columns)
            place = QPoint(left + x * (size.width() + gap), top + y * (size.height() + gap))
            yield Cell(self.row, column, QRect(place, size))

    def _step_grid(self, count: int) -> tuple[int, QSize]:
        """Return (columns, cell size) that fill the viewport best with `count` cells."""
        view, gap = self.viewport().size(), self._gap()
        row = self.current()
        if row is None or row.images is None:
            columns = max(1, min(count, view.width() // self.theme.px(320)))
            width = (view.width() - gap * (columns - 1)) // columns
            lines = -(-count // columns)
            return columns, QSize(width, max(self.theme.px(120), (view.height() - gap * (lines - 1)) // lines))
        height, width = row.images.shape[1:3]
        best = (1, QSize(1, 1))
        for columns in range(1, count + 1):
            lines = -(-count // columns)
            room = QSize((view.width() + gap) // columns - gap, (view.height() + gap) // lines - gap)
            size = _crisp(QSize(width, height), room)
            if size.width() > best[1].width():
                best = (columns, size)
        return best

    def _single(self) -> QRect:
        """Return where the one enlarged cell is."""
        row, view = self.current(), self.viewport().rect()
        if row is None or row.images is None:
            margin = self.theme.px(16)
            area = view.adjusted(margin, margin, -margin, -margin)
            return area.translated(0, -self.verticalScrollBar().value())
        height, width = row.images.shape[1:3]
        size = _crisp(QSize(width, height), view.size())
        return QRect(view.center() - QPoint(size.width() // 2, size.height() // 2), size)

    def _measure(self) -> None:
        """Set the ranges of the scroll bars."""
        view, pitch = self.viewport().size(), self._pitch()
        wide = tall = 0
        if self.mode == "wall":
            columns = max((len(row) for row in (self.real, self.current()) if row is not None), default=0)
            wide = self._head() + columns * pitch.width()
            tall = len(self.rows) * pitch.height() + self._real_rows() * (pitch.height() + self._gap())
        elif self.mode == "step" and self._text() and (row := self.current()) is not None:
            count, size = self._step_grid(len(row))
            tall = -(-len(row) // count) * (size.height() + self._gap())
        elif self.mode == "cell" and self._text():
            tall = self._text_height() + 2 * self.theme.px(16)
        self.horizontalScrollBar().setRange(0, max(0, wide - view.width()))
        self.verticalScrollBar().setRange(0, max(0, tall - view.height()))
        self.horizontalScrollBar().setPageStep(view.width())
        self.verticalScrollBar().setPageStep(view.height())
        self.horizontalScrollBar().setSingleStep(pitch.width())
        self.verticalScrollBar().setSingleStep(max(16, pitch.height() // 2))

    def _text_height(self) -> int:
        row = self.current()
        if row is None or not row.texts:
            return 0
        width = self.viewport().width() - 2 * self.theme.px(24)
        bounds = self.fontMetrics().boundingRect(
            QRect(0, 0, width, 1 << 20), Qt.TextFlag.TextWordWrap, row.texts[self.column]
        )
        return bounds.height() + 2 * self.theme.px(8)

    def _clamp(self) -> None:
        row = self.current()
        self.column = max(0, min((len(row) if row else 1) - 1, self.column))

    def _reveal(self) -> None:
        """Scroll the current cell into view."""
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
                self._paint_head(painter, QRect(0, rect.top(), head, rect.height()), f"{self.rows[row].step:,}", colour)
        if not self._real_rows():
            return
        painter.fillRect(QRect(0, 0, self.viewport().width(), top), self.theme.colour("surface"))
        for cell in cells:
            if cell.row == REAL:
                self._paint_cell(painter, cell)
        self._paint_head(painter, QRect(0, 0, head, pitch.height()), _("Real"), "secondary")
        painter.setPen(QPen(self.theme.colour("line"), 1))
        painter.drawLine(0, top - self._gap() // 2 - 1, self.viewport().width(), top - self._gap() // 2 - 1)

    def _paint_head(self, painter: QPainter, rect: QRect, text: str, colour: str) -> None:
        painter.fillRect(rect.adjusted(0, 0, -self._gap(), 0), self.theme.colour("surface"))
        painter.setFont(self.theme.font("secondary"))
        painter.setPen(self.theme.colour(colour))
        inner = rect.adjusted(0, 0, -self.theme.px(8), -self._gap())
        painter.drawText(inner, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_cell(self, painter: QPainter, cell: Cell) -> None:
        row = self.real if cell.row == REAL else self.rows[cell.row]
        if row is None or cell.column >= len(row) or not cell.rect.intersects(self.viewport().rect()):
            return
        if row.images is None:
            self._paint_text(painter, cell.rect, row.texts[cell.column])
        else:
            pixels = row.images[cell.column]
            height, width, channels = pixels.shape
            image = QImage(pixels.data, width, height, width * channels, _FORMATS[channels])
            smaller = cell.rect.width() < width
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smaller)
            painter.drawImage(cell.rect, image)
        if cell.row == self.row and cell.column == self.column and self.mode != "cell":
            colour = self.theme.colour("accent" if self.hasFocus() else "control")
            painter.setPen(QPen(colour, self.theme.px(2)))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(cell.rect.adjusted(-1, -1, 0, 0))

    def _paint_text(self, painter: QPainter, rect: QRect, text: str) -> None:
        painter.fillRect(rect, QColor(self.theme.colours.raised))
        painter.setFont(self.theme.font("body"))
        painter.setPen(self.theme.colour("text"))
        margin = self.theme.px(8)
        inner = rect.adjusted(margin, margin, -margin, -margin)
        if self.mode == "cell":
            inner.setHeight(1 << 20)
        lines = inner.height() // painter.fontMetrics().lineSpacing()
        inner.setHeight(min(inner.height(), lines * painter.fontMetrics().lineSpacing()))  # no half lines
        flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop
        painter.drawText(inner, flags, text)


def _crisp(size: QSize, room: QSize) -> QSize:
    """Return `size` scaled into `room`: by whole factors when it grows, freely when it shrinks."""
    factor = min(room.width() // max(1, size.width()), room.height() // max(1, size.height()))
    if factor >= 1:
        return size * factor
    return size.scaled(room.expandedTo(QSize(1, 1)), Qt.AspectRatioMode.KeepAspectRatio)
