"""The line above the library: search words, kind, tag, model, star."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.library import Facet, Library, Query
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import ChoiceBox, icon_button, label
from aigc_desktop.ui.widgets.segmented import Segmented

TYPING_MS = 150


class LibraryFilters(QWidget):
    """What to look for; `changed` when it is another thing, after a pause while typing."""

    changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search titles, tags and texts"))
        self.search.setAccessibleName(_("Search"))
        self.search.setToolTip(_("Finds works with words that begin like this (Ctrl+F)"))
        self.search.setClearButtonEnabled(True)
        self.kinds = Segmented(theme, [("all", _("All")), ("image", _("Pictures")), ("text", _("Texts"))])
        self.tags = _box(_("Tag"))
        self.runs = _box(_("Model"))
        self.starred = icon_button(theme, "star", _("Only works with a star"))
        self.starred.setCheckable(True)
        self.trash = icon_button(theme, "trash-2", _("Trash…"))
        self.found = label("", "secondary", wrap=False)
        rest = FlowLayout(theme.px(8))
        for widget in (self.kinds, self.tags, self.runs, self.starred, self.trash, self.found):
            rest.addWidget(widget)
        head = QVBoxLayout(self)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(theme.px(8))
        head.addWidget(self.search)
        head.addLayout(rest)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self.changed)
        self.search.textChanged.connect(self._typed)
        self.kinds.chosen.connect(self._chosen)
        self.tags.activated.connect(self._chosen)
        self.runs.activated.connect(self._chosen)
        self.starred.toggled.connect(self._chosen)

    def query(self) -> Query:
        """Return what is chosen."""
        kind = self.kinds.value()
        return Query(
            self.search.text(), "" if kind == "all" else kind, str(self.runs.currentData() or ""),
            str(self.tags.currentData() or ""), self.starred.isChecked(),
        )  # fmt: skip

    def fill(self, library: Library) -> None:
        """Offer the tags and models there are; the chosen ones stay."""
        _fill(self.tags, _("All tags"), library.tags())
        _fill(self.runs, _("All models"), library.runs())

    def show_count(self, count: int) -> None:
        """Show how many works are found."""
        self.found.setText(ngettext("{count} work", "{count} works", count).format(count=f"{count:,}"))

    def clear(self) -> None:
        """Look for everything, without telling."""
        self.blockSignals(True)
        self.search.clear()
        self._typing.stop()
        self.kinds.choose("all")
        for box in (self.tags, self.runs):
            box.setCurrentIndex(0)
        self.starred.setChecked(False)
        self.blockSignals(False)

    def _typed(self, _text: str) -> None:
        self._typing.start()

    def _chosen(self, _value: object = None) -> None:
        self.changed.emit()


def _box(name: str) -> ChoiceBox:
    return ChoiceBox(name, _("Show only works with this: {name}").format(name=name), narrow=True)


def _fill(box: QComboBox, everything: str, facets: list[Facet]) -> None:
    chosen = box.currentData()
    box.clear()
    box.addItem(everything, "")
    for facet in facets:
        box.addItem(f"{facet.title} ({facet.count:,})", facet.value)
    box.setCurrentIndex(max(0, box.findData(chosen) if chosen else 0))
