"""Small parts all pages are made of: texts, buttons and icons with tooltips and accessible names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontInfo,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFrame,
    QLabel,
    QLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import FONT_SIZES, Theme

TextRole = Literal[
    "body", "secondary", "card", "title", "display", "hint", "problem", "warning", "good", "accent"
]
ButtonKind = Literal["", "primary", "danger", "flat"]
INSET = 8  # of the texts in inputs, at 100 %, as in the style sheet
ICON_GAP = 4  # pixels that Qt leaves between the icon and the text of a choice


def label(text: str = "", role: TextRole = "body", *, wrap: bool = True, selectable: bool = False) -> QLabel:
    """Return a text, never read as HTML: names of files and of runs are foreign."""
    made = WrappingLabel()
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    made.setText(text)
    made.setProperty("role", role)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        made.setAccessibleName(text)
    return made


class WrappingLabel(QLabel):
    """A plain text whose long words, such as paths, may break; `text` and what is copied are as they were given."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def setText(self, text: str) -> None:
        self._text = text
        super().setText(_LONG_WORD.sub(_breakable, text) if self.wordWrap() else text)

    def text(self) -> str:
        return self._text

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.hasSelectedText():
            menu = QMenu(self)
            menu.addAction(_("Copy")).triggered.connect(self._copy)
            menu.popup(event.globalPos())

    def _copy(self) -> None:
        copy_text(self.selectedText().replace(_BREAK, ""))


_BREAK = "\u200b"
_LONG_WORD = re.compile(r"[^\s\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]{24,}")
"""Without letters and signs of Chinese, Japanese and Korean: lines break between these anyway, but not before a full
stop."""


def _breakable(word: re.Match[str]) -> str:
    """Return a long word that may break after separators, and anywhere in parts that are long themselves."""
    parts = re.sub(r"([/\\._-])(?=[^/\\._-])", rf"\1{_BREAK}", word[0])
    return re.sub(rf"([^{_BREAK}]{{16}})(?=[^{_BREAK}])", rf"\1{_BREAK}", parts)


