"""Cut a part out: a rectangle, or the largest part with a ratio of the sides."""

from __future__ import annotations

from typing import Literal

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.editing.operation import Doubler, Operation, Pixels

Ratio = Literal["free", "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16"]
Place = Literal["centre", "top", "bottom", "left", "right"]
_PLACES = {
    "centre": N_("Centre"), "top": N_("Top"), "bottom": N_("Bottom"), "left": N_("Left"), "right": N_("Right"),
}  # fmt: skip


class CropConfig(TaskConfig):
    """What is cut out; a width or height of 0 reaches to the edge of the picture, and then the ratio holds."""

    ratio: Ratio = param(
        "1:1", N_("Ratio of the sides"),
        N_("Width to height. The largest part with this ratio is kept; a rectangle counts more."),
        labels={"free": N_("Free")},
    )  # fmt: skip
    place: Place = param(
        "centre", N_("Which part"), N_("The part that is kept when the ratio takes something away."), labels=_PLACES
    )
    left: int = param(
        0, N_("Rectangle: left"), N_("Pixels that are cut off on the left."), unit="px", ge=0, le=100_000, advanced=True
    )
    top: int = param(
        0, N_("Rectangle: top"), N_("Pixels that are cut off at the top."), unit="px", ge=0, le=100_000, advanced=True
    )
    width: int = param(
        0, N_("Rectangle: width"), N_("Pixels that are kept across; 0 keeps all to the right edge."),
        unit="px", ge=0, le=100_000, advanced=True,
    )  # fmt: skip
    height: int = param(
        0, N_("Rectangle: height"), N_("Pixels that are kept from top to bottom; 0 keeps all to the lower edge."),
        unit="px", ge=0, le=100_000, advanced=True,
    )  # fmt: skip


def crop(pixels: Pixels, config: CropConfig, _double: Doubler) -> Pixels:
    """Return the part of the picture; UserError when the rectangle is not within it."""
    height, width = pixels.shape[:2]
    right = config.left + config.width if config.width else width
    bottom = config.top + config.height if config.height else height
    if not (config.left < right <= width and config.top < bottom <= height):
        raise UserError(
            _("The rectangle from {left}, {top} to {right}, {bottom} does not lie within the picture of "
              "{width} × {height} pixels.").format(
                left=config.left, top=config.top, right=right, bottom=bottom, width=width, height=height
            ),
            _("Choose a smaller rectangle, or a ratio."),
        )  # fmt: skip
    part = pixels[config.top : bottom, config.left : right]
    if config.ratio == "free" or (config.width and config.height):
        return part
    return part[fitting(part.shape[1], part.shape[0], config.ratio, config.place)]


def fitting(width: int, height: int, ratio: str, place: str = "centre") -> tuple[slice, slice]:
    """Return the rows and columns of the largest part with a ratio "W:H", at least one pixel."""
    across, down = (int(side) for side in ratio.split(":"))
    kept_width = max(1, min(width, round(height * across / down)))
    kept_height = max(1, min(height, round(width * down / across)))
    left = {"left": 0, "right": width - kept_width}.get(place, (width - kept_width) // 2)
    top = {"top": 0, "bottom": height - kept_height}.get(place, (height - kept_height) // 2)
    return slice(top, top + kept_height), slice(left, left + kept_width)


OPERATION = Operation(
    "crop", N_("Crop"), N_("Cut out a part: a ratio such as 1:1 or 16:9, or a rectangle."), "crop", CropConfig, crop,
    10, frames=True, rectangle=True,
)  # fmt: skip
