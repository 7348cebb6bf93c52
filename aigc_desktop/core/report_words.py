"""A report in words: its facts, its numbers, and what is said of their direction, in the language in use."""

from __future__ import annotations

from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.report import WORDS, Copied, Figure, Report, Table, number_text

BETTER = {"higher": N_("higher is better"), "lower": N_("lower is better"), "": ""}


def title_of(report: Report) -> str:
    """Return the heading of a report."""
    return _("Evaluation of “{title}”").format(title=report.title)


def facts_of(report: Report) -> list[str]:
    """Return what was evaluated, when and on what, each fact as a few words."""
    version = str(int(report.checkpoint)) if report.checkpoint.isdecimal() else report.checkpoint
    return [
        _("step {step}").format(step=version), _("data “{title}”").format(title=report.dataset),
        ngettext("{count} sample", "{count} samples", report.count).format(count=f"{report.count:,}"),
        report.created[:16].replace("T", " "),
    ]  # fmt: skip


def value_text(figure: Figure) -> str:
    """Return the value with its unit."""
    number = number_text(figure.value, figure.digits)
    if figure.unit == WORDS:
        return ngettext("{count} word", "{count} words", round(figure.value)).format(count=number)
    return f"{number} {_(figure.unit)}".strip()


def interval_text(figure: Figure) -> str:
    """Return the interval, or ""."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{number_text(figure.low, figure.digits)} – {number_text(figure.high, figure.digits)}"


def marks_text(figure: Figure) -> str:
    """Return what a figure is compared with, in one line."""
    return " · ".join(f"{_(mark.name)} {number_text(mark.value, figure.digits)}" for mark in figure.marks)


def words_in_a_row(one: Copied) -> str:
    """Return how long a passage is that a made text shares with a training text."""
    return ngettext("{count} word in a row", "{count} words in a row", one.tokens).format(count=one.tokens)


def column_titles(table: Table) -> list[str]:
    """Return the heads of a table; those of a confusion are names of classes, which are never translated."""
    return list(table.columns) if table.kind == "confusion" else [_(title) if title else "" for title in table.columns]


def cell_text(value: object) -> str:
    """Return what stands in a cell."""
    if isinstance(value, float):
        return number_text(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
