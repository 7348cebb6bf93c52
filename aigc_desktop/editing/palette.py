"""The main colours of a picture: found by k-means in OKLab, written as #RRGGBB, used to change colours softly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.i18n import _
from aigc_desktop.editing.oklab import Lab, from_oklab, to_oklab
from aigc_desktop.editing.operation import Pixels, rows_of

SAMPLED = 20_000
ROUNDS = 20
USUAL = 0.3
"""A colour that so much of its group has stands for the group."""
SOFTNESS = 0.03
"""How far, in OKLab, a colour of the palette acts: shades between two follow both."""
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


@dataclass(frozen=True)
class Palette:
    """Main colours, OKLab (K, 3), the most frequent first, and the share (K,) of the picture that each stands for."""

    colours: Lab
    shares: npt.NDArray[np.float32]

    def codes(self) -> list[str]:
        """Return the colours as #RRGGBB."""
        return [code_of(colour) for colour in from_oklab(self.colours)]


def extract(pixels: Pixels, count: int) -> Palette:
    """Return at most `count` main colours of what is visible; the same picture gives the same palette.

    k-means from a start that takes, again and again, the colour that is furthest from those taken, weighed by how
    many pixels lie near it; k-means++ without chance. A picture with fewer colours gives fewer.
    """
    visible = pixels[..., :3][pixels[..., 3] > 127]
    if not len(visible):
        return Palette(np.empty((0, 3), np.float32), np.empty(0, np.float32))
    if len(visible) > SAMPLED:
        visible = visible[np.linspace(0, len(visible) - 1, SAMPLED).astype(np.int64)]
    coarse, weights = np.unique(visible, axis=0, return_counts=True)
    points, weight = to_oklab(coarse), weights.astype(np.float32)
    centres = _spread_start(points, weight, count)
    for _round in range(ROUNDS):
        nearest = _nearest(points, centres)
        total = np.bincount(nearest, weight, len(centres))
        sums = np.stack([np.bincount(nearest, weight * points[:, axis], len(centres)) for axis in range(3)], axis=1)
        moved = np.where(total[:, None] > 0, sums / np.maximum(total, 1e-9)[:, None], centres).astype(np.float32)
        if np.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    nearest = _nearest(points, centres)
    share = np.bincount(nearest, weight, len(centres)) / weight.sum()
    for place in np.flatnonzero(share):
        members = np.flatnonzero(nearest == place)
        usual = members[weight[members].argmax()]
        if weight[usual] >= USUAL * weight[members].sum():
            centres[place] = points[usual]  # a flat colour is told as it is, not mixed with its edges
    order = [place for place in np.argsort(-share, kind="stable") if share[place] > 0]
    return Palette(centres[order], share[order].astype(np.float32))


def parse_colours(text: str) -> list[str]:
    """Return the colours in a text as #RRGGBB; ValueError with a translated sentence for what is none."""
    found = []
    for word in re.split(r"[\s,;，；、]+", text.strip()):
        match = _COLOUR.fullmatch(word)
        if match is None:
            raise ValueError(
                _("“{word}” is no colour; write colours like #1F5FD0, with a space between.").format(word=word)
            )
        digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
        found.append("#" + digits.upper())
    return found


def lab_of(codes: list[str]) -> Lab:
    """Return colours #RRGGBB as OKLab (N, 3)."""
    return to_oklab(np.array([list(bytes.fromhex(code[1:])) for code in codes], np.uint8))


def code_of(colour: npt.NDArray[np.uint8]) -> str:
    """Return a colour (3,) as #RRGGBB."""
    return "#" + bytes(int(value) for value in colour).hex().upper()


def weights(lab: Lab, colours: Lab) -> npt.NDArray[np.float32]:
    """Return how much each colour of a palette (K, 3) speaks for each pixel (..., 3): (..., K), summing to 1."""
    away = np.square(colours).sum(axis=1) - 2 * lab @ colours.T  # but for what all have in common
    near = np.exp(-(away - away.min(axis=-1, keepdims=True)) / (2 * SOFTNESS**2))
    share: npt.NDArray[np.float32] = near / near.sum(axis=-1, keepdims=True)
    return share


def repaint(pixels: Pixels, change: Callable[[Lab], Lab]) -> Pixels:
    """Return a picture whose OKLab colours went through `change`, in pieces of rows; alpha stays."""
    out = pixels.copy()
    for rows in rows_of(pixels):
        out[rows, :, :3] = from_oklab(change(to_oklab(pixels[rows, :, :3])))
    return out


def _spread_start(points: Lab, weight: npt.NDArray[np.float32], count: int) -> Lab:
    centres = [points[np.argmax(weight)]]
    away = np.square(points - centres[0]).sum(axis=1)
    while len(centres) < count and away.max() > 1e-6:
        centres.append(points[np.argmax(away * np.sqrt(weight))])
        away = np.minimum(away, np.square(points - centres[-1]).sum(axis=1))
    return np.stack(centres)


def _nearest(points: Lab, centres: Lab) -> npt.NDArray[np.int64]:
    away = np.square(points).sum(axis=1)[:, None] - 2 * points @ centres.T + np.square(centres).sum(axis=1)
    nearest: npt.NDArray[np.int64] = away.argmin(axis=1)
    return nearest
