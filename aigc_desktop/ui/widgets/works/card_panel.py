"""The side of the Library: one kept work, where it comes from, what came of it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.fields import FieldSpec
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.library import Card, FamilyTree, Library
from aigc_desktop.core.rating import reasons_text
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.explored import OFFERED
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button, icon_button, label
from aigc_desktop.ui.widgets.forms.field_words import setting_words
from aigc_desktop.ui.widgets.pictures.image_viewer import ImageCanvas
from aigc_desktop.ui.widgets.side_by_side import Scrolled

GENERATIONS = 6
_ICONS = {
    "like": "sparkles", "variants": "shuffle", "repaint": "paintbrush", "extend": "scaling", "edit": "pencil",
    "export": "download", "copy": "copy", "folder": "folder-open", "delete": "trash-2",
}  # fmt: skip
_HIDDEN = {"run", "checkpoint", "seed", "device", "count", "places"}


def _version_words(checkpoint: str) -> str:
    """Return how a saved version is called: by the step it was saved at."""
    step = _("step {step}").format(step=f"{int(checkpoint):,}") if checkpoint.isdecimal() else checkpoint
    return _("Version: {name}").format(name=step)


def _quality_words(card: Card) -> str:
    """Return the score of a work and what is said against it, "" when it was not rated."""
    if card.rating is None:
        return ""
    return " · ".join(filter(None, (f"{card.rating.score:.0f} / 100", reasons_text(card.rating))))


def _edits_text(card: Card) -> str:
    from aigc_desktop.editing.chain import edit_titles

    return edit_titles(card.edits)


class CardPanel(QWidget):
    """Shows a card.

    `asked` gives "like", one of OFFERED, "edit", "export", "folder", "copy", "delete" or "star"; `renamed` and `tagged`
    give the user's edits, `opened` the id of a relative, `placed` a place of the window with its argument.
    """

    asked = Signal(str)
    renamed = Signal(str)
    tagged = Signal(object)
    opened = Signal(str)
    placed = Signal(str, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.card: Card | None = None
        self.title = QLineEdit()
        self.title.setAccessibleName(_("Title"))
        self.title.setToolTip(_("Title; press Enter to rename"))
        self.star = icon_button(theme, "star", _("Star (S)"))
        self.star.setCheckable(True)
        self.picture = ImageCanvas(theme)
        self.picture.setFixedHeight(theme.px(220))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName(_("Text"))
        self.text.setToolTip(_("The whole text; select to copy a part"))
        self.text.setMinimumHeight(theme.px(220))
        self.tags = QLineEdit()
        self.tags.setAccessibleName(_("Tags"))
        self.tags.setPlaceholderText(_("Tags, separated by commas"))
        self.tags.setToolTip(_("Tags, separated by commas; press Enter to save"))
        self.tree = QTreeWidget()
        self.tree.setHeaderHidden(True)
        self.tree.setAccessibleName(_("Family tree"))
        self.tree.setToolTip(_("Where this work comes from and what came of it; double click opens"))
        self.tree.setMinimumHeight(theme.px(150))
        self.tree.setFrameShape(QFrame.Shape.NoFrame)
        self.facts = QFormLayout()
        self.facts.setSpacing(theme.px(4))
        self.many = label("", "card")
        self._lay_out()
        self.title.returnPressed.connect(self._rename)
        self.tags.returnPressed.connect(self._tag)
        self.star.clicked.connect(self._star)
        self.tree.itemActivated.connect(self._open)

    def show_card(
        self, card: Card, library: Library, offers: Collection[str] = (), fields: Sequence[FieldSpec] = ()
    ) -> None:
        """Show one work of a library, with those of OFFERED in `offers`. UserError when it is gone.

        `fields` are those of the task that made it, for the words of its settings.
        """
        family, path = library.family(card.id), library.path(card)
        self.card = card
        for key in OFFERED:
            self.buttons[key].setVisible(key in offers)
        self.many.hide()
        self.room.show()
        self.title.setText(card.title)
        self.title.setCursorPosition(0)
        self.show_star(card.starred)
        self.tags.setText(", ".join(card.tags))
        is_image = card.kind == "image"
        self.picture.setVisible(is_image)
        self.text.setVisible(not is_image)
        self.buttons["edit"].setEnabled(is_image)
        if is_image:
            self.picture.show_images(QImage(str(path)))
        else:
            try:
                self.text.setPlainText(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self.text.setPlainText(card.excerpt)
        self._fill_tree(family)
        self._fill_facts(card, fields)

    def show_many(self, count: int) -> None:
        """Say how many works are chosen; what can be done with all of them stays."""
        self.card = None
        self.room.hide()
        for key in OFFERED:
            self.buttons[key].hide()
        text = ngettext("{count} work chosen", "{count} works chosen", count).format(count=f"{count:,}")
        self.many.setText(text if count else _("Choose a work to see where it comes from."))
        self.many.show()
        for key, made in self.buttons.items():
            made.setEnabled(count > 0 and (count == 1 or key in ("edit", "export", "delete")))

    def show_star(self, starred: bool) -> None:
        """Show whether the work has a star."""
        self.star.setChecked(starred)
        self.star.setIcon(self.theme.icon("star-filled" if starred else "star", "amber" if starred else ""))

    def menu(self, _rows: list[int]) -> QMenu:
        """Return a menu of what can be done now."""
        menu = QMenu(self)
        for key, made in self.buttons.items():
            if made.isEnabled() and not made.isHidden():  # its own icon may have the colour of what lies on the accent
                action = menu.addAction(self.theme.icon(_ICONS[key]), made.text())
                action.setProperty("key", key)
                action.triggered.connect(self._ask)
        return menu

    def _fill_tree(self, family: FamilyTree) -> None:
        self.tree.clear()
        card = family.card
        above = self.tree.invisibleRootItem()
        origin = (
            (_("Data: {name}").format(name=card.dataset), ("data", card.dataset) if card.dataset else None),
            (_("Model: {name}").format(name=card.run_title or card.run), ("runs", card.run) if card.run else None),
            (_version_words(card.checkpoint), None if not card.checkpoint else ("create", card.run)),
        )
        for text, place in origin:
            if place is not None:
                above = self._branch(above, text, place)
        here = self._branch(above, card.title, None)
        font = here.font(0)
        font.setBold(True)
        here.setFont(0, font)
        if family.parents:
            self._relatives(self._branch(here, _("Made from"), None), card, family.made_from, GENERATIONS)
        if family.children:
            self._relatives(self._branch(here, _("What came of it"), None), card, family.came_of, GENERATIONS)
        if family.siblings:
            others = self._branch(above, _("Others of this model"), None)
            for sibling in family.siblings:
                self._branch(others, sibling.title, ("", sibling.id))
            others.setExpanded(False)
        self.tree.setCurrentItem(here)

    def _relatives(
        self, above: QTreeWidgetItem, card: Card, step: Callable[[Card], list[Card]], generations: int
    ) -> None:
        for other in step(card) if generations else ():
            self._relatives(self._branch(above, other.title, ("", other.id)), other, step, generations - 1)

    def _branch(self, above: QTreeWidgetItem, text: str, target: tuple[str, str] | None) -> QTreeWidgetItem:
        item = QTreeWidgetItem([text])
        item.setToolTip(0, text)
        item.setData(0, Qt.ItemDataRole.UserRole, target)
        above.addChild(item)
        item.setExpanded(True)
        return item

    def _fill_facts(self, card: Card, fields: Sequence[FieldSpec]) -> None:
        while self.facts.rowCount():
            self.facts.removeRow(0)
        size = f"{card.width} × {card.height}" if card.width else ""
        seed = "" if card.seed is None else str(card.seed)
        facts = [(_("Made"), card.created[:16].replace("T", " ")), (_("Size"), size), (_("Seed"), seed),
                 (_("Class"), card.label), (_("Quality"), _quality_words(card))]  # fmt: skip
        settings = sorted((name, value) for name, value in card.settings.items() if name not in _HIDDEN)
        facts += [setting_words(fields, name, value) for name, value in settings]
        for name, value in facts:
            if value:
                self._add_fact(name, value)
        if card.edits:  # their titles lie with the operations, which take a moment to import
            Background(self, partial(_edits_text, card), partial(self._show_edits, card), lambda _failed: None)

    def _show_edits(self, card: Card, text: str) -> None:
        if self.card is card:
            self._add_fact(_("Edits"), text)

    def _add_fact(self, name: str, value: str) -> None:
        self.facts.addRow(label(name, "secondary", wrap=False), label(value, "secondary", selectable=True))

    def _lay_out(self) -> None:
        theme = self.theme
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.star)
        self.single = QWidget()
        box = QVBoxLayout(self.single)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        box.addLayout(head)
        for widget in (self.picture, self.text, self.tags, self.tree):
            box.addWidget(widget)
        box.addLayout(self.facts)
        box.addStretch(1)
        self.room = Scrolled(self.single)
        self.buttons = {}
        flow = FlowLayout(theme.px(8))
        for key, text in (
            ("like", _("Generate like this")), ("variants", _("Variants of this")),
            ("repaint", _("Paint a part anew…")), ("extend", _("Extend…")), ("edit", _("Edit…")),
            ("export", _("Export…")), ("copy", _("Copy")), ("folder", _("Show in folder")), ("delete", _("Delete")),
        ):  # fmt: skip
            made = button(theme, text, _ICONS[key], "primary" if key == "like" else "")
            made.setProperty("key", key)
            made.clicked.connect(self._ask)
            self.buttons[key] = made
            flow.addWidget(made)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(theme.px(12))
        outer.addWidget(self.many)
        outer.addWidget(self.room, 1)
        outer.addLayout(flow)
        outer.addStretch(0)

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(320), self.theme.px(600))

    def _ask(self) -> None:
        self.asked.emit(str(self.sender().property("key")))

    def _star(self) -> None:
        self.asked.emit("star")

    def _rename(self) -> None:
        self.renamed.emit(self.title.text())

    def _tag(self) -> None:
        self.tagged.emit([part.strip() for part in self.tags.text().replace("，", ",").split(",")])

    def _open(self, item: QTreeWidgetItem) -> None:
        target = item.data(0, Qt.ItemDataRole.UserRole)
        if target is None:
            return
        place, name = target
        if place:
            self.placed.emit(place, name)
        else:
            self.opened.emit(name)
