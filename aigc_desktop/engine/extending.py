"""Extend a picture beyond its borders with a trained image Transformer, as large as four of its own pictures a side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import model_validator
from torch import Tensor

from aigc_desktop.core.config import TaskConfig, again, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Progress, Sample
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.data import to_pictures
from aigc_desktop.engine.nn.canvas import Area, Canvas, Draw, draw_outwards, put_back, read_canvas, show_canvas
from aigc_desktop.engine.nn.picture_tokenizer import TokenizerShape
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_masked
from aigc_desktop.engine.pictures import open_picture, picture_size, seeded
from aigc_desktop.engine.token_transformer_model import Asked, Model, Wish
from aigc_desktop.engine.token_transformer_tasks import DrawConfig, need_masked, open_model

MOST = 4  # windows a side; the time goes with the square


def _more(title: str) -> Any:
    return param(50, title, N_("In percent of the picture's shorter side."), unit="%", ge=0, le=200)


class SidesConfig(TaskConfig):
    """How far a picture grows to each side."""

    left: int = _more(N_("More on the left"))
    right: int = _more(N_("More on the right"))
    top: int = _more(N_("More at the top"))
    bottom: int = _more(N_("More at the bottom"))

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if not (self.left or self.right or self.top or self.bottom):
            raise ValueError(_("Add something on at least one side of the picture."))
        return self


class ExtendConfig(DrawConfig, SidesConfig):
    """Settings of extending a picture; the usual ones keep nearer to it than those of making new pictures."""

    picture: Path = param(
        ..., N_("Picture"), N_("The picture to extend; its shorter side gets the size of the model's own pictures."),
        kind=FieldKind.FILE,
    )  # fmt: skip
    count: int = again(DrawConfig, "count", 4)
    wildness: float = again(DrawConfig, "wildness", 0.5)
    guidance: float = again(DrawConfig, "guidance", 2.0)


def extend(config: ExtendConfig, run: Run) -> EventStream:
    """Extend a picture; it stays as it is, to the bit, and the seed of each extension decides it alone."""
    model, wish = yield from open_model(config, run)
    need_masked(model, _("This model draws token by token and cannot extend a picture."))
    shape = model.tokenizer.shape
    canvas = canvas_for(config, picture_size(config.picture), shape)
    known = canvas.known.times(shape.patch)
    picture = open_picture(config.picture, (known.bottom - known.top, known.right - known.left)).to(model.device)
    with torch.inference_mode():
        tokens = read_canvas(model.tokenizer, picture)
    windows = len(canvas.outwards(shape.side))
    for number in range(config.count):
        asked = _asked(model, wish)
        drawing = draw_outwards(tokens, canvas, shape.side, model.transformer.unknown, _draw(
            model, asked, config.drawing(), seeded(config.seed + number)
        ))  # fmt: skip
        grid = tokens
        for done in range(windows):
            yield Progress(number * windows + done, config.count * windows, _("Extending the picture"))
            grid = next(drawing)
        with torch.inference_mode():
            made = put_back(show_canvas(model.tokenizer, grid), picture, known, shape.patch)
        yield Sample(number, to_pictures(made), (config.seed + number,), model.names([asked.label]))


def _draw(model: Model, asked: Asked, drawing: Drawing, generator: torch.Generator) -> Draw:
    """Return what draws the unknown places of a window."""

    def draw(places: Tensor) -> Tensor:
        with torch.inference_mode():
            return draw_masked(model.transformer, [asked.label], drawing, [generator], places, asked.words)

    return draw


def canvas_for(config: ExtendConfig, size: tuple[int, int], shape: TokenizerShape) -> Canvas:
    """Return the canvas, in tokens, for a picture of `size` (width, height) in pixels; UserError when it is too large.

    The shorter side of the picture is a window, of the longer one whole tokens are used.
    """
    side, shorter = shape.side, min(size)
    width, height = (max(side, length * side // shorter) for length in size)
    left, right, top, bottom = (
        math.ceil(share * side / 100) for share in (config.left, config.right, config.top, config.bottom)
    )
    canvas = Canvas(top + height + bottom, left + width + right, Area(top, left, top + height, left + width))
    if max(canvas.width, canvas.height) > MOST * side:
        raise UserError(
            _("The picture would become {width} × {height} pixels; this model makes {most} a side at most.").format(
                width=canvas.width * shape.patch, height=canvas.height * shape.patch, most=MOST * shape.size
            ),
            _("Add less, or choose a picture that is nearer to a square."),
        )
    return canvas


def _asked(model: Model, wish: Wish) -> Asked:
    """Return what is asked for: without a class any, as the picture says more than one that is drawn."""
    label = wish.label if wish.label >= 0 else len(model.classes)
    return Asked(label, None if model.words is None else model.words.rows([wish.caption]))
