"""The texts of a run as pieces of its tokens, each with its attribute lines; best fit of pieces into windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aigc_desktop.core.dataset import Split
from aigc_desktop.core.records import read_table
from aigc_desktop.engine.text.fields import FieldLines, read_lines
from aigc_desktop.engine.text.tokenizer import END, Ids
from aigc_desktop.engine.text.tokens import TAIL, TokenData, read_tokens
from aigc_desktop.engine.training.data import Indices


@dataclass(frozen=True)
class Items:
    """Texts as pieces `tokens[start:end]` of a row of tokens; `rows` are their numbers in `lines`."""

    tokens: Ids
    starts: Indices
    ends: Indices
    rows: Indices
    lines: FieldLines

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, chosen: Indices | slice) -> Items:
        """Return some of the texts."""
        return replace(self, starts=self.starts[chosen], ends=self.ends[chosen], rows=self.rows[chosen])

    def share(self, most: int) -> Items:
        """Return texts of about `most` tokens, evenly spread."""
        total = int((self.ends - self.starts).sum())
        if total <= most:
            return self
        count = max(1, int(len(self) * most / total))
        return self.at(np.linspace(0, len(self) - 1, count).astype(np.int64))


def open_items(folder: Path, data: TokenData) -> tuple[Items, Items]:
    """Return the texts of a run for training and for validation, held out as `data` says; `folder` has its tokens."""
    train = _items(folder, "train", data)
    return _cut_tail(train) if data.tail else (train, _items(folder, "validation", data))


def _items(folder: Path, split: Split, data: TokenData) -> Items:
    tokens = read_tokens(folder / f"{split}.bin", read_table(folder / "tokens.json"), split)
    ends = np.flatnonzero(tokens == END).astype(np.int64)
    starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1])
    if data.fields:
        lines = read_lines(folder, split, data.fields, len(ends))
    else:
        lines = FieldLines((), np.zeros(0, np.int32), np.zeros(1, np.int64))
    return Items(tokens, starts, ends, np.arange(len(ends)), lines)


def _cut_tail(items: Items) -> tuple[Items, Items]:
    """Return texts without and with the last tenth; one single text is cut in two."""
    if len(items) == 1:
        cut = items.ends - np.maximum(1, ((items.ends - items.starts) * TAIL).astype(np.int64))
        return replace(items, ends=cut), replace(items, starts=cut)
    count = max(1, int(len(items) * TAIL))
    return items.at(slice(None, -count)), items.at(slice(-count, None))


def best_fit(lengths: list[int], room: int) -> tuple[list[int], int]:
    """Return the window of each piece and the number of windows: each piece goes where it leaves the least room.

    The windows with room left lie in stacks by that room; the bits of one number say which stacks hold any.
    """
    stacks: list[list[int]] = [[] for _left in range(room + 1)]
    held = count = 0
    places = []
    for length in lengths:
        fitting = held >> length
        if fitting:
            left = length + (fitting & -fitting).bit_length() - 1
            window = stacks[left].pop()
            if not stacks[left]:
                held ^= 1 << left
        else:
            window, left, count = count, room, count + 1
        places.append(window)
        left -= length
        if left:
            stacks[left].append(window)
            held |= 1 << left
    return places, count
