"""Write with a loaded network: prompts of any lengths side by side, keys and values kept, finished texts dropped.

All prompts end in the same column of the cache, so that all rows write into one; a mask hides the columns before them.
Rows that share one prompt read it once, others in groups of like length. A batch gives the same texts when it is made
again as it was; a text made alone may differ, because products of other sizes round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.nn.next_token import Sampling, Written
from aigc_desktop.engine.pretrained.llama import KeyValues, Llama

_CANDIDATES = 512
_READ_AT_ONCE, _READ_AT_ONCE_GPU = 512, 8192  # tokens of prompts between two chances to stop

Guide = Callable[[int, Sequence[int]], Tensor | None]
"""(seed, tokens so far) -> bool (V,) of the tokens that may come next, or None for all."""


@dataclass(frozen=True)
class Ask:
    """One text to write: `seed` names it and draws for it."""

    prompt: tuple[int, ...]
    seed: int
    most: int


@dataclass(frozen=True)
class Rules:
    """How texts are drawn and when they end: by one of the tokens `end`, or when `ended` says so of the tokens."""

    sampling: Sampling
    end: frozenset[int]
    ended: Callable[[Sequence[int]], bool] = field(default=lambda _tokens: False)
    guide: Guide | None = None


class Memory(Protocol):
    """What remembers prompts that were read; kept.py has it."""

    def recall(self, prompt: tuple[int, ...], cache: KeyValues) -> Tensor | None:
        """Put a known prompt into an empty cache of one row and return the logits (1, V) after it; else None."""

    def remember(self, prompt: tuple[int, ...], cache: KeyValues, logits: Tensor) -> None:
        """Keep what a prompt left in the first columns of a cache of one row."""


def decode(
    network: Llama, asks: Sequence[Ask], rules: Rules, prompts: Memory | None = None
) -> Iterator[Written]:
    """Yield the tokens of all texts by seed after each step; the last one is `done`. Seeds must differ.

    `prompts` remembers a prompt that all texts share.
    """
    writer = _Writer(network, asks, rules, prompts)
    for _part in writer.read():
        yield Written(writer.copy(), False)
    while writer.rows:
        writer.step()
        yield Written(writer.copy(), not writer.rows)


class _Writer:
    """The texts in the making; `rows` are those that go on, in the order of the cache."""

    def __init__(self, network: Llama, asks: Sequence[Ask], rules: Rules, prompts: Memory | None) -> None:
        self.network, self.rules, self.rows, self.prompts = network, rules, list(asks), prompts
        self.tokens: dict[int, list[int]] = {ask.seed: [] for ask in asks}
        self.generators = {ask.seed: np.random.Generator(np.random.PCG64(ask.seed)) for ask in asks}
        self.device = network.device
        self.shape = network.shape
        self.logits = torch.empty(0)
        self.penalised = rules.sampling.repetition_penalty != 1.0
        self.seen = torch.zeros(0)
        self.mask: Tensor | None = None

    def copy(self) -> dict[int, list[int]]:
        return {seed: list(tokens) for seed, tokens in self.tokens.items()}

    def read(self) -> Iterator[None]:
        """Read the prompts into the cache, those of like lengths together; each ends in the same column."""
        self.rows.sort(key=lambda ask: len(ask.prompt))
        lengths = [len(ask.prompt) for ask in self.rows]
        columns = lengths[-1] + max(ask.most for ask in self.rows)
        shared = len({ask.prompt for ask in self.rows}) == 1
        if shared:
            lengths = lengths[:1]
        self.cache = KeyValues(self.shape, len(lengths), columns, self.network.model.norm.weight)
        prompt = self.rows[0].prompt
        known = self.prompts.recall(prompt, self.cache) if shared and self.prompts is not None else None
        self.logits = known if known is not None else (yield from self._read_groups(lengths))
        if not bool(self.logits.isfinite().all()):
            raise UserError(
                _("What the model computes are no numbers any more, so it cannot write."),
                _("Choose float32 under “Numbers”; if that does not help, copy the model again from where it came."),
                kind="NotFinite",
            )
        if known is None and shared and self.prompts is not None:
            self.prompts.remember(prompt, self.cache, self.logits)
        self.cache.filled, self.cache.positions = lengths[-1], torch.tensor(lengths, device=self.device)
        if lengths[0] != lengths[-1]:
            first = lengths[-1] - self.cache.positions
            self.mask = torch.arange(columns, device=self.device) >= first[:, None]
        if shared:
            self.cache.repeat(len(self.rows))
            self.logits = self.logits.repeat(len(self.rows), 1)
        if self.penalised:
            self.seen = torch.zeros(len(self.rows), self.shape.vocab, dtype=torch.bool, device=self.device)
            for row, ask in enumerate(self.rows):
                self.seen[row, list(ask.prompt)] = True

    def _read_groups(self, lengths: list[int]) -> Generator[None, None, Tensor]:
        """Read the prompts of all rows and return the logits (B, V) after them."""
        at_once = _READ_AT_ONCE if self.device.type == "cpu" else _READ_AT_ONCE_GPU
        logits: list[Tensor] = []
        for group in alike(lengths, at_once):
            logits += [(yield from self._read_group(group, lengths[-1], at_once))]
        return torch.cat(logits)

    def _read_group(self, group: slice, longest: int, at_once: int) -> Generator[None, None, Tensor]:
        """Read the prompts of some rows and return the logits (B, V) after them."""
        tokens, known = padded([ask.prompt for ask in self.rows[group]], self.device)
        rows, width = tokens.shape
        cache = self.cache.part(group, longest - width)
        cache.positions = known.sum(1) - width
        length = max(1, at_once // rows)
        hidden = torch.empty(0)
        for start in range(0, width, length):
            piece = tokens[:, start : start + length]
            with torch.inference_mode():
                hidden = self.network(piece, cache, looks(known, start, start + piece.shape[1]))
            yield
        with torch.inference_mode():
            logits: Tensor = self.network.lm_head(hidden[:, -1])
        return logits

    @torch.inference_mode()
    def step(self) -> None:
        """Draw one token for every row, then read them."""
        drawn = self._draw()
        going = []
        for row, ask in enumerate(self.rows):
            token, tokens = drawn[row], self.tokens[ask.seed]
            if token not in self.rules.end:
                tokens.append(token)
            if token not in self.rules.end and len(tokens) < ask.most and not self.rules.ended(tokens):
                going.append(row)
        if not going:
            self.rows = []
            return
        if len(going) < len(self.rows):
            drawn = self._keep(going, drawn)
        read = torch.tensor(drawn, device=self.device)
        if self.penalised:
            self.seen.scatter_(1, read[:, None], True)
        mask = None if self.mask is None else self.mask[:, None, None, : self.cache.filled + 1]
        self.logits = self.network.lm_head(self.network(read[:, None], self.cache, mask)[:, -1])

    def _keep(self, going: list[int], drawn: list[int]) -> list[int]:
        """Drop all rows but these, and return what was drawn for them, in their new order."""
        order = self.cache.keep_rows(going)
        self.rows = [self.rows[row] for row in order]
        if self.mask is not None:
            self.mask = self.mask[order]
        if self.penalised:
            self.seen = self.seen[order]
        return [drawn[row] for row in order]

    def _draw(self) -> list[int]:
        """Return one token per row."""
        logits = self.logits.float()
        if self.rules.guide is not None:
            for row, ask in enumerate(self.rows):
                allowed = self.rules.guide(ask.seed, self.tokens[ask.seed])
                if allowed is not None:
                    logits[row, ~allowed] = -torch.inf
        uniform = torch.tensor([self.generators[ask.seed].random() for ask in self.rows], device=self.device)
        return draw_tokens(logits, uniform, self.rules.sampling, self.seen if self.penalised else None).tolist()


def alike(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Yield groups of neighbours among rising lengths, each of `most` tokens or less when padded to its longest."""
    start = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or lengths[end] * (end + 1 - start) > most:
            yield slice(start, end)
            start = end


