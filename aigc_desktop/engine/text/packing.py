"""Texts packed whole into windows: attribute lines before each, some with their middle moved to the end.

Which lines a text gets, in which order, and where a gap is cut is drawn anew in each epoch, by generators of
(seed, round): a round is a block of texts that are packed together. A longer text is cut into pieces, each with the
lines before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.text.items import Items, best_fit
from aigc_desktop.engine.text.marks import MarkedTokenizer
from aigc_desktop.engine.text.tokenizer import END, CharTokenizer, Ids, Tokenizer
from aigc_desktop.engine.training.data import Indices

ALL_LINES, NO_LINES = 0.3, 0.1  # shares of the texts; the others get each line with a chance of their own
_ROUND_TEXTS, _ROUND_TOKENS = 32_768, 4_000_000  # at most in one round
_SLACK = 4  # tokens that the cuts of a gap may add, as learned pieces of words are cut apart
_SLACK_CONTEXT = 64  # a shorter one has no room for them
_BROKEN = "\N{REPLACEMENT CHARACTER}"
Part = tuple[Sequence[int] | Ids, bool]
"""Tokens, and whether they count in the loss."""


@dataclass(frozen=True)
class Recipe:
    """How texts become sequences; without `varied` all lines stand in their order and no gap is cut.

    `infill` is the share of texts with a gap, `whole` counts the lines in the loss, `apart` keeps attention within
    a text.
    """

    infill: float = 0.0
    apart: bool = True
    whole: bool = False
    varied: bool = True


@dataclass(frozen=True)
class Batch:
    """Tokens, what follows them (NO_TARGET where it does not count) and the text each belongs to: int64 (B, T)."""

    tokens: Tensor
    targets: Tensor
    documents: Tensor | None = None


@dataclass(frozen=True)
class Pieces:
    """Pieces of the texts of a round: piece j is `begin[j]:end[j]` of text `text[j]`, with a gap or without."""

    text: Indices
    begin: Indices
    end: Indices
    last: npt.NDArray[np.bool_]
    gap: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Round:
    """A block of texts in windows: window w holds the pieces `order[bounds[w]:bounds[w + 1]]`.

    `items` are the texts, `fields` (texts, K) the lines of each in order, -1 for none.
    """

    number: int
    items: Indices
    fields: Indices
    pieces: Pieces
    order: Indices
    bounds: Indices

    @property
    def windows(self) -> int:
        """Return how many windows there are."""
        return len(self.bounds) - 1


class Packs:
    """Batches of packed windows; it is the sampler of a training. An index is `round << 32 | window`.

    With a MarkedTokenizer the parts of a text are marked, else it stands between end tokens alone.
    """

    def __init__(
        self, items: Items, tokenizer: Tokenizer, recipe: Recipe, context: int, batch_size: int, seed: int
    ) -> None:
        self.items, self.tokenizer, self.recipe = items, tokenizer, recipe
        self.batch_size, self.seed = batch_size, seed
        self.room = context + 1  # tokens of a window, the last one a target only
        self.position = (0, 0)
        self.marks = tokenizer.marks if isinstance(tokenizer, MarkedTokenizer) else None
        inner = tokenizer.inner if isinstance(tokenizer, MarkedTokenizer) else tokenizer
        self.exact = isinstance(inner, CharTokenizer)  # a cut between characters is one between tokens
        self.slack = 0 if self.exact or not recipe.infill or context < _SLACK_CONTEXT else _SLACK
        self.overhead = 2 + (0 if self.marks is None else 3 + self.slack if recipe.infill else 1)
        self.most_lines = max(0, min(context // 2, self.room - self.overhead - 4))
        mean = float((items.ends - items.starts).mean()) if len(items) else 1.0
        self.round_texts = int(min(_ROUND_TEXTS, max(1.0, _ROUND_TOKENS / max(1.0, mean))))
        self.rounds = max(1, -(-len(items) // self.round_texts))
        self.round = lru_cache(maxsize=2)(self._make_round)

    @property
    def crowded(self) -> float:
        """Return the share of texts whose lines do not all fit into half a window."""
        lengths = self.items.lines.lengths()
        return float((lengths[self.items.rows].sum(1) > self.most_lines).mean()) if len(lengths) else 0.0

    def next(self) -> Indices:
        """Return the next batch of windows, int64 (B,)."""
        found: list[int] = []
        number, offset = self.position
        while len(found) < self.batch_size:
            windows = self.round(number).windows
            taken = min(windows - offset, self.batch_size - len(found))
            found += [number << 32 | window for window in range(offset, offset + taken)]
            number, offset = (number + 1, 0) if offset + taken == windows else (number, offset + taken)
        self.position = (number, offset)
        return np.array(found, np.int64)

    def epoch(self) -> list[Indices]:
        """Return all windows of the first epoch in batches, for validation."""
        found = [r << 32 | w for r in range(self.rounds) for w in range(self.round(r).windows)]
        return [np.array(found[i : i + self.batch_size], np.int64) for i in range(0, len(found), self.batch_size)]

    def batch(self, indices: Indices, device: torch.device) -> Batch:
        """Return the windows of these indices on the device."""
        tokens = np.full((len(indices), self.room), END, np.int64)
        targets = np.full((len(indices), self.room), NO_TARGET, np.int64)
        documents = np.full((len(indices), self.room), -1, np.int64)
        for row, index in enumerate(indices.tolist()):
            made, window, place = self.round(index >> 32), index & 0xFFFFFFFF, 0
            for piece in made.order[made.bounds[window] : made.bounds[window + 1]].tolist():
                for ids, counted in self._sequence(made, piece):
                    here = slice(place, place + len(ids))
                    tokens[row, here], documents[row, here] = ids, piece
                    if counted:
                        targets[row, here] = ids
                    place += len(ids)
        parts = [torch.from_numpy(part.copy()) for part in (tokens[:, :-1], targets[:, 1:], documents[:, :-1])]
        if device.type == "cuda":
            parts = [part.pin_memory() for part in parts]
        inputs, following, texts = (part.to(device, non_blocking=True) for part in parts)
        return Batch(inputs, following, texts if self.recipe.apart else None)

    # one piece as a sequence

    def _sequence(self, made: Round, piece: int) -> list[Part]:
        """Return the parts of a piece; the first token of all has no target."""
        pieces, text = made.pieces, int(made.pieces.text[piece])
        begin, end, item = int(pieces.begin[piece]), int(pieces.end[piece]), int(made.items[text])
        start, row = int(self.items.starts[item]), int(self.items.rows[item])
        ids = np.asarray(self.items.tokens[start + begin : start + end], np.int64)
        fields = [field for field in made.fields[text].tolist() if field >= 0]
        parts: list[Part] = [([END], False)] if begin == 0 else []
        parts += [(self.items.lines.line(row, field), self.recipe.whole) for field in fields]
        if pieces.gap[piece]:
            random = np.random.Generator(np.random.PCG64([self.seed, made.number, piece, 4]))
            return [*parts, *self._around_gap(ids, random)]
        if self.marks is not None:
            parts.append(([self.marks.text], False))
        counted = self.marks is not None or begin == 0  # else nothing stands before the first token
        parts += [(ids[:1], counted), (ids[1:], True)]
        return [*parts, ([END], True)] if pieces.last[piece] else parts

    def _around_gap(self, ids: Ids, random: np.random.Generator) -> list[Part]:
        """Return before, after and middle with their marks; the middle ends with the end token."""
        assert self.marks is not None
        cuts = random.random(2)
        before, middle, after = self._cut(ids, cuts)
        return [
            ([self.marks.before], False), (before, True), ([self.marks.after], False), (after, True),
            ([self.marks.middle], False), (middle, True), ([END], True),
        ]  # fmt: skip

    def _cut(self, ids: Ids, cuts: npt.NDArray[np.float64]) -> tuple[Ids, Ids, Ids]:
        """Return tokens cut twice between characters, and between tokens where that would need too many of them."""
        if self.slack:
            text = self.tokenizer.decode(ids.tolist())
            first, second = sorted((cuts * (len(text) + 1)).astype(int).tolist())
            parts = [self.tokenizer.encode(part) for part in (text[:first], text[first:second], text[second:])]
            if _BROKEN not in text and sum(map(len, parts)) <= len(ids) + self.slack:
                return parts[0], parts[1], parts[2]
        first, second = (self._between_characters(ids, cut) for cut in sorted((cuts * (len(ids) + 1)).astype(int)))
        return ids[:first], ids[first:second], ids[second:]

    def _between_characters(self, ids: Ids, cut: int) -> int:
        """Return `cut`, or the place before it where no character is cut in two."""
        if not self.exact:
            while cut and self.tokenizer.decode(ids[:cut].tolist()).endswith(_BROKEN):
                cut -= 1
        return int(cut)

    # a block of texts

    def _make_round(self, number: int) -> Round:
        epoch, block = divmod(number, self.rounds)
        order = np.arange(len(self.items))
        if self.recipe.varied:
            order = np.random.Generator(np.random.PCG64([self.seed, epoch, 2])).permutation(len(self.items))
        items = order[block * self.round_texts : (block + 1) * self.round_texts]
        random = np.random.Generator(np.random.PCG64([self.seed, number, 3]))
        fields, lines = self._draw_lines(items, random)
        pieces = self._cut_texts(self.items.ends[items] - self.items.starts[items], lines, random)
        lengths = (
            pieces.end - pieces.begin + lines[pieces.text] + (pieces.begin == 0) + (pieces.last | pieces.gap)
            + np.where(pieces.gap, 3 + self.slack, self.marks is not None)
        )  # fmt: skip
        fitted, windows = best_fit(lengths.tolist(), self.room)
        places = np.array(fitted, np.int64)
        if self.recipe.varied:  # the fullest windows are not to come first
            places = random.permutation(windows)[places]
        arranged = np.argsort(places, kind="stable")
        bounds = np.searchsorted(places[arranged], np.arange(windows + 1))
        return Round(number, items, fields, pieces, arranged, bounds)

    def _draw_lines(self, items: Indices, random: np.random.Generator) -> tuple[Indices, Indices]:
        """Return the lines of each text in order (N, K), -1 for none, and how many tokens they take together (N,)."""
        names = len(self.items.lines.names)
        if not names:
            return np.zeros((len(items), 0), np.int64), np.zeros(len(items), np.int64)
        lengths = self.items.lines.lengths()[self.items.rows[items]]
        kept = lengths > 0
        order = np.broadcast_to(np.arange(names), lengths.shape)
        if self.recipe.varied:
            fate, chance = random.random((2, len(items), 1))
            chance = np.where(fate < ALL_LINES, 1.0, np.where(fate < ALL_LINES + NO_LINES, 0.0, chance))
            kept &= random.random(lengths.shape) < chance
            order = np.argsort(random.random(lengths.shape), axis=1)
        ordered = np.take_along_axis(lengths * kept, order, 1)
        fits = (np.cumsum(ordered, 1) <= self.most_lines) & (ordered > 0)
        return np.where(fits, order, -1), (ordered * fits).sum(1)

    def _cut_texts(self, lengths: Indices, lines: Indices, random: np.random.Generator) -> Pieces:
        """Return the pieces of texts; a text that does not fit into a window is cut at other places in each epoch."""
        most = self.room - self.overhead - lines
        phase = most
        if self.recipe.varied:
            phase = 1 + (random.random(len(lengths)) * most).astype(np.int64)
        first = np.where(lengths <= most, lengths, phase)
        counts = 1 + -(-(lengths - first) // most)
        text = np.repeat(np.arange(len(lengths)), counts)
        piece = np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)
        begin = np.where(piece == 0, 0, first[text] + (piece - 1) * most[text])
        end = np.where(piece == 0, first[text], np.minimum(begin + most[text], lengths[text]))
        drawn = random.random(len(text)) < self.recipe.infill
        return Pieces(text, begin, end, end == lengths[text], drawn & self.recipe.varied)
