"""The user's own presets: apply, save, rename, delete, and files to give away or take in."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMenu, QPushButton

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.i18n import _
from aigc_desktop.core.presets import SUFFIX, Presets, SavedPreset
from aigc_desktop.ui.page import Services


class PresetMenu(QPushButton):
    """A button with the presets of one task; `chosen` gives the SavedPreset to apply."""

    chosen = Signal(object)
    save_asked = Signal(str)
    """A title: the page calls `save` with what is set."""

    def __init__(self, services: Services) -> None:
        super().__init__(_("My presets"))
        self.services = services
        self.task = ""
        self.setToolTip(_("Save these settings under a name, or use saved ones"))
        self.setAccessibleName(_("My presets"))
        self.setIcon(services.theme.icon("sliders-horizontal"))
        self.setIconSize(QSize(services.theme.px(20), services.theme.px(16)))
        self.list = QMenu(self)
        self.list.setToolTipsVisible(True)
        self.list.aboutToShow.connect(self._fill)
        self.setMenu(self.list)

    @property
    def presets(self) -> Presets:
        """Return the presets of the workspace."""
        return Presets(self.services.workspace.folder)

    def save(self, title: str, base: str, values: dict[str, object]) -> None:
        """Save settings under a title."""
        self._attempt(lambda: self.presets.save(title, self.task, base, values))
        self.services.notify(_("Saved as “{title}”.").format(title=title))

    def _fill(self) -> None:
        self.list.clear()
        found = self.presets.of_task(self.task)
        for preset in found:
            self._add(self.list, preset.title, self._apply, preset)
        if not found:
            self.list.addAction(_("No presets saved yet")).setEnabled(False)
        self.list.addSeparator()
        self.list.addAction(_("Save these settings…"), self._ask_save)
        if found:
            for title, slot in (
                (_("Rename"), self._ask_rename), (_("Delete"), self._delete), (_("Export"), self._ask_export),
            ):  # fmt: skip
                menu = self.list.addMenu(title)
                for preset in found:
                    self._add(menu, preset.title, slot, preset)
        self.list.addAction(_("Import a file…"), self._ask_import)

    def _add(self, menu: QMenu, title: str, slot: object, preset: SavedPreset) -> None:
        action = QAction(title.replace("&", "&&"), menu)
        action.setData(preset)
        action.triggered.connect(slot)
        menu.addAction(action)

    def _of_sender(self) -> SavedPreset:
        preset: SavedPreset = self.sender().data()  # type: ignore[attr-defined]
        return preset

    def _apply(self) -> None:
        self.chosen.emit(self._of_sender())

    def _ask_save(self) -> None:
        self._ask_name(_("Save these settings"), "", self.save_asked.emit)

    def _ask_rename(self) -> None:
        preset = self._of_sender()
        self._ask_name(_("Rename"), preset.title, lambda title: self.rename(preset, title))

    def rename(self, preset: SavedPreset, title: str) -> None:
        """Give a preset another title."""
        self._attempt(lambda: self.presets.rename(preset, title))

    def _delete(self) -> None:
        preset, services = self._of_sender(), self.services
        workspace = services.workspace
        trashed = workspace.trash(preset.file)
        services.notify(
            _("“{title}” was moved to the trash.").format(title=preset.title),
            lambda: workspace.restore(trashed, preset.file),
        )

    def _ask_export(self) -> None:
        preset = self._of_sender()
        name, _filter = QFileDialog.getSaveFileName(self, _("Export the preset"), preset.file.name)
        if name:
            self._attempt(lambda: shutil.copyfile(preset.file, name))

    def _ask_import(self) -> None:
        name, _filter = QFileDialog.getOpenFileName(self, _("Import a preset"), "", f"*{SUFFIX}")
        if name:
            self.take_in(Path(name))

    def take_in(self, path: Path) -> None:
        """Take in a preset file and apply it."""
        preset = self._attempt(lambda: self.presets.take_in(path, self.task))
        if isinstance(preset, SavedPreset):
            self.chosen.emit(preset)

    def _ask_name(self, title: str, name: str, slot: object) -> None:
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(title)
        dialog.setLabelText(_("Name of the preset"))
        dialog.setTextValue(name)
        dialog.textValueSelected.connect(slot)
        dialog.open()

    def _attempt(self, action: object) -> object:
        try:
            return action()  # type: ignore[operator]
        except (UserError, OSError) as error:
            self.services.show_failure(failure_of(error))
            return None
