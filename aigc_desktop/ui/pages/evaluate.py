"""Evaluate: measure what a trained model makes, read it in plain words, compare, and save it as HTML or PDF."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog, QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Failed, Finished, Stopped
from aigc_desktop.core.files import safe_name
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.evaluations import Entry, Loaded, load, read_entries
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.qt_types import need_types
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import Scrolled, SideBySide

TASK = "evaluate.run"
PANEL_PX, NARROW_PX = 340, 240
PLACES = ("first", "view", "compare")


class EvaluatePage(Page):
    """Left the evaluation to read, right what to measure and what was measured before."""

    title = N_("Evaluate")
    icon = "chart-line"
    order = 115
    section = "more"
    keys = ((N_("Move the evaluations to the trash"), "Del"),)

    def steps(self) -> Sequence[Callable[[], None]]:
        """Make the widgets in slices."""
        return (self._make_panel, self._make_view, self._lay_out)

    def _make_panel(self) -> None:
        from aigc_desktop.ui.widgets.reports.evaluate_panel import EvaluatePanel

        self.handle: JobHandle | None = None
        self.saved: Path | None = None
        self._loading: Background | None = None
        self._wanted: dict[str, Any] = {}
        self.panel = EvaluatePanel(self.services)

    def _make_view(self) -> None:
        from aigc_desktop.ui.widgets.reports.report_compare import ReportCompare
        from aigc_desktop.ui.widgets.reports.report_view import ReportView

        self.view = ReportView(self.services.theme)
        self.compare = ReportCompare(self.services.theme)

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.empty = EmptyState(
            theme, "chart-line", _("No trained model yet"),
            _("Train a model; here you see how near its works are to your data, how varied, and what is copied."),
            _("Go to Train"), folder=self.services.folder,
        )  # fmt: skip
        self.first = EmptyState(theme, "chart-line", _("How good is the model?"), "")
        main = QWidget()
        self.left = QStackedLayout(main)
        for part in (self.first, Scrolled(self.view, keeps=True), Scrolled(self.compare, keeps=True)):
            self.left.addWidget(part)
        work = SideBySide(theme, main, self.panel, (NARROW_PX, PANEL_PX))
        outer = QVBoxLayout(self)  # a stacked layout has no margins
        outer.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        self.stack = FittedStack()
        outer.addLayout(self.stack)
        self.stack.addWidget(self.empty)
        self.stack.addWidget(work)
        self.empty.acted.connect(self._go_to_train)
        self.panel.start.connect(self.evaluate)
        self.panel.past.chosen.connect(self._chosen)
        self.panel.past.delete_asked.connect(self.delete)
        self.panel.progress.ended.connect(self._ended)
        self.view.save_asked.connect(self._ask_place)
        self.view.open_asked.connect(self._open_saved)
        self.services.jobs.ready.connect(self._engine_ready)
        self._set_busy(False)
        self._resume_watching()

    def _set_busy(self, busy: bool) -> None:
        self.panel.set_busy(busy)
        self.first.sentence.setText(
            _("The report is shown here when all is measured.") if busy else
            _("Press Evaluate: it makes samples, measures them against your data, and explains each figure.")
        )  # fmt: skip

    def shown(self, **arguments: Any) -> None:
        """Choose the model `run` and its version `checkpoint`; or show the `evaluation` in this folder."""
        self.panel.refresh()
        self._wanted = arguments
        if arguments.get("run"):
            self.panel.choose(str(arguments["run"]), str(arguments.get("checkpoint", "")))
        self.stack.setCurrentIndex(1 if self.panel.has_models or self.panel.past.list.count() else 0)
        self.refresh()

    def refresh(self) -> None:
        """Read the evaluations of the workspace again, beside the window."""
        workspace = self.services.workspace
        Background(self, lambda: read_entries(workspace), self._show_entries, self.services.show_failure)

    # measuring

    def evaluate(self) -> None:
        """Measure what is chosen; one model at a time."""
        if self.handle is not None:
            return
        values = self.panel.values()
        if values is None:
            return
        workspace = self.services.workspace
        try:
            title = workspace.run(values["run"]).info.title
            evaluation = workspace.new_run(TASK, values, title, parent="evaluations")
        except (OSError, UserError) as error:
            self.services.show_failure(failure_of(error))
            return
        request = JobRequest(TASK, values, str(workspace.folder), str(evaluation.folder))
        self._watch(self.services.jobs.run(request))

    def _watch(self, handle: JobHandle) -> None:
        self.handle = handle
        self.panel.progress.follow(handle)
        self._set_busy(True)

    def _resume_watching(self) -> None:
        """Find an evaluation that runs, after the page was built anew."""
        for handle in self.services.jobs.handles:
            if handle.request.task == TASK and handle.run_folder is not None:
                self._watch(handle)

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        folder = self.handle.run_folder if self.handle is not None else None
        self.handle = None
        self._set_busy(False)
        if isinstance(ending, Finished) and folder is not None:
            self._wanted = {"evaluation": str(folder)}
        elif folder is not None:
            with contextlib.suppress(OSError):  # there is nothing in it to lose
                self.services.workspace.trash(folder)
        if isinstance(ending, Failed):
            self.services.show_failure(ending)
        elif isinstance(ending, Stopped):
            self.services.notify(_("Stopped; nothing was kept of this evaluation."))
        self.refresh()

    # reading

    def _show_entries(self, entries: list[Entry]) -> None:
        past = self.panel.past
        past.fill(entries)
        wanted, self._wanted = self._wanted, {}
        self.stack.setCurrentIndex(1 if self.panel.has_models or entries else 0)
        if wanted.get("evaluation"):
            past.select([Path(wanted["evaluation"])])
        elif wanted.get("run") or not past.folders():
            run = wanted.get("run") or self.panel.run_input.value()
            of_run = [entry.folder for entry in entries if entry.run == run]
            past.select(of_run[:1] if wanted.get("run") or of_run else [entry.folder for entry in entries[:1]])

    def _chosen(self, folders: list[Path]) -> None:
        if self._loading is not None:
            self._loading.cancel()
        self._loading = None
        if not folders:
            self.left.setCurrentIndex(PLACES.index("first"))
            return
        workspace, two = self.services.workspace, folders[:2]
        need_types()
        self._loading = Background(
            self, lambda: [load(folder, workspace) for folder in two], self._show_loaded, self._reading_failed
        )

    def _show_loaded(self, loaded: list[Loaded]) -> None:
        self._loading = None
        if len(loaded) == 2:
            older, newer = sorted(loaded, key=lambda one: one.report.created)
            self.compare.show_both(older, newer)
            self.left.setCurrentIndex(PLACES.index("compare"))
            return
        if self.view.loaded is None or self.view.loaded.evaluation.folder != loaded[0].evaluation.folder:
            self.view.show_loaded(loaded[0])
        self.left.setCurrentIndex(PLACES.index("view"))

    def _reading_failed(self, failed: Failed) -> None:
        self._loading = None
        self.left.setCurrentIndex(PLACES.index("first"))
        self.services.show_failure(failed)

    def delete(self, folders: list[Path]) -> None:
        """Move evaluations to the trash; Undo puts them back."""
        workspace = self.services.workspace
        try:
            trashed = [(workspace.trash(folder), folder) for folder in folders]
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return

        def undo() -> None:
            for place, folder in trashed:
                workspace.restore(place, folder)
            self.refresh()

        text = ngettext(
            "{count} evaluation moved to the trash.", "{count} evaluations moved to the trash.", len(folders)
        )
        self.services.notify(text.format(count=len(folders)), undo)
        self.refresh()

    # saving

    def _ask_place(self, kind: str) -> None:
        loaded = self.view.loaded
        if loaded is None:
            return
        filters = {"html": _("Web page (*.html)"), "pdf": _("PDF (*.pdf)")}
        name = str(Path.home() / f"{safe_name(loaded.report.title)}.{kind}")
        path, _filter = QFileDialog.getSaveFileName(self, _("Save the evaluation"), name, filters[kind])
        if path:
            self.save(kind, Path(path))

    def save(self, kind: str, target: Path) -> None:
        """Save the evaluation that is shown as "html" or "pdf", beside the window."""
        loaded = self.view.loaded
        if loaded is not None:
            work = partial(_write, kind, loaded.evaluation, target)
            Background(self, work, self._saved, self.services.show_failure)

    def _saved(self, target: Path) -> None:
        self.saved = target
        self.view.open_button.show()
        self.services.notify(_("Saved: {path}").format(path=target))

    def _open_saved(self) -> None:
        if self.saved is not None:
            open_outside(self.saved)

    # inside

    def _engine_ready(self) -> None:
        self.panel.refresh()

    def _go_to_train(self) -> None:
        self.services.navigate("train")


def _write(kind: str, evaluation: Run, target: Path) -> Path:
    from aigc_desktop.export.report_html import write_html
    from aigc_desktop.export.report_pdf import write_pdf

    (write_html if kind == "html" else write_pdf)(evaluation, target)
    return target


PAGE = EvaluatePage
