"""A text with its names marked: each on a tint of its class, underlined, with the class written behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QTextEdit

from aigc_desktop.core.i18n import _
from aigc_desktop.core.marks import Span
from aigc_desktop.core.words import words_of
from aigc_desktop.ui.theme import Theme

TEXT_PX = 18
LINE_PERCENT = 150.0
LEAST_PX = 130  # three lines
TINT = 0.22
_LINES = (
    QTextCharFormat.UnderlineStyle.SingleUnderline, QTextCharFormat.UnderlineStyle.DashUnderline,
    QTextCharFormat.UnderlineStyle.DotLine,
)  # fmt: skip


class Places:
    """Where the letters of a text stand in the document, which counts UTF-16 units and has classes behind names."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        wide = np.fromiter((1 + (ord(letter) > 0xFFFF) for letter in text), np.int64, len(text))
        self.at = np.concatenate([[0], np.cumsum(wide)])  # of each letter, and of the end
        for _start, end, name in spans:
            self.at[end + 1 :] += len(class_words(name).encode("utf-16-le")) // 2

    def letter(self, place: int) -> int:
        """Return which letter stands at a place of the document; on a class it is the one behind the name."""
        return int(np.searchsorted(self.at, place, "right")) - 1

    def place(self, letter: int) -> int:
        """Return where a letter stands; where a name ends, before its class."""
        return int(self.at[letter])


class MarkedText(QTextEdit):
    """Shows a text for reading and marking; all places it gives and takes are letters of the text."""

    mark_clicked = Signal(int)
    """A letter of a name that the right button was pressed on."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.letters, self.spans, self.colours = "", tuple[Span, ...](), dict[str, int]()
        self.places = Places("", ())
        self.setReadOnly(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(_("Text to label"))
        self.setToolTip(_("Select a name, then press the number of its class; the right button removes it"))
        theme.changed.connect(self._restyle)

    def sizeHint(self) -> QSize:
        """Return the least size: a text takes what room there is, and does not make the page longer."""
        return QSize(self.theme.px(300), self.theme.px(LEAST_PX))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.theme.px(160), self.theme.px(LEAST_PX))

    def show_text(self, text: str, spans: Sequence[Span], colours: dict[str, int], *, keep_place: bool = False) -> None:
        """Show a text with its names; `colours` are numbers of the theme's by class."""
        cursor = self.letter() if keep_place else 0
        spans = tuple(span for span in spans if span[1] <= len(text))
        self.letters, self.spans, self.colours = text, spans, colours
        self.places = Places(text, spans)
        self.document().clear()
        self._write(QTextCursor(self.document()))
        self.setAccessibleDescription(", ".join(f"{text[start:end]}: {name}" for start, end, name in spans))
        self.go_to(min(cursor, len(text)))

    def selected(self) -> tuple[int, int] | None:
        """Return the letters that are selected, without blanks around them; without any, the word at the cursor."""
        cursor = self.textCursor()
        start, end = (self.places.letter(place) for place in (cursor.selectionStart(), cursor.selectionEnd()))
        if not cursor.hasSelection():
            named = self.span_at(start)
            words = [named[:2]] if named else words_of(self.letters[max(0, start - 200) : start + 200])
            shift = 0 if named else max(0, start - 200)
            return next(((a + shift, b + shift) for a, b in words if a + shift <= start <= b + shift), None)
        part = self.letters[start:end]
        start, end = start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
        return (start, end) if start < end else None

    def span_at(self, letter: int) -> Span | None:
        """Return the name a letter belongs to, or that ends there."""
        inside = [span for span in self.spans if span[0] <= letter < span[1]]
        return next(iter(inside or [span for span in self.spans if span[1] == letter]), None)

    def letter(self) -> int:
        """Return the letter the cursor stands before."""
        return self.places.letter(self.textCursor().position())

    def go_to(self, letter: int) -> None:
        """Put the cursor before a letter."""
        cursor = self.textCursor()
        cursor.setPosition(self.places.place(letter))
        self.setTextCursor(cursor)

    def select_letters(self, start: int, end: int) -> None:
        """Select letters, as the user does with the mouse."""
        cursor = self.textCursor()
        cursor.setPosition(self.places.place(start))
        cursor.setPosition(self.places.place(end), QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(cursor)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.accept()
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            self.click_mark(event.pos())

    def click_mark(self, point: QPoint) -> None:
        """Say that the right button was pressed on the name at a point, if there is one."""
        found = self.span_at(self.places.letter(self.cursorForPosition(point).position()))
        if found is not None:
            self.mark_clicked.emit(found[0])

    # own

    def _write(self, cursor: QTextCursor) -> None:
        block = QTextBlockFormat()
        block.setLineHeight(LINE_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor.setBlockFormat(block)
        plain = QTextCharFormat()
        plain.setFont(self._font(TEXT_PX))
        plain.setForeground(self.theme.colour("text"))
        done = 0
        cursor.beginEditBlock()
        for start, end, name in self.spans:
            cursor.insertText(_as_shown(self.letters[done:start]), plain)
            marked, told = self._formats(plain, name)
            cursor.insertText(_as_shown(self.letters[start:end]), marked)
            cursor.insertText(class_words(name), told)
            done = end
        cursor.insertText(_as_shown(self.letters[done:]), plain)
        cursor.endEditBlock()

    def _formats(self, plain: QTextCharFormat, name: str) -> tuple[QTextCharFormat, QTextCharFormat]:
        """Return the formats of a name and of its class."""
        number = self.colours.get(name, 0)
        marked, told = QTextCharFormat(plain), QTextCharFormat(plain)
        for made in (marked, told):
            made.setBackground(tint(self.theme, number))
        marked.setUnderlineStyle(_LINES[number // len(self.theme.plot_colours) % len(_LINES)])
        marked.setUnderlineColor(QColor(class_colour(self.theme, number)))
        font = self._font(TEXT_PX * 2 / 3)
        font.setWeight(QFont.Weight.DemiBold)
        told.setFont(font)
        return marked, told

    def _font(self, pixels: float) -> QFont:
        font = self.theme.font("body")
        font.setPixelSize(self.theme.px(pixels))
        return font

    def _restyle(self) -> None:
        self.show_text(self.letters, self.spans, self.colours, keep_place=True)


def class_words(name: str) -> str:
    """Return a class as it is written behind a name, short and on the name's line."""
    name = name if len(name) <= 30 else name[:29] + "…"
    return f"\u00a0{name}\u00a0".replace(" ", "\u00a0")


def class_colour(theme: Theme, number: int) -> str:
    """Return the colour of this number, "#rrggbb"."""
    return theme.plot_colours[number % len(theme.plot_colours)]


def tint(theme: Theme, number: int) -> QColor:
    """Return the background of a class: its colour thinned with the surface, so that text on it stays readable."""
    full, surface = QColor(class_colour(theme, number)), theme.colour("surface")
    mixed = (TINT * a + (1 - TINT) * b for a, b in zip(full.getRgb()[:3], surface.getRgb()[:3], strict=True))  # type: ignore[index]
    return QColor(*(round(value) for value in mixed))


def _as_shown(text: str) -> str:
    """Return a text of which every letter takes its place: Qt makes one line break of two signs."""
    return text.replace("\r\n", " \n").replace("\r", "\n").replace("\x00", " ")
