"""Models: published models on this machine; import from a folder or file, what each is and needs, delete with undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Result, Stopped
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.model import PREFIX, Model
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.failure_card import FailureCard
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.side_by_side import Scrolled

IMPORT = "models.import"


class ModelsPage(Page):
    """One card per model, newest first."""

    title = N_("Models")
    icon = "models"
    order = 120
    section = "more"

    def build(self) -> None:
        theme = self.services.theme
        self.setAcceptDrops(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(24))
        box.setSpacing(theme.px(12))
        self.tools = self._make_tools()
        self.failure = FailureCard(self.services)
        self.progress = JobProgress(theme)
        self.empty = EmptyState(
            theme, "models", _("Drop a published model here"),
            _("A folder with config.json or model_index.json and safetensors files, a LoRA, or a GGUF file. It is "
              "checked before anything is loaded, then copied."),
            _("Choose a folder…"), drop=True,
        )  # fmt: skip
        files = button(theme, _("Choose a file…"), "file")
        files.clicked.connect(self.choose_file)
        self.empty.add_action(files)
        self.empty.acted.connect(self.choose_folder)
        self.cards = QVBoxLayout()
        self.cards.setSpacing(theme.px(12))
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, theme.px(8), 0)
        column.addLayout(self.cards)
        column.addStretch(1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        listed = Scrolled(inner)
        listed.show_whole(True)  # the page scrolls: two bars beside each other are one too many
        self.stack.addWidget(listed)
        for part in (self.tools, self.failure, self.progress):
            box.addWidget(part)
        box.addWidget(self.stack, 1)
        self.progress.ended.connect(self._ended)
        self.new_model = ""
        self._resume_watching()

    def shown(self, **arguments: Any) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Read the models again."""
        while (item := self.cards.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        from aigc_desktop.ui.widgets.model_card import ModelCard

        models = self.services.workspace.models()
        for model in models:
            try:
                card = ModelCard(self.services.theme, model)
            except (OSError, UserError) as error:  # one damaged record must not hide the others
                self.failure.show_failure(failure_of(error))
                continue
            card.used.connect(self._use)
            card.revealed.connect(self._reveal)
            card.removed.connect(self._remove)
            self.cards.addWidget(card)
        self.tools.setVisible(bool(models))
        self.stack.setCurrentIndex(1 if models else 0)

    def import_from(self, path: Path) -> None:
        """Check and copy a model; one at a time."""
        if self.progress.handle is not None:
            self.services.notify(_("One model is being imported already."))
            return
        self.failure.clear()
        self._watch(self.services.jobs.run(
            JobRequest(IMPORT, {"source": str(path)}, str(self.services.workspace.folder))
        ))  # fmt: skip

    def choose_folder(self) -> None:
        """Ask for a folder."""
        folder = QFileDialog.getExistingDirectory(self, _("Choose a folder with a model"))
        if folder:
            self.import_from(Path(folder))

    def choose_file(self) -> None:
        """Ask for a file."""
        name, _filter = QFileDialog.getOpenFileName(
            self, _("Choose a GGUF file or a LoRA"), "", "GGUF, LoRA (*.gguf *.safetensors)"
        )
        if name:
            self.import_from(Path(name))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = next((Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()), None)
        if path is not None:
            event.acceptProposedAction()
            self.import_from(path)

    def _make_tools(self) -> QWidget:
        theme = self.services.theme
        row = FlowLayout(theme.px(8))
        folder = button(theme, _("Import a folder…"), "folder-open", "primary", _("A model folder or an adapter"))
        file = button(theme, _("Import a file…"), "file", tip=_("A GGUF file, or a LoRA in a safetensors file"))
        folder.clicked.connect(self.choose_folder)
        file.clicked.connect(self.choose_file)
        row.addWidget(folder)
        row.addWidget(file)
        tools = QWidget()
        tools.setLayout(row)
        return tools

    def _watch(self, handle: JobHandle) -> None:
        self.new_model = ""
        handle.events.connect(self._take)
        self.progress.follow(handle)

    def _resume_watching(self) -> None:
        """Find an import that runs, after the page was built anew."""
        for handle in self.services.jobs.handles:
            if handle.request.task == IMPORT:
                self._watch(handle)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Result) and event.kind == "model":
                self.new_model = str(event.data["id"])

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        for text in self.progress.notes:
            self.services.notify(text)
        if isinstance(ending, Failed):
            self.failure.show_failure(ending)
        elif self.new_model:
            title = self.services.workspace.model(self.new_model).info.title
            self.services.notify(_("“{title}” is imported.").format(title=title))
        self.refresh()

    def _use(self, model: Model) -> None:
        self.services.navigate("create", run=PREFIX + model.id)

    def _reveal(self, model: Model) -> None:
        open_outside(model.folder)

    def _remove(self, model: Model) -> None:
        """Move a model to the trash; Undo puts it back."""
        workspace, title = self.services.workspace, model.info.title
        try:
            trashed = workspace.trash(model.folder)
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return

        def undo() -> None:
            workspace.restore(trashed, model.folder)
            self.refresh()

        self.services.notify(_("“{title}” moved to the trash.").format(title=title), undo)
        self.refresh()


PAGE = ModelsPage
