"""A wide part with a narrow one beside it; where there is no room for both, one above the other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QScrollArea, QWidget

from aigc_desktop.ui.focus_order import stop_where_it_scrolls
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout

BESIDE_PX = 640
"""The least width, at 100 %, at which both parts stand side by side."""
MAIN_PX = 280
"""The least height of the wide part when the narrow one lies below it; the page scrolls."""
_FREE = (1 << 24) - 1


class Scrolled(QScrollArea):
    """Scrolls `inner` up and down; in a stack it is as high as what it holds, and the page scrolls instead.

    With `keeps` it scrolls there too: a long text would push what comes below it out of reach.
    """

    def __init__(self, inner: QWidget, *, keeps: bool = False) -> None:
        super().__init__()
        self.inner, self.whole, self.keeps = inner, False, keeps
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner.setAttribute(Qt.WidgetAttribute.WA_Resized)  # else Qt styles all of it to find a size that is not used
        self.setWidget(inner)
        stop_where_it_scrolls(self)

    def show_whole(self, whole: bool) -> None:
        """Be as high as the content, or as high as there is room."""
        self.whole = whole and not self.keeps
        self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        edges = self.size() - self.maximumViewportSize()  # the place of the focus ring
        least = self.inner.minimumSizeHint().width()
        if not self.whole:
            return QSize(least + edges.width(), super().minimumSizeHint().height())
        height = self.inner.heightForWidth(max(least, self.viewport().width()))
        whole = height if height >= 0 else self.inner.sizeHint().height()
        return QSize(least + edges.width(), whole + edges.height())

    def sizeHint(self) -> QSize:
        least = self.minimumSizeHint()  # it takes the room there is; to ask for more would make the page scroll as well
        return least if self.whole else QSize(super().sizeHint().width(), least.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self.whole and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.whole and event.oldSize().width() != event.size().width():
            self.updateGeometry()


class Folding(QWidget):
    """A wide control with small ones behind it; where one line is too short, they go on below it."""

    def __init__(self, theme: Theme, wide: QWidget, small: Sequence[QWidget]) -> None:
        super().__init__()
        self.wide, self.rest = wide, QWidget()
        self.flow = FlowLayout(theme.px(8))
        self.rest.setLayout(self.flow)
        for part in small:
            self.flow.addWidget(part)
        self.box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(theme.px(8))
        self.box.addWidget(wide, 1)
        self.box.addWidget(self.rest)

    def minimumSizeHint(self) -> QSize:
        widths = [part.minimumSizeHint().width() for part in (self.wide, self.rest)]
        return QSize(max(widths), self.box.totalMinimumSize().height())

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._fold()
        return super().event(event)

    def _fold(self) -> None:
        line = self.flow.line_width()
        fits = self.wide.minimumSizeHint().width() + self.box.spacing() + line <= self.width()
        way = QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom
        self.rest.setMinimumWidth(line if fits else 0)
        if way != self.box.direction():
            self.box.setDirection(way)


class SideBySide(QWidget):
    """`main` takes the room; `side` has `widths`, least and most pixels at 100 %, and comes `first` or second.

    Narrower than `beside` pixels at 100 % they are stacked, and any `Scrolled` in either shows all it holds.
    """

    def __init__(
        self, theme: Theme, main: QWidget, side: QWidget, widths: tuple[int, int], *, first: bool = False,
        beside: int = BESIDE_PX,
    ) -> None:  # fmt: skip
        super().__init__()
        self.theme, self.main, self.side, self.beside = theme, main, side, theme.px(beside)
        self.widths = (theme.px(widths[0]), theme.px(widths[1]))
        self.stacked = False
        self.box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(theme.px(16))
        for part, stretch in ((side, 1), (main, 3)) if first else ((main, 3), (side, 1)):
            self.box.addWidget(part, stretch)
        self._arrange(stacked=False)

    def minimumSizeHint(self) -> QSize:
        """Return what a stack needs: so the window may become narrow enough for one."""
        widths = [part.minimumSizeHint().width() for part in (self.main, self.side)]
        return QSize(max(widths), self.box.totalMinimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        stacked = event.size().width() < self.beside
        if stacked != self.stacked:
            self._arrange(stacked)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest and self.stacked:
            self._keep_height()
        return super().event(event)

    def _keep_height(self) -> None:
        """Leave the wide part of a stack the height it needs, which a fixed least height alone would override."""
        least = self.theme.px(MAIN_PX)
        self.main.setMinimumHeight(max(least, self.main.minimumSizeHint().height()) if self.stacked else 0)

    def _arrange(self, stacked: bool) -> None:
        self.stacked = stacked
        way = QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight
        self.box.setDirection(way)
        self.box.setStretchFactor(self.side, 0 if stacked else 1)
        self.side.setMinimumWidth(0 if stacked else self.widths[0])
        self.side.setMaximumWidth(_FREE if stacked else self.widths[1])
        self._keep_height()
        for area in self.findChildren(Scrolled):
            area.show_whole(stacked)
