"""Have Qt's classes ready before a thread names them.

PySide6 makes a class when it is first named. pyqtgraph names all of them while it is imported; on a thread beside a
working window that has ended the program with a segmentation fault. So the main thread names them first.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6 import QtCore, QtGui, QtWidgets

_AT_ONCE = 40
_left = [(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module)]


def make_types() -> Iterator[None]:
    """Make the classes that are not there yet, some between two yields."""
    while _left:
        for module, name in _left[-_AT_ONCE:]:
            getattr(module, name, None)
        del _left[-_AT_ONCE:]
        yield


def need_types() -> None:
    """Make all of them now, which takes a fifth of a second when none is there."""
    for _some in make_types():
        pass
