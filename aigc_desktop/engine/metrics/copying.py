"""How long a passage each generated text repeats word for word from the training texts.

A suffix array over all texts, built by prefix doubling (Karp, Miller and Rosenberg, 1972; Manber and Myers, 1993), puts
beside each position of a generated text the training position with the longest common passage. Exact, and fast enough
for millions of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc_desktop.engine.metrics.text import Text

Ints = NDArray[np.int64]


def longest_copies(generated: Sequence[Text], training: Sequence[Text]) -> Ints:
    """Return (len(generated),): tokens in the longest passage of each text that also stands in one training text."""
    if not any(len(text) for text in generated) or not any(len(text) for text in training):
        return np.zeros(len(generated), np.int64)
    tokens, owner = _joined([*training, *generated])
    names = _names_by_doubling(tokens, longest=max(len(text) for text in generated))
    lengths = _longest_match_in_training(names, is_training=owner < len(training))
    longest = np.zeros(len(training) + len(generated), np.int64)
    np.maximum.at(longest, owner, lengths)
    return longest[len(training) :]


def find_passage(text: Text, training: Sequence[Text], length: int) -> tuple[int, int, int] | None:
    """Return (place in the text, number of a training text, place in it) of a passage of `length` tokens, or None."""
    places = {tuple(text[i : i + length]): i for i in range(len(text) - length, -1, -1)}
    for number, other in enumerate(training):
        for i in range(len(other) - length + 1):
            if (found := places.get(tuple(other[i : i + length]))) is not None:
                return found, number, i
    return None


def _joined(texts: Sequence[Text]) -> tuple[Ints, Ints]:
    """Return all tokens as numbers, and the text each belongs to; every text ends with a number of its own."""
    vocabulary: dict[object, int] = {}
    tokens: list[int] = []
    owner: list[int] = []
    for index, text in enumerate(texts):
        tokens += [vocabulary.setdefault(token, len(vocabulary)) for token in text]
        tokens.append(-1 - index)  # unique, so no passage crosses the end of a text
        owner += [index] * (len(text) + 1)
    return np.array(tokens, np.int64), np.array(owner, np.int64)


def _names_by_doubling(tokens: Ints, longest: int) -> list[Ints]:
    """Return for each k the names (N,) of the passages of 2^k tokens: equal name, equal passage; names sort alike."""
    names = [np.unique(tokens, return_inverse=True)[1].astype(np.int64)]
    while 2 ** len(names) < 2 * longest:
        step = 2 ** (len(names) - 1)
        following = np.concatenate([names[-1][step:] + 1, np.zeros(step, np.int64)])[: len(tokens)]
        pairs = names[-1] * (len(tokens) + 1) + following
        names.append(np.unique(pairs, return_inverse=True)[1].astype(np.int64))
    return names


def _longest_match_in_training(names: list[Ints], is_training: NDArray[np.bool_]) -> Ints:
    """Return (N,) the longest common passage of each position with any training position; 0 at training positions."""
    count = len(is_training)
    order = np.argsort(names[-1], kind="stable")
    places = np.where(is_training[order], np.arange(count), -1)
    before = np.maximum.accumulate(places)
    places[places < 0] = count
    after = np.minimum.accumulate(places[::-1])[::-1]
    matches = np.zeros(count, np.int64)
    for neighbour in (before, after):
        valid = np.flatnonzero((neighbour >= 0) & (neighbour < count) & ~is_training[order])
        here, there = order[valid], order[neighbour[valid]]
        matches[here] = np.maximum(matches[here], _common_length(names, here, there))
    return matches


def _common_length(names: list[Ints], a: Ints, b: Ints) -> Ints:
    """Return (M,) how many tokens agree from positions `a` and `b` on, by halving steps."""
    count = len(names[0])
    length = np.zeros(len(a), np.int64)
    for k in range(len(names) - 1, -1, -1):
        i, j = a + length, b + length
        inside = np.maximum(i, j) < count
        same = inside & (names[k][np.minimum(i, count - 1)] == names[k][np.minimum(j, count - 1)])
        length += same * 2**k
    return length