def set_role(widget: QWidget, **properties: object) -> None:
    """Change properties the style sheet reads, and let the widget look again."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def button(theme: Theme, text: str, icon: str = "", kind: ButtonKind = "", tip: str = "") -> QPushButton:
    """Return a push button; `kind` "primary" is for the one next step of a page."""
    made = QPushButton(text)
    made.setProperty("kind", kind)
    made.setAccessibleName(text.replace("&", ""))
    made.setToolTip(tip or text.replace("&", ""))
    if icon:
        colours = {"primary": "on_accent", "danger": "red", "flat": "accent"}
        made.setIcon(theme.icon(icon, colours.get(kind, "")))
        made.setIconSize(QSize(theme.px(20), theme.px(16)))  # wider than high: a gap before the text
    return made


def icon_button(theme: Theme, icon: str, name: str, size: int = 16) -> QToolButton:
    """Return a button that shows an icon only; `name` is its tooltip and accessible name."""
    made = QToolButton()
    made.setIcon(theme.icon(icon))
    made.setIconSize(QSize(theme.px(size), theme.px(size)))
    made.setToolTip(name)
    made.setAccessibleName(name)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made


class NameButton(QPushButton):
    """A flat button with a foreign name, which ends in … where there is no room for it; `tip` says what it does."""

    def __init__(self, name: str, tip: str) -> None:
        super().__init__(name.replace("&", "&&"))
        self.setProperty("kind", "flat")
        self.setProperty("left", True)
        self.setAccessibleName(name)
        self.setToolTip(f"{name}\n{tip}")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        least = 8 * self.fontMetrics().averageCharWidth()
        return super().minimumSizeHint().boundedTo(QSize(least, super().minimumSizeHint().height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        room = self.style().subElementRect(QStyle.SubElement.SE_PushButtonContents, option, self).width()
        flags = Qt.TextFlag.TextShowMnemonic.value
        option.text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room, flags)
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()


class NameLabel(QLabel):
    """A foreign name on one line, with … in its middle where there is no room for it; the tooltip has all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "secondary")

    def setText(self, text: str) -> None:
        super().setText(" ".join(text.split()))
        self.setToolTip(text)
        self.setAccessibleName(text)

    def minimumSizeHint(self) -> QSize:
        least = 8 * self.fontMetrics().averageCharWidth()
        return super().minimumSizeHint().boundedTo(QSize(least, super().minimumSizeHint().height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        with QPainter(self) as painter:
            role = self.foregroundRole()
            self.style().drawItemText(painter, self.rect(), self.alignment().value, self.palette(), self.isEnabled(),
                                      text, role)  # fmt: skip


BY_TAB = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)


def titled(text: str, control: QWidget, spacing: int) -> QWidget:
    """Return a control with its title closely above it, as in forms."""
    row = QWidget()
    box = QVBoxLayout(row)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    title = label(text, wrap=False)
    title.setBuddy(control)
    box.addWidget(title)
    box.addWidget(control)
    return row


def paint_focus(widget: QWidget, painter: QPainter) -> None:
    """Paint the ring of the keyboard's focus around a widget that paints itself."""
    if widget.hasFocus():
        painter.setPen(QPen(widget.palette().color(QPalette.ColorRole.Accent), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(widget.rect().adjusted(1, 1, -1, -1))


def hairline() -> QFrame:
    """Return a thin separating line."""
    line = QFrame()
    line.setProperty("hairline", True)
    line.setFixedHeight(1)
    return line


class IconView(QWidget):
    """An icon that is no button, in a colour of the theme."""

    def __init__(self, theme: Theme, name: str, size: int = 20, colour: str = "text") -> None:
        super().__init__()
        self.theme, self.name, self.length, self.colour = theme, name, theme.px(size), colour
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def sizeHint(self) -> QSize:
        return QSize(self.length, self.length)

    def show_icon(self, name: str, colour: str = "text") -> None:
        """Show another icon."""
        self.name, self.colour = name, colour
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            colour = self.colour if self.isEnabled() else "disabled"
            picture = self.theme.pixmap(self.name, self.length, colour, self.devicePixelRatioF())
            painter.drawPixmap(0, 0, picture)


class WheelGuard(QObject):
    """Keeps the wheel from changing a value the user only scrolls past; install it on an input."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        inputs = QComboBox | QAbstractSpinBox | QAbstractSlider
        if event.type() == QEvent.Type.Wheel and isinstance(watched, inputs) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def guard_wheel(widget: QComboBox | QAbstractSpinBox | QAbstractSlider) -> None:
    """Let the wheel scroll the page, not this input, unless the input has the focus."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(WheelGuard(widget))


class ChoiceBox(QComboBox):
    """A list of choices; one that is too long for its place ends in an ellipsis, and its tooltip shows it whole.

    `choices` are values and texts. A `narrow` one is as wide as it is given room, whatever it holds.
    """

    def __init__(
        self, name: str = "", tip: str = "", choices: Iterable[tuple[str, str]] = (), *, narrow: bool = False
    ) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tip or name)
        for value, text in choices:
            self.addItem(text, value)
        if narrow:
            self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            self.setMinimumContentsLength(8)
        guard_wheel(self)

    def shown_text(self) -> str:
        """Return the choice as it is drawn."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return str(option.currentText)

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:
        super().initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width()
        if not option.currentIcon.isNull():
            room -= option.iconSize.width() + ICON_GAP
        option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideRight, room - 2)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self.shown_text() != self.currentText() and self.currentIndex() >= 0:
            QToolTip.showText(event.globalPos(), f"{self.currentText()}\n{self.toolTip()}".strip(), self)
            return True
        return super().event(event)


def spin_box(least: int, most: int, value: int) -> QSpinBox:
    """Return an input of whole numbers with these limits."""
    made = QSpinBox()
    made.setRange(least, most)
    made.setValue(value)
    align_number(made)
    guard_wheel(made)
    return made


def align_number(box: QSpinBox) -> None:
    """Let a number begin where the texts of other inputs do: the style sheet does not reach its inner line."""
    body = QFontInfo(QApplication.font()).pixelSize()
    box.lineEdit().setTextMargins(round(body * INSET / FONT_SIZES["body"]) + 1, 0, 0, 0)


def clear(layout: QLayout) -> None:
    """Delete the widgets of a layout."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()


def copy_text(text: str) -> None:
    """Put `text` on the clipboard."""
    QApplication.clipboard().setText(text)
