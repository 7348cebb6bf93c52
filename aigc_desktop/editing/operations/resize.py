"""Bring a picture to a size by Lanczos: within it, covering it, or exactly."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.pictures import MAX_SIDE
from aigc_desktop.editing.operation import Doubler, Operation, Pixels, need_room, resample

Fit = Literal["fit", "fill", "exact"]


class ResizeConfig(TaskConfig):
    """The size; a side of 0 follows from the other."""

    width: int = param(
        1024, N_("Picture width"), N_("Pixels across; 0 follows from the height."), unit="px", ge=0, le=MAX_SIDE
    )
    height: int = param(0, N_("Picture height"), N_("Pixels from top to bottom; 0 follows from the width."), unit="px",
                        ge=0, le=MAX_SIDE)  # fmt: skip
    fit: Fit = param(
        "fit", N_("When the ratio differs"), N_("What happens when the picture has another ratio than the size."),
        labels={"fit": N_("All of it, smaller than the size"), "fill": N_("Fill the size, cut off the rest"),
                "exact": N_("Stretch to the size")},
    )  # fmt: skip

    @model_validator(mode="after")
    def _has_a_side(self) -> Self:
        if not self.width and not self.height:
            raise ValueError(_("Give a width, a height or both."))
        return self


def resize(pixels: Pixels, config: ResizeConfig, _double: Doubler) -> Pixels:
    """Return the picture at the size."""
    height, width = pixels.shape[:2]
    wanted_width = config.width or max(1, round(width * config.height / height))
    wanted_height = config.height or max(1, round(height * config.width / width))
    box: tuple[float, float, float, float] | None = None
    if config.fit == "fit":
        scale = min(wanted_width / width, wanted_height / height)
        wanted_width, wanted_height = max(1, round(width * scale)), max(1, round(height * scale))
    elif config.fit == "fill":
        scale = max(wanted_width / width, wanted_height / height)
        across, down = min(width, wanted_width / scale), min(height, wanted_height / scale)
        left, top = (width - across) / 2, (height - down) / 2
        box = (left, top, left + across, top + down)
    need_room(wanted_width, wanted_height)
    return resample(pixels, wanted_width, wanted_height, box)


OPERATION = Operation(
    "resize", N_("Resize"), N_("Bring the picture to a size in pixels, smoothly (Lanczos)."), "scaling", ResizeConfig,
    resize, 20, frames=True,
)  # fmt: skip
