"""A map of pictures to drag in: the pointer's place is told all the time, in cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.pictures.checks import on_checks
from aigc_desktop.ui.widgets.pictures.thumbnails import fit, to_image

if TYPE_CHECKING:
    from aigc_desktop.ui.exploration import PictureMap
    from aigc_desktop.ui.theme import Theme

STEP, SMALL_STEP = 0.5, 0.1
RING = 9
CELL = 64
"""Pixels of one picture's longer side, at most: a map of large ones would take too long to paint."""


class MapCanvas(QWidget):
    """Paints the map and the place that is looked at; `pointed` gives across and down, in cells from the first one."""

    pointed = Signal(float, float)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.columns = 0
        self.sheet = QImage()
        self._painted = QPixmap()
        self.words = ""
        self.place: QPointF | None = None
        self.setMinimumSize(theme.px(200), theme.px(200))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(_("Map of what the model can make"))
        self.setToolTip(_("Drag to see what lies between the pictures; arrow keys go half a picture, with Shift less"))

    def show_map(self, found: PictureMap | None) -> None:
        """Show a map, or nothing while one is made."""
        self.place = None
        self.columns = found.columns if found else 0
        self.sheet, self._painted = _sheet(found) if found else QImage(), QPixmap()
        self.update()

    def show_words(self, words: str) -> None:
        """Say what goes on while there is no map."""
        self.words = words
        self.update()

    def forget_place(self) -> None:
        """Show no place: what is looked at comes from elsewhere."""
        self.place = None
        self.update()

    def go_to(self, across: float, down: float) -> None:
        """Look at a place, in cells from the middle of the first one."""
        last = float(self.columns - 1)
        self.place = QPointF(min(max(across, 0.0), last), min(max(down, 0.0), last))
        self.update()
        self.pointed.emit(self.place.x(), self.place.y())

    def target(self) -> QRectF:
        """Return where the map is painted."""
        shape = QSize(1, 1) if self.sheet.isNull() else self.sheet.size()
        size = QSizeF(shape).scaled(QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio)
        return QRectF((self.width() - size.width()) / 2, 0, size.width(), size.height())  # close to what is above it

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(420), self.theme.px(220))  # it takes the room there is

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            target = self.target()
            if self.sheet.isNull():
                painter.fillRect(target, self.theme.colour("surface"))
                painter.setPen(self.theme.colour("secondary"))
                painter.drawText(target, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.words)
            else:
                painter.drawPixmap(target.topLeft(), self._scaled(target))
            if self.hasFocus():
                painter.setPen(QPen(self.theme.colour("accent"), 2))
                painter.drawRect(target.adjusted(1, 1, -1, -1))
            if self.place is not None and self.columns:
                self._paint_place(painter, target)

    def _scaled(self, target: QRectF) -> QPixmap:
        """Return the map in the size it is painted in, made once for each size: it is painted with every move."""
        ratio = self.devicePixelRatioF()
        size = (target.size() * ratio).toSize()
        if self._painted.size() != size:
            mode = Qt.TransformationMode.SmoothTransformation
            scaled = self.sheet.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, mode)
            self._painted = QPixmap.fromImage(on_checks(scaled))
            self._painted.setDevicePixelRatio(ratio)
        return self._painted

    def _paint_place(self, painter: QPainter, target: QRectF) -> None:
        assert self.place is not None
        across, down = (self.place.x() + 0.5) / self.columns, (self.place.y() + 0.5) / self.columns
        centre = target.topLeft() + QPointF(across * target.width(), down * target.height())
        radius = float(self.theme.px(RING))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in ((self.theme.colour("on_accent"), 5.0), (self.theme.colour("accent"), 2.5)):
            painter.setPen(QPen(colour, width))
            painter.drawEllipse(centre, radius, radius)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._follow(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
        if event.key() not in steps or not self.columns:
            super().keyPressEvent(event)
            return
        middle = (self.columns - 1) / 2
        place = self.place or QPointF(middle, middle)
        step = SMALL_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
        across, down = steps[Qt.Key(event.key())]
        self.go_to(place.x() + step * across, place.y() + step * down)

    def _follow(self, event: QMouseEvent) -> None:
        if not self.columns:
            return
        target = self.target()
        place = (event.position() - target.topLeft()) * self.columns
        self.go_to(place.x() / target.width() - 0.5, place.y() / target.height() - 0.5)


def _sheet(found: PictureMap) -> QImage:
    """Return all pictures of a map side by side."""
    images = [fit(to_image(pixels), CELL) for pixels in found.pictures]
    width, height = images[0].width(), images[0].height()
    clear, solid = QImage.Format.Format_ARGB32_Premultiplied, QImage.Format.Format_RGB32
    size = QSize(found.columns * width, found.columns * height)
    sheet = QImage(size, clear if images[0].hasAlphaChannel() else solid)
    sheet.fill(Qt.GlobalColor.transparent)
    with QPainter(sheet) as painter:
        for number, image in enumerate(images):
            row, column = divmod(number, found.columns)
            painter.drawImage(column * width, row * height, image)
    return sheet
