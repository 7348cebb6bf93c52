"""The window that is looked at, and how its pictures are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QPoint
from PySide6.QtGui import QPixmap, QRegion
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from aigc_desktop.ui.main_window import MainWindow

PATIENCE_S = 120


class Stage:
    """A window, and what scenes do with it: wait, and take pictures named PREFIX-NAME.png."""

    def __init__(self, window: MainWindow, out: Path, prefix: str) -> None:
        self.window, self.out, self.prefix = window, out, prefix

    def settle(self, seconds: float = 0.4) -> None:
        """Let timers, threads and layouts do what they have to, however long one of them holds the loop."""
        for _round in range(round(seconds / 0.01)):
            QApplication.processEvents()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.01)

    def wait(self, done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Go on when `done`; TimeoutError when that takes too long."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.prefix}: {done} did not come true in {seconds} s")
            self.settle(0.05)

    def shoot(self, name: str, widget: QWidget | None = None) -> None:
        """Take a picture of the window, or of a dialog; of the whole page too when it scrolls."""
        self.settle()
        (widget or self.window).grab().save(str(self.out / f"{self.prefix}-{name}.png"))
        area = self.window.shell.areas[self.window.place]
        if widget is None and area.verticalScrollBar().maximum():
            whole = QPixmap(area.widget().size())
            whole.fill(self.window.services.theme.colour("window"))
            area.widget().render(whole, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
            whole.save(str(self.out / f"{self.prefix}-{name}-whole.png"))

    def dialog(self, name: str, *, close: bool = True) -> None:
        """Take a picture of the dialog that is open, and close it."""
        self.settle()
        shown = [each for each in self.window.findChildren(QDialog) if each.isVisible()]
        self.shoot(name, shown[-1])
        if close:
            shown[-1].reject()


def shoot_inside(stage: Stage, widget: QWidget, name: str) -> None:
    """Take a picture of all that scrolls inside a page."""
    whole = QPixmap(widget.size())
    whole.fill(stage.window.services.theme.colour("window"))
    widget.render(whole, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    whole.save(str(stage.out / f"{stage.prefix}-{name}.png"))
