"""Lessons packed whole into windows, kept out of each other's sight; best fit first, in a new order each epoch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.text.items import best_fit
from aigc_desktop.engine.text.packing import Batch
from aigc_desktop.engine.training.data import Indices
from aigc_desktop.engine.tuning.lessons import Lessons

_EVEN = 64  # tokens; ever new lengths would tear the memory of a processor into pieces


class Windows:
    """Batches of packed windows; it is the sampler of a training. An index is `epoch << 32 | window`."""

    def __init__(self, lessons: Lessons, context: int, batch_size: int, seed: int) -> None:
        self.lessons, self.batch_size, self.seed = lessons, batch_size, seed
        self.room = context + 1  # tokens of a window, the last one a target only
        self.position = (0, 0)
        self.packed = lru_cache(maxsize=2)(self._pack)

    def next(self) -> Indices:
        """Return the next batch of windows, int64 (B,)."""
        found: list[int] = []
        epoch, offset = self.position
        while len(found) < self.batch_size:
            count = len(self.packed(epoch))
            taken = min(count - offset, self.batch_size - len(found))
            found += [epoch << 32 | window for window in range(offset, offset + taken)]
            epoch, offset = (epoch + 1, 0) if offset + taken == count else (epoch, offset + taken)
        self.position = (epoch, offset)
        return np.array(found, np.int64)

    def epoch(self) -> list[Indices]:
        """Return all windows of the first epoch in batches, for validation."""
        windows = np.arange(len(self.packed(0)), dtype=np.int64)
        return [windows[i : i + self.batch_size] for i in range(0, len(windows), self.batch_size)]

    def batch(self, indices: Indices, device: torch.device) -> Batch:
        """Return the windows of these indices, as long as the longest; `documents` is None for one text in each."""
        rows = [self.packed(index >> 32)[index & 0xFFFFFFFF] for index in indices.tolist()]
        lengths = self.lessons.ends - self.lessons.starts
        longest = max(int(lengths[pieces].sum()) for pieces in rows)
        width = min(self.room, 1 + _EVEN * -(-(longest - 1) // _EVEN))
        tokens = np.zeros((len(rows), width), np.int64)
        targets = np.full((len(rows), width), NO_TARGET, np.int64)
        documents = np.full((len(rows), width), -1, np.int64)
        for row, pieces in enumerate(rows):
            place = 0
            for piece in pieces.tolist():
                ids = self.lessons.tokens[self.lessons.starts[piece] : self.lessons.ends[piece]]
                here = slice(place, place + len(ids))
                tokens[row, here], documents[row, here] = ids, piece
                targets[row, place + int(self.lessons.given[piece]) : here.stop] = ids[self.lessons.given[piece] :]
                place = here.stop
        alone = max(map(len, rows)) == 1
        parts = [torch.from_numpy(part.copy()) for part in (tokens[:, :-1], targets[:, 1:], documents[:, :-1])]
        if device.type == "cuda":
            parts = [part.pin_memory() for part in parts]
        inputs, following, texts = (part.to(device, non_blocking=True) for part in parts)
        return Batch(inputs, following, None if alone else texts)

    def size(self, indices: Indices) -> int:
        """Return the bytes of UTF-8 that the targets of these windows stand for."""
        return sum(int(self.lessons.sizes[self.packed(i >> 32)[i & 0xFFFFFFFF]].sum()) for i in indices.tolist())

    def _pack(self, epoch: int) -> list[Indices]:
        """Return the pieces of each window of an epoch."""
        random = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        order = random.permutation(len(self.lessons))
        lengths = (self.lessons.ends - self.lessons.starts)[order]
        places, count = best_fit(lengths.tolist(), self.room)
        shuffled = random.permutation(count)[np.array(places, np.int64)]  # the fullest windows are not to come first
        arranged = np.argsort(shuffled, kind="stable")
        bounds = np.searchsorted(shuffled[arranged], np.arange(1, count))
        return list(np.split(order[arranged], bounds))


def sight(documents: Tensor | None) -> Tensor | None:
    """Return where attention may look (B, 1, T, T): backwards, within a text; None for all that stands before."""
    if documents is None:
        return None
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    return ((documents[:, :, None] == documents[:, None, :]) & causal)[:, None]
