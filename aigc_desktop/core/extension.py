"""How large a picture becomes that a model extends, and where in it the picture lies; the same for all who tell it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aigc_desktop.core.i18n import _

MOST = 4
"""Windows of a model a side; the time goes with the square."""

Size = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True)
class Extension:
    """A canvas of `width` × `height`, and the `picture` (left, top, width, height) in it; in places or in pixels."""

    width: int
    height: int
    picture: tuple[int, int, int, int]

    def times(self, scale: int) -> Extension:
        """Return the same where each place is `scale` × `scale` of them."""
        left, top, width, height = self.picture
        picture = (scale * left, scale * top, scale * width, scale * height)
        return Extension(scale * self.width, scale * self.height, picture)

    def why_too_large(self, side: int, patch: int) -> str:
        """Return a sentence where no model with windows of `side` places of `patch` pixels makes it, else ""."""
        if max(self.width, self.height) <= MOST * side:
            return ""
        return _("The picture would become {width} × {height} pixels; this model makes {most} a side at most.").format(
            width=self.width * patch, height=self.height * patch, most=MOST * side * patch
        )


def extension(size: Size, added: Sequence[int], side: int) -> Extension:
    """Return the canvas in places for a picture of `size` in pixels.

    `added` is how much left, right, at the top and at the bottom, in percent of its shorter side. That is a window of
    `side` places; of the longer side whole places are used.
    """
    shorter = min(size)
    width, height = (max(side, length * side // shorter) for length in size)
    left, right, top, bottom = (math.ceil(share * side / 100) for share in added)
    return Extension(left + width + right, top + height + bottom, (left, top, width, height))
