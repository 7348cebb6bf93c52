"""Make a plain background transparent: flood it from the borders, then unmix the pixels along the edge.

A pixel along the edge is a mix C = a F + (1 - a) B of the object's colour F and the background's B. F is the mean of
pixels nearby that surely belong to the object; a is the share that explains C best, and the pixel becomes F's colour
with alpha a, so that nothing of the old background shines through on a new one.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.editing.oklab import to_oklab
from aigc_desktop.editing.operation import Doubler, Operation, Pixels, rows_of

PLAIN_SHARE = 0.6
"""So much of the border must have the background's colour; an object may reach the border elsewhere."""
EDGE, AROUND = 2, 3
"""Pixels deep that mixes lie along the edge, and how far around them the object's colour is looked for."""
MISFIT = 30.0
"""Colours further than this (of 255) from any mix of F and B are the object's own."""
Mask = npt.NDArray[np.bool_]


class BackgroundConfig(TaskConfig):
    """What counts as background."""

    tolerance: float = param(
        0.06, N_("Tolerance"), N_("How far colours may lie from the background's; 0.06 takes in JPEG noise."),
        ge=0.0, le=0.5,
    )  # fmt: skip
    holes: bool = param(
        False, N_("Holes too"), N_("Also clear what has the background's colour inside, as in the letter O.")
    )
    soft: bool = param(
        True, N_("Soft edge"), N_("Edges become partly transparent, without a rim of the old background.")
    )


def remove_background(pixels: Pixels, config: BackgroundConfig, _double: Doubler) -> Pixels:
    """Return the picture with a transparent background; UserError when the background is not plain."""
    colour = background_colour(pixels, config.tolerance)
    near = _near(pixels, colour, config.tolerance)
    cleared = near if config.holes else flooded(near)
    if cleared.all():
        raise UserError(
            _("Nothing would be left: the whole picture has the colour of its background."),
            _("Choose a smaller tolerance."),
        )
    out = pixels.copy()
    out[cleared] = 0
    if config.soft:
        _soften(pixels, out, cleared, colour.astype(np.float32))
    return out


def background_colour(pixels: Pixels, tolerance: float) -> npt.NDArray[np.uint8]:
    """Return the colour (3,) that most of the border has; UserError when there is none."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    visible = border[border[:, 3] > 127, :3]
    if len(visible) < len(border) / 2:
        raise UserError(_("The background is transparent already."), _("Leave this step out."))
    colour: npt.NDArray[np.uint8] = np.median(visible, axis=0).round().astype(np.uint8)
    share = float((_distance(visible, colour) <= max(tolerance, 0.01)).mean())
    if share < PLAIN_SHARE:
        raise UserError(
            _("The background is not plain: {share} of the border has one colour.").format(share=f"{share:.0%}"),
            _("Choose a larger tolerance, or a picture with a plain background."),
        )
    return colour


def flooded(near: Mask) -> Mask:
    """Return the parts of a mask (H, W) that are connected with the border.

    What is reached spreads along whole rows and whole columns in turn until nothing is added; each round is a few
    passes of numpy, and ordinary shapes need a handful of them.
    """
    reached = near.copy()
    reached[1:-1, 1:-1] = False
    rows, columns = _runs(near), _runs(near.T)
    count = -1
    while count != (count := int(reached.sum())):
        reached = _spread(rows, reached, near)
        reached = _spread(columns, reached.T, near.T).T
    return reached


def _runs(mask: Mask) -> npt.NDArray[np.int32]:
    """Return a number (H, W) for each pixel that changes wherever the mask does along its row."""
    change = np.ones(mask.shape, bool)
    change[:, 1:] = mask[:, 1:] != mask[:, :-1]
    return np.cumsum(change, dtype=np.int32).reshape(mask.shape)


def _spread(runs: npt.NDArray[np.int32], reached: Mask, near: Mask) -> Mask:
    hit = np.zeros(int(runs[-1, -1]) + 1, bool)
    hit[runs[reached]] = True
    spread: Mask = hit[runs] & near
    return spread


def _near(pixels: Pixels, colour: npt.NDArray[np.uint8], tolerance: float) -> Mask:
    """Return where the picture has the background's colour, or is transparent."""
    near = np.empty(pixels.shape[:2], bool)
    for rows in rows_of(pixels):
        part = pixels[rows]
        near[rows] = (_distance(part[..., :3], colour) <= tolerance) | (part[..., 3] == 0)
    return near


def _distance(colours: npt.NDArray[np.uint8], colour: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = np.linalg.norm(to_oklab(colours) - to_oklab(colour), axis=-1)
    return found


def _soften(pixels: Pixels, out: Pixels, cleared: Mask, background: npt.NDArray[np.float32]) -> None:
    """Unmix the pixels of `out` within EDGE of what was cleared, and the outermost of what was."""
    grown = _grown(cleared, EDGE)
    sure = ~grown
    rows, columns = np.nonzero((grown & ~cleared) | (cleared & _grown(~cleared, 1)))
    if not len(rows):
        return
    total, count = np.zeros((len(rows), 3), np.float32), np.zeros(len(rows), np.float32)
    height, width = cleared.shape
    for y, x in itertools.product(range(-AROUND, AROUND + 1), repeat=2):
        at = (rows + y).clip(0, height - 1), (columns + x).clip(0, width - 1)
        weight = sure[at].astype(np.float32)
        total += pixels[at][:, :3] * weight[:, None]
        count += weight
    own = pixels[rows, columns, :3].astype(np.float32)
    inner = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], own)
    axis = inner - background
    length = np.maximum((axis * axis).sum(axis=1), 1.0)
    share = (((own - background) * axis).sum(axis=1) / length).clip(0, 1)
    misfit = np.linalg.norm(own - background - share[:, None] * axis, axis=1)
    whole = np.where(cleared[rows, columns], 0.0, 1.0)
    share = np.where((misfit > MISFIT) | (count == 0) | (length < 400), whole, share)
    unmixed = (own - (1 - share[:, None]) * background) / np.maximum(share, 0.02)[:, None]
    out[rows, columns, :3] = unmixed.clip(0, 255).round().astype(np.uint8)
    out[rows, columns, 3] = (share * pixels[rows, columns, 3]).round().astype(np.uint8)


def _grown(mask: Mask, by: int) -> Mask:
    """Return a mask and what lies within `by` pixels of it, across and down."""
    grown = mask.copy()
    for _round in range(by):
        grown[1:] |= grown[:-1].copy()
        grown[:-1] |= grown[1:].copy()
        grown[:, 1:] |= grown[:, :-1].copy()
        grown[:, :-1] |= grown[:, 1:].copy()
    return grown


OPERATION = Operation(
    "background", N_("Remove the background"), N_("Make a plain background transparent, with soft edges."), "eraser",
    BackgroundConfig, remove_background, 40,
)  # fmt: skip
