"""Cards: a titled surface that groups things, and a card that is one big button."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLayout, QLayoutItem, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import IconView, label, set_role

Tone = Literal["", "accent", "green", "amber", "red"]


class Card(QFrame):
    """A surface with an optional title; add widgets with `add`, buttons beside the title with `add_action`."""

    def __init__(self, theme: Theme, title: str = "", tone: Tone = "") -> None:
        super().__init__()
        self.theme = theme
        self.setProperty("card", True)
        self.setProperty("tone", tone)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(*[theme.px(16)] * 4)
        self.body.setSpacing(theme.px(8))
        self.head = QHBoxLayout()
        self.head.setSpacing(theme.px(8))
        self.title = label(title, "card")
        if title:
            self.head.addWidget(self.title, 1)
            self.body.addLayout(self.head)

    def add(self, item: QWidget | QLayout, stretch: int = 0) -> None:
        """Put a widget or layout below what is there."""
        if isinstance(item, QWidget):
            self.body.addWidget(item, stretch)
        else:
            self.body.addLayout(item, stretch)

    def add_action(self, widget: QWidget) -> None:
        """Put a button to the right of the title."""
        self.head.addWidget(widget, 0, Qt.AlignmentFlag.AlignTop)

    def set_tone(self, tone: Tone) -> None:
        """Colour the card by what it says: good, caution or bad."""
        set_role(self, tone=tone)


class ActionCard(QPushButton):
    """A card that is a button: icon, title and one sentence that says what happens."""

    def __init__(self, theme: Theme, icon: str, title: str, sentence: str = "") -> None:
        super().__init__()
        self.setProperty("kind", "task")
        self.setAccessibleName(title)
        self.setAccessibleDescription(sentence)
        self.setToolTip(sentence or title)
        self.row = row = QHBoxLayout(self)
        row.setContentsMargins(*[theme.px(16)] * 4)
        row.setSpacing(theme.px(12))
        row.addWidget(IconView(theme, icon, 24, "accent"), 0, Qt.AlignmentFlag.AlignTop)
        self.texts = QVBoxLayout()
        self.texts.setSpacing(theme.px(4))
        self.title = label(title, "card")
        self.texts.addWidget(self.title)
        self.sentence = label(sentence, "secondary")
        if sentence:
            self.texts.addWidget(self.sentence)
        self.texts.addStretch(1)
        row.addLayout(self.texts, 1)
        for text in (self.title, self.sentence):
            text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(theme.px(200))

    def sizeHint(self) -> QSize:
        return self.row.totalSizeHint()

    def minimumSizeHint(self) -> QSize:
        return self.row.totalMinimumSize()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self.row.totalHeightForWidth(width)


class FlowLayout(QLayout):
    """Items side by side that go on in the next line when there is no room.

    With `width` all items are equally wide, at least `width` pixels; without, each keeps its own width.
    """

    def __init__(self, spacing: int, width: int = 0) -> None:
        super().__init__()
        self.gap, self.column = spacing, width
        self.items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self.items.append(item)

    def count(self) -> int:
        return len(self.items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self.items[index] if 0 <= index < len(self.items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self.items.pop(index) if 0 <= index < len(self.items) else None

    def line_width(self) -> int:
        """Return the width all items need in one line."""
        widths = [item.sizeHint().width() for item in self.items if not item.isEmpty()]
        return sum(widths) + self.gap * max(0, len(widths) - 1)

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        margins = self.contentsMargins()
        height = self._arrange(QRect(0, 0, width - margins.left() - margins.right(), 0), move=False)
        return height + margins.top() + margins.bottom()

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self.items:
            size = size.expandedTo(item.minimumSize())
        return size.grownBy(self.contentsMargins())

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect.marginsRemoved(self.contentsMargins()), move=True)

    def _arrange(self, rect: QRect, move: bool) -> int:
        """Place the items when `move`, and return the height they take."""
        shown = [item for item in self.items if not item.isEmpty()]
        y, row = rect.y(), list[tuple[QLayoutItem, int]]()
        columns = max(1, (rect.width() + self.gap) // (self.column + self.gap)) if self.column else 0
        columns = min(columns, max(1, len(shown))) if columns else 0
        used = 0
        for item in shown:
            width = (rect.width() - self.gap * (columns - 1)) // columns if columns else item.sizeHint().width()
            width = min(width, rect.width())
            full = len(row) >= columns if columns else bool(row) and used + width > rect.width()
            if full:
                y += self._place(row, rect.x(), y, move) + self.gap
                row, used = [], 0
            row.append((item, width))
            used += width + self.gap
        return y + self._place(row, rect.x(), y, move) - rect.y()

    def _place(self, row: list[tuple[QLayoutItem, int]], x: int, y: int, move: bool) -> int:
        """Place one line with its top left at (x, y) and return its height."""
        height = 0
        for item, width in row:
            needed = item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
            height = max(height, needed)
        if move:
            for item, width in row:
                item.setGeometry(QRect(QPoint(x, y), QSize(width, height)))
                x += width + self.gap
        return height
