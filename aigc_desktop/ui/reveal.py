"""Open a folder or file in the system's own program."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QProcess, QProcessEnvironment, QUrl
from PySide6.QtGui import QDesktopServices


def open_outside(path: Path) -> bool:
    """Show a folder in the file manager, or a file in its program; False when the system has none."""
    if not sys.platform.startswith("linux"):
        return QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
    process = QProcess()
    process.setProgram("xdg-open")
    process.setArguments([str(path)])
    process.setProcessEnvironment(clean_environment(QProcessEnvironment.systemEnvironment()))
    started, _pid = process.startDetached()
    return bool(started)


def clean_environment(environment: QProcessEnvironment) -> QProcessEnvironment:
    """Return the environment without the library path of a frozen program, which breaks other programs."""
    original = environment.value("LD_LIBRARY_PATH_ORIG")
    if original:
        environment.insert("LD_LIBRARY_PATH", original)
    elif getattr(sys, "frozen", False):
        environment.remove("LD_LIBRARY_PATH")
    return environment
