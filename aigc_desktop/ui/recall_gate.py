"""The ways a file made here comes back to lend its settings: dropped, pasted, or chosen."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QWidget

from aigc_desktop.core.i18n import _


class RecallGate(QObject):
    """Watches a page; `brought` gives the path of a file."""

    brought = Signal(object)

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        self.page = page
        page.setAcceptDrops(True)
        page.installEventFilter(self)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Paste), page, self.paste)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take files that are dropped from outside."""
        if isinstance(event, QDropEvent) and event.type() == QEvent.Type.Drop:
            files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
            if files:
                event.acceptProposedAction()
                self.brought.emit(files[0])
            return True
        if isinstance(event, QDragEnterEvent) and event.mimeData().hasUrls() and event.source() is None:
            event.acceptProposedAction()
            return True
        return False

    def choose(self) -> None:
        """Let the user choose a file."""
        path, _filter = QFileDialog.getOpenFileName(self.page, _("Use the settings of a file made here…"))
        if path:
            self.brought.emit(Path(path))

    def paste(self) -> None:
        """Take a file that was copied in a file manager."""
        urls = QGuiApplication.clipboard().mimeData().urls()
        files = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
        if files:
            self.brought.emit(files[0])
