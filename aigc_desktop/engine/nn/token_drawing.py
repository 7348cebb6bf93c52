"""How a Transformer draws the tokens of one picture: many places at a time (MaskGIT, arXiv:2202.04200) or row by row.

Places that are far apart are drawn together: they follow a Halton sequence (arXiv:2503.17076), or the network's own
confidence. Guidance is that of arXiv:2207.12598, on logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aigc_desktop.engine.nn.token_transformer import TokenTransformer

Order = Literal["halton", "confidence"]


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn; `steps` and `order` are for networks with masked places. `temperature` 0 is likeliest."""

    steps: int = 12
    temperature: float = 1.0
    guidance: float = 1.0
    order: Order = "halton"


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
    network: TokenTransformer, label: int, drawing: Drawing, generator: torch.Generator, known: Tensor | None = None
) -> Tensor:
    """Return the tokens (1, T) of a picture; places of `known` (1, T) that are not the unknown token stay.

    `label` is a class, or the number of classes for any; the generator lies on the processor.
    """
    tokens = _nothing_known(network) if known is None else known.clone()
    shape = network.shape
    shift = torch.randint(shape.side, (2,), generator=generator)
    order = halton_order(shape.side)
    rows, columns = (order // shape.side + shift[0]) % shape.side, (order % shape.side + shift[1]) % shape.side
    order = (rows * shape.side + columns).to(tokens.device)
    order = order[tokens[0, order] == network.unknown]
    left = left_after(len(order), drawing.steps)
    for step, keep in enumerate(left):
        logits = _guided(network, tokens, label, drawing.guidance)[0, order].float()
        drawn = _draw(logits, drawing.temperature, generator)
        if drawing.order == "confidence":
            noise = -(-torch.rand(len(order), generator=generator).clamp(1e-9, 1 - 1e-7).log()).log()
            wild = drawing.temperature * (1 - (step + 1) / len(left))
            sure = logits.log_softmax(-1).gather(1, drawn[:, None])[:, 0] + wild * noise.to(logits.device)
            ranked = sure.argsort(descending=True)
            order, drawn = order[ranked], drawn[ranked]
        now = len(order) - keep
        tokens[0, order[:now]] = drawn[:now]
        order = order[now:]
    return tokens


def draw_raster(network: TokenTransformer, label: int, drawing: Drawing, generator: torch.Generator) -> Tensor:
    """Return the tokens (1, T) of a picture, drawn one after another with a cache of what was computed."""
    labels = _labels(network, label, drawing.guidance)
    cache = network.new_cache(len(labels))
    drawn = [labels.new_empty(1, 0)]
    for _place in range(network.shape.places):
        logits = _pushed(network(drawn[-1].expand(len(labels), -1), labels, cache), drawing.guidance)
        drawn.append(_draw(logits[0].float(), drawing.temperature, generator)[None])
    return torch.cat(drawn, 1)


def draw_tokens(network: TokenTransformer, label: int, drawing: Drawing, generator: torch.Generator) -> Tensor:
    """Return the tokens (1, T) of a new picture, drawn in the way that the network has learned."""
    draw = draw_masked if network.shape.masked else draw_raster
    return draw(network, label, drawing, generator)


def _nothing_known(network: TokenTransformer) -> Tensor:
    device = network.tokens.weight.device
    return torch.full((1, network.shape.places), network.unknown, device=device)


def _labels(network: TokenTransformer, label: int, guidance: float) -> Tensor:
    """Return the classes of the rows that are computed: the one asked for, and any, where guidance needs both."""
    anything = network.shape.classes
    told = [label] if label == anything or guidance == 1 else [label, anything]
    return torch.tensor(told, device=network.tokens.weight.device)


def _guided(network: TokenTransformer, tokens: Tensor, label: int, guidance: float) -> Tensor:
    labels = _labels(network, label, guidance)
    return _pushed(network(tokens.expand(len(labels), -1), labels), guidance)


def _pushed(logits: Tensor, guidance: float) -> Tensor:
    """Return (1, T, V): the first row pushed away from the second one, if there is one."""
    return logits if len(logits) == 1 else torch.lerp(logits[1:], logits[:1], guidance)


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Return one token for each row of logits (N, V)."""
    uniform = torch.rand(len(logits), 1, generator=generator).to(logits.device)
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
    return drawn.clamp_max(logits.shape[-1] - 1)
