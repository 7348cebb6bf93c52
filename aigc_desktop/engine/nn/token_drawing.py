"""How a Transformer draws the tokens of pictures: many places at a time (MaskGIT, arXiv:2202.04200) or row by row.

Places that are far apart are drawn together: they follow a Halton sequence (arXiv:2503.17076), or the network's own
confidence. Guidance is that of arXiv:2207.12598, on logits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aigc_desktop.engine.nn.attention import Cache
from aigc_desktop.engine.nn.caption_encoder import NO_WORD
from aigc_desktop.engine.nn.token_transformer import TokenTransformer

GUIDED = (0.1, 0.8)  # shares drawn between which guidance pushes; all the way it costs variety (arXiv:2404.07724)
Order = Literal["halton", "confidence"]
Generators = Sequence[torch.Generator]
"""One for each picture, on the processor, so that a picture's numbers are its own whoever is drawn beside it."""


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn; `steps` and `order` are for networks with masked places. `temperature` 0 is likeliest."""

    steps: int = 12
    temperature: float = 1.0
    guidance: float = 4.0
    order: Order = "halton"

    def push(self, drawn: float) -> float:
        """Return the guidance when a share of the places is drawn."""
        return self.guidance if GUIDED[0] <= drawn < GUIDED[1] else 1.0


@functools.cache
def halton_order(side: int) -> Tensor:
    """Return the places (side²,) of a grid in the order of the Halton sequence with bases 2 and 3, each place once."""
    order: dict[int, None] = {}
    index = 0
    while len(order) < side**2:
        index += 1
        order.setdefault(int(_radical_inverse(index, 2) * side) * side + int(_radical_inverse(index, 3) * side))
    return torch.tensor(list(order))


def _radical_inverse(index: int, base: int) -> float:
    value, share = 0.0, 1.0
    while index:
        share /= base
        index, digit = divmod(index, base)
        value += digit * share
    return value


def left_after(count: int, steps: int) -> list[int]:
    """Return how many of `count` places are not known after each step: a cosine, at least one place less each time."""
    left, steps = [count], min(steps, count)
    for step in range(1, steps + 1):
        wanted = math.floor(count * math.cos(0.5 * math.pi * step / steps) + 1e-9)
        left.append(max(steps - step, min(left[-1] - 1, wanted)))
    return left[1:]


def mask_shares(count: int, device: torch.device) -> Tensor:
    """Return the shares (N,) of places that are hidden while training; the same cosine of a uniform number."""
    return torch.cos(0.5 * math.pi * torch.rand(count, device=device))


def hide(tokens: Tensor, shares: Tensor, unknown: int, generator: torch.Generator | None = None) -> Tensor:
    """Return tokens (B, T) with a share (B,) of random places hidden, at least one of each picture."""
    device = tokens.device if generator is None else generator.device
    ranks = torch.rand(tokens.shape, device=device, generator=generator).argsort(1).argsort(1).to(tokens.device)
    hidden = ranks < (shares * tokens.shape[1]).ceil().clamp_min(1)[:, None]
    return tokens.masked_fill(hidden, unknown)


def draw_masked(
    network: TokenTransformer, labels: Sequence[int], drawing: Drawing, generators: Generators,
    known: Tensor | None = None, words: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the tokens (N, T) of pictures; places of `known` (1, T) that are not the unknown token stay.

    `labels` are classes, or the number of classes for any; `words` (N, L) are captions, without a word for any.
    """
    tokens = _nothing_known(network) if known is None else known
    tokens = tokens.repeat(len(labels), 1)
    asked = _Asked(network, labels, words)
    unknown = torch.stack([_order(network, tokens[0], generator) for generator in generators])  # (N, U)
    count = unknown.shape[1]
    left = left_after(count, drawing.steps)
    for step, keep in enumerate(left):
        push = drawing.push(1 - unknown.shape[1] / count)
        logits = _pushed(asked.logits(tokens, push), len(labels), push)
        logits = logits.gather(1, unknown[:, :, None].expand(-1, -1, logits.shape[2])).float()
        drawn = _draw(logits, drawing.temperature, generators)
        if drawing.order == "confidence":
            noise = -(-_random(generators, unknown.shape[1]).clamp(1e-9, 1 - 1e-7).log()).log()
            wild = drawing.temperature * (1 - (step + 1) / len(left))
            sure = logits.log_softmax(-1).gather(2, drawn[:, :, None])[:, :, 0] + wild * noise.to(logits.device)
            ranked = sure.argsort(1, descending=True)
            unknown, drawn = unknown.gather(1, ranked), drawn.gather(1, ranked)
        now = unknown.shape[1] - keep
        tokens.scatter_(1, unknown[:, :now], drawn[:, :now])
        unknown = unknown[:, now:]
    return tokens


