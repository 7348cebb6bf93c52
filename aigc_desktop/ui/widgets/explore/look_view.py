"""The picture looked at while exploring, large, with what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.pictures.image_viewer import ImageCanvas
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image


class LookView(QWidget):
    """Shows the picture, or a film instead; `asked` gives "collect" or "variants"."""

    asked = Signal(str)

    def __init__(self, theme: Theme, exploration: Exploration) -> None:
        super().__init__()
        self.exploration = exploration
        self.canvas = ImageCanvas(theme)
        self.caption = label("", "secondary", wrap=False)
        self.collect = button(theme, _("Collect"), "plus", "", _("Put it among the collected pictures (A)"))
        self.variants = button(theme, _("Variants of this"), "shuffle", "", _("Make pictures like it (V)"))
        for made, action in ((self.collect, "collect"), (self.variants, "variants")):
            made.setProperty("key", action)
            made.clicked.connect(self._ask)
        row = FlowLayout(theme.px(8))
        for widget in (self.collect, self.variants, self.caption):
            row.addWidget(widget)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addWidget(self.canvas, 1)
        box.addLayout(row)
        exploration.look_changed.connect(self.show_look)
        exploration.opened.connect(self.show_look)
        self.show_look()

    def show_look(self) -> None:
        """Show the picture looked at."""
        look = self.exploration.look
        self.show_image(QImage() if look is None else to_image(look.pixels))
        self.caption.setText("" if look is None else look.label)
        for made in (self.collect, self.variants):
            made.setEnabled(look is not None)

    def show_image(self, image: QImage) -> None:
        """Show a frame of a film in its place."""
        if image.size() == self.canvas.first.size() and not image.isNull():
            self.canvas.first = image  # the zoom stays while the pointer is dragged
            self.canvas.update()
        else:
            self.canvas.show_images(image)

    def _ask(self) -> None:
        self.asked.emit(str(self.sender().property("key")))
