"""Sizes of the cells of a sample wall, and how one is painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QImage, QPainter

from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.pictures.checks import paint_picture
from aigc_desktop.ui.widgets.wall.wall_rows import WallRow, WallRows

TEXT_SIZE = QSize(240, 100)
TEXT_EDGE = 64
"""Edge of a picture beside which a text has TEXT_SIZE."""
REAL = -1
"""Row index of the real data."""
_FORMATS = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}


@dataclass(frozen=True)
class Cell:
    """A cell on the screen: row (REAL for real data), column, and where it is in the viewport."""

    row: int
    column: int
    rect: QRect


def wall_cells(
    rows: WallRows, real: WallRow | None, size: QSize, gap: int, head: int, scroll: QPoint, bottom: int
) -> Iterator[Cell]:
    """Yield the pinned cells of real data, then those of the steps in view, the newest first."""
    pitch = size + QSize(gap, gap)
    left, top = head - scroll.x(), 0
    if real is not None and len(real):
        for column in range(len(real)):
            yield Cell(REAL, column, QRect(QPoint(left + column * pitch.width(), 0), size))
        top = pitch.height() + gap
    for line in range(len(rows)):
        y = top + line * pitch.height() - scroll.y()
        if y > bottom:
            return
        if y + size.height() >= 0:
            row = len(rows) - 1 - line
            for column in range(len(rows[row])):
                yield Cell(row, column, QRect(QPoint(left + column * pitch.width(), y), size))


def step_cells(place: int, row: WallRow, view: QSize, theme: Theme, scroll: QPoint) -> Iterator[Cell]:
    """Yield the cells of one step, centred in the viewport."""
    columns, size = step_grid(row, view, theme)
    pitch = size + QSize(theme.px(4), theme.px(4))
    lines = -(-len(row) // columns)
    left = max(0, (view.width() - columns * pitch.width()) // 2)
    top = max(0, (view.height() - lines * pitch.height()) // 2) - scroll.y()
    for column in range(len(row)):
        y, x = divmod(column, columns)
        yield Cell(place, column, QRect(QPoint(left + x * pitch.width(), top + y * pitch.height()), size))


def single_rect(row: WallRow, view: QSize, theme: Theme, scroll: QPoint) -> QRect:
    """Return where the one enlarged cell is."""
    area = QRect(QPoint(0, 0), view)
    if row.images is None:
        margin = theme.px(16)
        return area.adjusted(margin, margin, -margin, -margin).translated(0, -scroll.y())
    height, width = row.images.shape[1:3]
    size = crisp(QSize(width, height), view)
    return QRect(area.center() - QPoint(size.width() // 2, size.height() // 2), size)


def cell_size(row: WallRow | None, target: int) -> QSize:
    """Return the size of a cell whose longest side may be `target`: whole multiples of small pictures."""
    if row is None or row.images is None:
        return TEXT_SIZE * (target / TEXT_EDGE)
    height, width = row.images.shape[1:3]
    return crisp(QSize(width, height), QSize(target, target))


def step_grid(row: WallRow, view: QSize, theme: Theme) -> tuple[int, QSize]:
    """Return (columns, cell size) that fill `view` best with the cells of one step."""
    count, gap = len(row), theme.px(4)
    if row.images is None:
        columns = max(1, min(count, view.width() // theme.px(320)))
        width = (view.width() - gap * (columns - 1)) // columns
        lines = -(-count // columns)
        return columns, QSize(width, max(theme.px(120), (view.height() - gap * (lines - 1)) // lines))
    height, width = row.images.shape[1:3]
    best = (1, QSize(1, 1))
    for columns in range(1, count + 1):
        lines = -(-count // columns)
        room = QSize((view.width() + gap) // columns - gap, (view.height() + gap) // lines - gap)
        size = crisp(QSize(width, height), room)
        if size.width() > best[1].width():
            best = (columns, size)
    return best


def text_height(row: WallRow | None, column: int, width: int, theme: Theme) -> int:
    """Return how high a whole text is in a viewport of `width`."""
    if row is None or not row.texts:
        return 0
    room = QRect(0, 0, width - 2 * theme.px(24), 1 << 20)
    bounds = QFontMetrics(theme.font("body")).boundingRect(room, Qt.TextFlag.TextWordWrap, row.texts[column])
    return bounds.height() + 2 * theme.px(8)


def crisp(size: QSize, room: QSize) -> QSize:
    """Return `size` scaled into `room`: by whole factors when it grows, freely when it shrinks."""
    factor = min(room.width() // max(1, size.width()), room.height() // max(1, size.height()))
    if factor >= 1:
        return size * factor
    return size.scaled(room.expandedTo(QSize(1, 1)), Qt.AspectRatioMode.KeepAspectRatio)


def paint_item(painter: QPainter, theme: Theme, rect: QRect, row: WallRow, column: int, *, whole: bool) -> None:
    """Paint a picture with hard edges when it is enlarged, or a text, cut at the last full line unless `whole`."""
    if row.images is None:
        _paint_text(painter, theme, rect, row.texts[column], whole)
        return
    pixels = row.images[column]
    height, width, channels = pixels.shape
    image = QImage(pixels.data, width, height, width * channels, _FORMATS[channels])
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, rect.width() < width)
    paint_picture(painter, rect, image)


def paint_head(painter: QPainter, theme: Theme, rect: QRect, text: str, colour: str) -> None:
    """Paint the step beside a row, over what scrolls below it."""
    gap = theme.px(4)
    painter.fillRect(rect.adjusted(0, 0, -gap, 0), theme.colour("surface"))
    painter.setFont(theme.font("secondary"))
    painter.setPen(theme.colour(colour))
    inner = rect.adjusted(0, 0, -2 * gap, -gap)
    painter.drawText(inner, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)


def _paint_text(painter: QPainter, theme: Theme, rect: QRect, text: str, whole: bool) -> None:
    painter.fillRect(rect, theme.colour("raised"))
    painter.setFont(theme.font("body"))
    painter.setPen(theme.colour("text"))
    margin = theme.px(8)
    inner = rect.adjusted(margin, margin, -margin, -margin)
    spacing = painter.fontMetrics().lineSpacing()
    inner.setHeight(1 << 20 if whole else inner.height() // spacing * spacing)
    painter.drawText(inner, Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop, text)
