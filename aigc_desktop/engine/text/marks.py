"""Marks between the parts of a prompt: tokens behind those of the tokenizer, so that no text can hold them.

    end  name: value lines  TEXT  text  end
    end  name: value lines  BEFORE  beginning  AFTER  ending  MIDDLE  middle  end

The second is the order "prefix, suffix, middle" of Bavarian et al. (arXiv:2207.14255). Marks are never targets, so a
model never writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aigc_desktop.engine.text.fields import line
from aigc_desktop.engine.text.tokenizer import END, Ids, Tokenizer

MARKS = 4


@dataclass(frozen=True)
class Marks:
    """The marks behind a tokenizer of `base` tokens."""

    base: int

    @property
    def text(self) -> int:
        """Return the mark before a text."""
        return self.base

    @property
    def before(self) -> int:
        """Return the mark before what stands before a gap."""
        return self.base + 1

    @property
    def after(self) -> int:
        """Return the mark before what stands after a gap."""
        return self.base + 2

    @property
    def middle(self) -> int:
        """Return the mark before what fills a gap."""
        return self.base + 3


class MarkedTokenizer:
    """A tokenizer with the marks behind its tokens; they have no text."""

    def __init__(self, inner: Tokenizer) -> None:
        self.inner, self.marks = inner, Marks(inner.size)
        self.size = inner.size + MARKS

    def encode(self, text: str) -> Ids:
        """Return the tokens of `text`, never a mark."""
        return self.inner.encode(text)

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text of tokens; marks are left out."""
        return self.inner.decode([i for i in map(int, ids) if i < self.inner.size], unfinished)

    def byte_counts(self) -> npt.NDArray[np.float64]:
        """Return how many bytes of UTF-8 each token stands for, 0 for a mark."""
        return np.concatenate([self.inner.byte_counts(), np.zeros(MARKS)])

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, which says nothing of the marks."""
        self.inner.save(folder)


def opening(tokenizer: MarkedTokenizer, told: Mapping[str, str]) -> list[int]:
    """Return how a text with these attributes begins."""
    lines = (tokenizer.encode(line(name, value)).tolist() for name, value in told.items())
    return [END, *(i for ids in lines for i in ids)]


def text_prompt(tokenizer: MarkedTokenizer, told: Mapping[str, str], beginning: str) -> list[int]:
    """Return the prompt of a text that goes on from `beginning`."""
    return [*opening(tokenizer, told), tokenizer.marks.text, *tokenizer.encode(beginning).tolist()]


def infill_prompt(
    tokenizer: MarkedTokenizer, told: Mapping[str, str], before: str, after: str, room: int
) -> tuple[list[int], bool]:
    """Return the prompt of a middle between `before` and `after`, and whether something was left out.

    A prompt longer than `room` keeps what stands nearest to the gap.
    """
    opened, marks = opening(tokenizer, told), tokenizer.marks
    first, last = tokenizer.encode(before).tolist(), tokenizer.encode(after).tolist()
    left = max(2, room - len(opened) - 3)
    cut = len(first) + len(last) > left
    if cut:
        share = max(left - len(last), left // 2)
        first = first[-min(len(first), share) :] if first else []
        last = last[: max(0, left - len(first))]
    return [*opened, marks.before, *first, marks.after, *last, marks.middle], cut
