"""Walks over the widgets of a window: names, tooltips, keyboard reach, clipped texts."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollBar,
    QTextEdit,
    QToolButton,
    QWidget,
)

from aigc_desktop.ui.focus_order import inputs_of, reached_by_arrows
from aigc_desktop.ui.widgets.controls import NameButton

CONTROLS = (
    QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox, QAbstractSlider, QPlainTextEdit, QTextEdit,
    QAbstractItemView,
)  # fmt: skip


def controls(root: QWidget) -> Iterator[QWidget]:
    """Return what the user can operate, without the parts Qt puts inside other widgets."""
    for widget in root.findChildren(QWidget):
        parent = widget.parentWidget()
        inner = isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_")
        inside = isinstance(parent, QAbstractSpinBox | QComboBox | QLineEdit | QAbstractItemView)
        popup = widget.window().windowType() == Qt.WindowType.Popup or "QComboBoxPrivate" in type(parent).__name__
        in_popup = "QComboBoxPrivateContainer" in parent.metaObject().className() if parent else False
        if isinstance(widget, CONTROLS) and not (inner or inside or popup or in_popup):
            yield widget


def describe(widget: QWidget) -> str:
    """Return class and text or name of a widget, for messages."""
    text = widget.text() if isinstance(widget, QAbstractButton | QLabel | QLineEdit) else ""
    return f"{type(widget).__name__}({text or widget.accessibleName() or widget.objectName()!r})"


def without_name(root: QWidget) -> list[str]:
    """Return controls an assistive program could not name."""
    return [describe(w) for w in controls(root) if not w.accessibleName() and not _own_text(w) and not _buddy(root, w)]


def without_tooltip(root: QWidget) -> list[str]:
    """Return controls that do not say what they do when the pointer rests on them; items of views have their own."""
    return [describe(w) for w in controls(root) if not w.toolTip() and not isinstance(w, QAbstractItemView)]


def out_of_keyboard_reach(root: QWidget) -> list[str]:
    """Return controls that are seen and can be used but not reached with the Tab key."""
    reached, missed = set(inputs_of(root)), []
    for widget in controls(root):
        usable = widget.isVisibleTo(root) and widget.isEnabled() and not reached_by_arrows(widget)
        if usable and widget not in reached:
            missed.append(describe(widget))
    return missed


def clipped(root: QWidget) -> list[str]:
    """Return seen labels and buttons whose text has less room than it needs."""
    found = []
    for widget in root.findChildren(QWidget):
        if not widget.isVisibleTo(root) or not widget.isVisible():
            continue
        if isinstance(widget, QLabel) and widget.text():
            found += [describe(widget)] if _label_is_clipped(widget) else []
        elif isinstance(widget, QPushButton | QToolButton) and widget.text():
            need = widget.minimumSizeHint() if isinstance(widget, NameButton) else widget.sizeHint()
            if widget.width() < need.width() - 1 or widget.height() < need.height() - 1:
                found.append(f"{describe(widget)} {widget.size().toTuple()} < {need.toTuple()}")
        elif isinstance(widget, QComboBox | QLineEdit | QAbstractSpinBox):
            found += [describe(widget)] if widget.height() < QFontMetrics(widget.font()).height() else []
    return found


def foreign_texts_read_as_html(root: QWidget) -> list[str]:
    """Return labels that could read a name with tags in it as HTML."""
    return [describe(label) for label in root.findChildren(QLabel)
            if label.textFormat() != Qt.TextFormat.PlainText and not label.objectName().startswith("qt_")]  # fmt: skip


def _label_is_clipped(label: QLabel) -> bool:
    if label.wordWrap():
        return label.height() < label.heightForWidth(label.width()) - 1
    need = label.sizeHint()
    return label.width() < need.width() - 1 or label.height() < need.height() - 1


def _own_text(widget: QWidget) -> str:
    return widget.text() if isinstance(widget, QAbstractButton) else ""


def _buddy(root: QWidget, widget: QWidget) -> bool:
    return any(label.buddy() is widget for label in root.findChildren(QLabel))
