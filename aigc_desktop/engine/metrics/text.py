"""Quality, diversity and memorisation of generated texts.

BLEU: Papineni et al., ACL 2002, with every reference at once; Self-BLEU: arXiv:1802.01886. Both against the full
reference set in linear time, from tables of the highest count of each n-gram in any one reference. A text here is a
sequence of tokens; `metric_tokens` splits plain text.
"""

from __future__ import annotations

import bisect
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_mean, bootstrap_ratio

Text = Sequence[Hashable]
Gram = tuple[Hashable, ...]

ORDERS = (2, 3, 4, 5)
_UNSEEN = 0.1  # count given to an n-gram order without any match: Chen and Cherry, WMT 2014, smoothing 1
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+?(?=[\u3040-\u30ff\u3400-\u9fff])|'?\w+|[^\w\s]")


def metric_tokens(text: str) -> list[str]:
    """Split into words, marks and single Chinese, Japanese or Korean characters; "it's" gives "it" and "'s"."""
    return _TOKEN.findall(text)


def metric_places(text: str) -> list[tuple[int, int]]:
    """Return where each of the `metric_tokens` begins and ends in the text."""
    return [match.span() for match in _TOKEN.finditer(text)]


def bleu_scores(
    texts: Sequence[Text], references: Sequence[Text], orders: Sequence[int] = ORDERS
) -> NDArray[np.float64]:
    """Return BLEU-n (N, len(orders)) of each text against all references together; the mean is the usual figure.

    High is near the references; above what unseen real texts reach it means repetition, not quality.
    """
    table = ReferenceTable(references, max(orders))
    return np.array([table.score(text, orders) for text in texts]).reshape(-1, len(orders))


def self_bleu_scores(texts: Sequence[Text], orders: Sequence[int] = ORDERS) -> NDArray[np.float64]:
    """Return BLEU-n (N, len(orders)) of each text against all other texts; low is diverse."""
    if len(texts) < 2:
        raise ValueError("Self-BLEU needs at least 2 texts")
    table = ReferenceTable(texts, max(orders))
    return np.array([table.score(text, orders, own=True) for text in texts])


def unique_share(texts: Sequence[Text]) -> float:
    """Return different texts / all texts, in (0, 1]."""
    if not texts:
        raise ValueError("no texts")
    return len({tuple(text) for text in texts}) / len(texts)


def unique_estimate(texts: Sequence[Text]) -> Estimate:
    """Return the unique share with its interval: of n equal texts each counts 1/n, and texts are resampled.

    How often a text comes stays as it is in the whole, as resampling would itself make copies.
    """
    counts = Counter(tuple(text) for text in texts)
    return bootstrap_mean([1 / counts[tuple(text)] for text in texts])


def distinct_estimate(texts: Sequence[Text], n: int) -> Estimate | None:
    """Return distinct-n with its interval, in the same way; None when no text has n tokens.

    Unique n-grams / all n-grams, in (0, 1]; arXiv:1510.03055. Compare only between equal amounts of text.
    """
    counts = Counter(gram for text in texts for gram in ngrams(text, n))
    if not counts:
        return None
    grams = [ngrams(text, n) for text in texts]
    return bootstrap_ratio([sum(1 / counts[gram] for gram in part) for part in grams], [len(part) for part in grams])


def bits_per_byte(nats: ArrayLike, byte_counts: ArrayLike, resamples: int = 200, seed: int = 0) -> Estimate:
    """Return the bits a model needs per UTF-8 byte, from summed nats and bytes of each held-out text.

    Unlike a loss per token this compares between tokenizers. The interval resamples texts.
    """
    bits = np.asarray(nats, dtype=np.float64) / math.log(2)
    return bootstrap_ratio(bits, byte_counts, resamples, seed)


class ReferenceTable:
    """For each n-gram the highest count in one reference, who has it, and the highest count among the others.

    With `wanted` only these n-grams are remembered, so that any number of references fits into the memory.
    """

    def __init__(self, references: Iterable[Text], longest: int, wanted: set[Gram] | None = None) -> None:
        self.longest, self.wanted = longest, wanted
        self.best: dict[Gram, int] = {}
        self.second: dict[Gram, int] = {}  # equal to best when two references share it
        self.lengths: Counter[int] = Counter()
        self.sorted_lengths: list[int] = []
        for text in references:
            self.add(text)

    def add(self, text: Text) -> None:
        """Take one reference more."""
        if not self.lengths[len(text)]:
            bisect.insort(self.sorted_lengths, len(text))
        self.lengths[len(text)] += 1
        for n in range(1, self.longest + 1):
            for gram, count in Counter(ngrams(text, n)).items():
                if self.wanted is not None and gram not in self.wanted:
                    continue
                best = self.best.get(gram, 0)
                if count > best:
                    self.best[gram], self.second[gram] = count, best
                elif count > self.second[gram]:
                    self.second[gram] = count

    def score(self, text: Text, orders: Sequence[int], own: bool = False) -> list[float]:
        """Return BLEU of each order; `own` says that `text` is one of the references and must not count itself."""
        if not self.lengths:
            raise ValueError("no references")
        logs: list[float] = []
        for n in range(1, max(orders) + 1):
            counts = Counter(ngrams(text, n))
            matched = sum(min(count, self._highest(gram, count, own)) for gram, count in counts.items())
            if n == 1 and matched == 0:
                return [0.0] * len(orders)
            logs.append(math.log((matched or _UNSEEN) / max(1, counts.total())))
        penalty = min(0.0, 1 - self._closest_length(len(text), own) / len(text))
        return [math.exp(penalty + sum(logs[:n]) / n) for n in orders]

    def _highest(self, gram: Gram, count: int, own: bool) -> int:
        """Return the highest count of `gram` in a reference; a text that itself holds the record sees the second."""
        best = self.best.get(gram, 0)
        return self.second[gram] if own and count == best else best

    def _closest_length(self, length: int, own: bool) -> int:
        """Return the reference length nearest to `length`, the shorter of two equally near."""
        if self.lengths[length] > own:
            return length
        place = bisect.bisect_left(self.sorted_lengths, length)
        above = place + 1 if length in self.lengths else place
        near = self.sorted_lengths[max(0, place - 1) : place] + self.sorted_lengths[above : above + 1]
        return min(near, key=lambda other: (abs(other - length), other))


def ngrams(text: Text, n: int) -> list[Gram]:
    """Return the n-grams of a text, in their order."""
    return list(zip(*(text[start:] for start in range(n)), strict=False))
