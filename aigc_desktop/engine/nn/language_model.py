"""A causal language model: embedding, blocks, tied head. The parts are in attention.py."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Block, Cache, rotary_table
from aigc_desktop.engine.nn.dropout import dropout
from aigc_desktop.engine.nn.lean import rms_norm

NO_TARGET = -100
"""A target that does not count, as torch's cross-entropy has it."""


@dataclass(frozen=True)
class Shape:
    """Size of a language model; `context` is the most tokens it sees at once."""

    vocab: int
    layers: int = 4
    width: int = 128
    heads: int = 4
    context: int = 128
    gated: bool = False
    dropout: float = 0.0

    @property
    def matrices(self) -> int:
        """Return the number of weights in the blocks."""
        feed_forward = 3 * (8 * self.width // 3 // 8 * 8) if self.gated else 8 * self.width
        return self.layers * (4 * self.width + feed_forward) * self.width

    @property
    def parameters(self) -> int:
        """Return the number of all weights; the head is the embedding."""
        return self.matrices + self.vocab * self.width

    @property
    def flops_per_token(self) -> float:
        """Return the floating-point operations of one token's forward and backward pass, as PaLM counts them.

        That is with all of attention, also what is masked (arXiv:2204.02311, appendix B).
        """
        return 6.0 * self.parameters + 12.0 * self.layers * self.width * self.context


class LanguageModel(nn.Module):
    """Tokens (B, T) to logits (B, T, V)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(
            Block(shape.width, shape.heads, shape.gated, shape.dropout) for _layer in range(shape.layers)
        )
        cos, sin = rotary_table(shape.context, shape.width // shape.heads)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor, cache: Cache | None = None, documents: Tensor | None = None) -> Tensor:
        """Return logits (B, T, V); with a cache `tokens` are the new ones and only the last one's logits come back.

        With `documents`, int (B, T), a token sees those before it with the same number only.
        """
        return self.decode(self.embedding(tokens), cache, documents)

    def decode(self, embedded: Tensor, cache: Cache | None = None, documents: Tensor | None = None) -> Tensor:
        """Return the same for tokens that are embedded already, (B, T, C)."""
        seen = None if documents is None else same_document(documents)
        start = cache.filled if cache is not None else 0
        cos, sin = (table[start : start + embedded.shape[1]] for table in (self.cos, self.sin))
        x = dropout(rms_norm(embedded), self.shape.dropout, self.training)
        for layer, block in enumerate(self.blocks):
            x = block(x, cos, sin, cache, layer, seen)
        if cache is not None:
            cache.filled += embedded.shape[1]
            x = x[:, -1:]
        return F.linear(rms_norm(x), self.embedding.weight)

    def loss(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy in nats per token of targets (B, T); those that are NO_TARGET do not count."""
        logits = self(tokens, None, documents)
        return F.cross_entropy(logits.view(-1, self.shape.vocab).float(), targets.reshape(-1))

    def hidden_matrices(self) -> list[Tensor]:
        """Return the matrices of the blocks: all that Muon should train."""
        return [p for p in self.blocks.parameters() if p.ndim == 2]

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` texts of up to `context` tokens."""
        shape = self.shape
        return Cache(
            shape.layers, batch, shape.heads, shape.context, shape.width // shape.heads, self.embedding.weight
        )

    @torch.no_grad()
    def token_losses(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the cross-entropy (B, T) of each target in nats, 0 for NO_TARGET."""
        logits = self(tokens, None, documents)
        return F.cross_entropy(logits.transpose(1, 2).float(), targets, reduction="none")


def same_document(documents: Tensor) -> Tensor:
    """Return which keys each query sees, bool (B, 1, T, T): those up to itself of its own document, int (B, T)."""
    same = documents[:, :, None] == documents[:, None, :]
    return same.tril()[:, None]
