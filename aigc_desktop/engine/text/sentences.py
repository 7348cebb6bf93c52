"""Texts one at a time, for models that see a whole text: rows of tokens of limited length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc_desktop.engine.text.tokenizer import END
from aigc_desktop.engine.training.data import Indices

_CHUNK = 1 << 24  # tokens looked at at once


@dataclass(frozen=True)
class Rows:
    """A batch: `inputs` (B, T) begin with the end token, `targets` (B, T) follow them, `known` (B, T) marks real ones.

    A text that ends within the row has its end token as the last known target; the rest is filled with end tokens.
    """

    inputs: Tensor
    targets: Tensor
    known: Tensor


class Sentences:
    """The texts in a row of tokens, in their order; one longer than `length` tokens counts as several pieces."""

    def __init__(self, tokens: npt.NDArray[np.integer], length: int) -> None:
        self.tokens, self.length = tokens, length
        starts, ends, closed = _texts(tokens)
        pieces = -(-(ends - starts) // length)
        which = np.repeat(np.arange(len(starts)), pieces)
        place = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self.text = which
        """Number of the text that each piece belongs to, empty ones included in the count."""
        self._starts = starts[which] + place * length
        self._sizes = np.minimum(ends[which] - self._starts, length)
        self._closed = closed[which] & (self._starts + self._sizes == ends[which])

    def __len__(self) -> int:
        return len(self._starts)

    def ids(self, index: int) -> list[int]:
        """Return the tokens of one piece, without an end token."""
        start = self._starts[index]
        return [int(i) for i in self.tokens[start : start + self._sizes[index]]]

    def rows(self, indices: Indices, device: torch.device) -> Rows:
        """Return pieces as one batch, as wide as the longest of them needs."""
        sizes, closed = self._sizes[indices], self._closed[indices]
        width = int(sizes.max(initial=0)) + 1
        places = self._starts[indices][:, None] + np.arange(width)
        inside = np.arange(width) < sizes[:, None]
        ids = np.where(inside, self.tokens[np.where(inside, places, 0)], END).astype(np.int64)
        known = np.arange(width) < (sizes + closed)[:, None]
        return rows_of(*(torch.from_numpy(part).to(device, non_blocking=True) for part in (ids, known)))


def rows_of(targets: Tensor, known: Tensor) -> Rows:
    """Return the batch whose targets (B, T) are given: its inputs are the same one place later."""
    return Rows(torch.cat([torch.full_like(targets[:, :1], END), targets[:, :-1]], 1), targets, known)


def rows_of_texts(texts: list[list[int]], length: int, device: torch.device) -> Rows:
    """Return a batch of given texts, each cut to `length` tokens."""
    width = max((min(len(ids), length) for ids in texts), default=0) + 1
    targets = torch.full((len(texts), width), END, device=device)
    for row, ids in enumerate(texts):
        kept = ids[:length]
        targets[row, : len(kept)] = torch.tensor(kept, dtype=torch.long)
    sizes = torch.tensor([[min(len(ids), length) + (len(ids) <= length)] for ids in texts], device=device)
    return rows_of(targets, torch.arange(width, device=device) < sizes)


def piece_rows(ids: list[int], length: int, device: torch.device) -> Iterator[Rows]:
    """Yield the pieces of one text as rows of their own, as a model of `Sentences` learned them."""
    for start in range(0, max(1, len(ids)), length):
        part = ids[start : start + length]
        closed = start + length >= len(ids)
        targets = torch.tensor([[*part, END]], device=device)
        known = torch.ones_like(targets, dtype=torch.bool)
        known[0, -1] = closed
        yield rows_of(targets, known)


def joined(parts: list[Rows]) -> Rows:
    """Return several batches as one, as wide as the widest."""
    width = max(part.targets.shape[1] for part in parts)

    def wide(rows: Tensor, filling: int) -> Tensor:
        return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=filling)

    targets = torch.cat([wide(part.targets, END) for part in parts])
    return rows_of(targets, torch.cat([wide(part.known, 0) for part in parts]))


def _texts(tokens: npt.NDArray[np.integer]) -> tuple[Indices, Indices, npt.NDArray[np.bool_]]:
    """Return begin, end and whether an end token follows, for each text of a row of tokens; empty texts are kept."""
    parts = [
        np.flatnonzero(np.asarray(tokens[start : start + _CHUNK]) == END) + start
        for start in range(0, len(tokens), _CHUNK)
    ]
    ends = np.concatenate(parts) if parts else np.empty(0, np.int64)
    closed = np.ones(len(ends), bool)
    if len(tokens) and (not len(ends) or ends[-1] != len(tokens) - 1):
        ends, closed = np.append(ends, len(tokens)), np.append(closed, False)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    return starts, ends, closed
