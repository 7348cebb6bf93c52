"""The jobs of the Data page: scan a source, freeze a data set; and both at once for the command line."""

from __future__ import annotations

from typing import Any

from aigc_desktop.core.config import check
from aigc_desktop.core.events import EventStream, Result
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.run import Run
from aigc_desktop.data.freeze import FreezeConfig, freeze
from aigc_desktop.data.scan import ScanConfig, scan


def import_dataset(config: ScanConfig, freeze_values: dict[str, Any], run: Run) -> EventStream:
    """Scan, then freeze with `freeze_values` (fields of FreezeConfig but `dataset`); ends with one Result "dataset".

    When the freeze fails, the scanned data set stays: it is complete, and can be frozen again.
    """
    dataset = ""
    steps = scan(config, run)
    try:
        for event in steps:
            if isinstance(event, Result):
                dataset = str(event.data["id"])
            else:
                yield event
    finally:
        steps.close()
    yield from freeze(check(FreezeConfig, {**freeze_values, "dataset": dataset}), run)


JOBS = Family(
    "data",
    N_("Data"),
    N_("Bring in pictures and texts and make them ready for training."),
    "any",
    (
        Task("scan", N_("Import"), ScanConfig, scan, "data"),
        Task("freeze", N_("Make ready for training"), FreezeConfig, freeze, "data"),
    ),
)
