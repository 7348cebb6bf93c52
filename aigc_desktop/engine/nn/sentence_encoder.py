"""A bidirectional Transformer that turns a text into one vector; its parts are those of attention.py.

Shapes: B batch, T time, C width, H heads, D = C / H.
"""

from __future__ import annotations

from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.nn.attention import FeedForward, rotary_table
from aigc_desktop.engine.nn.dropout import dropout
from aigc_desktop.engine.nn.lean import rms_norm, rotate


class SentenceEncoder(nn.Module):
    """Embedded tokens (B, T, C) to one vector (B, C): the mean over known places of the last layer."""

    def __init__(self, layers: int, width: int, heads: int, length: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _layer in range(layers))
        cos, sin = rotary_table(length, width // heads)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Return (B, C); `known` (B, T) marks the places that hold tokens, at least one in each row."""
        x = rms_norm(x)
        places = x.shape[1]
        mask = known[:, None, None, :]  # (B, 1, 1, T): every place looks at the known ones
        for layer in self.layers:
            x = layer(x, mask, self.cos[:places], self.sin[:places])
        weights = known[:, :, None].to(x.dtype)
        return (rms_norm(x) * weights).sum(1) / weights.sum(1)


class _Layer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor, mask: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, T, C = x.shape
        # (B, T, 3C) -> 3 × (B, H, T, D)
        q, k, v = self.qkv(rms_norm(x)).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        q, k = rotate(rms_norm(q), cos, sin), rotate(rms_norm(k), cos, sin)
        y = attend(q.to(v.dtype), k.to(v.dtype), v, mask)
        x = x + self._drop(self.out(y.transpose(1, 2).reshape(B, T, C)))
        return x + self._drop(self.feed_forward(rms_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)
