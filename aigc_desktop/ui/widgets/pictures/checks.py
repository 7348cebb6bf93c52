"""The squares below what is transparent in a picture: light in every theme, as drawings are made for light paper."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QBrush, QColor, QImage, QPainter

SIDE = 8
"""Of one square, in pixels at 100 %."""
LIGHT, DARK = "#ffffff", "#e4e4e8"


def paint_checks(painter: QPainter, target: QRect | QRectF) -> None:
    """Paint the ground of a transparent picture, its first square in the corner of `target`."""
    painter.save()
    painter.setBrushOrigin(target.topLeft())
    painter.fillRect(target, QBrush(_tile()))
    painter.restore()


def paint_picture(painter: QPainter, target: QRect | QRectF, image: QImage) -> None:
    """Paint a picture, on squares where it is transparent."""
    if image.hasAlphaChannel():
        paint_checks(painter, target)
    painter.drawImage(target, image)


def on_checks(image: QImage) -> QImage:
    """Return a picture as it is when nothing of it is transparent, else laid on squares."""
    if not image.hasAlphaChannel():
        return image
    laid = QImage(image.size(), QImage.Format.Format_RGB32)
    with QPainter(laid) as painter:
        paint_picture(painter, laid.rect(), image)
    return laid


@cache
def _tile() -> QImage:
    tile = QImage(2 * SIDE, 2 * SIDE, QImage.Format.Format_RGB32)
    tile.fill(QColor(LIGHT))
    with QPainter(tile) as painter:
        for x, y in ((SIDE, 0), (0, SIDE)):
            painter.fillRect(x, y, SIDE, SIDE, QColor(DARK))
    return tile
