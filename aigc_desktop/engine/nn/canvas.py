"""Pictures larger than those that a model knows: read, drawn outwards and shown window by window.

Places are what a model draws: pixels, codes or tokens, (row, column) on a canvas of H × W, no side of it smaller than
that of a window. Each place is a patch of pixels, and has C numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

Draw = Callable[[Tensor, Tensor], Tensor]
"""The places (1, C, side, side) of a window, which of them (side, side) are known -> all of them drawn."""


@dataclass(frozen=True)
class Windows:
    """How large the windows of a model are, and its ways between pictures (1, 3, S, S) and places of one.

    A window has `side` × `side` places, each of `patch` × `patch` pixels.
    """

    side: int
    patch: int
    read: Callable[[Tensor], Tensor]
    show: Callable[[Tensor], Tensor]

    @property
    def size(self) -> int:
        """Return the side of a window in pixels."""
        return self.side * self.patch


@dataclass(frozen=True)
class Area:
    """A part of a canvas, up to but without `bottom` and `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def cut(self) -> tuple[slice, slice]:
        """Return what cuts it out of a grid (H, W)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def times(self, scale: int) -> Area:
        """Return the same part where each place is `scale` × `scale` of them."""
        return Area(self.top * scale, self.left * scale, self.bottom * scale, self.right * scale)

    def moved(self, down: int, right: int) -> Area:
        """Return it that much further down and to the right."""
        return Area(self.top + down, self.left + right, self.bottom + down, self.right + right)


@dataclass(frozen=True)
class Canvas:
    """A grid of `height` × `width` places, of which those of `known` are a picture."""

    height: int
    width: int
    known: Area

    def spare(self, side: int) -> tuple[int, int, int, int]:
        """Return how much is drawn beyond the top, left, bottom and right: something where the picture grows."""
        beyond, known = max(1, side // 8), self.known
        return (
            beyond * (known.top > 0), beyond * (known.left > 0),
            beyond * (known.bottom < self.height), beyond * (known.right < self.width),
        )  # fmt: skip

    def outwards(self, side: int) -> list[tuple[Area, Area]]:
        """Return the windows that draw what is not known, one after another, each with what is kept by then.

        What is known grows by almost half a window to each side in turn, so that all begins at the picture. The
        outermost places of a window are not kept: a model that has learned whole pictures ends them there.
        """
        top, left, bottom, right = self.spare(side)
        step, area = side // 2 - max(1, side // 8), self.known
        found: list[tuple[Area, Area]] = []

        def rows() -> list[int]:
            return _along(max(-top, area.top - top), min(self.height + bottom, area.bottom + bottom), side)

        def columns() -> list[int]:
            return _along(max(-left, area.left - left), min(self.width + right, area.right + right), side)

        def add(starts: list[tuple[int, int]]) -> None:
            found.extend((Area(row, column, row + side, column + side), area) for row, column in starts)

        while area != Area(0, 0, self.height, self.width):
            if area.left > 0:
                area = replace(area, left=max(0, area.left - step))
                add([(row, area.left - left) for row in rows()])
            if area.right < self.width:
                area = replace(area, right=min(self.width, area.right + step))
                add([(row, area.right + right - side) for row in rows()])
            if area.top > 0:
                area = replace(area, top=max(0, area.top - step))
                add([(area.top - top, column) for column in columns()])
            if area.bottom < self.height:
                area = replace(area, bottom=min(self.height, area.bottom + step))
                add([(area.bottom + bottom - side, column) for column in columns()])
        return found


def _along(first: int, end: int, side: int) -> list[int]:
    """Return where windows of `side` begin that cover `first` to `end`, half a window apart or less."""
    return [*range(first, end - side, max(1, side // 2)), end - side]


def draw_outwards(known: Tensor, canvas: Canvas, side: int, draw: Draw) -> Iterator[Tensor]:
    """Yield the places (1, C, H, W) of a canvas after each window; `known` are those of its known part, which stay.

    Those that are not drawn yet are 0.
    """
    top, left, bottom, right = canvas.spare(side)
    size = (canvas.height + top + bottom, canvas.width + left + right)
    grid = known.new_zeros(1, known.shape[1], *size)
    drawn = torch.zeros(size, dtype=torch.bool, device=known.device)
    grid[:, :, *canvas.known.moved(top, left).cut] = known
    drawn[canvas.known.moved(top, left).cut] = True
    for window, kept in canvas.outwards(side):
        there, grid = window.moved(top, left).cut, grid.clone()
        places = grid[:, :, *there]
        grid[:, :, *there] = torch.where(drawn[there], places, draw(places, drawn[there]))
        drawn[there] = True
        too_far = torch.ones_like(drawn)
        too_far[kept.moved(top, left).cut] = False
        grid, drawn = grid.masked_fill(too_far, 0), drawn & ~too_far
        yield grid[:, :, top : top + canvas.height, left : left + canvas.width]


def read_canvas(windows: Windows, picture: Tensor) -> Tensor:
    """Return the places (1, C, H, W) of a picture (1, 3, H · patch, W · patch).

    Each is read in the window in which it lies nearest to the middle.
    """
    side, patch = windows.side, windows.patch
    height, width = picture.shape[2] // patch, picture.shape[3] // patch
    nearest, near = torch.zeros(height, width, device=picture.device), _nearness(side, picture.device)
    places: Tensor | None = None
    for window in _cover(height, width, side):
        read = windows.read(picture[:, :, *window.times(patch).cut])
        if places is None:
            places = read.new_zeros(1, read.shape[1], height, width)
        places[:, :, *window.cut] = torch.where(near > nearest[window.cut], read, places[:, :, *window.cut])
        nearest[window.cut] = torch.maximum(nearest[window.cut], near)
    assert places is not None
    return places


def show_canvas(windows: Windows, places: Tensor) -> Tensor:
    """Return the picture (1, 3, H · patch, W · patch) of places (1, C, H, W), windows blended where they overlap.

    A decoder normalises over all that it sees, so it is shown no more at once than it has learned with.
    """
    side, patch = windows.side, windows.patch
    height, width = places.shape[2:]
    total = torch.zeros(1, 3, height * patch, width * patch, device=places.device)
    weights = torch.zeros_like(total)
    near = _nearness(windows.size, places.device)
    for window in _cover(height, width, side):
        there = (slice(None), slice(None), *window.times(patch).cut)
        total[there] += near * windows.show(places[:, :, *window.cut])
        weights[there] += near
    return total / weights


def put_back(shown: Tensor, picture: Tensor, known: Area, reach: int) -> Tensor:
    """Return `shown` (1, 3, H, W) with `picture` at its part `known` of pixels, to the bit.

    Codes tell a picture only roughly. How far it is from what they show at its border is added to what lies outside
    as well, less and less up to `reach` pixels away, or there would be a seam.
    """
    height, width = shown.shape[2:]
    outside = (known.left, width - known.right, known.top, height - known.bottom)
    error = F.pad(picture - shown[:, :, *known.cut], outside, mode="replicate")
    down = _distance(height, known.top, known.bottom, shown.device)
    across = _distance(width, known.left, known.right, shown.device)
    far = (down[:, None].square() + across.square()).sqrt().clamp_max(reach) / reach
    joined = (shown + error * torch.cos(0.5 * math.pi * far).square()).clamp(-1, 1)
    joined[:, :, *known.cut] = picture
    return joined


def _cover(height: int, width: int, side: int) -> list[Area]:
    return [
        Area(row, column, row + side, column + side)
        for row in _along(0, height, side) for column in _along(0, width, side)
    ]  # fmt: skip


def _nearness(side: int, device: torch.device) -> Tensor:
    """Return (side, side) in (0, 1], largest in the middle and falling evenly to the edges."""
    along = 1 - (2 * (torch.arange(side, device=device) + 0.5) / side - 1).abs()
    return along[:, None] * along


def _distance(length: int, first: int, end: int, device: torch.device) -> Tensor:
    """Return (length,) how far each pixel is from those of `first` to `end`."""
    at = torch.arange(length, device=device, dtype=torch.float32)
    return torch.maximum(first - at, at - (end - 1)).clamp_min(0)
