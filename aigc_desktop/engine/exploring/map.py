"""What pictures look like in few numbers, and how to lay similar ones side by side on a square map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from aigc_desktop.engine.pictures.alpha import opaque

SIDE = 12  # pixels a side of a look
SWAPS = 60  # tries to swap two pictures, for each picture


def looks(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what pictures (N, H, W, 1, 3 or 4) look like: (N, 432), means of areas of each colour in [0, 1]."""
    images = torch.from_numpy(np.ascontiguousarray(opaque(pictures))).permute(0, 3, 1, 2).double() / 255
    areas: NDArray[np.float64] = F.adaptive_avg_pool2d(images, SIDE).flatten(1).numpy()
    return areas


@dataclass(frozen=True)
class Principal:
    """Principal directions of values (N, D).

    `scores` (N, K) of spread 1, `axes` (D, K) that give them from centred values, `shares` (K,) of all variance.
    """

    scores: NDArray[np.float64]
    axes: NDArray[np.float64]
    shares: NDArray[np.float64]


def principal(values: NDArray[np.float64], count: int) -> Principal:
    """Return the `count` largest principal directions, fewer of few or equal values.

    The sign is such that the weights of a direction have a positive sum: the same on any machine.
    """
    centred = values - values.mean(0)
    spread = np.sqrt(len(values))
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    wanted = min(count, int((sizes > 1e-6 * spread).sum()))
    signs = np.where(right[:wanted].sum(1) < 0, -1.0, 1.0)
    shares = np.square(sizes[:wanted]) / max(float(np.square(sizes).sum()), 1e-12)
    return Principal(left[:, :wanted] * signs * spread, right[:wanted].T * signs * spread / sizes[:wanted], shares)


def arrange(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.int64]:
    """Return which picture lies in each cell, row by row, of a map with `columns` columns and as many rows.

    Sorted along two principal directions first; then pairs are swapped as long as neighbours become more alike.
    """
    seen = looks(pictures)
    scores = principal(seen, 2).scores
    scores = np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))
    across = np.argsort(scores[:, 0], kind="stable").reshape(columns, columns)
    cells = np.stack([column[np.argsort(scores[column, 1], kind="stable")] for column in across], 1)
    return _swapped(cells, seen).ravel()


def _swapped(cells: NDArray[np.int64], seen: NDArray[np.float64]) -> NDArray[np.int64]:
    columns, count = cells.shape[1], cells.size
    squares = np.square(seen).sum(1)
    apart = np.sqrt(np.maximum(0, squares[:, None] + squares - 2 * seen @ seen.T))
    around = [_around(cell, columns) for cell in range(count)]
    laid = cells.ravel().copy()
    random = np.random.default_rng(0)
    for a, b in random.integers(0, count, (SWAPS * count, 2)).tolist():
        first, second = laid[a], laid[b]
        near_a, near_b = laid[around[a]], laid[around[b]]
        change = apart[second, near_a] - apart[first, near_a], apart[first, near_b] - apart[second, near_b]
        if change[0].sum() + change[1].sum() < -1e-9 and b not in around[a]:
            laid[a], laid[b] = second, first
    return laid.reshape(cells.shape)


def _around(cell: int, columns: int) -> list[int]:
    """Return the cells left, right, above and below."""
    row, column = divmod(cell, columns)
    places = ((row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column))
    return [r * columns + c for r, c in places if 0 <= r < columns and 0 <= c < columns]
