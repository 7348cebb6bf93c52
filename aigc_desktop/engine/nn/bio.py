"""Constrained decoding of IOB2 tags: the likeliest sequence among those that mean something (Viterbi, 1967)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
NEVER = -1e9  # finite, so that no sum becomes NaN


def tags_of(classes: Sequence[str]) -> list[str]:
    """Return the tags for entity classes: O, then B- and I- of each."""
    return ["O", *(f"{prefix}-{name}" for name in classes for prefix in "BI")]


def transitions(tags: Sequence[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return what a sequence may begin with, bool (C,), and what may follow what, bool (C, C): from row to column.

    An I- follows only B- or I- of its class.
    """
    begin = np.array([not tag.startswith("I-") for tag in tags])
    follow = np.array([[not b.startswith("I-") or (a[1:] == b[1:] and a != "O") for b in tags] for a in tags])
    return begin, follow


def decode(scores: Sequence[Scores], tags: Sequence[str]) -> list[npt.NDArray[np.int64]]:
    """Return the best allowed tags (W,) of each text from its scores (W, C), log-probabilities or logits.

    Texts of any lengths go through together: padding adds nothing to a path and leaves its tag as it was.
    """
    lengths = [len(part) for part in scores]
    longest, count = max(lengths, default=0), len(tags)
    if not longest:
        return [np.zeros(0, np.int64) for _length in lengths]
    begin, follow = transitions(tags)
    allowed = np.where(follow, 0.0, NEVER)
    padded = np.zeros((longest, len(scores), count))
    for i, part in enumerate(scores):
        padded[: lengths[i], i] = part
    ends = np.array(lengths)
    best = np.where(begin, padded[0], padded[0] + NEVER)  # (B, C): of the paths that end in each tag
    back = np.zeros((longest, len(scores), count), np.int64)
    for place in range(1, longest):
        paths = best[:, :, None] + allowed  # (B, from, to)
        came, reached = paths.argmax(1), paths.max(1) + padded[place]
        inside = (place < ends)[:, None]
        back[place] = np.where(inside, came, np.arange(count))
        best = np.where(inside, reached, best)
    path = np.zeros((longest, len(scores)), np.int64)
    path[-1] = best.argmax(1)
    for place in range(longest - 1, 0, -1):
        path[place - 1] = np.take_along_axis(back[place], path[place][:, None], 1)[:, 0]
    return [path[:length, i] for i, length in enumerate(lengths)]
