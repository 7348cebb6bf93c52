"""The rehearsal: the main job on the bundled samples, small enough to end within five minutes.

The command line runs it headless and the Start page as a guided tour; both take their steps from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aigc_desktop.core.family import Plan, TaskSpec
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import resources

SAMPLES = {
    "image": ("emoji", N_("Emoji (sample pictures)")),
    "text": ("texts/tang_quatrains.jsonl", N_("Tang poems (sample texts)")),
}
"""Kind of family -> place in resources/samples and title."""
SECONDS = {"image": 36.0, "text": 30.0}
"""Training time of one family of this kind, on this machine."""
_PUBLISHED = (FieldKind.MODEL, FieldKind.ENCODER, FieldKind.DIFFUSION)  # models that do not come with the program
COUNT = {"image": 8, "text": 4}
"""How many works each family makes."""


def sample_path(kind: str) -> Path:
    """Return the bundled samples for families of this kind."""
    return resources() / "samples" / SAMPLES[kind][0]


def scan_values(kind: str) -> dict[str, Any]:
    """Return the values of the import of the samples of this kind."""
    labels = {"labels": "folders"} if sample_path(kind).is_dir() else {}
    return {"source": str(sample_path(kind)), "title": _(SAMPLES[kind][1]), **labels}


def lessons(catalogue: Iterable[TaskSpec]) -> list[TaskSpec]:
    """Return the training tasks to rehearse: every family of pictures or texts that makes new ones of nothing else."""
    tasks = list(catalogue)
    makers = {task.family for task in tasks if task.key == f"{task.family}.generate"}
    return [
        task for task in trainings(tasks)
        if task.kind in SAMPLES and task.family in makers and not _begins_with_published(task)
    ]  # fmt: skip


def trainings(catalogue: Iterable[TaskSpec]) -> list[TaskSpec]:
    """Return the training tasks, first those that begin with nothing else."""
    return sorted((task for task in catalogue if task.group == "train"), key=_begins_with_published)


def _begins_with_published(task: TaskSpec) -> bool:
    """Return whether a training begins with a model that somebody published."""
    return any(field.kind in _PUBLISHED for field in task.fields)


def short_values(plan: Plan, kind: str, seconds: float | None = None) -> dict[str, Any]:
    """Return the plan's values with as many steps as fit into `seconds`, by the plan's own estimate."""
    if not plan.seconds:
        return plan.values
    steps = int(plan.steps * (seconds or SECONDS[kind]) / plan.seconds)
    return {**plan.values, "steps": max(5, min(plan.steps, steps))}
