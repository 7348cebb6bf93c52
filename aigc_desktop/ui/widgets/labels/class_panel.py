"""The classes of a data set that is being labelled: use one, add one, give one another name or colour."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QLineEdit, QToolButton, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.labels import Kind
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import NameButton, clear, icon_button, label
from aigc_desktop.ui.widgets.labels.marked_text import class_colour

BY_NUMBER = 9
"""So many classes have a number key."""


class ClassPanel(Card):
    """`used` gives the class to mark with, `added` a new name, `renamed` (old, new), `recoloured` a class."""

    used = Signal(str)
    added = Signal(str)
    renamed = Signal(str, str)
    recoloured = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _("Classes"))
        self.names: list[str] = []
        self.colours: dict[str, int] = {}
        self.hint = label("", "secondary")
        self.place = QVBoxLayout()
        self.place.setSpacing(theme.px(4))
        self.line = QLineEdit()
        self.line.setPlaceholderText(_("New class"))
        self.line.setAccessibleName(_("New class"))
        self.line.setToolTip(_("The name of a class to add; Enter adds it"))
        self.line.returnPressed.connect(self._add)
        self.add_button = icon_button(theme, "plus", _("Add the class"))
        self.add_button.clicked.connect(self._add)
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(self.add_button)
        self.add(self.hint)
        self.add(self.place)
        self.add(row)
        theme.changed.connect(self._fill)

    def show_classes(self, names: list[str], colours: dict[str, int], kind: Kind) -> None:
        """Show the classes in their order, which the number keys follow."""
        if (names, colours) != (self.names, self.colours):
            self.names, self.colours = list(names), dict(colours)
            self._fill()
        if not names:
            self.hint.setText(_("Write the first class: what do you want to find or tell apart?"))
        elif kind == "names":
            self.hint.setText(_("Select a name in the text, then press the number of its class or click it."))
        else:
            self.hint.setText(_("Press the number of the class of the text, or click it."))

    def _fill(self) -> None:
        clear(self.place)
        for number, name in enumerate(self.names, 1):
            self.place.addWidget(self._row(number, name))

    def _row(self, number: int, name: str) -> QWidget:
        row = QWidget()
        box = QHBoxLayout(row)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(self.theme.px(4))
        swatch = QToolButton()
        swatch.setIcon(self._swatch(self.colours.get(name, 0)))
        swatch.setIconSize(QSize(self.theme.px(16), self.theme.px(16)))
        swatch.setAccessibleName(_("Another colour for {name}").format(name=name))
        swatch.setToolTip(_("Another colour for {name}").format(name=name))
        key = f"{number}  " if number <= BY_NUMBER else ""
        use = NameButton(f"{key}{name}", _("Mark with this class") + (f" ({number})" if key else ""))
        rename = icon_button(self.theme, "pencil", _("Rename {name}").format(name=name))
        for widget, slot in ((swatch, self._recolour), (use, self._use), (rename, self._rename)):
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click the keys still work in the text
            widget.setProperty("name", name)
            widget.clicked.connect(slot)
        box.addWidget(swatch)
        box.addWidget(use, 1)
        box.addWidget(rename)
        return row

    def _swatch(self, number: int) -> QIcon:
        side = self.theme.px(16)
        picture = QPixmap(side, side)
        picture.fill(Qt.GlobalColor.transparent)
        with QPainter(picture) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(class_colour(self.theme, number)))
            painter.drawRoundedRect(picture.rect().adjusted(2, 2, -2, -2), 3, 3)
        return QIcon(picture)

    def _add(self) -> None:
        self.added.emit(self.line.text())

    def _use(self) -> None:
        self.used.emit(str(self.sender().property("name")))

    def _recolour(self) -> None:
        self.recoloured.emit(str(self.sender().property("name")))

    def _rename(self) -> None:
        self.old = str(self.sender().property("name"))
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(_("Rename"))
        dialog.setLabelText(_("Name of the class"))
        dialog.setTextValue(self.old)
        dialog.textValueSelected.connect(self._renamed)
        dialog.open()

    def _renamed(self, name: str) -> None:
        self.renamed.emit(self.old, name)
