"""What a mask must be: of the form of its picture, so that what is white in it lies where it was painted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

_LIKE = 0.02  # by so much the forms of mask and picture may differ: rounding to whole pixels

Size = tuple[int, int]
"""Width and height in pixels."""


def need_same_form(mask: Size, picture: Size) -> None:
    """UserError unless both have the same ratio of width to height."""
    if abs(mask[0] / mask[1] * picture[1] / picture[0] - 1) > _LIKE:
        raise UserError(
            _("The mask is {mask} pixels, the picture {picture}: they must have the same form.").format(
                mask=_by(mask), picture=_by(picture)
            ),
            _("Paint the mask over a copy of the picture."),
        )


def white_places(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where a mask (H, W, 4) is white. What is transparent is not: white is often painted on an empty layer."""
    seen: npt.NDArray[np.bool_] = mask[..., :3].mean(-1) * (mask[..., 3] / 255.0) > 127.5
    return seen


def _by(size: Size) -> str:
    return f"{size[0]} × {size[1]}"
