"""Distances between two sets of vectors in pieces, so that 20,000 x 20,000 needs little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Vectors = NDArray[np.floating]

_BLOCK = 8_000_000  # entries of a distance block: 64 MB of float64


def as_tensor(vectors: Vectors) -> Tensor:
    """Return vectors (N, D) as a float64 tensor; features of a size near 1000 lose too much in float32."""
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(f"expected vectors (N, D), got {vectors.shape}")
    return torch.from_numpy(np.array(vectors, dtype=np.float64))


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices over `rows` whose blocks of `columns` entries a row stay within the memory limit."""
    step = max(1, _BLOCK // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def squared_distance_blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, squared distances (len(rows), M)) for x (N, D) against y (M, D), by one matrix product each."""
    centre = y.mean(0)
    x, y = x - centre, y - centre  # small norms: less is lost in |x|^2 + |y|^2 - 2xy
    y_norms = (y * y).sum(1)
    for rows in row_blocks(len(x), len(y)):
        block = x[rows]
        squared = torch.addmm(y_norms[None, :] + (block * block).sum(1)[:, None], block, y.T, alpha=-2)
        yield rows, squared.clamp_(min=0)


def kth_neighbour_distance(x: Tensor, k: int) -> Tensor:
    """Return (N,) distances from each row of x to its k-th nearest other row."""
    if len(x) <= k:
        raise ValueError(f"{len(x)} items have no {k}-th neighbour")
    radii = torch.empty(len(x), dtype=torch.float64)
    for rows, squared in squared_distance_blocks(x, x):
        squared[torch.arange(len(squared)), torch.arange(rows.start, rows.stop)] = torch.inf
        radii[rows] = squared.topk(k, largest=False).values[:, -1].sqrt()
    return radii


def nearest_neighbours(
    queries: Vectors, references: Vectors, k: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the indices and distances (N, k) of the k nearest references, nearest first.

    The distances are computed again from the differences, so that an exact copy is at exactly 0.
    """
    x, y = as_tensor(queries), as_tensor(references)
    k = min(k, len(y))
    indices = torch.empty((len(x), k), dtype=torch.int64)
    distances = torch.empty((len(x), k), dtype=torch.float64)
    for rows, squared in squared_distance_blocks(x, y):
        found = squared.topk(k, largest=False).indices
        exact = torch.stack([(x[rows] - y[found[:, rank]]).norm(dim=1) for rank in range(k)], 1)
        order = exact.argsort(dim=1)
        indices[rows], distances[rows] = found.gather(1, order), exact.gather(1, order)
    return indices.numpy(), distances.numpy()
