"""Write texts with a language model: filters of the next-token distribution, and batched generation with a cache.

A text depends on its seed alone: each row draws from its own generator, and rows lie in blocks of a fixed width at a
place given by the seed, so that the same text comes out to the bit whether it is made alone or among others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.language_model import Shape


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; `top_p` 1, `top_k` 0 and `repetition_penalty` 1 turn these off.

    `temperature` 0 takes the likeliest token.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    most_tokens: int = 256


class Writer(Protocol):
    """A causal model that writes: a language model, or one that also reads a vector (B, Z) per text."""

    @property
    def shape(self) -> Shape:
        """Return its size."""

    @property
    def embedding(self) -> nn.Embedding:
        """Return its table of token vectors."""

    def new_cache(self, batch: int) -> Any:
        """Return an empty cache of its kind, with `filled` as that of a Cache."""

    def __call__(self, tokens: Tensor, cache: Any, /, *conditions: Tensor) -> Tensor:
        """Return logits (B, 1, V) after the new tokens (B, T)."""


@dataclass(frozen=True)
class Written:
    """Tokens of the texts of one block so far, by seed; `done` when no more will come."""

    tokens: dict[int, list[int]]
    done: bool


def filter_logits(logits: Tensor, seen: Tensor, sampling: Sampling) -> Tensor:
    """Return the logits (B, V) that sampling draws from; what is ruled out is -inf.

    `seen` (B, V) marks tokens already in the text: the penalty of CTRL (arXiv:1909.05858). Nucleus: arXiv:1904.09751.
    """
    if sampling.repetition_penalty != 1.0:
        penalty = sampling.repetition_penalty
        logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    logits = logits / max(sampling.temperature, 1e-5)
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = logits.sort(descending=True, stable=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        out = before >= sampling.top_p  # the first token always stays
        out[:, 0] = False
        logits = logits.masked_fill(torch.zeros_like(out).scatter(1, order, out), -torch.inf)
    return logits


def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Return one token per row (B,) of filtered logits (B, V), by inverting the distribution at `uniform` (B,)."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    cumulative = logits.softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, (uniform[:, None] * cumulative[:, -1:]), right=True).squeeze(1)
    last = logits.shape[-1] - 1 - (logits > -torch.inf).flip(-1).int().argmax(-1)  # rounding must not pass the end
    return torch.minimum(drawn, last)


def block_width(device: torch.device) -> int:
    """Return how many texts are computed side by side; fixed per device, because results depend on it."""
    return 8 if device.type == "cpu" else 32


def write_texts(
    model: Writer, prompt: Sequence[int], seeds: Sequence[int], end: int, sampling: Sampling,
    condition: Callable[[int], Tensor] | None = None,
) -> Iterator[Written]:  # fmt: skip
    """Yield the texts of `seeds` block by block, after each token. `model` is in evaluation mode.

    The prompt is not part of what is yielded. An empty prompt is the end token: the begin of a new text.
    `condition` gives for each seed the vector (Z,) that the model reads besides its tokens.
    """
    width = block_width(model.embedding.weight.device)
    blocks: dict[int, list[int]] = {}
    for seed in seeds:
        blocks.setdefault(seed // width, []).append(seed)
    for block in blocks.values():
        writer = _Block(model, list(prompt) or [end], block, end, sampling, width)
        if condition is not None:
            vectors = {row: condition(seed) for row, seed in zip(writer.rows, block, strict=True)}
            writer.conditions = _in_rows(vectors, width)
        while not writer.done:
            writer.step()
            yield Written({seed: list(writer.tokens[seed]) for seed in block}, writer.done)


class _Block:
    """Up to `width` texts in the making; rows that no seed asked for are computed and dropped."""

    def __init__(
        self, model: Writer, prompt: list[int], seeds: list[int], end: int, sampling: Sampling, width: int
    ) -> None:
        self.model, self.seeds, self.end, self.sampling = model, seeds, end, sampling
        self.device = model.embedding.weight.device
        self.rows = [seed % width for seed in seeds]
        self.generators = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        self.tokens: dict[int, list[int]] = {seed: [] for seed in seeds}
        self.open = set(seeds)
        self.count = 0
        self.history = torch.tensor([prompt] * width, device=self.device)
        self.seen = torch.zeros(width, model.shape.vocab, dtype=torch.bool, device=self.device)
        self.seen.scatter_(1, self.history, True)
        self.cache = model.new_cache(width)
        self.unread = self.history[:, -model.shape.context :]
        self.conditions: Tensor | None = None

    @property
    def done(self) -> bool:
        """Return whether all texts ended or are as long as they may be."""
        return not self.open or self.count >= self.sampling.most_tokens

    @torch.no_grad()
    def step(self) -> None:
        """Add one token to every open text."""
        logits = filter_logits(self._next_logits(), self.seen, self.sampling)
        uniform = torch.full((len(logits),), 0.5, dtype=logits.dtype)
        for row, generator in zip(self.rows, self.generators, strict=True):
            uniform[row] = generator.random()
        drawn = draw(logits, uniform.to(self.device), self.sampling)
        self.seen.scatter_(1, drawn[:, None], True)
        self.history = torch.cat((self.history, drawn[:, None]), dim=1)[:, -self.model.shape.context :]
        self.unread = drawn[:, None]
        self.count += 1
        chosen = drawn.tolist()
        for seed, row in zip(self.seeds, self.rows, strict=True):
            if seed in self.open:
                if chosen[row] == self.end:
                    self.open.discard(seed)
                else:
                    self.tokens[seed].append(chosen[row])

    def _next_logits(self) -> Tensor:
        """Return logits (width, V) in float32; a full cache begins anew with the later half of the context."""
        if self.cache.filled + self.unread.shape[1] > self.model.shape.context:
            self.cache.filled = 0
            self.unread = self.history[:, -max(1, self.model.shape.context // 2) :]
        read = (self.unread, self.cache) if self.conditions is None else (self.unread, self.cache, self.conditions)
        return self.model(*read)[:, -1].float()


def _in_rows(vectors: dict[int, Tensor], width: int) -> Tensor:
    """Return (width, Z) with the vectors (Z,) in their rows and zeros elsewhere."""
    like = next(iter(vectors.values()))
    return torch.stack([vectors.get(row, torch.zeros_like(like)) for row in range(width)])
