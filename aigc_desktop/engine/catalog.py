"""The catalogue: every family and the jobs without a model, by name. Loading it is the slow import."""

from __future__ import annotations

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.family import Family, Task, TaskSpec, task_spec
from aigc_desktop.core.i18n import _
from aigc_desktop.data import jobs
from aigc_desktop.engine.evaluating import evaluation
from aigc_desktop.engine.exploring import tasks as exploring
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.labels import proposing
from aigc_desktop.engine.pictures import editing
from aigc_desktop.engine.pretrained import importing as model_import


def load_catalogue() -> dict[str, Family]:
    """Return everything that can be started: the families, the jobs of data and models, and the evaluation."""
    groups = (jobs.JOBS, model_import.JOBS, evaluation.JOBS, proposing.JOBS, exploring.JOBS, editing.JOBS)
    return {**load_families(), **{group.name: group for group in groups}}


def find_task(key: str) -> Task:
    """Return the task "family.name"; UserError if there is none, as after a downgrade of the program."""
    family, _dot, name = key.partition(".")
    try:
        return load_catalogue()[family].task(name)
    except KeyError:
        raise UserError(
            _("This version of the program does not know the task “{name}”.").format(name=key),
            _("Open it with the version that made it."),
        ) from None


def describe_catalogue() -> list[TaskSpec]:
    """Return all tasks as plain data for the window."""
    return [task_spec(family, task) for family in load_catalogue().values() for task in family.tasks]
