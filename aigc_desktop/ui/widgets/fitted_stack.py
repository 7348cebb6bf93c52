"""A stack that is as large as what it shows, not as the largest of all it holds."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QLayoutItem, QStackedLayout


class FittedStack(QStackedLayout):
    """Shows one of several widgets and asks for the room that one needs.

    Qt's own asks for the room of the largest, so a page that scrolls showed an empty place far below its fold while
    a form that nobody saw was long.
    """

    def __init__(self) -> None:
        super().__init__()
        self.currentChanged.connect(self.update)

    def _shown(self) -> QLayoutItem | None:
        return self.itemAt(self.currentIndex())

    def minimumSize(self) -> QSize:
        item = self._shown()
        return item.minimumSize() if item is not None else QSize()

    def sizeHint(self) -> QSize:
        item = self._shown()
        return item.sizeHint() if item is not None else QSize()

    def hasHeightForWidth(self) -> bool:
        item = self._shown()
        return item is not None and item.hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        item = self._shown()
        return item.heightForWidth(width) if item is not None else -1
