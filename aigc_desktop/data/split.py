"""Split items into training and validation by their content, so that the order of files plays no part."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]


def digests_of(hashes: bytes) -> Digests:
    """Return the first 16 bytes of each hash, one after another in `hashes`, as uint64 (N, 2)."""
    return np.frombuffer(hashes, ">u8").astype(np.uint64).reshape(-1, 2)


def content_of(text: str) -> bytes:
    """Return 16 bytes that texts share which differ in the form of their Unicode or in their spacing only.

    Equal to the first bytes of the SHA-256 of a text that is in NFC and has single spaces.
    """
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()[:16]


def choose(digests: Digests, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of `count` items, ascending: a seeded choice that depends on contents only."""
    if count <= 0 or count >= len(digests):
        return np.arange(len(digests))
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    return np.sort(order[np.random.default_rng(seed).permutation(len(digests))[:count]])


def split(digests: Digests, labels: npt.NDArray[np.int32], share: float, seed: int) -> npt.NDArray[np.uint8]:
    """Return 0 (train) or 1 (validation) for each item, uint8 (N,).

    Items with the same content always fall on the same side. Each class gives `share` of its contents, rounded by
    largest remainder; it keeps at least one for training, and with two contents or more overall at least one is
    for validation when `share` is above 0.
    """
    result = np.zeros(len(digests), np.uint8)
    if not len(digests) or share <= 0:
        return result
    order = np.lexsort((labels, digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    first = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    group_of = np.empty(len(digests), np.int64)
    group_of[order] = np.cumsum(first) - 1  # contents, numbered in the order of their hashes
    group_label = labels[order[first]]
    chosen = np.zeros(len(group_label), np.uint8)
    rng = np.random.default_rng(seed)
    classes, sizes = np.unique(group_label, return_counts=True)
    for label, quota in zip(classes, _quotas(sizes, share), strict=True):
        members = np.flatnonzero(group_label == label)
        chosen[rng.permutation(members)[:quota]] = 1
    return chosen[group_of]


def _quotas(sizes: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
    """Return how many of each class are for validation, in all about `share`, by largest remainder."""
    exact = sizes * share
    quotas: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    total = max(1, round(float(sizes.sum()) * share))
    by_remainder = np.argsort(-(exact - quotas), kind="stable")
    for index in by_remainder[: max(0, total - int(quotas.sum()))]:
        quotas[index] += 1
    quotas = np.minimum(quotas, sizes - 1)
    if not quotas.sum() and sizes.max() > 1:
        quotas[np.argmax(sizes)] = 1
    return quotas
