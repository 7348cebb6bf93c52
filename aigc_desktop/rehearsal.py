"""The rehearsal, headless: the main job on the bundled samples, request by request.

The window's guided tour takes the same steps from core/rehearsal.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from aigc_desktop.core.family import Plan, TaskSpec
from aigc_desktop.core.i18n import _
from aigc_desktop.core.library import Library
from aigc_desktop.core.rehearsal import COUNT, SAMPLES, lessons, scan_values, short_values
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.catalog import describe_catalogue
from aigc_desktop.export.piece import labelled
from aigc_desktop.export.results import export_result, keep_result

Step = tuple[str, JobRequest]
PlanMaker = Callable[[str, dict[str, Any], str, Workspace], Plan]


def rehearse(
    workspace: Workspace, out: Path, plan: PlanMaker, families: set[str], seconds: float | None = None
) -> Generator[Step, dict[str, Any] | None, list[Path]]:
    """Yield (title, request) for each job to run, take the data of its Result, and return the exported files.

    `families` empty means all; `seconds` is the training time of each, None for the usual.
    """
    folder = str(workspace.folder)
    wanted = [task for task in lessons(describe_catalogue()) if not families or task.family in families]
    datasets: dict[str, str] = {}
    files: list[Path] = []
    for task in wanted:
        if task.kind not in datasets:
            datasets[task.kind] = yield from _import(task.kind, folder)
        values = short_values(plan(task.key, {"dataset": datasets[task.kind]}, "auto", workspace), task.kind, seconds)
        run = workspace.new_run(task.key, values, _("Rehearsal: {family}").format(family=_(task.family_title)))
        title = _("Train: {family}").format(family=_(task.family_title))
        yield title, JobRequest(task.key, values, folder, str(run.folder))
        files += yield from _generate(task, run.id, workspace, out)
    return files


def _import(kind: str, folder: str) -> Generator[Step, dict[str, Any] | None, str]:
    """Import the bundled samples of this kind and return the id of the data set."""
    title = _(SAMPLES[kind][1])
    scan = scan_values(kind)
    found = yield _("Import: {title}").format(title=title), JobRequest("data.scan", scan, folder)
    dataset_id = str((found or {})["id"])
    yield _("Freeze: {title}").format(title=title), JobRequest("data.freeze", {"dataset": dataset_id}, folder)
    return dataset_id


def _generate(
    task: TaskSpec, run_id: str, workspace: Workspace, out: Path
) -> Generator[Step, dict[str, Any] | None, list[Path]]:
    """Make works with a trained model, keep them in the library and export them."""
    key = f"{task.family}.generate"
    values = {"run": run_id, "count": COUNT[task.kind], "seed": 1}
    result = workspace.new_run(key, values, parent="results")
    title = _("Generate: {family}").format(family=_(task.family_title))
    yield title, JobRequest(key, values, str(workspace.folder), str(result.folder))
    keep_result(Library(workspace.folder), result)
    return export_result(result, out / task.family, labelled("auto", "end"))
