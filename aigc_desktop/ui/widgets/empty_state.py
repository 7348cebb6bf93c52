"""What an empty place shows: what will be here, and the one thing to do."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.ui.theme import RADIUS, Theme
from aigc_desktop.ui.widgets.controls import IconView, button, label


class EmptyState(QWidget):
    """An icon, a title, a sentence and the button for the one thing to do; `acted` when it was pressed.

    With `drop` the place has a dashed edge: things can be dropped here.
    """

    acted = Signal()

    def __init__(
        self, theme: Theme, icon: str, title: str, sentence: str, action: str = "", *, drop: bool = False
    ) -> None:
        super().__init__()
        self.theme, self.drop = theme, drop
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(32)] * 4)
        box.setSpacing(theme.px(12))
        box.addStretch(1)
        box.addWidget(IconView(theme, icon, 48, "secondary"), 0, Qt.AlignmentFlag.AlignHCenter)
        self.title = label(title, "card")
        self.sentence = label(sentence, "body")
        for text in (self.title, self.sentence):
            text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            box.addWidget(text)
        self.action_row = QHBoxLayout()
        self.action_row.setSpacing(theme.px(8))
        self.action_row.addStretch(1)
        self.action_row.addStretch(1)
        box.addLayout(self.action_row)
        box.addStretch(1)
        if action:
            self.button = button(theme, action, kind="primary")
            self.button.clicked.connect(self.acted)
            self.add_action(self.button)

    def add_action(self, widget: QWidget) -> None:
        """Put another button beside the first."""
        self.action_row.insertWidget(self.action_row.count() - 1, widget)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.drop:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = QPen(self.theme.colour("control"), 1.5, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            radius = self.theme.px(RADIUS)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(4, 4, -4, -4), radius, radius)
