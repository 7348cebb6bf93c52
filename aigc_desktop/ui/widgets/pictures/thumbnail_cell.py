"""How a cell of the thumbnail grid is painted: picture or text, caption line, badge, focus."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen, QTextOption
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.pictures.checks import paint_checks
from aigc_desktop.ui.widgets.pictures.thumbnails import Thumbnail

Index = QModelIndex | QPersistentModelIndex
MARGIN = 4
PADDING = 6
RADIUS = 8


def cell_size(edge: int, metrics: QFontMetrics) -> QSize:
    """Return the size of a cell whose thumbnail has a longest side of `edge`."""
    side = edge + 2 * (MARGIN + PADDING)
    return QSize(side, side + metrics.height() + 4)


class CellPainter(QStyledItemDelegate):
    """Paints cells with the palette's colours, so that it follows every theme."""

    def __init__(self, thumbnail_role: int, badge_role: int, faint_role: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.roles = thumbnail_role, badge_role, faint_role
        self.edge = 160

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return the one size all cells have."""
        return cell_size(self.edge, option.fontMetrics)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one cell."""
        thumbnail_role, badge_role, faint_role = self.roles
        palette: QPalette = option.palette
        state: QStyle.StateFlag = option.state
        cell: QRect = option.rect.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_card(painter, cell, palette, state)
        picture = QRect(cell.left() + PADDING, cell.top() + PADDING, cell.width() - 2 * PADDING, self.edge)
        painter.setOpacity(0.35 if index.data(faint_role) else 1.0)
        _paint_content(painter, picture, index.data(thumbnail_role), palette)
        painter.setOpacity(1.0)
        caption = QRect(picture.left(), picture.bottom() + 3, picture.width(), cell.bottom() - picture.bottom() - 5)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        text = painter.fontMetrics().elidedText(str(index.data() or ""), Qt.TextElideMode.ElideMiddle, caption.width())
        painter.drawText(caption, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        badge = index.data(badge_role)
        if badge:
            _paint_badge(painter, picture, str(badge), palette)
        painter.restore()


def _paint_card(painter: QPainter, cell: QRect, palette: QPalette, state: QStyle.StateFlag) -> None:
    accent = palette.color(QPalette.ColorRole.Highlight)
    outline = QRectF(cell).adjusted(1, 1, -1, -1)
    if state & QStyle.StateFlag.State_Selected:
        tint = QColor(accent)
        tint.setAlphaF(0.22)
        painter.setBrush(tint)
        painter.setPen(QPen(accent, 2))
    elif state & QStyle.StateFlag.State_MouseOver:
        painter.setBrush(palette.color(QPalette.ColorRole.AlternateBase))
        painter.setPen(Qt.PenStyle.NoPen)
    else:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(outline, RADIUS, RADIUS)
    if state & QStyle.StateFlag.State_HasFocus:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(accent, 1, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(outline.adjusted(2, 2, -2, -2), RADIUS - 2, RADIUS - 2)


def _paint_content(painter: QPainter, area: QRect, thumbnail: Thumbnail | None, palette: QPalette) -> None:
    if thumbnail is None or thumbnail.problem:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(QPalette.ColorRole.AlternateBase))
        painter.drawRoundedRect(area, RADIUS - 4, RADIUS - 4)
        if thumbnail is not None:
            painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, _("Cannot be shown"))
    elif thumbnail.pixmap is not None:
        ratio = painter.device().devicePixelRatioF()
        size = thumbnail.pixmap.size() / ratio
        size = size.scaled(size.boundedTo(area.size()), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRect(0, 0, size.width(), size.height())
        target.moveCenter(area.center())
        if thumbnail.pixmap.hasAlpha():
            paint_checks(painter, target)
        painter.drawPixmap(target, thumbnail.pixmap)
    else:
        _paint_text(painter, area, thumbnail.text, palette)


def _paint_text(painter: QPainter, area: QRect, text: str, palette: QPalette) -> None:
    painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1))
    painter.setBrush(palette.color(QPalette.ColorRole.Window))
    painter.drawRoundedRect(area, RADIUS - 4, RADIUS - 4)
    painter.setPen(palette.color(QPalette.ColorRole.Text))
    inside = area.adjusted(8, 6, -8, -6)
    line = painter.fontMetrics().lineSpacing()
    inside.setHeight(inside.height() // line * line)  # whole lines only
    painter.setClipRect(inside)
    option = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    painter.drawText(QRectF(inside.x(), inside.y(), inside.width(), 10 * area.height()), text[:600], option)
    painter.setClipping(False)


def _paint_badge(painter: QPainter, area: QRect, text: str, palette: QPalette) -> None:
    metrics = painter.fontMetrics()
    width = max(metrics.horizontalAdvance(text) + 12, metrics.height() + 4)
    pill = QRectF(area.left() + 4, area.top() + 4, width, metrics.height() + 4)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(palette.color(QPalette.ColorRole.Highlight))
    painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
    painter.setPen(palette.color(QPalette.ColorRole.HighlightedText))
    painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, text)
