"""What an operation on a picture is, and what all of them may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from aigc_desktop.core.config import TaskConfig
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.data.pictures import MAX_PIXELS, MAX_SIDE

Pixels = npt.NDArray[np.uint8]
"""A picture (H, W, 4): sRGB, alpha not multiplied in."""
Doubler = Callable[[Pixels], Pixels]
"""Colours uint8 (H, W, 3) to (2H, 2W, 3), by a network."""
ROWS_PIXELS = 500_000
"""So many pixels are computed at once with floating-point numbers."""


@dataclass(frozen=True)
class Operation:
    """Something that can be done with a picture; `title` and `summary` are messages to translate when shown.

    `apply` gets a picture, the checked configuration and a network that doubles; it raises UserError when the picture
    does not allow it, and never changes its argument. `frames` says that it chooses what part is seen, so that a
    picture from before is only comparable after it; `rectangle` that its settings left, top, width, height and ratio
    are a part of the picture, which can be drawn.
    """

    name: str
    title: str
    summary: str
    icon: str
    config: type[TaskConfig]
    apply: Callable[[Pixels, Any, Doubler], Pixels]
    order: int
    frames: bool = False
    rectangle: bool = False


def need_room(width: int, height: int) -> None:
    """Raise UserError for a size that no picture may grow to, so that memory stays bounded."""
    if width * height <= MAX_PIXELS and max(width, height) <= MAX_SIDE:
        return
    raise UserError(
        _("The picture would have {width} × {height} pixels; {megapixels} megapixels and {side} pixels a side are "
          "the most.").format(
            width=f"{width:,}", height=f"{height:,}", megapixels=MAX_PIXELS // 1_000_000, side=f"{MAX_SIDE:,}"
        ),
        _("Choose a smaller size or factor."),
    )  # fmt: skip


def resample(pixels: Pixels, width: int, height: int, box: tuple[float, float, float, float] | None = None) -> Pixels:
    """Return a picture, or its part `box` (left, top, right, bottom), at another size, by Lanczos.

    Transparent pixels do not bleed their colour into others: Pillow multiplies alpha in and takes it out again.
    """
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, box))


def rows_of(pixels: npt.NDArray[Any]) -> Iterator[slice]:
    """Yield the rows of a picture in pieces of about ROWS_PIXELS."""
    height, width = pixels.shape[:2]
    step = max(1, ROWS_PIXELS // max(1, width))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))
