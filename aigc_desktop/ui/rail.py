"""The rail: one button per place, in the order of the work."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import hairline, set_role


class Rail(QFrame):
    """Buttons with icon and verb; `chosen` gives the place."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, pages: dict[str, type[Page]]) -> None:
        super().__init__()
        self.theme = theme
        self.setObjectName("rail")
        self.buttons: dict[str, QToolButton] = {}
        self.group = QButtonGroup(self)
        inner = QWidget()
        self.box = box = QVBoxLayout(inner)
        self._space(tight=False)
        section = "work"
        for number, (place, page) in enumerate(pages.items(), 1):
            if page.section != section:
                section = page.section
                box.addStretch(1)
                box.addWidget(hairline())
            box.addWidget(self._make_button(place, page, number))
        # in no layout: one would miss that the width changes while it is being resized
        self.area = area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its buttons take it, and come into view
        area.setWidget(inner)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.viewport().setAutoFillBackground(False)
        inner.setAutoFillBackground(False)
        self.inner, self.full = inner, inner.sizeHint()
        self._show_words(True)
        self.group.buttonClicked.connect(self._clicked)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        words = event.size().height() >= self.full.height()
        if words != self.words:
            self._show_words(words)
        self.area.setGeometry(self.contentsRect())

    def _show_words(self, words: bool) -> None:
        """Show icons with their words, or icons only where the window is too low for all; tooltips have the words."""
        self.words = words
        style = Qt.ToolButtonStyle.ToolButtonTextUnderIcon if words else Qt.ToolButtonStyle.ToolButtonIconOnly
        self._space(tight=not words)
        for made in self.buttons.values():
            made.setToolButtonStyle(style)
            set_role(made, tight=not words)
        least = self.theme.px(88) if words else self.theme.px(52)
        needed = self.inner.sizeHint()
        width = max(least, needed.width())
        fits = words or needed.height() <= self.height()
        bar = 0 if fits else self.area.verticalScrollBar().sizeHint().width()
        self.setFixedWidth(width + bar + 2)

    def _space(self, tight: bool) -> None:
        """Give the buttons air, or little of it where the window is low."""
        px = self.theme.px
        around = px(4) if tight else px(12)
        self.box.setContentsMargins(px(8), around, px(8), around)
        self.box.setSpacing(px(1) if tight else px(4))

    def mark(self, place: str) -> None:
        """Show which place is open."""
        if place in self.buttons:
            self.buttons[place].setChecked(True)
            self.area.ensureWidgetVisible(self.buttons[place])

    def _make_button(self, place: str, page: type[Page], number: int) -> QToolButton:
        made = QToolButton()
        made.setProperty("rail", True)
        made.setProperty("place", place)
        made.setText(_(page.title))
        made.setIcon(self.theme.icon(page.icon))
        made.setIconSize(QSize(self.theme.px(20), self.theme.px(20)))
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.setCheckable(True)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        made.setAccessibleName(_(page.title))
        made.setToolTip(f"{_(page.title)} (Ctrl+{number})" if number < 10 else _(page.title))
        self.group.addButton(made)
        self.buttons[place] = made
        return made

    def _clicked(self, pressed: QToolButton) -> None:
        self.chosen.emit(str(pressed.property("place")))
