"""A new style sheet for all widgets without a pause: what is seen is styled at once, the rest in slices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

from aigc_desktop.ui.slices import Slices

SLICE_S = 0.008
_POLISHED = Qt.WidgetAttribute.WA_WState_Polished
_OWN_STYLE = Qt.WidgetAttribute.WA_SetStyle


class Restyling(QObject):
    """Puts another style sheet on the application.

    Left to itself Qt styles each widget there is, on hidden pages too, several times before it goes on: 0.1 to 0.2 s
    with all pages open. Here it is told that none needs it, and then each is styled once: first those on the screen,
    the others while nobody waits; a page that is shown meanwhile calls `finish` before.
    """

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self.application = application
        self._keeper: QWidget | None = None
        self._stale: list[QWidget] = []
        self._slices: Slices | None = None

    def change(self, colours_and_fonts: Callable[[], None], sheet: str) -> None:
        """Put on `sheet` after `colours_and_fonts` set the application's; on return what is on the screen wears it."""
        if self._slices is not None:
            self._slices.stop()
            self._slices.deleteLater()
            self._slices = None
        widgets = [widget for widget in self.application.allWidgets() if not widget.testAttribute(_OWN_STYLE)]
        styled = [widget for widget in widgets if widget.testAttribute(_POLISHED)]
        if styled:
            self._keep_what_the_sheet_replaced()
        for widget in styled:
            widget.setAttribute(_POLISHED, False)
        for widget in widgets:
            widget.setAttribute(_OWN_STYLE)
        try:
            self.application.setStyleSheet("")
            colours_and_fonts()
            self.application.setStyleSheet(sheet)
        finally:
            for widget in widgets:
                widget.setAttribute(_OWN_STYLE, False)
            for widget in styled:
                widget.setAttribute(_POLISHED)
        _style([widget for widget in styled if widget.isVisible()])
        self._stale = [widget for widget in styled if not widget.isVisible()]
        if self._stale:
            self._slices = Slices(self._style_the_rest(), self)

    def finish(self, shown: QWidget) -> None:
        """Style what is left within a widget that is about to be shown."""
        if self._stale:
            inside = {shown, *shown.findChildren(QWidget)}
            _style([widget for widget in self._stale if widget in inside])
            self._stale = [widget for widget in self._stale if widget not in inside]

    def _style_the_rest(self) -> Iterator[None]:
        while self._stale:
            until = time.perf_counter() + SLICE_S
            while self._stale and time.perf_counter() < until:
                _style([self._stale.pop()])
            yield

    def _keep_what_the_sheet_replaced(self) -> None:
        """Qt notes which colours of a widget a sheet replaced, and forgets it with the last sheet: keep one on."""
        if self._keeper is None:
            self._keeper = QWidget()
            self._keeper.setStyleSheet("QWidget { }")


def _style(widgets: list[QWidget]) -> None:
    alive = [widget for widget in widgets if isValid(widget)]
    for widget in alive:
        widget.style().polish(widget)
    for widget in alive:
        QCoreApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))
