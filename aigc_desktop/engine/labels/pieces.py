"""Texts as rows for an encoder that tells something of each word or of the whole: made once, batched by length."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.core.words import Words
from aigc_desktop.engine.pretrained.reader import Ids, Reader, first_tokens
from aigc_desktop.engine.training.data import Indices

LEFT_OUT = -100
"""The label of what is not learned from: cross entropy passes it over."""
_AT_ONCE = 256  # texts read between two chances to stop
_SCORED = 32  # texts in one batch where nothing is learned
_POOL = 50  # batches sorted together

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A text, or the part of one that fits into the network.

    ids      its tokens, without special ones, int64 (T,)
    places   the tokens told of: the first one of each word, int64 (W,); those of words without any are left out
    words    which words of the text these are, int64 (W,)
    labels   what to learn of each, int64 (W,), or empty where nothing is known
    text     the number of the text
    """

    ids: Ids
    places: Ids
    words: Ids
    labels: Ids
    text: int


@dataclass(frozen=True)
class Batch:
    """Rows of an encoder: ids and mask (B, T), places and labels (B, W), labels LEFT_OUT where there is no word."""

    ids: Tensor
    mask: Tensor
    places: Tensor
    labels: Tensor


NOTHING = np.zeros(0, np.int64)


def whole_pieces(
    reader: Reader, texts: Sequence[str], classes: Sequence[int], length: int
) -> Generator[Event, str | None, list[Piece]]:
    """Return one piece for each text, cut after `length` tokens; it is told of at its first place. Yields Progress."""
    pieces: list[Piece] = []
    for start, part in _parts(texts):
        for i, (ids, _places) in enumerate(reader.read(part), start):
            label = np.array(classes[i : i + 1], np.int64)
            pieces.append(Piece(ids[:length], np.zeros(1, np.int64), np.zeros(1, np.int64), label, i))
        yield Progress(start, len(texts), _("Turning text into tokens"))
    return pieces


def word_pieces(
    reader: Reader, texts: Sequence[str], words: Sequence[Words], labels: Sequence[Sequence[int]], length: int
) -> Generator[Event, str | None, list[Piece]]:
    """Return the pieces of texts of which each word is told of; longer ones are cut before words. Yields Progress."""
    pieces: list[Piece] = []
    for start, part in _parts(texts):
        for i, (ids, tokens) in enumerate(reader.read(part), start):
            first = np.array(first_tokens(words[i], tokens), np.int64)
            known = np.array(labels[i], np.int64) if labels else NOTHING
            pieces += _cut(i, ids, first, known, length)
        yield Progress(start, len(texts), _("Turning text into tokens"))
    return pieces


def _parts(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(texts), _AT_ONCE):
        yield start, [texts[i] for i in range(start, min(len(texts), start + _AT_ONCE))]


def _cut(text: int, ids: Ids, first: Ids, labels: Ids, length: int) -> Iterator[Piece]:
    """Yield pieces of at most `length` tokens, cut before words; of a longer word only the beginning is read."""
    words = np.flatnonzero(first >= 0)
    starts = first[words]
    ends = np.maximum(np.append(starts[1:], len(ids)), starts + 1)  # two words may share a token
    at = 0
    while at < len(words):
        begin = 0 if at == 0 and ends[0] <= length else int(starts[at])
        after = at + max(1, int(np.searchsorted(ends[at:], begin + length, "right")))
        inside = words[at:after]
        end = min(int(ends[after - 1]), begin + length)
        yield Piece(ids[begin:end], starts[at:after] - begin, inside, labels[inside] if len(labels) else NOTHING, text)
        at = after


def collate(pieces: Sequence[Piece], reader: Reader, device: torch.device) -> Batch:
    """Return pieces as a batch on the device."""
    ids, mask = reader.rows([piece.ids for piece in pieces])
    most = max(len(piece.places) for piece in pieces)
    places = np.zeros((len(pieces), most), np.int64)
    labels = np.full((len(pieces), most), LEFT_OUT, np.int64)
    for row, piece in enumerate(pieces):
        places[row, : len(piece.places)] = piece.places + len(reader.begin)
        labels[row, : len(piece.labels)] = piece.labels
    arrays = (ids, mask, places, labels)
    return Batch(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))


def scores_of(
    model: nn.Module, pieces: Sequence[Piece], reader: Reader, device: torch.device
) -> Generator[None, None, list[Scores]]:
    """Return log-probabilities (W, C) of each piece, in its order; yields after each batch."""
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i].ids))
    found: list[Scores] = [np.zeros((0, 0), np.float32)] * len(pieces)
    for start in range(0, len(order), _SCORED):
        chosen = order[start : start + _SCORED]
        with torch.no_grad():
            logits = model(collate([pieces[i] for i in chosen], reader, device))
            told = logits.float().log_softmax(-1).cpu().numpy()
        for row, i in enumerate(chosen):
            found[i] = told[row, : len(pieces[i].places)]
        yield
    return found


class LengthSampler:
    """Endless batches of pieces of about the same length; every piece comes once an epoch, in another order each time.

    Pools of batches are drawn by chance and sorted, so that little is computed on padding. The last batch of an epoch
    may be smaller. `position` is all that resuming needs.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        if not len(lengths):
            raise ValueError("nothing to draw from")
        self.lengths = np.array(lengths)
        self.batch_size, self.seed = batch_size, seed
        self.position: tuple[int, int] = (0, 0)
        self._made: tuple[int, list[Indices]] = (-1, [])

    def next(self) -> Indices:
        """Return the next batch of indices, int64 (B,)."""
        epoch, number = self.position
        if self._made[0] != epoch:
            self._made = (epoch, self.batches(epoch))
        batches = self._made[1]
        self.position = (epoch, number + 1) if number + 1 < len(batches) else (epoch + 1, 0)
        return batches[number]

    def batches(self, epoch: int) -> list[Indices]:
        """Return the batches of an epoch; they depend on seed and epoch only."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))
        order = rng.permutation(len(self.lengths))
        size = self.batch_size
        batches: list[Indices] = []
        for start in range(0, len(order), size * _POOL):
            pool = order[start : start + size * _POOL]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        return [batches[i] for i in rng.permutation(len(batches))]
