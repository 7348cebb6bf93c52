"""A picture before and after, with a divider to drag between them; below, sizes and main colours."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import clear, copy_text, icon_button, label
from aigc_desktop.ui.widgets.pictures.image_viewer import ImageCanvas


class BeforeAfter(QWidget):
    """Left of the divider the picture as it was, right of it as it will be."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.canvas = ImageCanvas(theme)
        self.canvas.setAccessibleName(_("Before and after"))
        self.canvas.setToolTip(_("Drag the divider, or use the arrow keys; wheel zooms, dragging moves, F fits"))
        self.before, self.after = label("", "secondary"), label("", "secondary")
        self.after.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.swatches = QWidget()
        self.swatches.setAccessibleName(_("Main colours"))
        self.flow = FlowLayout(theme.px(4))
        self.swatches.setLayout(self.flow)
        head = QHBoxLayout()
        head.setSpacing(theme.px(8))
        head.addWidget(self.before, 1)
        for icon, name, slot in (
            ("zoom-out", _("Smaller (−)"), self.canvas.zoom_out), ("zoom-in", _("Larger (+)"), self.canvas.zoom_in),
            ("maximize", _("Fit into the room (F)"), self.canvas.fit),
            ("square", _("One to one (1)"), self.canvas.one_to_one),
        ):  # fmt: skip
            made = icon_button(theme, icon, name)
            made.clicked.connect(slot)
            head.addWidget(made)
        head.addWidget(self.after, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(head)
        box.addWidget(self.canvas, 1)
        box.addWidget(self.swatches)

    def show_pair(self, before: QImage, after: QImage, sizes: tuple[str, str], colours: Sequence[str]) -> None:
        """Show both; where they show the same part in other sizes, the earlier one is drawn as large as the later.

        Zoom and divider stay when the picture keeps its size.
        """
        if before.size() != after.size():
            before = before.scaled(after.size())  # pixels stay square, so that what enlarging added is seen
        canvas = self.canvas
        if canvas.first.size() == before.size() and canvas.comparing:
            canvas.first, canvas.second = before, after
            canvas.update()
        else:
            canvas.show_images(before, after)
        self.before.setText(_("Before: {size}").format(size=sizes[0]))
        self.after.setText(_("After: {size}").format(size=sizes[1]))
        clear(self.flow)
        for code in colours:
            self.flow.addWidget(Swatch(self.theme, code))

    def clear(self) -> None:
        """Show nothing."""
        self.canvas.show_images(QImage())
        self.before.setText("")
        self.after.setText("")
        clear(self.flow)


class Swatch(QAbstractButton):
    """A colour; a click copies its code."""

    def __init__(self, theme: Theme, code: str) -> None:
        super().__init__()
        self.theme, self.code = theme, code
        self.setAccessibleName(code)
        self.setToolTip(_("{colour} (click to copy)").format(colour=code))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clicked.connect(self.copy)

    def copy(self) -> None:
        """Put the code on the clipboard."""
        copy_text(self.code)

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(28), self.theme.px(20))

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(self.theme.colour("accent" if self.hasFocus() else "control"))
            painter.setBrush(QColor(self.code))
            painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 4, 4)
