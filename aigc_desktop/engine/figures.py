"""What the reports of all families share: how they begin, and estimates as figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Better, Figure, Mark, Report
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.metrics.estimate import Estimate


def figure(name: str, found: Estimate, better: Better, explanation: str, **more: Any) -> Figure:
    """Return an estimate as a figure."""
    return Figure(name, found.value, explanation, found.low, found.high, better=better, **more)


def mark(name: str, found: Estimate) -> Mark:
    """Return an estimate as something to compare with."""
    return Mark(name, found.value, found.low, found.high)


def new_report(trained: Run, checkpoint: str, dataset: Dataset, count: int, seed: int = 0) -> Report:
    """Return a report of a version of a run without any figures yet."""
    info = trained.info
    return Report(
        trained.id, info.title, info.task.split(".")[0], checkpoint, dataset.info.title,
        datetime.now().astimezone().isoformat(timespec="seconds"), count, seed,
    )  # fmt: skip


def trained_dataset(workspace: Workspace, trained: Run) -> Dataset:
    """Return the data a run was trained on; UserError when they are not the same any more."""
    dataset = workspace.dataset(str(trained.config_values["dataset"]))
    if trained.info.dataset_hash and dataset.manifest_hash() != trained.info.dataset_hash:
        raise UserError(
            _("The data set “{title}” is not the one this model was trained on.").format(title=dataset.info.title),
            _("Restore the original data set, or train again."),
        )
    return dataset
