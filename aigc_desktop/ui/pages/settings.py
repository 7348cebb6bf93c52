"""Settings: all preferences at work at once, the workspace, logs, privacy and what this program is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.family import Problem
from aigc_desktop.core.fields import ConfigError, FieldSpec
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.settings import check_preferences, preference_fields
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.settings.log_view import LogView
from aigc_desktop.ui.widgets.settings.settings_cards import AboutCard, PrivacyCard, WorkspaceCard

WIDTH = 760
OWN_CARD = {"workspace"}
"""Preferences that have a card of their own: a folder must be chosen, not typed letter by letter."""


class SettingsPage(Page):
    """One column of cards; the search leaves those that hold the words."""

    title = N_("Settings")
    icon = "settings"
    order = 190
    section = "more"

    def steps(self) -> Sequence[Callable[[], None]]:
        return (self._begin, self._make_form, self._make_cards)

    def _begin(self) -> None:
        theme = self.services.theme
        self.box = box = QVBoxLayout(self)
        box.setSpacing(theme.px(16))
        self._keep_narrow()
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search the settings"))
        self.search.setAccessibleName(_("Search the settings"))
        self.search.setToolTip(_("Cards that hold all these words"))
        self.search.setClearButtonEnabled(True)
        box.addWidget(self.search)

    def _make_form(self) -> None:
        self.general = Card(self.services.theme, _("General"))
        self.box.addWidget(self.general)
        self._fill_general(self.general)

    def _make_cards(self) -> None:
        theme, box = self.services.theme, self.box
        self.workspace_card = WorkspaceCard(self.services)
        self.logs = LogView(theme)
        logs = Card(theme, _("Log"))
        logs.add(self.logs)
        self.privacy = PrivacyCard(self.services)
        self.cards: list[Card] = [
            self.general, self.workspace_card, self.privacy, logs, AboutCard(self.services),
        ]  # fmt: skip
        for card in self.cards[1:]:
            box.addWidget(card)
        self.nothing = EmptyState(theme, "search", _("No setting holds these words"), _("Try another word."))
        self.nothing.hide()
        box.addWidget(self.nothing)
        box.addStretch(1)
        self.search.textChanged.connect(self._search)

    def shown(self, **arguments: Any) -> None:
        self.workspace_card.refresh()
        self.privacy.refresh()
        self.logs.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._keep_narrow()

    def _keep_narrow(self) -> None:
        """Keep lines short; by the margin, because a maximum width would upset heights that depend on widths."""
        px = self.services.theme.px
        right = max(px(24), self.width() - px(24) - px(WIDTH))
        self.box.setContentsMargins(px(24), px(8), right, px(24))

    def _fill_general(self, card: Card) -> None:
        theme = self.services.theme
        fields: list[FieldSpec] = [spec for spec in preference_fields() if spec.name not in OWN_CARD]
        self.form = ConfigForm(fields, self.services)
        self.form.set_values(asdict(self.services.preferences))
        self.form.changed.connect(self.apply)
        card.add(self.form)
        row = FlowLayout(theme.px(8))
        for text, icon, tip, slot in (
            (_("Defaults"), "rotate-ccw", _("Put all general settings back to their defaults"), self.form.reset),
            (_("Export…"), "upload", _("Save the settings as a file, for another machine"), self._choose_export),
            (_("Import…"), "download", _("Take the settings from a file"), self._choose_import),
        ):
            made = button(theme, text, icon, "flat", tip)
            made.clicked.connect(slot)
            row.addWidget(made)
        card.add(row)

    def export_to(self, path: Path) -> None:
        """Write the settings to a file; the workspace stays out, it is a folder of this machine."""
        values = asdict(self.services.preferences)
        write_json(path, {name: value for name, value in values.items() if name not in OWN_CARD})

    def import_from(self, path: Path) -> None:
        """Take the settings from a file, all or none, and put them to work."""
        try:
            values = read_json(path)
            if not isinstance(values, dict):
                raise UserError(_("“{name}” holds no settings.").format(name=path.name), _("Choose an exported file."))
            known = {name: value for name, value in values.items() if name in self.form.rows}
            preferences = check_preferences({**asdict(self.services.preferences), **known})
        except (OSError, UserError) as error:
            self.services.show_failure(failure_of(error))
            return
        self.form.set_values(asdict(preferences))
        self.apply()

    def _choose_export(self) -> None:
        name, _filter = QFileDialog.getSaveFileName(self, _("Export…"), "aigc-desktop-settings.json", "*.json")
        if name:
            self.export_to(Path(name))

    def _choose_import(self) -> None:
        name, _filter = QFileDialog.getOpenFileName(self, _("Import…"), "", "*.json")
        if name:
            self.import_from(Path(name))

    def apply(self) -> None:
        """Check what is entered and put it to work at once."""
        problems = self.form.problems()
        if problems:
            self.form.show_problems(problems)
            return
        values = {**asdict(self.services.preferences), **self.form.values()}
        try:
            preferences = check_preferences(values)
        except ConfigError as error:
            self.form.show_problems([Problem(text, name) for name, text in error.problems.items()])
            return
        if preferences == self.services.preferences:
            return
        if preferences.host != self.services.preferences.host:
            self.services.notify(_("The engine moves at the next start of the program."))
        self.services.change_preferences(preferences)

    def _search(self, text: str) -> None:
        words = text.casefold().split()
        found = [card for card in self.cards if all(word in _words(card) for word in words)]
        for card in self.cards:
            card.setVisible(card in found)
        self.nothing.setVisible(not found)


def _words(card: QWidget) -> str:
    """Return all that is written on a card and in its tooltips, for the search."""
    texts = [text.text() for text in card.findChildren(QLabel)]
    hints = [child.toolTip() + " " + child.accessibleName() for child in card.findChildren(QWidget)]
    return " ".join([*texts, *hints]).casefold()


PAGE = SettingsPage
