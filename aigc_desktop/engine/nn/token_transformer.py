"""A Transformer over the tokens of a picture: bidirectional over masked places (arXiv:2202.04200), or causal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Block, Cache, rotary_grid
from aigc_desktop.engine.nn.lean import rms_norm


@dataclass(frozen=True)
class TransformerShape:
    """Size of the network for grids of side² tokens with `codes` values each; `masked` makes it bidirectional."""

    codes: int
    side: int
    layers: int
    width: int
    heads: int
    classes: int = 0
    masked: bool = True
    dropout: float = 0.0

    @property
    def places(self) -> int:
        """Return how many tokens a picture has."""
        return self.side**2


class TokenTransformer(nn.Module):
    """Tokens and the class of a picture to logits of tokens. The class is a vector before the first token."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.codes + 1, shape.width)  # the last one marks a place that is not known
        self.classes = nn.Embedding(shape.classes + 1, shape.width)  # the last one is any class
        self.places = nn.Embedding(shape.places + 1, shape.width)
        for table in (self.tokens, self.classes, self.places):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(
            Block(shape.width, shape.heads, dropout=shape.dropout, causal=not shape.masked)
            for _layer in range(shape.layers)
        )
        cos, sin = rotary_grid(shape.side, shape.width // shape.heads)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @property
    def unknown(self) -> int:
        """Return the token of a place that is not known."""
        return self.shape.codes

    def forward(self, tokens: Tensor, labels: Tensor, cache: Cache | None = None) -> Tensor:
        """Return logits for tokens (B, N) and classes (B,), where `classes` is any.

        Masked: (B, N, codes) of every place. Causal: (B, N + 1, codes) of the first place and of each one after a
        token; with a cache `tokens` are the new ones, and only the last place's logits come back.
        """
        start = cache.filled if cache is not None else 0
        x = self.tokens(tokens)
        if not start:
            x = torch.cat([self.classes(labels)[:, None], x], 1)
        end = start + x.shape[1]
        x = rms_norm(x + self.places.weight[start:end])
        cos, sin = self.cos[start:end], self.sin[start:end]
        for layer, block in enumerate(self.blocks):
            x = block(x, cos, sin, cache, layer)
        if cache is not None:
            cache.filled, x = end, x[:, -1:]
        elif self.shape.masked:
            x = x[:, 1:]
        return F.linear(rms_norm(x), self.tokens.weight[: self.shape.codes])

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` pictures."""
        shape = self.shape
        head = shape.width // shape.heads
        return Cache(shape.layers, batch, shape.heads, shape.places, head, self.tokens.weight)

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one token of one picture."""
        return torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
