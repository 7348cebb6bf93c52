"""Help that is in the program: short topics in both languages, found by their words."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.i18n import _, language
from aigc_desktop.core.paths import resources
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button


@dataclass(frozen=True)
class Topic:
    """One help text; `name` is its file and, for a page's topic, the place."""

    name: str
    title: str
    text: str


def topics(code: str = "") -> list[Topic]:
    """Return the help texts of a language, in the order of their file names; the title is the first line."""
    folder = resources() / "help" / (code or language())
    found = []
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        found.append(Topic(path.stem.split("-", 1)[-1], text.splitlines()[0].lstrip("# ").strip(), text))
    return found


def find(texts: list[Topic], words: str) -> list[Topic]:
    """Return the topics that hold all the words, those with a word in the title first."""
    wanted = words.casefold().split()
    hits = [topic for topic in texts if all(word in topic.text.casefold() for word in wanted)]
    return sorted(hits, key=lambda topic: not any(word in topic.title.casefold() for word in wanted))


class HelpDialog(QDialog):
    """A list of topics, a field to search them, and the text."""

    def __init__(self, theme: Theme, place: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Help"))
        self.setSizeGripEnabled(True)
        self.resize(dialog_size(theme.px(860), theme.px(600), parent))
        self.topics = topics()
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search the help"))
        self.search.setAccessibleName(_("Search the help"))
        self.search.setToolTip(_("Topics that hold all these words"))
        self.search.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setProperty("padded", True)
        self.list.setAccessibleName(_("Topics"))
        self.list.setToolTip(_("Topics"))
        self.list.setFixedWidth(theme.px(240))
        self.list.setWordWrap(True)
        self.text = QTextBrowser()
        self.text.setOpenLinks(False)
        self.text.setAccessibleName(_("Help text"))
        self.text.document().setDocumentMargin(theme.px(16))
        left = QVBoxLayout()
        left.addWidget(self.search)
        left.addWidget(self.list, 1)
        row = QHBoxLayout()
        row.setSpacing(theme.px(12))
        row.addLayout(left)
        row.addWidget(self.text, 1)
        close = button(theme, _("Close"), kind="primary")
        close.setAutoDefault(False)  # Enter belongs to the search
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(16)] * 4)
        box.setSpacing(theme.px(12))
        box.addLayout(row, 1)
        box.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        self.search.textChanged.connect(self._show_hits)
        self.list.currentItemChanged.connect(self._show_topic)
        self._show_hits()
        self.show_topic(place)

    def show_topic(self, name: str) -> None:
        """Show the topic of this name, if there is one."""
        for row in range(self.list.count()):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole).name == name:
                self.list.setCurrentRow(row)

    def _show_hits(self) -> None:
        self.list.clear()
        for topic in find(self.topics, self.search.text()):
            item = QListWidgetItem(topic.title)
            item.setData(Qt.ItemDataRole.UserRole, topic)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        if not self.list.count():
            self.text.setPlainText(_("No topic holds all these words."))

    def _show_topic(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.text.setMarkdown(item.data(Qt.ItemDataRole.UserRole).text)
