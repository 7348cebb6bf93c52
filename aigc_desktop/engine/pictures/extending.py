"""Extend a picture beyond its borders, as large as four pictures of a model a side: what all such models share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import model_validator
from torch import Tensor

from aigc_desktop.core.config import again, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Progress, Sample
from aigc_desktop.core.extension import extension
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.nn.canvas import (
    Area,
    Canvas,
    Draw,
    Windows,
    draw_outwards,
    put_back,
    read_canvas,
    show_canvas,
)
from aigc_desktop.engine.pictures.common import CreateConfig, open_picture, picture_size, seeded
from aigc_desktop.engine.training.data import to_pictures

DrawSeeded = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""`Draw` of a canvas, and the generator of what is drawn by chance."""


def _more(title: str) -> Any:
    return param(50, title, N_("In percent of the picture's shorter side."), unit="%", ge=0, le=200)


class SidesConfig(CreateConfig):
    """The picture, how far it grows to each side, and a count for what takes several windows each."""

    picture: Path = param(
        ..., N_("Picture"), N_("The picture to extend; its shorter side gets the size of the model's own pictures."),
        kind=FieldKind.FILE,
    )  # fmt: skip
    left: int = _more(N_("More on the left"))
    right: int = _more(N_("More on the right"))
    top: int = _more(N_("More at the top"))
    bottom: int = _more(N_("More at the bottom"))
    count: int = again(CreateConfig, "count", 4)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if not (self.left or self.right or self.top or self.bottom):
            raise ValueError(_("Add something on at least one side of the picture."))
        return self


def stream_extended(
    config: SidesConfig, windows: Windows, draw: DrawSeeded, device: torch.device, labels: tuple[str, ...]
) -> EventStream:
    """Yield Samples of `config.count` extensions; the picture stays as it is, to the bit.

    The seed of each decides it alone; `labels` names the class of each.
    """
    canvas = canvas_for(config, picture_size(config.picture), windows)
    known = canvas.known.times(windows.patch)
    picture = open_picture(config.picture, (known.bottom - known.top, known.right - known.left)).to(device)
    with torch.inference_mode():
        read = read_canvas(windows, picture)
    total = len(canvas.outwards(windows.side))
    for number in range(config.count):
        drawing = draw_outwards(read, canvas, windows.side, _with(draw, seeded(config.seed + number)))
        places = read
        for done in range(total):
            yield Progress(number * total + done, config.count * total, _("Extending the picture"))
            with torch.inference_mode():
                places = next(drawing)
        with torch.inference_mode():
            made = put_back(show_canvas(windows, places), picture, known, windows.patch)
        yield Sample(number, to_pictures(made), (config.seed + number,), labels)


def _with(draw: DrawSeeded, generator: torch.Generator) -> Draw:
    return lambda places, known: draw(places, known, generator)


def canvas_for(config: SidesConfig, size: tuple[int, int], windows: Windows) -> Canvas:
    """Return the canvas, in places, for a picture of `size` (width, height) in pixels; UserError when too large."""
    made = extension(size, (config.left, config.right, config.top, config.bottom), windows.side)
    if reason := made.why_too_large(windows.side, windows.patch):
        raise UserError(reason, _("Add less, or choose a picture that is nearer to a square."))
    left, top, width, height = made.picture
    return Canvas(made.height, made.width, Area(top, left, top + height, left + width))
