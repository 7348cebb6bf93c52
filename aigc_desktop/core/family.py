"""What the catalogue holds: a family of models and its tasks; and the plan shown before a task starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aigc_desktop.core.fields import FieldSpec
from aigc_desktop.core.job import Job

if TYPE_CHECKING:  # the window shows without pydantic and numpy
    from aigc_desktop.core.config import TaskConfig
    from aigc_desktop.core.dataset import Dataset, Split
    from aigc_desktop.core.machine import Machine

TaskGroup = Literal["train", "create", "explore", "data", "evaluate", "models"]
Kind = Literal["image", "text", "any"]


@dataclass(frozen=True)
class Preset:
    """A starting point: the values it sets, a title and one sentence, both messages to translate when shown."""

    name: str
    title: str
    summary: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Why a task cannot start, in one translated sentence; `field` names the setting to change, or is empty."""

    message: str
    field: str = ""


@dataclass(frozen=True)
class Plan:
    """What will happen: shown on the card before the start, as plain data that crosses the pipe.

    `seconds` and `memory_mb` are estimates for this machine; `good_after_s` is how long a good result takes.
    """

    preset: str
    presets: list[Preset]
    values: dict[str, Any]
    parameters: int = 0
    items: int = 0
    steps: int = 0
    seconds: float | None = None
    good_after_s: float | None = None
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    device: str = ""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Planner = Callable[[dict[str, Any], str, "Dataset | None", "Machine"], Plan]
"""(values the user set, preset name or "auto", dataset or None, machine) -> Plan; never raises for bad values."""


Likelihood = Callable[[Sequence[str]], Iterator[float]]
"""Texts -> -log p of each in nats, one after another; not a number for a text that the model cannot read."""


@dataclass(frozen=True)
class Task:
    """Something that can be started: a configuration and the job that takes it.

    `plan` is for tasks with a card before the start; `group` says which page and command offer the task. A task that
    `requires` a setting is offered for runs that were trained with it on.
    """

    name: str
    title: str
    config: type[TaskConfig]
    job: Job
    group: TaskGroup = "create"
    plan: Planner | None = None
    requires: str = ""


@dataclass(frozen=True)
class Family:
    """A kind of model: how it is trained and used. `title` and `summary` are messages to translate when shown.

    `sampler` is for evaluation: (checkpoint folder, device name) -> a function (count, seed) -> what the model
    makes with default settings, images uint8 (N, H, W, C) or a list of texts; None where nothing is sampled.
    `baseline` is the same for a model in the checkpoint that the results have to be compared with. With `tempered`
    these functions also take a temperature. `likelihood` gives a function from texts to the nats of each, summed over
    its tokens and its end, or None for a checkpoint that has none of plain texts; `likelihood_note` is a message that
    says what is special about these. `latents` is for
    exploring: (checkpoint folder, device name) -> a LatentModel (engine/pictures/latent.py), which samples too.
    `captions` is for models that are asked in words: (checkpoint folder, data set, split) -> what to ask for to get
    pictures like those of the split, none where it learned no words; the functions of `sampler` take them then, and
    the picture of a seed is asked for by the caption at that number.
    """

    name: str
    title: str
    summary: str
    kind: Kind
    tasks: tuple[Task, ...]
    sampler: Callable[[Path, str], Callable[..., Any]] | None = None
    baseline: Callable[[Path, str], Callable[[int, int], Any]] | None = None
    tempered: bool = False
    likelihood: Callable[[Path, str], Likelihood | None] | None = None
    baseline_likelihood: Callable[[Path, str], Likelihood] | None = None
    likelihood_note: str = ""
    latents: Callable[[Path, str], Any] | None = None
    captions: Callable[[Path, Dataset, Split], list[str]] | None = None

    def task(self, name: str) -> Task:
        """Return the task of this name; KeyError if the family has none."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(f"{self.name} has no task {name!r}")


@dataclass(frozen=True)
class TaskSpec:
    """A task as plain data for the window, which never imports the engine; `key` is "family.task".

    `explored` says that models of its family have a latent space.
    """

    key: str
    title: str
    group: str
    family: str
    family_title: str
    kind: str
    summary: str
    fields: list[FieldSpec]
    requires: str = ""
    explored: bool = False


def task_spec(family: Family, task: Task) -> TaskSpec:
    """Return the plain description of a family's task."""
    from aigc_desktop.core.config import describe

    return TaskSpec(
        f"{family.name}.{task.name}", task.title, task.group, family.name, family.title, family.kind,
        family.summary, describe(task.config), task.requires, family.latents is not None,
    )  # fmt: skip
