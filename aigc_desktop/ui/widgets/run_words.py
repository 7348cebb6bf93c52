"""A run in words and signs: its state, the curve that says how it went."""

from __future__ import annotations

from collections.abc import Sequence

STATUS_ICONS = {
    "new": ("clock", "secondary"),
    "running": ("loader-circle", "accent"),
    "interrupted": ("pause", "amber"),
    "finished": ("circle-check", "green"),
    "stopped": ("pause", "amber"),
    "failed": ("circle-alert", "red"),
}


def status_icon(status: str) -> tuple[str, str]:
    """Return icon and colour for a run's status; never the colour alone."""
    return STATUS_ICONS[status]


def main_metric(rows: Sequence[dict[str, float]]) -> str:
    """Return the name of the metric that says most about a run: validation loss, else a loss, else the first."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    for wanted in (("val", "loss"), ("loss",), ("val",)):
        for name in names:
            if all(word in name.casefold() for word in wanted):
                return name
    return names[0] if names else ""


def loss_values(rows: Sequence[dict[str, float]]) -> list[float]:
    """Return the course of the main metric, oldest first."""
    name = main_metric(rows)
    return [row[name] for row in rows if name in row]
