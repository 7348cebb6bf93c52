"""The licences of everything inside: the program, its parts, its icons, samples and models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QPlainTextEdit, QSplitter, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.core.paths import resources
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button

if TYPE_CHECKING:
    from importlib import metadata


@dataclass(frozen=True)
class Licence:
    """The licence of one part: its name with version, what kind, and the full text."""

    part: str
    kind: str
    text: str


def licences() -> list[Licence]:
    """Return the licences that ship with this program: as the build gathered them, else read from the files."""
    gathered = resources() / "licences" / "third_party.json"
    if gathered.is_file():
        program = resources().parent / "LICENSE"
        return [Licence(_place(program), "", _read(program)), *_of_build(gathered)]
    from importlib import metadata

    files = [*resources().parent.glob("LICENSE"), *resources().rglob("*LICENSE*")]
    own = [Licence(_place(path), "", _read(path)) for path in sorted(files) if path.is_file()]
    parts = [_of_distribution(found) for found in metadata.distributions()]
    return own + sorted((part for part in parts if part.text or part.kind), key=lambda part: part.part.casefold())


class LicencesDialog(QDialog):
    """A list of the parts and the text of the chosen one's licence."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Licences"))
        self.setSizeGripEnabled(True)
        self.resize(dialog_size(theme.px(860), theme.px(560), parent))
        self.list = QListWidget()
        self.list.setProperty("padded", True)
        self.list.setAccessibleName(_("Parts of the program"))
        self.list.setToolTip(_("Parts of the program"))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName(_("Licence text"))
        self.text.setToolTip(_("Licence text"))
        split = QSplitter()
        split.addWidget(self.list)
        split.addWidget(self.text)
        split.setSizes([theme.px(280), theme.px(580)])
        close = button(theme, _("Close"), kind="primary")
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(16)] * 4)
        box.setSpacing(theme.px(12))
        box.addWidget(split, 1)
        box.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        self.list.currentItemChanged.connect(self._show)
        Background(self, licences, self._take, self._failed)

    def _take(self, found: list[Licence]) -> None:
        for licence in found:
            item = QListWidgetItem(f"{licence.part}  {licence.kind}".strip())
            item.setData(Qt.ItemDataRole.UserRole, licence.text or licence.kind)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _show(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.text.setPlainText(item.data(Qt.ItemDataRole.UserRole))

    def _failed(self, failed: Failed) -> None:
        self.text.setPlainText(failed.message)


def _of_build(path: Path) -> list[Licence]:
    """Read what packaging/licences.py wrote: components, whose texts are shared by key."""
    gathered = json.loads(path.read_text(encoding="utf-8"))
    return [
        Licence(
            f"{item['name']} {item['version']}".strip(),
            item["licence"][:40],
            "\n\n".join([item["note"], *(gathered["texts"][key] for key in item["texts"].values())]).strip(),
        )
        for item in gathered["components"]
    ]


def _of_distribution(found: metadata.Distribution) -> Licence:
    head = found.metadata.json
    kind = str(head.get("license_expression") or head.get("license") or "").splitlines()
    files = [path for path in found.files or [] if "licen" in path.name.lower() or "copying" in path.name.lower()]
    texts = [_read(Path(str(found.locate_file(path)))) for path in files if path.suffix not in (".py", ".pyc")]
    name = f"{head.get('name', '')} {found.version}"
    return Licence(name, kind[0][:40] if kind else "", "\n\n".join(text for text in texts if text))


def _place(path: Path) -> str:
    if path.parent == resources().parent:
        return "AIGC Desktop"
    return str(path.relative_to(resources())).replace("\\", "/")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # listed, but left out of this build
        return ""