def draw_raster(
    network: TokenTransformer, labels: Sequence[int], drawing: Drawing, generators: Generators,
    words: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the tokens (N, T) of pictures, drawn one after another with a cache of what was computed."""
    asked = _Asked(network, labels, words)
    cache = network.new_cache(asked.rows(drawing.guidance) * len(labels))
    drawn = [torch.empty(len(labels), 0, dtype=torch.int64, device=network.tokens.weight.device)]
    for place in range(network.shape.places):
        logits = asked.logits(drawn[-1], drawing.guidance, cache)
        logits = _pushed(logits, len(labels), drawing.push(place / network.shape.places))
        drawn.append(_draw(logits.float(), drawing.temperature, generators))
    return torch.cat(drawn, 1)


def draw_tokens(
    network: TokenTransformer, labels: Sequence[int], drawing: Drawing, generators: Generators,
    words: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the tokens (N, T) of new pictures, drawn in the way that the network has learned."""
    if network.shape.masked:
        return draw_masked(network, labels, drawing, generators, words=words)
    return draw_raster(network, labels, drawing, generators, words)


class _Asked:
    """What the pictures of a batch are asked for, read once: classes and captions, and any of both for guidance."""

    def __init__(self, network: TokenTransformer, labels: Sequence[int], words: Tensor | None) -> None:
        self.network, device = network, network.tokens.weight.device
        anything, count = network.shape.classes, len(labels)
        if words is None:
            words = torch.full((count, network.shape.caption), NO_WORD)
        self.plain = all(label == anything for label in labels) and not bool((words != NO_WORD).any())
        self.labels = torch.tensor([*labels, *[anything] * count], device=device)
        self.captions = network.read(torch.cat([words, torch.full_like(words, NO_WORD)]).to(device))

    def rows(self, guidance: float) -> int:
        """Return how many rows a picture has: what is asked for, and any, where guidance needs both."""
        return 1 if guidance == 1 or self.plain else 2

    def logits(self, tokens: Tensor, guidance: float, cache: Cache | None = None) -> Tensor:
        """Return the logits of all rows, first those of what is asked for, of tokens (N, T) of the pictures."""
        rows = self.rows(guidance)
        count = rows * len(tokens)
        captions = self.captions and (self.captions[0][:count], self.captions[1][:count])
        return self.network(tokens.repeat(rows, 1), self.labels[:count], cache, captions)


def _nothing_known(network: TokenTransformer) -> Tensor:
    device = network.tokens.weight.device
    return torch.full((1, network.shape.places), network.unknown, device=device)


def _order(network: TokenTransformer, tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Return the unknown places of a picture (T,) in a Halton order of its own."""
    side = network.shape.side
    shift = torch.randint(side, (2,), generator=generator)
    order = halton_order(side)
    rows, columns = (order // side + shift[0]) % side, (order % side + shift[1]) % side
    order = (rows * side + columns).to(tokens.device)
    return order[tokens[order] == network.unknown]


def _pushed(logits: Tensor, count: int, guidance: float) -> Tensor:
    """Return (N, T, V): the first `count` rows pushed away from those after them, if there are any."""
    return logits if len(logits) == count else torch.lerp(logits[count:], logits[:count], guidance)


def _draw(logits: Tensor, temperature: float, generators: Generators) -> Tensor:
    """Return one token (N, T) for each place of logits (N, T, V)."""
    uniform = _random(generators, logits.shape[1])[:, :, None].to(logits.device)
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[:, :, -1:], right=True)[:, :, 0]
    return drawn.clamp_max(logits.shape[-1] - 1)


def _random(generators: Generators, places: int) -> Tensor:
    """Return uniform numbers (N, T), those of a picture from its own generator."""
    return torch.stack([torch.rand(places, generator=generator) for generator in generators])
