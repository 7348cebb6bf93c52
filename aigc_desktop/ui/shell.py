"""The widgets around the pages: rail, title row, queue, status line and passing messages."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QApplication, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.focus_order import focus_next, stop_where_it_scrolls
from aigc_desktop.ui.page import Page, Services
from aigc_desktop.ui.rail import Rail
from aigc_desktop.ui.status_strip import StatusStrip
from aigc_desktop.ui.widgets.controls import icon_button, label
from aigc_desktop.ui.widgets.job_dock import JobDock
from aigc_desktop.ui.widgets.toast import Toast


class Shell(QWidget):
    """Everything in the window but the pages; made again when the language or the scale changes."""

    help_asked = Signal()
    keys_asked = Signal()

    def __init__(self, services: Services, places: dict[str, type[Page]]) -> None:
        super().__init__()
        theme = self.theme = services.theme
        self.areas: dict[str, QScrollArea] = {}
        self.rail = Rail(theme, places)
        self.title = label("", "title")
        self.stack = QStackedWidget()
        self.stack.addWidget(QWidget())  # a stack shows its first widget at once; a page is shown when it is whole
        self.dock = JobDock(services)
        self.status = StatusStrip(services)
        head = QHBoxLayout()
        head.setContentsMargins(theme.px(24), theme.px(12), theme.px(16), theme.px(4))
        head.addWidget(self.title, 1)
        for icon, text, signal in (
            ("circle-question-mark", _("Help (F1)"), self.help_asked),
            ("keyboard", _("All keys (Ctrl+/)"), self.keys_asked),
        ):
            made = icon_button(theme, icon, text, 20)
            made.clicked.connect(signal)
            head.addWidget(made)
        column = QVBoxLayout()
        column.addLayout(head)
        centre = QWidget()  # messages lie on it, above whatever page the stack raises
        inner = QVBoxLayout(centre)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.stack)
        column.addWidget(centre, 1)
        column.addWidget(self.dock)
        upper = QHBoxLayout()
        upper.addWidget(self.rail)
        upper.addLayout(column, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(upper, 1)
        rows.addWidget(self.status)
        for box in (column, upper, rows):
            box.setSpacing(0)
        self.toast = Toast(theme, centre)

    def focusNextPrevChild(self, forward: bool) -> bool:
        return focus_next(self, QApplication.focusWidget(), forward) or super().focusNextPrevChild(forward)

    def add_page(self, place: str, page: Page) -> None:
        """Put a page into a scroll area, so that all of it can be reached in a small window."""
        page.setProperty("page", True)
        self.areas[place] = area = QScrollArea()
        area.setWidgetResizable(True)
        stop_where_it_scrolls(area)
        self.stack.addWidget(area)
        area.setWidget(page)

    def show_page(self, place: str, title: str) -> None:
        """Show a page that was added, in the theme of now, and say where the user is."""
        self.theme.finish(self.areas[place])
        self.stack.setCurrentWidget(self.areas[place])
        self.title.setText(title)
        self.rail.mark(place)
