"""The pictures collected while exploring, as a strip: chosen ones are looked at, mixed, marked, kept."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from aigc_desktop.core.collected import Collected
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.ui.collecting import Collecting
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import label
from aigc_desktop.ui.widgets.pictures.thumbnail_grid import ThumbnailGrid
from aigc_desktop.ui.widgets.pictures.thumbnails import Source
from aigc_desktop.ui.widgets.works.works_view import action_button

MARKS = {"more": "+", "less": "−", "kept": "✓"}
CELL_PX, STRIP_PX = 64, 112
ACTIONS = (
    ("variants", "shuffle", "V"), ("keep", "library", "Space"), ("more", "thumbs-up", "+"),
    ("less", "thumbs-down", "-"), ("remove", "trash-2", "Delete"),
)  # fmt: skip


class CollectedView(QWidget):
    """Shows what was collected.

    `chosen` when the choice changes; `asked` gives one of "variants", "keep", "remove" for the chosen ones. Which are
    called more or less is remembered here.
    """

    chosen = Signal()
    marked = Signal()
    asked = Signal(str)

    def __init__(self, theme: Theme, shelf: Collecting) -> None:
        super().__init__()
        self.theme, self.shelf = theme, shelf
        self.marks: dict[str, str] = {}
        self.count = label("", "secondary", wrap=False)
        self.grid = ThumbnailGrid(theme)
        self.grid.set_cell_size(theme.px(CELL_PX))
        self.grid.setAccessibleName(_("Collected pictures"))
        self.grid.setToolTip(_("Choose one to look at it, several to mix them or to make a film"))
        self.grid.setFixedHeight(theme.px(STRIP_PX))
        self.empty = label(
            _("Collect pictures while you look around: they can be mixed, lead a film, and teach a slider."), "hint"
        )
        self.actions_by_key = self._make_actions()
        head = QHBoxLayout()
        head.setSpacing(theme.px(4))
        head.addWidget(label(_("Collected"), "card", wrap=False))
        head.addWidget(self.count, 1)
        for action in self.actions_by_key.values():
            head.addWidget(action_button(theme, action))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(4))
        box.addLayout(head)
        box.addWidget(self.empty)
        box.addWidget(self.grid)
        self.grid.set_menu(self._menu)
        self.grid.selection_changed.connect(self._selection_changed)
        shelf.changed.connect(self.refresh)
        self.refresh()

    def items(self) -> list[Collected]:
        """Return the chosen pictures in their order."""
        return [self.shelf.items[row] for row in self.grid.selected() if row < len(self.shelf.items)]

    def marked_as(self, mark: str) -> list[Collected]:
        """Return the pictures called "more" or "less"."""
        return [item for item in self.shelf.items if self.marks.get(item.id) == mark]

    def select(self, ids: list[str]) -> None:
        """Choose pictures by their ids."""
        self.grid.select_rows([row for row, item in enumerate(self.shelf.items) if item.id in ids])

    def clear_marks(self) -> None:
        """Call no picture more or less."""
        self.marks.clear()
        self.refresh()
        self.marked.emit()

    def refresh(self) -> None:
        """Show the list as it is now; what was chosen stays chosen."""
        ids = [item.id for item in self.items()]
        items = self.shelf.items
        self.grid.blockSignals(True)
        self.grid.set_source(len(items), self._load, self._caption, self._badge)
        self.select(ids)
        self.grid.blockSignals(False)
        count = len(items)
        self.count.setText(ngettext("{count} picture", "{count} pictures", count).format(count=count) if count else "")
        self.empty.setVisible(not count)
        self.grid.setVisible(bool(count))
        self._show_actions()

    def mark(self, mark: str) -> None:
        """Call the chosen pictures more or less; the same once again takes it back."""
        ids = [item.id for item in self.items()]
        back = all(self.marks.get(item) == mark for item in ids)
        for item in ids:
            if back:
                self.marks.pop(item, None)
            else:
                self.marks[item] = mark
        self.refresh()
        self.marked.emit()

    def _make_actions(self) -> dict[str, QAction]:
        titles = {
            "variants": _("Variants of this"), "keep": _("Keep in the Library"), "more": _("Call it more"),
            "less": _("Call it less"), "remove": _("Take out of the collection"),
        }  # fmt: skip
        made = {}
        for key, icon, keys in ACTIONS:
            made[key] = action = QAction(self.theme.icon(icon), titles[key], self.grid)
            action.setData(key)
            action.setShortcut(QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(self._act)
            self.grid.addAction(action)
        return made

    def _act(self) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        key = str(action.data())
        if not self.items():
            return
        if key in ("more", "less"):
            self.mark(key)
        else:
            self.asked.emit(key)

    def _menu(self, _rows: list[int]) -> QMenu:
        menu = QMenu(self)
        menu.addActions(list(self.actions_by_key.values()))
        return menu

    def _selection_changed(self) -> None:
        self._show_actions()
        self.chosen.emit()

    def _show_actions(self) -> None:
        count = len(self.items())
        for key, action in self.actions_by_key.items():
            action.setEnabled(count == 1 if key == "variants" else count > 0)

    def _load(self, row: int) -> Source:
        pixels = self.shelf.thumbnails.get(self.shelf.items[row].id)
        return "…" if pixels is None else pixels

    def _caption(self, row: int) -> str:
        item = self.shelf.items[row]
        parents = [each.title for each in self.shelf.items if each.id in item.parents]
        return f"{item.title} ← {' + '.join(parents)}" if parents else item.title

    def _badge(self, row: int) -> str:
        item = self.shelf.items[row]
        return MARKS.get(self.marks.get(item.id) or ("kept" if item.card else ""), "")
