"""Transformer blocks: RMSNorm (arXiv:1910.07467), rotary positions (RoFormer, arXiv:2104.09864), attention with
normalised queries and keys (arXiv:2010.04245), ReLU² (Primer, arXiv:2109.08668) or SwiGLU (arXiv:2002.05202).

Shapes: B batch, T time, C width, H heads, D = C / H.
"""  # noqa: D205

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.nn.dropout import dropout
from aigc_desktop.engine.nn.lean import heads_of, relu_squared, rms_norm


def rotary_table(length: int, head_dim: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (length, head_dim / 2) of the rotation angle of each position and pair."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def rotary_grid(side: int, head_dim: int, base: float = 100.0) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (1 + side², head_dim / 2): one place before a grid, then its places row by row.

    Half of the pairs turn with the row, half with the column (2-D RoPE, arXiv:2403.13298).
    """
    quarter = head_dim // 4
    frequencies = base ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    places = torch.cartesian_prod(torch.arange(1, side + 1), torch.arange(1, side + 1)).double()
    places = torch.cat([torch.zeros(1, 2, dtype=torch.float64), places])  # (1 + side², 2)
    angles = (places[:, :, None] * frequencies).flatten(1)
    return angles.cos().float(), angles.sin().float()


class Cache:
    """Keys and values of the tokens so far: two tensors (B, H, length, D) per layer, `filled` positions in use."""

    def __init__(self, layers: int, batch: int, heads: int, length: int, head_dim: int, like: Tensor) -> None:
        shape = (layers, 2, batch, heads, length, head_dim)
        self.store = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.filled = 0

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append k, v (B, H, T, D) of new tokens and return all keys and values of the layer."""
        end = self.filled + k.shape[2]
        keys, values = self.store[layer]
        keys[:, :, self.filled : end], values[:, :, self.filled : end] = k, v
        return keys[:, :, :end], values[:, :, :end]


class SelfAttention(nn.Module):
    """Multi-head attention to the past, or to everything when it is not `causal`.

    The output projection starts at zero, so a block begins as identity.
    """

    def __init__(self, width: int, heads: int, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None = None, layer: int = 0,
        seen: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return (B, T, C) for x (B, T, C); with a cache x holds new tokens only.

        `seen`, bool (B, 1, T, S), says which of the S keys each query sees; without it, all, or all up to itself.
        """
        B, T, C = x.shape
        q, k, v = heads_of(self.qkv(x), self.heads, cos, sin)
        if cache is None:
            y = attend(q, k, v, seen, causal=self.causal and seen is None)
        else:
            keys, values = cache.extend(layer, k, v)
            if seen is not None or T == 1:  # one new token sees everything before it
                y = attend(q, keys, values, seen)
            else:
                past = torch.ones(T, keys.shape[2], dtype=torch.bool, device=x.device).tril(keys.shape[2] - T)
                y = attend(q, keys, values, past)
        return self.out(y.transpose(1, 2).reshape(B, T, C))  # (B, H, T, D) -> (B, T, C)


class FeedForward(nn.Module):
    """Two matrices around ReLU² (4 C wide), or three around SwiGLU with as many weights; starts at zero."""

    def __init__(self, width: int, gated: bool = False) -> None:
        super().__init__()
        hidden = 8 * width // 3 // 8 * 8 if gated else 4 * width
        self.gated = gated
        self.inner = nn.Linear(width, 2 * hidden if gated else hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, C) for x (B, T, C)."""
        h = self.inner(x)
        if self.gated:
            gate, value = h.chunk(2, dim=-1)
            return self.out(F.silu(gate) * value)
        return self.out(relu_squared(h))


class Block(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + feed-forward(norm(x)); dropout on both branches."""

    def __init__(
        self, width: int, heads: int, gated: bool = False, dropout: float = 0.0, causal: bool = True
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, causal)
        self.feed_forward = FeedForward(width, gated)
        self.dropout = dropout

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: Cache | None = None, layer: int = 0,
        seen: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return (B, T, C) for x (B, T, C); cache and `seen` are those of the attention."""
        x = x + self._drop(self.attention(rms_norm(x), cos, sin, cache, layer, seen))
        return x + self._drop(self.feed_forward(rms_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)
