"""The guided tour: the rehearsal in the window, with the jobs any user starts, on the bundled samples."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from aigc_desktop.core.errors import system_reason
from aigc_desktop.core.events import Event, Failed, Finished, Result, Sample, Stopped, Text
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.rehearsal import COUNT, lessons, scan_values, short_values
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services

STEPS = {
    "import": N_("Bring in the samples"),
    "freeze": N_("Make them ready for training"),
    "train": N_("Train a small model"),
    "generate": N_("Make new works with it"),
    "keep": N_("Keep the works in the Library"),
    "export": N_("Export them as files"),
}
EXPORTS = "exports"
"""Folder of the workspace that holds exported files."""
Asked = JobRequest | None
Answer = dict[str, Any]


@dataclass
class Outcome:
    """What the tour has made so far."""

    dataset: str = ""
    run: str = ""
    result: str = ""
    files: tuple[Path, ...] = ()


def available(catalogue: dict[str, TaskSpec]) -> dict[str, TaskSpec]:
    """Return the training task of the tour for each kind, "image" and "text": the first family of that kind."""
    found: dict[str, TaskSpec] = {}
    for task in lessons(catalogue.values()):
        found.setdefault(task.kind, task)
    return found


class Tour(QObject):
    """Runs one job after the other; `step` is the key in STEPS that runs now, "" before and after.

    It belongs to the jobs, not to a page, so that a change of language does not end it; `current` finds it again.
    """

    changed = Signal()
    shown = Signal(object)
    """A Sample or Text event to look at."""
    ended = Signal(bool)
    """Whether it came to its end."""

    def __init__(self, services: Services, task: TaskSpec) -> None:
        super().__init__(services.jobs)
        self.services, self.task = services, task
        self.step = ""
        self.done: list[str] = []
        self.outcome = Outcome()
        self.handle: JobHandle | None = None
        self.last: Sample | Text | None = None
        self.state = "running"
        self._answer: Answer = {}
        self._jobs = self._requests()
        self._next(None)

    @staticmethod
    def current(services: Services) -> Tour | None:
        """Return the tour that runs or ran last."""
        tours = services.jobs.findChildren(Tour)
        return tours[-1] if tours else None

    def stop(self) -> None:
        """Stop the job that runs; what was made so far stays."""
        if self.handle is not None:
            self.handle.stop()

    def _requests(self) -> Generator[Asked, Answer, None]:
        """Yield each job to run and take the data of its Result; None means that files are being written beside."""
        workspace, task, folder = self.services.workspace, self.task, str(self.services.workspace.folder)
        self.step = "import"
        found = yield JobRequest("data.scan", scan_values(task.kind), folder)
        self.outcome.dataset = str(found["id"])
        self._go_to("freeze")
        yield JobRequest("data.freeze", {"dataset": self.outcome.dataset}, folder)
        self._go_to("train")
        answer = yield JobRequest(task.key, {"dataset": self.outcome.dataset}, folder, mode="plan")
        values = short_values(answer["plan"], task.kind)
        run = workspace.new_run(task.key, values, _("Rehearsal: {family}").format(family=_(task.family_title)))
        self.outcome.run = run.id
        yield JobRequest(task.key, values, folder, str(run.folder))
        self._go_to("generate")
        key = f"{task.family}.generate"
        values = {"run": run.id, "count": COUNT[task.kind], "seed": 1}
        result = workspace.new_run(key, values, parent="results")
        self.outcome.result = str(result.folder)
        yield JobRequest(key, values, folder, str(result.folder))
        self._go_to("keep")
        self._save_beside(workspace, result.folder.name)
        yield None

    def _next(self, answer: Answer | None) -> None:
        """Start the next job, with what the one before answered; None for the first."""
        try:
            request = next(self._jobs) if answer is None else self._jobs.send(answer)
        except StopIteration:
            self._end("finished")
            return
        except OSError as error:
            self._fail(_("The tour could not go on: {reason}").format(reason=system_reason(error)))
            return
        self._answer = {}
        if request is None:
            self.handle = None
            return
        self.handle = self.services.jobs.run(request)
        self.handle.events.connect(self._take)
        self.handle.ended.connect(self._job_ended)
        self.changed.emit()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Result):
                self._answer = event.data
            elif isinstance(event, Sample | Text) and event.role == "samples":
                self.last = event
        if self.last is not None:
            self.shown.emit(self.last)
        self.changed.emit()

    def _job_ended(self, ending: Finished | Stopped | Failed) -> None:
        match ending:
            case Finished():
                self._next(self._answer)
            case Stopped():
                self._end("stopped")
            case Failed():
                self._end("failed")
                self.services.show_failure(ending)

    def _save_beside(self, workspace: Workspace, result: str) -> None:
        """Keep the works in the library and export them, on a thread: encoding pictures takes a moment."""
        target = workspace.folder / EXPORTS / result
        preferences = self.services.preferences

        def save() -> tuple[Path, ...]:
            from aigc_desktop.core.library import Library
            from aigc_desktop.export.piece import labelled
            from aigc_desktop.export.results import export_result, keep_result

            made = Run(workspace.folder / "results" / result, workspace.folder)
            keep_result(Library(workspace.folder), made)
            return tuple(export_result(made, target, labelled(preferences.picture_label, preferences.text_label)))

        self.changed.emit()
        Background(self, save, self._saved, self._save_failed)

    def _saved(self, files: tuple[Path, ...]) -> None:
        self.outcome.files = files
        self._go_to("export")
        self._end("finished")

    def _save_failed(self, failed: Failed) -> None:
        self._end("failed")
        self.services.show_failure(failed)

    def _fail(self, text: str) -> None:
        self._end("failed")
        self.services.show_failure(Failed("OSError", text))

    def _go_to(self, step: str) -> None:
        self.done.append(self.step)
        self.step = step

    def _end(self, state: str) -> None:
        if state == "finished":
            self.done.append(self.step)
            self.step = ""
        self.state, self.handle = state, None
        self.changed.emit()
        self.ended.emit(state == "finished")
