"""Open a picture for editing, and make it ready for a file again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aigc_desktop.data.pictures import read_file, rgba_picture
from aigc_desktop.data.problems import ItemProblem, bad_input, shown_name
from aigc_desktop.editing.operation import Pixels


def open_picture(path: Path) -> Pixels:
    """Return a picture, upright, in sRGB and with its transparency, uint8 (H, W, 4); BadInput when it is none."""
    try:
        return rgba_picture(read_file(path))
    except ItemProblem as problem:
        raise bad_input(problem, shown_name(path.name)) from problem


def without_spare_alpha(pixels: Pixels) -> Pixels:
    """Return a picture as (H, W, 3) when nothing of it is transparent, else as it is."""
    return np.ascontiguousarray(pixels[..., :3] if bool((pixels[..., 3] == 255).all()) else pixels)
