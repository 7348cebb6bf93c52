"""Give a picture the palette of another: main colours move as in the cheapest transport between both palettes.

Entropic optimal transport by Sinkhorn's iterations (arXiv:1306.0895); each main colour moves to the mean of where its
share goes, and pixels follow the main colours near them. Lightness stays.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.editing.oklab import Lab
from aigc_desktop.editing.operation import Doubler, Operation, Pixels
from aigc_desktop.editing.palette import Palette, extract, repaint, weights
from aigc_desktop.editing.pictures import open_picture

MAIN_COLOURS = 8
REGULARISATION = 0.01
ITERATIONS = 200


class MatchColoursConfig(TaskConfig):
    """Whose colours to take, and how far."""

    picture: str = param(
        ..., N_("Picture with the colours"), N_("A picture whose palette this one gets."), kind=FieldKind.FILE
    )
    strength: float = param(1.0, N_("Strength"), N_("0 leaves the picture, 1 goes all the way."), ge=0.0, le=1.0)


def match_colours(pixels: Pixels, config: MatchColoursConfig, _double: Doubler) -> Pixels:
    """Return the picture with the other's palette; UserError when that cannot be read."""
    own, other = extract(pixels, MAIN_COLOURS), extract(open_picture(Path(config.picture)), MAIN_COLOURS)
    if not len(other.colours):
        raise UserError(_("The picture with the colours is transparent all over."), _("Choose another one."))
    if not len(own.colours):
        return pixels
    moves = config.strength * (transported(own, other) - own.colours)
    moves[:, 0] = 0

    def change(lab: Lab) -> Lab:
        return lab + weights(lab, own.colours) @ moves

    return repaint(pixels, change)


def transported(own: Palette, other: Palette) -> Lab:
    """Return where each main colour of one palette goes in the other, OKLab (K, 3)."""
    cost = np.square(own.colours[:, None] - other.colours[None]).sum(axis=-1).astype(np.float64)
    kernel = np.exp(-cost / REGULARISATION) + 1e-12
    right = np.ones(len(other.shares))
    for _round in range(ITERATIONS):
        left = own.shares / (kernel @ right)
        right = other.shares / (kernel.T @ left)
    plan = left[:, None] * kernel * right
    reached: Lab = ((plan @ other.colours) / plan.sum(axis=1, keepdims=True)).astype(np.float32)
    return reached


OPERATION = Operation(
    "match-colours", N_("Take over colours"), N_("Give the picture the palette of another one; light and dark stay."),
    "palette", MatchColoursConfig, match_colours, 60,
)  # fmt: skip
