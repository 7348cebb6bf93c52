"""Draw a rectangle on a picture with the mouse."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.geometry import room_of
from aigc_desktop.ui.theme import Theme

SHADE = QColor(0, 0, 0, 130)


class RectanglePicker(QWidget):
    """Shows a picture; `picked` gives the rectangle in the picture's own pixels, `cancelled` comes with Esc."""

    picked = Signal(QRect)
    cancelled = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.image, self.full, self.ratio = QImage(), QSize(1, 1), 0.0
        self._from: QPointF | None = None
        self._to = QPointF()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(_("Draw a rectangle"))
        self.setToolTip(_("Drag from one corner to the other; Esc goes back"))

    def show_image(self, image: QImage, full: QSize, ratio: float) -> None:
        """Show a picture that has `full` pixels, perhaps smaller; a `ratio` of width to height is kept unless 0."""
        self.image, self.full, self.ratio, self._from = image, full, ratio, None
        self.setFocus()
        self.update()

    def rectangle(self) -> QRect:
        """Return what is drawn, in the picture's own pixels and within it; empty when nothing is."""
        if self._from is None:
            return QRect()
        room, band = self._room(), self._band()
        scale = self.full.width() / room.width(), self.full.height() / room.height()
        left, top = round((band.left() - room.left()) * scale[0]), round((band.top() - room.top()) * scale[1])
        right, bottom = round((band.right() - room.left()) * scale[0]), round((band.bottom() - room.top()) * scale[1])
        return QRect(left, top, right - left, bottom - top).intersected(QRect(0, 0, *self.full.toTuple()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._from = self._to = self._within(event.position())
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._from is not None:
            self._to = self._within(event.position())
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        drawn = self.rectangle()
        self._from = None
        self.update()
        if not drawn.isEmpty():
            self.picked.emit(drawn)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            room = self._room()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, room.width() < self.image.width())
            painter.drawImage(room, self.image)
            if self._from is not None:
                path = QPainterPath()
                path.addRect(room)
                path.addRect(self._band())  # drawn twice counts as outside
                painter.fillPath(path, SHADE)
                painter.setPen(QPen(self.theme.colour("accent"), 2))
                painter.drawRect(self._band())

    def _room(self) -> QRectF:
        """Return where the picture lies."""
        return room_of(self.full, self.size())

    def _band(self) -> QRectF:
        assert self._from is not None
        step = self._to - self._from
        if self.ratio:
            across = min(abs(step.x()), abs(step.y()) * self.ratio)
            step = QPointF(across if step.x() >= 0 else -across, across / self.ratio * (1 if step.y() >= 0 else -1))
        return QRectF(self._from, self._from + step).normalized()

    def _within(self, point: QPointF) -> QPointF:
        room = self._room()
        return QPointF(min(max(point.x(), room.left()), room.right()), min(max(point.y(), room.top()), room.bottom()))
