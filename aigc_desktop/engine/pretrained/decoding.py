"""Write with a loaded network: prompts of any lengths side by side, keys and values kept, finished texts dropped.

Rows are padded on the left to one width, so that all write into the same column of the cache; a mask hides the padding.
Rows that share one prompt read it once. A batch gives the same texts when it is made again as it was; a text made
alone may differ, because products of other sizes round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.engine.pretrained.llama import KeyValues, Llama
from aigc_desktop.engine.sampling import Sampling, Written

_CANDIDATES = 512
_DROP_SHARE = 0.25  # of the rows finished: fewer are carried along, because dropping copies the cache
_READ_AT_ONCE = 512  # tokens of a prompt between two chances to stop

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


def decode(network: Llama, asks: Sequence[Ask], rules: Rules) -> Iterator[Written]:
    """Yield the tokens of all texts by seed after each step; the last one is `done`. Seeds must differ."""
    writer = _Writer(network, asks, rules)
    for _part in writer.read():
        yield Written(writer.copy(), False)
    while writer.rows:
        writer.step()
        yield Written(writer.copy(), not writer.rows)


class _Writer:
    """The texts in the making; `rows` are those that go on, in the order of the cache."""

    def __init__(self, network: Llama, asks: Sequence[Ask], rules: Rules) -> None:
        self.network, self.rules, self.rows = network, rules, list(asks)
        self.tokens: dict[int, list[int]] = {ask.seed: [] for ask in asks}
        self.generators = {ask.seed: np.random.Generator(np.random.PCG64(ask.seed)) for ask in asks}
        self.device = network.device
        self.shape = network.shape
        self.logits = torch.empty(0)
        self.penalised = rules.sampling.repetition_penalty != 1.0
        self.seen = torch.zeros(0)
        self.mask: Tensor | None = None
        self.done: set[int] = set()

    def copy(self) -> dict[int, list[int]]:
        return {seed: list(tokens) for seed, tokens in self.tokens.items()}

    def read(self) -> Iterator[None]:
        """Read the prompts into the cache."""
        longest = max(len(ask.prompt) for ask in self.rows)
        columns = longest + max(ask.most for ask in self.rows)
        shared = len({ask.prompt for ask in self.rows}) == 1
        rows = self.rows[:1] if shared else self.rows
        like = self.network.model.norm.weight
        self.cache = KeyValues(self.shape, len(rows), columns, like)
        tokens, known = padded([ask.prompt for ask in rows], self.device)
        self.cache.positions = known.sum(1) - longest
        if not bool(known.all()):
            rest = torch.ones(len(rows), columns - longest, dtype=torch.bool, device=self.device)
            self.mask = torch.cat((known, rest), 1)
        for start in range(0, longest, _READ_AT_ONCE):
            piece = tokens[:, start : start + _READ_AT_ONCE]
            with torch.inference_mode():
                hidden = self.network(piece, self.cache, self._looks(start, piece.shape[1]))
                self.logits = self.network.lm_head(hidden[:, -1])
            yield
        if shared and len(self.rows) > 1:
            self._multiply(len(self.rows))
        if self.penalised:
            self.seen = torch.zeros(len(self.rows), self.shape.vocab, dtype=torch.bool, device=self.device)
            for row, ask in enumerate(self.rows):
                self.seen[row, list(ask.prompt)] = True

    def _looks(self, start: int, length: int) -> Tensor | None:
        """Return what the new tokens may look at (B, 1, T, S), None where causal and nothing is padded."""
        end = start + length
        if self.mask is None and start == 0:
            return None
        places = torch.arange(end, device=self.device)
        causal = places[None, :] <= places[start:, None]  # (T, S)
        if self.mask is None:
            return causal[None, None]
        looks = causal[None] & self.mask[:, None, :end]
        looks |= places[None, None, :] == places[None, start:, None]  # padding sees itself: nothing is undefined
        return looks[:, None]

    def _multiply(self, count: int) -> None:
        rows = torch.zeros(count, dtype=torch.long, device=self.device)
        self.cache.keep_rows(rows)
        self.logits = self.logits[rows]

    @torch.inference_mode()
    def step(self) -> None:
        """Draw one token for every row, then read them."""
        drawn = self._draw()
        for row, ask in enumerate(self.rows):
            if ask.seed in self.done:
                continue
            token, tokens = drawn[row], self.tokens[ask.seed]
            if token not in self.rules.end:
                tokens.append(token)
            if token in self.rules.end or len(tokens) >= ask.most or self.rules.ended(tokens):
                self.done.add(ask.seed)
        going = [row for row, ask in enumerate(self.rows) if ask.seed not in self.done]
        if not going:
            self.rows = []
            return
        read = torch.tensor(drawn, device=self.device)
        if len(self.rows) - len(going) >= max(1, _DROP_SHARE * len(self.rows)):
            read = read[self._keep(going)]
        if self.penalised:
            self.seen.scatter_(1, read[:, None], True)
        mask = None if self.mask is None else self.mask[:, None, None, : self.cache.filled + 1]
        self.logits = self.network.lm_head(self.network(read[:, None], self.cache, mask)[:, -1])

    def _keep(self, going: list[int]) -> Tensor:
        rows = torch.tensor(going, device=self.device)
        self.rows = [self.rows[row] for row in going]
        self.cache.keep_rows(rows)
        if self.mask is not None:
            self.mask = self.mask[rows]
        if self.penalised:
            self.seen = self.seen[rows]
        return rows

    def _draw(self) -> list[int]:
        """Return one token per row; a row that is done gets any."""
        logits = self.logits.float()
        if self.rules.guide is not None:
            for row, ask in enumerate(self.rows):
                allowed = None if ask.seed in self.done else self.rules.guide(ask.seed, self.tokens[ask.seed])
                if allowed is not None:
                    logits[row, ~allowed] = -torch.inf
        uniform = torch.tensor([self.generators[ask.seed].random() for ask in self.rows], device=self.device)
        return draw_tokens(logits, uniform, self.rules.sampling, self.seen if self.penalised else None).tolist()


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
