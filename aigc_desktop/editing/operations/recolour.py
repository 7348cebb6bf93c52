"""Give a picture the colours of a brand: each main colour turns to the nearest of the given ones, shades follow.

A main colour c and its target t give a factor t / c of the complex numbers a + ib of OKLab: it turns the hue and scales
the chroma. So what is grey stays grey, highlights stay white, and shades keep their order of lightness.
"""

from __future__ import annotations

import numpy as np
from pydantic import field_validator

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.i18n import N_
from aigc_desktop.editing.oklab import Lab
from aigc_desktop.editing.operation import Doubler, Operation, Pixels
from aigc_desktop.editing.palette import Palette, extract, lab_of, parse_colours, repaint, weights

MAIN_COLOURS = 8
GREY = 0.04
"""Chroma below which a main colour counts as grey and stays."""
STRONGEST = 2.5
"""Chroma grows by so much at most: more would tear what is almost grey."""


class RecolourConfig(TaskConfig):
    """The colours to give, and how far."""

    colours: str = param(
        ..., N_("Colours"), N_("The brand's colours, such as #1F5FD0 #F5A623; main colours turn to the nearest.")
    )
    strength: float = param(1.0, N_("Strength"), N_("0 leaves the picture, 1 goes all the way."), ge=0.0, le=1.0)
    lightness: float = param(
        0.0, N_("Lightness too"), N_("0 keeps light and dark as they are; 1 meets the given colours exactly."),
        ge=0.0, le=1.0,
    )  # fmt: skip

    @field_validator("colours")
    @classmethod
    def _are_colours(cls, text: str) -> str:
        return " ".join(parse_colours(text))


def recolour(pixels: Pixels, config: RecolourConfig, _double: Doubler) -> Pixels:
    """Return the picture in the given colours; alpha stays."""
    own = extract(pixels, MAIN_COLOURS)
    if not len(own.colours):
        return pixels
    wanted = lab_of(config.colours.split())
    targets = wanted[assigned(own, wanted)]
    grey = _chroma(own.colours) < GREY
    centre, target = _complex(own.colours), _complex(targets)
    factors = np.where(grey, 1, target / np.where(grey, 1, centre))
    factors = factors * np.minimum(1, STRONGEST / np.abs(factors))
    factors = 1 + config.strength * (factors - 1)
    lifts = np.where(grey, 0, config.strength * config.lightness * (targets[:, 0] - own.colours[:, 0]))
    table = np.stack([factors.real, factors.imag, lifts], axis=1).astype(np.float32)  # (K, 3)

    def change(lab: Lab) -> Lab:
        real, imaginary, lift = np.moveaxis(weights(lab, own.colours) @ table, -1, 0)
        light, a, b = np.moveaxis(lab, -1, 0)
        return np.stack([light + lift, a * real - b * imaginary, a * imaginary + b * real], axis=-1)

    return repaint(pixels, change)


def assigned(own: Palette, targets: Lab) -> list[int]:
    """Return for each main colour the place of its target: the nearest, but each target is used if there are enough.

    Targets are dealt out first, to the main colours where that costs least; then the rest take what is nearest.
    """
    away = np.linalg.norm(own.colours[:, None] - targets[None], axis=-1)
    chosen = away.argmin(axis=1)
    coloured = [place for place in range(len(own.colours)) if _chroma(own.colours[place]) >= GREY]
    free, unused = set(coloured), set(range(len(targets)))
    while free and unused:
        place, target = min(((p, t) for p in free for t in unused), key=lambda pair: away[pair] / own.shares[pair[0]])
        chosen[place] = target
        free.remove(place)
        unused.remove(target)
    return [int(place) for place in chosen]


def _complex(lab: Lab) -> np.ndarray:
    return lab[..., 1] + 1j * lab[..., 2]


def _chroma(lab: Lab) -> np.ndarray:
    return np.hypot(lab[..., 1], lab[..., 2])


OPERATION = Operation(
    "recolour", N_("Recolour"), N_("Turn the main colours to those of a brand; light and dark stay."), "paintbrush",
    RecolourConfig, recolour, 50,
)  # fmt: skip
