"""Paint a picture with its main colours only, as for a poster, a print or before it becomes a vector drawing."""

from __future__ import annotations

import numpy as np

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.i18n import N_
from aigc_desktop.editing.oklab import Lab
from aigc_desktop.editing.operation import Doubler, Operation, Pixels
from aigc_desktop.editing.palette import extract, repaint


class ReduceColoursConfig(TaskConfig):
    """How many colours stay."""

    count: int = param(8, N_("Colours"), N_("So many colours are left; 4 to 12 look like a poster."), ge=2, le=64)


def reduce_colours(pixels: Pixels, config: ReduceColoursConfig, _double: Doubler) -> Pixels:
    """Return the picture with each pixel in the main colour nearest to it; alpha stays."""
    palette = extract(pixels, config.count).colours
    if not len(palette):
        return pixels

    def change(lab: Lab) -> Lab:
        best, nearest = np.full(lab.shape[:-1], np.inf, np.float32), np.zeros(lab.shape[:-1], np.int64)
        for place, colour in enumerate(palette):
            away = np.square(lab - colour).sum(axis=-1)
            closer = away < best
            best[closer], nearest[closer] = away[closer], place
        return palette[nearest]

    return repaint(pixels, change)


OPERATION = Operation(
    "reduce-colours", N_("Reduce colours"), N_("Paint the picture with its main colours only."), "droplets",
    ReduceColoursConfig, reduce_colours, 70,
)  # fmt: skip
