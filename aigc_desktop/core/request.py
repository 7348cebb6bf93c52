"""What a host is asked to do: a job by name, as plain data that crosses a pipe or lies in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class JobRequest:
    """A job to run, a plan to make, or a quick look at what a job would do.

    `task` is "family.task"; `run` is the folder of the run, or empty for a job that needs none; `values` are
    the configuration, for a plan those the user set; `preset` is for plans. A "look" runs like any job but is not
    worth a place in the queue nor a record.
    """

    task: str
    values: dict[str, Any] = field(default_factory=dict)
    workspace: str = ""
    run: str = ""
    language: str = "en"
    mode: Literal["run", "plan", "look"] = "run"
    preset: str = "auto"
