"""The picture and the mask a task is given: upright, in sRGB, fitted to a size that the model can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.data.pictures import fit_picture, read_file
from aigc_desktop.data.problems import ItemProblem, describe_problem, shown_name
from aigc_desktop.engine.pictures.masks import need_same_form, white_places

LARGEST = 4096

Picture = npt.NDArray[np.uint8]


def open_whole(path: Path, transparent: bool = False) -> Picture:
    """Return a picture file as (H, W, 3 or 4) with its rotation and colour profile honoured; UserError otherwise."""
    try:
        return fit_picture(read_file(path), LARGEST, transparent=transparent)
    except ItemProblem as problem:
        sentence = describe_problem(problem.code, shown_name(path.name), **problem.values)
        raise UserError(sentence, _("Choose another picture.")) from problem


def size_for(picture: Picture | None, width: int, height: int, side: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) to make: what is wished, else the form of the picture with about side² pixels.

    Both are rounded to a multiple; one that is 0 follows from the other by the form.
    """
    form = 1.0 if picture is None else picture.shape[1] / picture.shape[0]
    if not width and not height:
        width, height = round(side * form**0.5), round(side / form**0.5)
    width, height = width or round(height * form), height or round(width / form)
    return tuple(max(multiple, round(pixels / multiple) * multiple) for pixels in (width, height))  # type: ignore[return-value]


def fitted(picture: Picture, width: int, height: int) -> Picture:
    """Return (height, width, 3 or 4): resized until it covers that size, its centre cut out."""
    there_height, there_width = picture.shape[:2]
    scale = max(width / there_width, height / there_height)
    left, top = (there_width - width / scale) / 2, (there_height - height / scale) / 2
    box = (left, top, left + width / scale, top + height / scale)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box))


def open_mask_for(path: Path, picture: Picture, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Return (height, width), true where the mask is white; UserError when its form is another or it marks nothing."""
    mask = open_whole(path, transparent=True)
    need_same_form((mask.shape[1], mask.shape[0]), (picture.shape[1], picture.shape[0]))
    marked = white_places(fitted(mask, width, height))
    if not marked.any():
        raise UserError(
            _("Nothing in the mask “{name}” is white.").format(name=shown_name(path.name)),
            _("Paint what is to change white, and the rest black."),
        )
    return marked
