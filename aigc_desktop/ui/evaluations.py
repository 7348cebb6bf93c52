"""Evaluations as they lie in the workspace, read beside the window."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.report import FILE, Report, read_report
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace

LISTED = 200


@dataclass(frozen=True)
class Entry:
    """What the list shows of an evaluation."""

    folder: Path
    run: str
    title: str
    checkpoint: str
    created: str


@dataclass(frozen=True)
class Loaded:
    """A report with the sheets of pictures (title, PNG) that belong to it."""

    evaluation: Run
    report: Report
    sheets: Sequence[tuple[str, bytes]]


def read_entries(workspace: Workspace) -> list[Entry]:
    """Return the finished evaluations, newest first; one whose record is damaged is left out."""
    entries = []
    for evaluation in workspace.evaluations()[:LISTED]:
        if not (evaluation.folder / FILE).is_file():
            continue
        try:
            info, config = evaluation.info, evaluation.config_values
        except (UserError, OSError):
            continue
        run, version = (str(config.get(name, "")) for name in ("run", "checkpoint"))
        entries.append(Entry(evaluation.folder, run, info.title, version, info.created))
    return sorted(entries, key=lambda entry: entry.created, reverse=True)


def load(folder: Path, workspace: Workspace) -> Loaded:
    """Read a report; UserError when it is damaged. What draws its plots is loaded too, on the thread of the caller."""
    from aigc_desktop.export.report_html import picture_sheets

    evaluation = Run(folder, workspace.folder)
    report = read_report(folder)
    if report.plots:
        importlib.import_module("aigc_desktop.ui.widgets.reports.report_plot")
    return Loaded(evaluation, report, picture_sheets(evaluation))
