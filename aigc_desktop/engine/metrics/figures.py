"""What the reports of all families share: how they begin, and estimates as figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import OWN, Better, Curve, Figure, Mark, Plot, Report
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.metrics.estimate import Estimate


def figure(name: str, found: Estimate, better: Better, explanation: str, **more: Any) -> Figure:
    """Return an estimate as a figure."""
    low, high = _bounds(found)
    return Figure(name, found.value, explanation, low, high, better=better, **more)


def mark(name: str, found: Estimate) -> Mark:
    """Return an estimate as something to compare with."""
    return Mark(name, found.value, *_bounds(found))


def _bounds(found: Estimate) -> tuple[float, float] | tuple[None, None]:
    """Return the interval, or none where each resample gave the same: that says nothing of how sure a value is."""
    return (found.low, found.high) if found.low < found.high else (None, None)


def new_report(trained: Run, checkpoint: str, dataset: Dataset, count: int, seed: int = 0) -> Report:
    """Return a report of a version of a run without any figures yet."""
    info = trained.info
    return Report(
        trained.id, info.title, info.task.split(".")[0], checkpoint, dataset.info.title,
        datetime.now().astimezone().isoformat(timespec="seconds"), count, seed,
    )  # fmt: skip


_WATCHED = {
    "validation_kid": N_("Kernel distance to held-out pictures while it was trained"),
    "val_loss": N_("Loss on held-out data while it was trained"),
}  # fmt: skip


def training_plots(trained: Run) -> list[Plot]:
    """Return how what was measured on held-out data went over the steps of a training, a plot for each measure."""
    rows, plots = trained.metrics(), []
    for name, title in _WATCHED.items():
        points = [(float(row["step"]), float(row[name])) for row in rows if isinstance(row.get(name), int | float)]
        if len(points) > 1:
            steps, values = ([float(number) for number in column] for column in zip(*points, strict=True))
            explanation = N_("Lower is better. Where it rises again, longer training does harm.")
            plots.append(Plot(title, explanation, N_("Steps"), title, [Curve(OWN, steps, values)]))
    return plots


def trained_dataset(workspace: Workspace, trained: Run) -> Dataset:
    """Return the data a run was trained on; UserError when they are not the same any more."""
    if not trained.info.dataset:
        raise UserError(
            _("“{title}” came without the data it was trained on.").format(title=trained.info.title),
            _("Choose a model that was trained here."),
        )
    dataset = workspace.dataset(str(trained.config_values["dataset"]))
    if trained.info.dataset_hash and dataset.manifest_hash() != trained.info.dataset_hash:
        raise UserError(
            _("The data set “{title}” is not the one this model was trained on.").format(title=dataset.info.title),
            _("Restore the original data set, or train again."),
        )
    return dataset
