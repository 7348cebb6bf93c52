"""The border of the window: what nobody caught is logged and shown, and a crash is told at the next start."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from PySide6.QtCore import QMessageLogContext, QObject, QtMsgType, Signal, qInstallMessageHandler

from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _

_log = logging.getLogger(__name__)
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class Border(QObject):
    """Catches exceptions of slots and threads; `show_failure` is called on the main thread."""

    raised = Signal(object)
    """A Failed; emitted by the thread that raised, taken by a method of this main-thread object."""

    def __init__(self, show_failure: Callable[[Failed], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._show_failure = show_failure
        self.raised.connect(self._show)  # a method of this object, so Qt calls it on the main thread

    def install(self) -> None:
        """Take over the hooks of Python and the messages of Qt."""
        sys.excepthook = self._main_hook
        threading.excepthook = self._thread_hook
        qInstallMessageHandler(_log_qt_message)

    def uninstall(self) -> None:
        """Give the hooks back."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        qInstallMessageHandler(None)

    def _main_hook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:  # also called by Qt on the thread whose slot or run() raised
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        _log.error("not caught", exc_info=(kind, error, trace))
        self.raised.emit(failure_of(error))

    def _thread_hook(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._main_hook(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    def _show(self, failed: Failed) -> None:
        self._show_failure(failed)


def crash_failure(trace: str) -> Failed:
    """Return what to show at the start after a crash; `trace` is what watch_for_crashes returned."""
    return Failed(
        "Crash",
        _("The program ended unexpectedly the last time."),
        _("Your work up to the last save is kept; trainings can go on from there. The details help to repair it."),
        trace,
    )


def _log_qt_message(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    logging.getLogger("qt").log(_LEVELS.get(kind, logging.WARNING), text)
