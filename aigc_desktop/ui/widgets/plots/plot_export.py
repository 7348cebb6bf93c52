"""Curves as files: a table of all values, or a picture of what is on the screen."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QWidget

from aigc_desktop.core.files import atomic_file
from aigc_desktop.ui.widgets.pictures.thumbnails import to_png
from aigc_desktop.ui.widgets.plots.series import Series


def write_csv(path: Path, curves: dict[str, Series]) -> None:
    """Write one line per step, atomically; cells are empty where a metric was not measured."""
    series = list(curves.values())
    steps = np.unique(np.concatenate([s.steps.values for s in series])) if series else np.zeros(0)
    cells = np.full((len(steps), len(series) + 1), np.nan)
    for column, one in enumerate(series):
        rows = np.searchsorted(steps, one.steps.values)
        cells[rows, 0], cells[rows, column + 1] = one.times.values, one.raw.values
    with atomic_file(path, "w") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["step", "seconds", *curves])
        for step, row in zip(steps, cells, strict=True):
            writer.writerow([int(step), *("" if np.isnan(cell) else f"{cell:.7g}" for cell in row)])


def write_png(path: Path, widget: QWidget, background: QColor) -> None:
    """Write a widget as a PNG of twice the screen's resolution, atomically."""
    image = QImage(widget.size() * 2, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(2)
    image.fill(background)
    widget.render(image)
    with atomic_file(path) as f:
        f.write(to_png(image))
