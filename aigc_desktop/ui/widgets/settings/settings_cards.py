"""The cards of the Settings page: workspace, privacy and about."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from aigc_desktop import __version__
from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.events import Failed
from aigc_desktop.core.files import folder_size
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.offline import connection_count
from aigc_desktop.core.paths import cache_dir, config_dir
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.facts import machine_facts
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, copy_text, label
from aigc_desktop.ui.widgets.settings.licences import LicencesDialog
from aigc_desktop.ui.widgets.settings.move_dialog import MoveDialog
from aigc_desktop.ui.workspace_choice import open_workspace


class WorkspaceCard(Card):
    """Where all data, models and works lie, and how large that is."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Workspace"))
        self.services = services
        words = _("The folder where all data, models and works lie. Copy it to back everything up.")
        self.add(label(words, "secondary"))
        self.path = label(str(services.workspace.folder), selectable=True)
        self.size_words = label("", "secondary")
        self.add(self.path)
        self.add(self.size_words)
        row = FlowLayout(services.theme.px(8))
        self.change_button = button(services.theme, _("Open another…"), "folder", tip=_("Work in another folder"))
        self.move_button = button(services.theme, _("Move…"), "hard-drive", tip=_("Move everything to another place"))
        self.open_button = button(services.theme, _("Show in file manager"), "external-link")
        for made in (self.change_button, self.move_button, self.open_button):
            row.addWidget(made)
        self.add(row)
        self.change_button.clicked.connect(self._choose)
        self.move_button.clicked.connect(self._choose_place)
        self.open_button.clicked.connect(self._open)

    def move_to(self, parent: Path) -> None:
        """Copy the workspace into the folder `parent`, then work there; the old one is left for the user to delete."""
        if self.services.jobs.handles:
            self.services.notify(_("Something is running. Wait for it or stop it, then move the workspace."))
            return
        old = self.services.workspace.folder
        self.new = parent / old.name
        self.dialog = MoveDialog(self.services.theme, old, self.new, self)
        self.dialog.moved.connect(self._moved)
        self.dialog.failed.connect(self.services.show_failure)
        self.dialog.open()

    def _moved(self) -> None:
        old = self.services.workspace.folder
        text = _("The workspace is now in {new}. The old one is still in {old}; delete it when you are sure.")
        open_workspace(self.services, self.new)
        self.services.notify(text.format(new=self.new, old=old))

    def _choose_place(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, _("Choose where the workspace is to lie"))
        if folder:
            self.move_to(Path(folder))

    def refresh(self) -> None:
        """Measure the folder, beside the window."""
        folder = self.services.workspace.folder
        self.size_words.setText(_("measuring…"))
        Background(self, lambda: folder_size(folder), self._show_size, self._failed)

    def _show_size(self, size: int) -> None:
        self.size_words.setText(_("{size} in use").format(size=readable_size(size)))

    def _failed(self, failed: Failed) -> None:
        self.size_words.setText(failed.message)

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, _("Open workspace"), str(self.services.workspace.folder))
        if folder:
            open_workspace(self.services, Path(folder))

    def _open(self) -> None:
        open_outside(self.services.workspace.folder)


class PrivacyCard(Card):
    """That nothing leaves the machine, and every place the program writes to."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Privacy"))
        self.services = services
        self.network = label("", "good")
        self.add(self.network)
        words = _("The program makes no connections: no updates, no statistics, no accounts. It writes only here:")
        self.add(label(words, "secondary"))
        places = [
            (_("Your data, models and works"), services.workspace.folder),
            (_("Settings, window position, recent workspaces"), config_dir()),
            (_("Logs and thumbnails, which can be deleted at any time"), cache_dir()),
        ]
        for words, folder in places:
            self.add(label(f"{words}\n{folder}", selectable=True))

    def refresh(self) -> None:
        """Show how many connections were attempted since the start."""
        count = connection_count()
        text = ngettext("{count} connection since start", "{count} connections since start", count).format(count=count)
        self.network.setText(_("Network: off") + " · " + text)


class AboutCard(Card):
    """Version, build, device and licences, to read and to copy."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("About AIGC Desktop {version}").format(version=__version__))
        self.services = services
        self.facts = label("", selectable=True)
        self.add(self.facts)
        self.add(label(_("Apache License 2.0. Parts of other makers have their own licences."), "secondary"))
        row = FlowLayout(services.theme.px(8))
        self.copy_button = button(services.theme, _("Copy"), "copy", tip=_("Copy version, system and device"))
        self.licences_button = button(services.theme, _("Licences"), "scroll-text", tip=_("Licences of all parts"))
        row.addWidget(self.copy_button)
        row.addWidget(self.licences_button)
        self.add(row)
        self.copy_button.clicked.connect(self._copy)
        self.licences_button.clicked.connect(self._show_licences)
        services.jobs.ready.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known now; the engine tells the graphics card when it is ready."""
        self.facts.setText(machine_facts(self.services.jobs.machine))

    def _copy(self) -> None:
        copy_text(self.facts.text())
        self.services.notify(_("Copied."))

    def _show_licences(self) -> None:
        LicencesDialog(self.services.theme, self).show()
