"""The walks find what they look for: each is shown something wrong once."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from tests.ui import walks


def test_a_text_without_room_is_found(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    row = QHBoxLayout(root)
    for widget in (QLabel("a long text in a short label"), QPushButton("a long text on a short button")):
        widget.setFixedWidth(40)
        row.addWidget(widget)
    wrapped = QLabel("several words that need several lines " * 4)
    wrapped.setWordWrap(True)
    wrapped.setFixedSize(80, 20)
    row.addWidget(wrapped)
    root.show()
    assert len(walks.clipped(root)) == 3


def test_a_control_without_name_tooltip_or_keyboard_is_found(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    row = QHBoxLayout(root)
    button, line = QToolButton(), QLineEdit()
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    row.addWidget(button)
    row.addWidget(line)
    root.show()
    assert len(walks.without_name(root)) == 2
    assert len(walks.without_tooltip(root)) == 2
    assert len(walks.out_of_keyboard_reach(root)) == 1


def test_a_label_that_reads_html_is_found(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    QLabel("<b>name</b>", root)
    assert len(walks.foreign_texts_read_as_html(root)) == 1
