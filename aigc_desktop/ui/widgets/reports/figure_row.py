"""A figure of an evaluation as a row: name and value, its interval on a line, what to compare it with, what it says."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Figure, number_text, sign_of
from aigc_desktop.core.report_words import BETTER, interval_text, value_text
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import label


class IntervalBar(QWidget):
    """Value and interval on a line from the least to the greatest, and what to compare with, each with its sign."""

    def __init__(self, theme: Theme, figure: Figure) -> None:
        super().__init__()
        self.theme, self.figure = theme, figure
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        low, high = figure.span()
        told = _("from {first} to {last}").format(
            first=number_text(low, figure.digits), last=number_text(high, figure.digits)
        )
        self.setToolTip(_("The line goes {span}; the wide part is where the true value lies in 19 of 20 cases.").format(
            span=told
        ))  # fmt: skip
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(160), self.theme.px(20))

    def paintEvent(self, event: QPaintEvent) -> None:
        low, high = self.figure.span()
        edge, middle, size = self.theme.px(8), self.height() / 2, self.theme.px(5)

        def at(value: float) -> float:
            return edge + (self.width() - 2 * edge) * (value - low) / (high - low)

        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            line = QPen(self.theme.colour("line"), self.theme.px(2))
            painter.setPen(line)
            painter.drawLine(QPointF(edge, middle), QPointF(self.width() - edge, middle))
            figure, own = self.figure, QColor(self.theme.plot_colours[0])
            if figure.low is not None and figure.high is not None:
                soft = QColor(own)
                soft.setAlpha(110)
                pen = QPen(soft, self.theme.px(8))
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
                painter.setPen(pen)
                painter.drawLine(QPointF(at(figure.low), middle), QPointF(at(figure.high), middle))
            for mark in figure.marks:
                number = sign_of(mark.name)
                draw_sign(painter, number, QPointF(at(mark.value), middle), size, sign_colour(self.theme, number))
            draw_sign(painter, 0, QPointF(at(figure.value), middle), size, own)


class Sign(QWidget):
    """The sign of one curve or mark, for a legend."""

    def __init__(self, theme: Theme, number: int) -> None:
        super().__init__()
        self.theme, self.number = theme, number
        self.setFixedSize(theme.px(16), theme.px(18))
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            middle = QRectF(self.rect()).center()
            draw_sign(painter, self.number, middle, self.theme.px(5), sign_colour(self.theme, self.number))


class Legend(QWidget):
    """The signs of marks and curves with their names, which are messages."""

    def __init__(self, theme: Theme, names: list[str]) -> None:
        super().__init__()
        row = FlowLayout(theme.px(12))
        for name in names:
            part = QWidget()
            box = QHBoxLayout(part)
            box.setContentsMargins(0, 0, 0, 0)
            box.setSpacing(theme.px(4))
            box.addWidget(Sign(theme, sign_of(name)))
            box.addWidget(label(_(name), "secondary", wrap=False))
            row.addWidget(part)
        self.setLayout(row)


class FigureRow(QWidget):
    """One figure over the whole width."""

    def __init__(self, theme: Theme, figure: Figure) -> None:
        super().__init__()
        self.figure = figure
        box = QVBoxLayout(self)
        box.setContentsMargins(0, theme.px(4), 0, theme.px(8))
        box.setSpacing(theme.px(2))
        head = QHBoxLayout()
        head.setSpacing(theme.px(8))
        self.name = label(_(figure.name))
        self.value = label(value_text(figure), "card", wrap=False)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight)
        head.addWidget(self.name, 1)
        interval = interval_text(figure)
        if interval:
            between = label(interval, "secondary", wrap=False)
            between.setToolTip(_("The true value lies in here in 19 of 20 cases."))
            head.addWidget(between, 0, Qt.AlignmentFlag.AlignBottom)
        head.addWidget(self.value)
        box.addLayout(head)
        if figure.has_bar:
            box.addWidget(IntervalBar(theme, figure))
        compared = [
            _("{name}: {value}").format(name=_(mark.name), value=number_text(mark.value, figure.digits))
            for mark in figure.marks
        ]
        better = [_(BETTER[figure.better])] if figure.better else []
        if better or compared:
            box.addWidget(label(" · ".join([*better, *compared]), "secondary"))
        box.addWidget(label(_(figure.explanation), "secondary"))


class Tile(Card):
    """A headline figure: the value large, its name, and which way is better."""

    def __init__(self, theme: Theme, figure: Figure) -> None:
        super().__init__(theme)
        self.body.setContentsMargins(*[theme.px(12)] * 4)
        self.body.setSpacing(theme.px(2))
        self.add(label(value_text(figure), "title", wrap=False))
        self.add(label(_(figure.name)))
        self.add(label(_(BETTER[figure.better]) if figure.better else "", "secondary"))
        self.body.addStretch(1)
        self.setToolTip(_(figure.explanation))


def sign_colour(theme: Theme, number: int) -> QColor:
    """Return the colour of a curve or mark by its place in the legend."""
    return QColor(theme.plot_colours[number % len(theme.plot_colours)])


def draw_sign(painter: QPainter, number: int, at: QPointF, size: float, colour: QColor) -> None:
    """Draw a filled circle, an upright line, a hollow circle, a square: shapes tell where colours do not."""
    painter.setBrush(colour if number % 4 == 0 else Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, max(1.0, size / 2.5)) if number % 4 else Qt.PenStyle.NoPen)
    match number % 4:
        case 1:
            painter.drawLine(at - QPointF(0, 1.6 * size), at + QPointF(0, 1.6 * size))
        case 3:
            painter.drawRect(QRectF(at.x() - size, at.y() - size, 2 * size, 2 * size))
        case _:
            painter.drawEllipse(at, size, size)