def looks(known: Tensor, start: int, end: int) -> Tensor | None:
    """Return what tokens [start, end) may look at, bool (B, 1, T, S), None where causal and nothing is padded."""
    whole = bool(known.all())
    if whole and start == 0:
        return None
    places = torch.arange(end, device=known.device)
    causal = places[None, :] <= places[start:, None]  # (T, S)
    if whole:
        return causal[None, None]
    seen = causal[None] & known[:, None, :end]
    seen |= places[None, None, :] == places[None, start:, None]  # padding sees itself: nothing is undefined
    return seen[:, None]


def padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return tokens (B, T), filled up with token 0 on the left, and which of them are known."""
    longest = max(map(len, prompts))
    rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    known = [[False] * (longest - len(prompt)) + [True] * len(prompt) for prompt in prompts]
    return torch.tensor(rows, device=device), torch.tensor(known, device=device)


def draw_tokens(logits: Tensor, uniform: Tensor, sampling: Sampling, seen: Tensor | None) -> Tensor:
    """Return one token per row (B,) of logits (B, V), by inverting the filtered distribution at `uniform` (B,).

    Same filters as `sampling.filter_logits`. The likeliest few hundred tokens are sorted, not the whole vocabulary,
    unless these do not make up the share of top-p.
    """
    if sampling.repetition_penalty != 1.0 and seen is not None:
        penalty = sampling.repetition_penalty
        logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if sampling.temperature == 0:
        return logits.argmax(-1)
    logits = logits / max(sampling.temperature, 1e-5)
    vocab = logits.shape[-1]
    count = min(vocab, _CANDIDATES, sampling.top_k or vocab)
    values, tokens = logits.topk(count)  # (B, C), falling
    total = torch.logsumexp(values if sampling.top_k else logits, -1, keepdim=True)
    shares = (values - total).exp()
    enough = sampling.top_k > 0 if sampling.top_p >= 1 else bool((shares.sum(-1) >= sampling.top_p).all())
    if not enough and count < vocab:
        values, tokens = logits.sort(descending=True, stable=True)
        shares = values.softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = torch.where((before < sampling.top_p) | (before == 0), shares, 0.0)
    cumulative = shares.cumsum(-1)
    place = torch.searchsorted(cumulative, uniform[:, None].to(cumulative) * cumulative[:, -1:], right=True)
    last = shares.shape[-1] - 1 - (shares > 0).flip(-1).int().argmax(-1, keepdim=True)  # rounding must not pass the end
    return tokens.gather(1, torch.minimum(place, last)).squeeze(1)
