"""The command `evaluate`: measure a trained model, say the figures, and write the report as HTML and PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import readable_path
from aigc_desktop.core.i18n import _
from aigc_desktop.core.metric_words import words_for
from aigc_desktop.core.report import Report, read_report
from aigc_desktop.core.report_words import (
    cell_text,
    column_titles,
    interval_text,
    marks_text,
    value_text,
    words_in_a_row,
)
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.terminal import DONE, Shell

Writer = Callable[[Run, Path], None]
"""(evaluation, file) -> None: writes its report."""


def evaluate_run(workspace: Workspace, shell: Shell, values: dict[str, Any], html: str, pdf: str) -> int:
    """Evaluate the run that `values` name and return the exit code; the evaluation stays in the workspace."""
    from aigc_desktop.export.report_html import write_html  # brings what reads pictures
    from aigc_desktop.export.report_pdf import write_pdf

    wanted: list[tuple[Path, Writer]] = [(Path(html), write_html)] if html else []
    if pdf:
        wanted.append((Path(pdf), write_pdf))
    for target, _write in wanted:
        if target.is_dir() or not target.absolute().parent.is_dir():
            raise UserError(
                _("{path} is no place for a file.").format(path=readable_path(target)),
                _("Name a file in a folder that is there."),
            )
    trained = workspace.run(values["run"])
    values = values | {"checkpoint": trained.checkpoint(values.get("checkpoint", "best")).name}
    evaluation = workspace.new_run("evaluate.run", values, trained.info.title, parent="evaluations")
    code = shell.drive(JobRequest("evaluate.run", values, str(workspace.folder), str(evaluation.folder)))
    if code != DONE:
        workspace.trash(evaluation.folder)
        return code
    for line in report_lines(read_report(evaluation.folder)):
        shell.say(line)
    for target, write in wanted:
        write(evaluation, target)
        shell.row({"file": str(target)}, str(target))
    return code


def report_lines(report: Report) -> Iterator[str]:
    """Yield the figures and tables of a report as lines for people."""
    for section in report.sections:
        yield "\n" + _(section.title)
        for figure in section.figures:
            interval = interval_text(figure)
            parts = [f"{_(figure.name)}: {value_text(figure)}", f"({interval})" if interval else ""]
            compared = marks_text(figure)
            yield "  " + " ".join(part for part in [*parts, f"[{compared}]" if compared else ""] if part)
    for table in report.tables:
        yield "\n" + _(table.title)
        for cells in [column_titles(table), *table.rows]:
            yield "  " + "\t".join(cell if isinstance(cell, str) else cell_text(cell) for cell in cells)
    for one in report.copied:
        passage = " ".join(one.text[one.start : one.end].split())
        yield "\n" + words_in_a_row(one) + f": {passage}"
    if report.training:
        yield "\n" + _("Measured while training")
        yield from (f"  {words_for(name).title}: {value}" for name, value in report.training.items())
