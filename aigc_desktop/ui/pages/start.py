"""Start: try it now, begin something of your own, or go on with what was done last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.ready_model import ReadyModel
from aigc_desktop.ui.tour import Tour, available
from aigc_desktop.ui.widgets.cards import ActionCard, Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, clear, label
from aigc_desktop.ui.widgets.segmented import Segmented
from aigc_desktop.ui.widgets.start.start_cards import MachineCard, RecentRuns, RecentWorkspaces
from aigc_desktop.ui.widgets.start.tour_view import TourView
from aigc_desktop.ui.workspace_choice import open_workspace


class StartPage(Page):
    """The first page; it never shows an empty window."""

    title = N_("Start")
    icon = "start"
    order = 10

    def build(self) -> None:
        theme = self.services.theme
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(24))
        box.setSpacing(theme.px(16))
        self.hero = QVBoxLayout()
        box.addLayout(self.hero)
        self.tasks = FlowLayout(theme.px(16), theme.px(240))
        box.addLayout(self.tasks)
        self._make_tasks()
        lower = FlowLayout(theme.px(16), theme.px(360))
        self.runs = RecentRuns(self.services)
        self.machine = MachineCard(self.services)
        self.workspaces = RecentWorkspaces(self.services)
        for card in (self.runs, self.machine, self.workspaces):
            lower.addWidget(card)
        box.addLayout(lower)
        box.addStretch(1)
        self._show_hero()
        self.services.jobs.ready.connect(self._engine_ready)
        self.services.jobs.changed.connect(self._jobs_changed)

    def shown(self, **arguments: Any) -> None:
        self.runs.refresh()
        self.workspaces.refresh()

    def _jobs_changed(self) -> None:
        if self.isVisible():
            self.runs.refresh()

    def start_tour(self) -> None:
        """Begin the guided tour with the chosen kind of samples."""
        task = available(self.services.jobs.catalogue).get(self.kind.value())
        if task is None:
            return
        old = Tour.current(self.services)
        if old is not None:
            old.setParent(None)
            old.deleteLater()
        Tour(self.services, task)
        self._show_hero()

    def _show_hero(self) -> None:
        """Show the invitation, or the tour when one is under way."""
        clear(self.hero)
        tour = Tour.current(self.services)
        if tour is None:
            self.hero.addWidget(self._make_invitation())
            return
        view = TourView(self.services, tour)
        view.left.connect(self._leave_tour)
        self.hero.addWidget(view)

    def _leave_tour(self) -> None:
        tour = Tour.current(self.services)
        if tour is not None:
            tour.setParent(None)
            tour.deleteLater()
        self._show_hero()
        self.runs.refresh()

    def _make_invitation(self) -> QWidget:
        theme = self.services.theme
        card = Card(theme, tone="accent")
        card.body.setContentsMargins(*[theme.px(24)] * 4)
        card.add(label(_("Teach the machine your style"), "display"))
        card.add(label(_("Train a small model on bundled samples, make new works with it and export them: "
                         "under five minutes, offline, nothing to set.")))  # fmt: skip
        row = FlowLayout(theme.px(12))
        self.try_button = button(theme, _("Try it now"), "sparkles", "primary", _("Start the guided tour"))
        self.try_button.setProperty("large", True)
        self.kind = Segmented(theme, [("image", _("With pictures")), ("text", _("With texts"))])
        row.addWidget(self.try_button)
        row.addWidget(self.kind)
        self.ready_model = ReadyModel(self.services, card)
        self.ready_model.button.setProperty("large", True)
        row.addWidget(self.ready_model.button)
        card.body.addSpacing(theme.px(8))
        card.add(row)
        self.waiting = label("", "hint")
        card.add(self.waiting)
        self.try_button.clicked.connect(self.start_tour)
        self.kind.chosen.connect(self._engine_ready)
        self._engine_ready()
        return card

    def _engine_ready(self) -> None:
        """Let the tour start once the engine has told what it can do."""
        if Tour.current(self.services) is not None:
            return
        catalogue = self.services.jobs.catalogue
        possible = self.kind.value() in available(catalogue)
        self.try_button.setEnabled(possible)
        if possible:
            self.waiting.setText("")
        elif catalogue:
            self.waiting.setText(_("No model for this kind is installed."))
        else:
            self.waiting.setText(_("The engine is starting; this takes a few seconds."))
        self.waiting.setVisible(not possible)

    def _make_tasks(self) -> None:
        theme = self.services.theme
        sentence = _("Choose a folder; a model learns from it and makes more.")
        pictures = ActionCard(theme, "image", _("New from pictures"), sentence)
        sentence = _("Choose files with text, tables or lines; a model learns to write like them.")
        texts = ActionCard(theme, "type", _("New from texts"), sentence)
        sentence = _("Work in another folder, with its own data, models and works.")
        workspace = ActionCard(theme, "folder-open", _("Open workspace"), sentence)
        pictures.clicked.connect(self._choose_pictures)
        texts.clicked.connect(self._choose_texts)
        workspace.clicked.connect(self.choose_workspace)
        for card in (pictures, texts, workspace):
            self.tasks.addWidget(card)

    def _choose_pictures(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, _("Choose a folder of pictures"))
        if folder:
            self.services.navigate("data", paths=[Path(folder)])

    def _choose_texts(self) -> None:
        kinds = _("Texts") + " (*.txt *.md *.csv *.jsonl *.zip);;" + _("All files") + " (*)"
        names, _filter = QFileDialog.getOpenFileNames(self, _("Choose texts"), "", kinds)
        if names:
            self.services.navigate("data", paths=[Path(name) for name in names])

    def choose_workspace(self) -> None:
        """Ask for a folder and work there from now on."""
        folder = QFileDialog.getExistingDirectory(self, _("Open workspace"))
        if folder:
            open_workspace(self.services, Path(folder))


PAGE = StartPage
