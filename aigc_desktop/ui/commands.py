"""Everything a key does, declared once: the actions of the window and the list of keys come from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, hairline, label


@dataclass(frozen=True)
class Command:
    """Something a key does; `title` is a message to translate when shown."""

    title: str
    keys: tuple[str, ...]
    run: Callable[[], object] = field(compare=False)


COMMON_KEYS = (
    (N_("Next and previous control"), "Tab, Shift+Tab"),
    (N_("Press the button, tick the box"), "Space"),
    (N_("Help on the control under the pointer"), "Shift+F1"),
)
"""Keys that Qt itself gives, for the list."""


def install(window: QWidget, commands: Sequence[Command]) -> list[QAction]:
    """Give the window an action for each command and return them."""
    actions = []
    for command in commands:
        action = QAction(_(command.title), window)
        action.setShortcuts([QKeySequence(keys) for keys in command.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setAutoRepeat(False)
        action.triggered.connect(_without_argument(command.run))
        window.addAction(action)
        actions.append(action)
    return actions


class KeyList(QDialog):
    """All keys of the window and of its pages."""

    def __init__(
        self, theme: Theme, commands: Sequence[Command], pages: dict[str, type[Page]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("All keys"))
        self.setSizeGripEnabled(True)
        self.resize(dialog_size(theme.px(520), theme.px(560), parent))
        self.theme = theme
        inner = QWidget()
        self.grid = QGridLayout(inner)
        self.grid.setHorizontalSpacing(theme.px(24))
        self.grid.setVerticalSpacing(theme.px(6))
        self.grid.setColumnStretch(1, 1)
        self._add_group(_("Everywhere"), [(c.title, " / ".join(c.keys)) for c in commands])
        self._add_group(_("In forms"), list(COMMON_KEYS))
        for page in pages.values():
            self._add_group(_(page.title), list(getattr(page, "keys", ())))
        self.grid.setRowStretch(self.grid.rowCount(), 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        close = button(theme, _("Close"), kind="primary")
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(16)] * 4)
        box.setSpacing(theme.px(12))
        box.addWidget(area, 1)
        box.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)

    def _add_group(self, title: str, keys: list[tuple[str, str]]) -> None:
        if not keys:
            return
        row = self.grid.rowCount()
        self.grid.addWidget(label(title, "card"), row, 0, 1, 2)
        self.grid.addWidget(hairline(), row + 1, 0, 1, 2)
        for offset, (text, sequence) in enumerate(keys, row + 2):
            self.grid.addWidget(label(sequence, "accent", wrap=False), offset, 0)
            self.grid.addWidget(label(_(text)), offset, 1)


def _without_argument(run: Callable[[], object]) -> Callable[[bool], None]:
    """Return a slot for `triggered`, which gives whether the action is checked."""

    def slot(_checked: bool) -> None:
        run()

    return slot
