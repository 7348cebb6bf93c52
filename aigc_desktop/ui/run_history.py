"""What a run left on the disk, read beside the window: its curves and its samples."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Sample, Text
from aigc_desktop.core.metric_words import words_for
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.samples import SampleSheet, read_samples
from aigc_desktop.ui.widgets.plots.metric_plot import Columns
from aigc_desktop.ui.widgets.plots.series import Floats, Series
from aigc_desktop.ui.widgets.wall.wall_rows import BUDGET_BYTES

REAL_ITEMS = {"image": 16, "text": 4}
TEXT_LENGTH = 600


@dataclass
class History:
    """Curves ready to draw, and samples as the events they were."""

    series: dict[str, Series] = field(default_factory=dict)
    samples: list[Event] = field(default_factory=list)
    best_step: int | None = None


def read_history(run: Run, weight: float) -> History:
    """Read it all; curves are smoothed with `weight`, samples that would not fit into memory are left out evenly."""
    best = run.info.best
    samples = [event for sheet in _fitting(read_samples(run)) if (event := _event(sheet)) is not None]
    if not any(event.role == "real" for event in samples if isinstance(event, Sample | Text)):
        samples += real_items(run)
    series = {name: _series(name, columns, weight) for name, columns in read_columns(run).items()}
    return History(series, samples, int(best) if best.isdecimal() else None)


def real_items(run: Run) -> list[Event]:
    """Return some of what the run learns from, to compare with; nothing when the data set is gone."""
    try:
        dataset = Workspace(run.workspace).dataset(run.info.dataset)
        rows = dataset.indices("train")
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), REAL_ITEMS[dataset.info.kind])).astype(int)]
        if dataset.info.kind == "image":
            return [Sample(0, np.asarray(dataset.image_map[chosen]), role="real")]
        texts = dataset.texts("train")
        positions = np.searchsorted(rows, chosen).tolist()
        return [Text(0, tuple(texts[i][:TEXT_LENGTH] for i in positions), role="real")]
    except (UserError, OSError, ValueError):
        return []


def read_columns(run: Run) -> Columns:
    """Return metric name -> (steps, values, seconds); a damaged line is left out."""
    lists: dict[str, tuple[array[float], array[float], array[float]]] = {}
    for row in run.metric_rows():
        step, seconds = row.pop("step"), row.pop("seconds", 0.0)
        for name, value in row.items():
            columns = lists.setdefault(name, (array("d"), array("d"), array("d")))
            for column, entry in zip(columns, (step, value, seconds), strict=True):
                column.append(entry)
    return {name: tuple(np.frombuffer(c, np.float64) for c in columns) for name, columns in lists.items()}  # type: ignore[misc]


def _series(name: str, columns: tuple[Floats, Floats, Floats], weight: float) -> Series:
    """Return a metric's values with averages and pyramids: for a million values that is no work for the window."""
    series = Series(0.0 if words_for(name).validation else weight)
    series.extend(*columns)
    series.refresh()
    return series


def _fitting(sheets: list[SampleSheet]) -> list[SampleSheet]:
    """Leave out sheets evenly until the rest fits; the real data, the first and the last stay."""
    cost = sum(sheet.count * sheet.cell[0] * sheet.cell[1] * 3 for sheet in sheets)
    every = -(-cost // BUDGET_BYTES)
    if every <= 1:
        return sheets
    real = [sheet for sheet in sheets if sheet.role == "real"]
    others = [sheet for sheet in sheets if sheet.role != "real"]
    return [*real, *others[:-1:every], *others[-1:]]


def _event(sheet: SampleSheet) -> Event | None:
    """Return the recorded event, or None when its file is damaged: the others are still worth showing."""
    if sheet.items:
        return Text(sheet.step, sheet.items, sheet.seeds, sheet.role)  # type: ignore[arg-type]
    try:
        return Sample(
            sheet.step, sheet.images(), sheet.seeds, sheet.labels, sheet.role,  # type: ignore[arg-type]
            captions=sheet.captions,
        )  # fmt: skip
    except (OSError, UserError):
        return None
