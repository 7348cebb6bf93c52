"""Where the window was and how large, kept between starts; how large a dialog is, and a picture in its place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.paths import config_dir

SMALLEST = QSize(1280, 720)
_FARTHEST = 1_000_000  # pixels; Qt's own numbers end at 2 ** 31
VISIBLE = 80
"""Pixels of the window's top edge that must be on a screen, or it could not be moved."""


def save_geometry(window: QMainWindow, place: str, folder: Path | None = None) -> None:
    """Remember size, position and the open place, where that can be written; a maximised window keeps its normal size.

    It is done while the window closes, and a full disk must not leave the engine behind.
    """
    box = window.normalGeometry() if window.isMaximized() else window.geometry()
    path = (folder or config_dir()) / "window.json"
    values = {"box": [box.x(), box.y(), box.width(), box.height()], "maximized": window.isMaximized(), "place": place}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, values)


def restore_geometry(window: QMainWindow, folder: Path | None = None) -> str:
    """Put the window where it was, moved onto a screen when it would not be seen; return the open place, or ""."""
    path = (folder or config_dir()) / "window.json"
    try:
        values = read_json(path) if path.is_file() else {}
        numbers = [max(-_FARTHEST, min(int(number), _FARTHEST)) for number in values.get("box", (0, 0, 0, 0))]
        box = QRect(*numbers)
        maximized, place = bool(values.get("maximized")), str(values.get("place", ""))
    except (OSError, UserError, TypeError, ValueError, AttributeError, OverflowError):
        box, maximized, place = QRect(), False, ""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    window.setGeometry(on_screen(box, screens))
    if maximized:
        window.showMaximized()
    return place


def on_screen(box: QRect, screens: list[QRect]) -> QRect:
    """Return `box`, at least the smallest size, moved and shrunk so that it can be seen and moved."""
    first = screens[0]
    if box.isEmpty():
        size = SMALLEST.expandedTo(QSize(int(first.width() * 0.8), int(first.height() * 0.85))).boundedTo(first.size())
        return QRect(first.center() - QRect(0, 0, size.width(), size.height()).center(), size.expandedTo(SMALLEST))
    size = box.size().expandedTo(SMALLEST)
    top = QRect(box.x(), box.y(), size.width(), VISIBLE)
    for screen in screens:
        seen = screen.intersected(top)
        if seen.width() >= VISIBLE and seen.height() >= VISIBLE // 2:
            return QRect(box.topLeft(), size)
    return QRect(first.topLeft(), size.boundedTo(first.size()).expandedTo(SMALLEST))


def dialog_size(width: int, height: int, parent: QWidget | None) -> QSize:
    """Return the size of a dialog, which leaves something of its window to be seen."""
    wanted = QSize(width, height)
    return wanted if parent is None else wanted.boundedTo(parent.window().size() * 0.95)


def room_of(picture: QSize, place: QSize) -> QRectF:
    """Return where a picture of this form lies in the middle of a place, as large as it fits."""
    size = picture.scaled(place, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1))
    return QRectF((place.width() - size.width()) / 2, (place.height() - size.height()) / 2, *size.toTuple())
