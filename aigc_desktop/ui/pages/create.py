"""The Create page: make works with a trained model, judge them, keep and export the good ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Note, Sample, Stopped, Text
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.ui.explored import elsewhere, was_explored
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.ready_model import ReadyModel
from aigc_desktop.ui.recall_gate import RecallGate
from aigc_desktop.ui.widgets.controls import icon_button, label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import SideBySide
from aigc_desktop.ui.widgets.works.result_history import ResultHistory

PANEL_PX, NARROW_PX = 320, 220


class CreatePage(Page):
    """Left what was made, right what to make."""

    title = N_("Create")
    icon = "create"
    order = 40

    def steps(self) -> Sequence[Callable[[], None]]:
        """Make the widgets; those that read pictures are imported then, not when the window starts."""
        return (self._make_panel, self._make_view, self._make_rest)

    def _make_panel(self) -> None:
        from aigc_desktop.ui.widgets.works.create_panel import CreatePanel
        from aigc_desktop.ui.works import Batch

        self.make_batch = Batch
        self.batch: Batch | None = None
        self.handle: JobHandle | None = None
        self.follows_disk = False
        self.waiting: dict[str, Any] = {}
        self.gate = RecallGate(self)
        self.gate.brought.connect(self.recall_file)
        self.panel = CreatePanel(self.services)

    def _make_view(self) -> None:
        from aigc_desktop.ui.judging import Judge
        from aigc_desktop.ui.widgets.works.works_view import WorksView

        self.view = WorksView(self.services)
        self.judge = Judge(self, self.services, self.view)

    def _make_rest(self) -> None:
        theme = self.services.theme
        self.empty = EmptyState(
            theme, "create", _("No trained model yet"),
            _("Train a model on your pictures or texts; then it makes new ones here."), _("Go to Train"),
            folder=self.services.folder,
        )  # fmt: skip
        self.first = EmptyState(
            theme, "sparkles", _("Ready to create"),
            _("Choose the settings and start. Or drop a picture made here to use its settings again."), drop=True,
        )  # fmt: skip
        self._lay_out()
        self.empty.acted.connect(partial(self.services.navigate, "train"))
        self.empty.add_action(ReadyModel(self.services, self.empty).button)
        self.panel.generate.connect(self.generate)
        self.view.asked.connect(self._asked)
        self.services.jobs.ready.connect(self._engine_ready)
        self._resume_watching()

    def shown(self, **arguments: Any) -> None:
        """Use model `run`, PREFIX: an imported one; with a `seed` or `start` make works at once."""
        run = str(arguments.get("run", ""))
        if not run or not self.services.jobs.catalogue:
            # what a model can make is known when the engine is ready; then this is done again
            self.waiting = arguments if run else self.waiting
            self.panel.refresh()
            self._show_place()
            return
        if not self.panel.choose(run, str(arguments.get("checkpoint", "")), str(arguments.get("task", ""))):
            self.services.notify(_("That version of the model is not there any more; the nearest choice is shown."))
        seed = arguments.get("seed")
        count = {} if seed is None else {"count": arguments.get("count", 1)}
        own = {"label": arguments.get("label") or "", "seed": seed, **count}
        self.panel.set_values({**dict(arguments.get("settings") or {}), **own})
        self._show_place()
        if seed is not None or arguments.get("start"):
            self.generate()
        elif arguments.get("paint") and self.panel.form is not None:
            self.panel.form.paint_mask()

    # making

    def generate(self) -> None:
        """Make works with what is chosen."""
        if self.handle is not None:
            return
        if not self.panel.seed.lock.isChecked():
            self.panel.seed.throw()
        chosen = self.panel.chosen()
        if chosen is None:
            return
        task, values = chosen
        workspace = self.services.workspace
        try:
            title = (workspace.model(values["model"]) if "model" in values else workspace.run(values["run"])).info.title
            result = workspace.new_run(task.key, values, title, parent="results")
        except (OSError, UserError) as error:
            self.services.show_failure(failure_of(error))
            return
        request = JobRequest(task.key, values, str(workspace.folder), str(result.folder))
        self._watch(result, self.services.jobs.run(request))

    def like_this(self, origin: Mapping[str, Any]) -> None:
        """Make a work again from its origin: same model, version, settings and seed."""
        if self.recall(origin):
            self.generate()

    def recall(self, origin: Mapping[str, Any]) -> bool:
        """Show the settings a work was made with; False when its model is not in this workspace."""
        if not self.services.jobs.catalogue:
            self.services.notify(_("The engine is still starting; try again in a moment."))
            return False
        task, model = str(origin.get("task", "")), str(origin.get("model", ""))
        exact = self.panel.choose(model, str(origin.get("checkpoint", "")), task)
        if self.panel.run_input.value() != model:
            self.services.notify(
                _("The model this was made with is not in this workspace: {name}").format(name=model or "?")
            )
            return False
        if not exact:
            self.services.notify(_("The version this was made with is not there any more; the best one is shown."))
        settings = dict(origin.get("settings") or {})
        if isinstance(origin.get("seed"), int):
            settings |= {"seed": origin["seed"], "count": 1, "good": False}  # whatever is said against it
        self.panel.set_values(settings)
        self._show_place()
        return True

    def recall_file(self, path: Path) -> None:
        """Show the settings in a file this program made."""
        from aigc_desktop.export.export import read_settings

        origin = read_settings(path)
        if origin is None:
            self.services.notify(_("“{name}” holds no settings of this program.").format(name=path.name))
        elif self.recall(origin):
            self.services.notify(_("The settings of “{name}” are shown. Start when you like.").format(name=path.name))

    def _engine_ready(self) -> None:
        arguments, self.waiting = self.waiting, {}
        self.shown(**arguments)

    # watching

    def _watch(self, result: Run, handle: JobHandle, follows_disk: bool = False) -> None:
        self.handle, self.follows_disk = handle, follows_disk
        self.batch = self.make_batch(result)
        if follows_disk:
            self.batch.load()
        handle.events.connect(self._take)
        handle.ended.connect(self._ended)
        self.panel.progress.follow(handle)
        self.panel.set_busy(True)
        self.view.show_batch(self.batch)
        self._show_place()

    def _resume_watching(self) -> None:
        """Find a job of this page that runs, after the page was built anew."""
        for handle in self.services.jobs.handles:
            folder = handle.run_folder
            if folder and folder.parent.name == "results" and not was_explored({"task": handle.request.task}):
                self._watch(Run(folder, self.services.workspace.folder), handle, follows_disk=True)

    def _take(self, events: list[Event]) -> None:
        if self.batch is None:
            return
        changed: list[int] = []
        for warning in (event for event in events if isinstance(event, Note) and event.level == "warning"):
            self.services.notify(warning.message)
        if self.follows_disk:
            if any(isinstance(event, Sample | Text) for event in events):
                self.batch.final_texts = 0
                self.batch.load()
        else:
            for event in events:
                if isinstance(event, Sample) and event.role != "real":
                    self.batch.add_pictures(event)
                elif isinstance(event, Text) and event.role != "real":
                    changed += self.batch.add_texts(event.items, event.seeds, event.partial)
        if len(self.view.rows) != len(self.batch.works) or changed:
            self.view.grow(changed)

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self.handle = None
        self.panel.set_busy(False)
        if self.panel.progress.notes:
            self.services.notify("\n".join(self.panel.progress.notes))
        if self.batch is not None:
            self.batch.settle_texts()
            self.view.grow(range(len(self.batch.works)) if self.batch.final_texts else ())
        if isinstance(ending, Failed):
            self.services.show_failure(ending)
        elif isinstance(ending, Stopped) and self.batch is not None:
            count = sum(not work.failed for work in self.batch.works)
            text = ngettext(
                "Stopped; {count} finished work is here.", "Stopped; {count} finished works are here.", count
            )
            self.services.notify(text.format(count=count))
        self.history.fill(self.batch.result.folder if self.batch else None)

    # judging

    def _asked(self, action: str, places: list[int]) -> None:
        if self.batch is None or not places:
            return
        work = self.batch.works[places[0]]
        if told := elsewhere(self.services, action, work.origin, work.file):
            self.services.navigate(told[0], **told[1])
        elif action == "like":
            self.like_this(work.origin)
        else:
            self.judge.act(action, self.batch, places)

    # earlier results

    def _open_result(self, folder: Path) -> None:
        """Show what was made before; not while works are being made."""
        if self.handle is None:
            self.batch = self.make_batch(Run(folder, self.services.workspace.folder))
            self.batch.load()
            self.batch.settle_texts()
            self.view.show_batch(self.batch)
        self._show_place()

    # inside

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.history = ResultHistory(self.services.workspace)
        self.history.opened.connect(self._open_result)
        recall = icon_button(theme, "upload", _("Use the settings of a file made here…"))
        recall.clicked.connect(self.gate.choose)
        head = QHBoxLayout()
        head.setSpacing(theme.px(8))
        head.addWidget(self.history, 1)
        head.addWidget(recall)
        head.addWidget(label(_("AI生成 · AI generated"), "secondary", wrap=False))
        self.left = QStackedLayout()
        self.left.addWidget(self.first)
        self.left.addWidget(self.view)
        main = QWidget()
        middle = QVBoxLayout(main)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(theme.px(8))
        middle.addLayout(head)
        middle.addLayout(self.left, 1)
        work = SideBySide(theme, main, self.panel, (NARROW_PX, PANEL_PX))
        outer = QVBoxLayout(self)  # a stacked layout has no margins
        outer.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        self.stack = FittedStack()
        outer.addLayout(self.stack)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(work)

    def _show_place(self) -> None:
        self.history.fill(self.batch.result.folder if self.batch else None)
        nothing = not self.panel.has_models and self.batch is None and self.history.count() == 0
        self.stack.setCurrentIndex(0 if nothing else 1)
        self.left.setCurrentIndex(0 if self.batch is None else 1)


PAGE = CreatePage
