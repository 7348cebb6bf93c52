"""Execute a job request: the same few lines for the engine process, the in-window host and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aigc_desktop.core.config import TaskConfig, check, describe
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Result
from aigc_desktop.core.family import Plan, Problem
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import _, set_language
from aigc_desktop.core.job import run_job
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.allocator import return_freed_memory
from aigc_desktop.engine.catalog import find_task
from aigc_desktop.engine.device import describe_machine
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.pictures import latent
from aigc_desktop.engine.pretrained.kept import release


def execute(
    request: JobRequest,
    should_stop: Callable[[], bool] = lambda: False,
    next_request: Callable[[], str | None] = lambda: None,
) -> Iterator[Event]:
    """Yield the events of the requested job and its ending; a run's stream is recorded as it passes."""
    set_language(request.language)
    workspace = Path(request.workspace)
    run = Run(Path(request.run) if request.run else workspace, workspace)
    job = _make_plan if request.mode == "plan" else _run_task
    events = run_job(job, request, run, should_stop, next_request)
    return record(run, events) if request.run and request.mode == "run" else events


def _run_task(request: JobRequest, run: Run) -> EventStream:
    task = find_task(request.task)
    config: TaskConfig = check(task.config, request.values)
    release(request.task)
    latent.release(request.task)
    try:
        yield from task.job(config, run)
    finally:
        return_freed_memory()  # the engine stays, its memory does not


def _make_plan(request: JobRequest, run: Run) -> EventStream:
    task = find_task(request.task)
    if task.plan is None:
        raise ValueError(f"{request.task} has no plan")
    dataset_id: Any = request.values.get("dataset")
    workspace = Workspace(run.workspace)
    dataset = workspace.dataset(dataset_id) if dataset_id else None
    plan = task.plan(request.values, request.preset, dataset, describe_machine())
    plan.problems.extend(_unfit_runs(request.task, task.config, plan, workspace))
    yield Result("plan", {"plan": plan})


def _unfit_runs(task: str, config: type[TaskConfig], plan: Plan, workspace: Workspace) -> Iterator[Problem]:
    """Yield a problem for each training that the settings name and that is not in the workspace, or of another kind.

    Planners do not see the workspace; without this a run would be made that fails at once.
    """
    for spec in describe(config):
        name = plan.values.get(spec.name)
        if spec.kind == FieldKind.RUN and isinstance(name, str) and name:
            family = spec.family or task.split(".")[0]
            try:
                info = workspace.run(name).info
            except UserError as error:
                yield Problem(error.message, spec.name)
                continue
            if info.task.split(".")[0] != family:
                text = _("“{title}” is a training of another kind; choose one of “{family}”.")
                yield Problem(text.format(title=info.title, family=_(load_families()[family].title)), spec.name)
