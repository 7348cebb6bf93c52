"""What an empty place shows: what will be here, and the one thing to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import known_path
from aigc_desktop.ui.theme import RADIUS, Theme
from aigc_desktop.ui.widgets.controls import IconView, button, label


class EmptyState(QWidget):
    """An icon, a title, a sentence and the button for the one thing to do; `acted` when it was pressed.

    With `drop` the place has a dashed edge: things can be dropped here. `folder` gives where its things would lie: when
    that is not there, the place says so instead, as nobody knows then whether there are any.
    """

    acted = Signal()

    def __init__(
        self, theme: Theme, icon: str, title: str, sentence: str, action: str = "", *, drop: bool = False,
        folder: Callable[[], Path] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.theme, self.drop, self.folder = theme, drop, folder
        self.words, self.buttons = (title, sentence), list[QWidget]()
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

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        folder = None if self.folder is None else self.folder()
        title, sentence = self.words
        if gone := folder is not None and not folder.is_dir():
            title = _("The workspace is not there")
            sentence = _("{path} cannot be found. Connect its disk again, or open another workspace on the Start page.")
            sentence = sentence.format(path=known_path(folder))
        self.title.setText(title)
        self.sentence.setText(sentence)
        for widget in self.buttons:
            widget.setDisabled(gone)

    def add_action(self, widget: QWidget) -> None:
        """Put another button beside the first."""
        self.buttons.append(widget)
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
