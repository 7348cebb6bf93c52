"""What a host is asked to do: a job by name, as plain data that crosses a pipe or lies in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.run import Run


@dataclass(frozen=True)
class JobRequest:
    """A job to run or a plan to make.

    `task` is "family.task"; `run` is the folder of the run, or empty for a job that needs none; `values` are
    the configuration, for a plan those the user set; `preset` is for plans.
    """

    task: str
    values: dict[str, Any] = field(default_factory=dict)
    workspace: str = ""
    run: str = ""
    language: str = "en"
    mode: Literal["run", "plan"] = "run"
    preset: str = "auto"


def left_of(request: JobRequest) -> Literal["versions", "works", "nothing"]:
    """Return what a job leaves that ends before its time, as its folder shows it by now."""
    if not request.run or request.mode == "plan":
        return "nothing"
    run = Run(Path(request.run), Path(request.workspace))
    if run.folder.parent.name == "results":  # written work by work
        return "works"
    return "versions" if run.checkpoints() else "nothing"
