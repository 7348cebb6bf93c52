"""Paint on a picture with a brush what is to be made anew."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.geometry import room_of
from aigc_desktop.ui.widgets.controls import BY_TAB, paint_focus

LONGEST_PX = 1024
"""Sides of the picture that is painted on: as fine as the models work, and quick to draw."""
BREADTHS = (2, 60)
"""Of the brush, in hundredths of the picture's longer side."""
UNDONE = 20
PAINT, OPACITY = QColor(255, 0, 170), 0.55
"""Of what is painted: a colour that pictures seldom have."""
_GREY = QImage.Format.Format_Grayscale8
_NEARER = Qt.ImageConversionFlag.ThresholdDither | Qt.ImageConversionFlag.MonoOnly


class MaskCanvas(QWidget):
    """Shows a picture and paint over it: the left button paints, the right one erases; `erasing` turns that round.

    `changed` comes after each change of the paint, `resized` when a key changed the `breadth` of the brush.
    """

    changed = Signal()
    resized = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.erasing, self.breadth = False, 12
        self.by_tab = False
        self.image = QImage()
        self.paint = QImage()
        """What is painted, white on black, as large as the picture."""
        self.earlier: list[QImage] = []
        self._overlay: QImage | None = None
        self._last: QPointF | None = None
        self._pointer: QPointF | None = None
        self._erases = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(_("Paint the mask"))
        self.setToolTip(_("The left button paints, the right one erases; [ and ] change the brush"))

    def show_image(self, image: QImage) -> None:
        """Show a picture without paint."""
        if max(image.width(), image.height()) > LONGEST_PX:
            room = QSize(LONGEST_PX, LONGEST_PX)
            image = image.scaled(room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        self.image = image
        self.paint = QImage(image.size(), _GREY)
        self.paint.fill(Qt.GlobalColor.black)
        self.earlier.clear()
        self._show()

    def show_mask(self, mask: QImage) -> None:
        """Take a picture of any size as the paint: all that is nearer to white than to black."""
        grey = mask.convertToFormat(_GREY).scaled(self.paint.size())
        self.paint = grey.convertToFormat(QImage.Format.Format_Mono, _NEARER).convertToFormat(_GREY)
        self._show()

    def is_empty(self) -> bool:
        """Return whether nothing is painted."""
        return self.paint.isNull() or not any(bytes(self.paint.constBits()))

    def invert(self) -> None:
        """Paint what is not painted, and the other way round."""
        self._keep()
        self.paint.invertPixels()
        self._show()

    def clear(self) -> None:
        """Take all paint away."""
        self._keep()
        self.paint.fill(Qt.GlobalColor.black)
        self._show()

    def undo(self) -> None:
        """Take the last change back."""
        if self.earlier:
            self.paint = self.earlier.pop()
            self._show()

    def set_breadth(self, breadth: int) -> None:
        """Make the brush so many hundredths of the picture's longer side."""
        self.breadth = min(max(breadth, BREADTHS[0]), BREADTHS[1])
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.image.isNull() or event.button() not in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            return
        self._keep()
        self._erases = self.erasing != (event.button() == Qt.MouseButton.RightButton)
        self._last = self._on_picture(event.position())
        self._stroke(self._last)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if self._last is not None:
            self._stroke(self._on_picture(event.position()))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._last = None

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_BracketLeft: -2, Qt.Key.Key_BracketRight: 2}.get(Qt.Key(event.key()), 0)
        if not step:
            super().keyPressEvent(event)
            return
        self.set_breadth(self.breadth + step)
        self.resized.emit(self.breadth)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.by_tab = event.reason() in BY_TAB
        super().focusInEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            room = self._room()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, room.width() < self.image.width())
            painter.drawImage(room, self.image)
            painter.setOpacity(OPACITY)
            painter.drawImage(room, self._paint())
            painter.setOpacity(1)
            if self.by_tab:  # pictures take the focus by themselves, for their keys
                paint_focus(self, painter)
            if self._pointer is not None and not self.image.isNull():
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                radius = self.breadth / 200 * max(room.width(), room.height())
                for pen in (QPen(Qt.GlobalColor.black, 3), QPen(Qt.GlobalColor.white, 1)):  # seen on any picture
                    painter.setPen(pen)
                    painter.drawEllipse(self._pointer, radius, radius)

    def _stroke(self, to: QPointF) -> None:
        colour = Qt.GlobalColor.black if self._erases else Qt.GlobalColor.white
        breadth = self.breadth / 100 * max(self.image.width(), self.image.height())
        with QPainter(self.paint) as painter:
            painter.setPen(QPen(colour, max(1.0, breadth), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            # a line without length is not drawn
            painter.drawLine(self._last or to, to + QPointF(0.01, 0))
        self._last = to
        self._show()

    def _keep(self) -> None:
        self.earlier = [*self.earlier[1 - UNDONE :], self.paint.copy()]

    def _show(self) -> None:
        self._overlay = None
        self.update()
        self.changed.emit()

    def _paint(self) -> QImage:
        if self._overlay is None:
            self._overlay = QImage(self.paint.size(), QImage.Format.Format_ARGB32_Premultiplied)
            self._overlay.fill(PAINT)
            self._overlay.setAlphaChannel(self.paint)
        return self._overlay

    def _room(self) -> QRectF:
        """Return where the picture lies."""
        return room_of(self.image.size().expandedTo(QSize(1, 1)), self.size())

    def _on_picture(self, point: QPointF) -> QPointF:
        room = self._room()
        scale = self.image.width() / room.width()
        return (point - room.topLeft()) * scale
