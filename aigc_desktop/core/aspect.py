"""Shapes of pictures, width to height, and how many pixels pictures of a shape have.

A size, like 64, is the side of square pictures. Other shapes are whole squares of a quarter of it, so that networks
that halve and double pictures fit them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

Aspect = Literal["1:1", "4:3", "3:2", "16:9", "2:1", "3:4", "2:3", "9:16", "1:2"]
SQUARE: Aspect = "1:1"
CELLS: dict[Aspect, tuple[int, int]] = {
    SQUARE: (4, 4), "4:3": (4, 3), "3:2": (6, 4), "16:9": (7, 4), "2:1": (8, 4),
    "3:4": (3, 4), "2:3": (4, 6), "9:16": (4, 7), "1:2": (4, 8),
}  # fmt: skip
"""Shape -> columns and rows of squares of a quarter of the picture size."""


def pixels_of(aspect: Aspect, size: int) -> tuple[int, int]:
    """Return width and height of pictures of a shape."""
    columns, rows = CELLS[aspect]
    return size * columns // 4, size * rows // 4


def usual_aspect(sizes: Iterable[tuple[int, int]]) -> Aspect:
    """Return the shape nearest to the middle one of pictures with these widths and heights; square without any."""
    ratios = sorted(math.log(width / height) for width, height in sizes if width and height)
    if not ratios:
        return SQUARE
    middle = ratios[len(ratios) // 2]
    return min(CELLS, key=lambda aspect: abs(math.log(CELLS[aspect][0] / CELLS[aspect][1]) - middle))
