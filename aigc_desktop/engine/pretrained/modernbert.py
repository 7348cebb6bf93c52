"""ModernBERT (arXiv:2412.13663): an encoder with rotary positions; most of its layers see near tokens only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.nn.dropout import QuickDropout
from aigc_desktop.engine.pretrained.bert import ACTIVATIONS, fresh
from aigc_desktop.engine.pretrained.settings import Settings

_FULL, _NEAR = "full_attention", "sliding_attention"


@dataclass(frozen=True)
class ModernBertShape:
    """Size of a network; of layers with a number in `full` a token sees all others, else those up to `window` away."""

    vocab: int
    width: int
    heads: int
    hidden: int
    positions: int
    pad: int
    eps: float
    activation: str
    full: tuple[bool, ...]
    window: int
    theta: float
    near_theta: float
    attention_bias: bool
    mlp_bias: bool
    norm_bias: bool
    embedding_dropout: float
    attention_dropout: float
    mlp_dropout: float


def modernbert_shape(settings: Settings) -> ModernBertShape:
    """Return the shape that a configuration describes, in its older or newer form."""
    layers, width = settings.layers("num_hidden_layers", 22), settings.whole("hidden_size", 768)
    every = settings.whole("global_attn_every_n_layers", 3)
    kinds = settings.values.get("layer_types") or [_NEAR if n % every else _FULL for n in range(layers)]
    if not isinstance(kinds, list) or len(kinds) != layers or not set(kinds) <= {_FULL, _NEAR}:
        raise settings.damaged("layer_types")
    heads = settings.divisor("num_attention_heads", 12, width)
    if width // heads % 2:
        raise settings.damaged("num_attention_heads")
    return ModernBertShape(
        vocab=settings.whole("vocab_size", 50_368), width=width, heads=heads,
        hidden=settings.whole("intermediate_size", 1152), positions=settings.whole("max_position_embeddings", 8192),
        pad=settings.number_of_token("pad_token_id", 50_283), eps=settings.share("norm_eps", 1e-5),
        activation=settings.one_of("hidden_activation", "gelu", ACTIVATIONS),
        full=tuple(kind == _FULL for kind in kinds), window=settings.whole("local_attention", 128) // 2,
        theta=_theta(settings, _FULL, "global_rope_theta", 160_000.0),
        near_theta=_theta(settings, _NEAR, "local_rope_theta", 10_000.0),
        attention_bias=bool(settings.values.get("attention_bias")), mlp_bias=bool(settings.values.get("mlp_bias")),
        norm_bias=bool(settings.values.get("norm_bias")),
        embedding_dropout=settings.share("embedding_dropout", 0.0),
        attention_dropout=settings.share("attention_dropout", 0.0), mlp_dropout=settings.share("mlp_dropout", 0.0),
    )  # fmt: skip


def _theta(settings: Settings, kind: str, older: str, default: float) -> float:
    tables: Any = settings.values.get("rope_parameters") or {}
    table = tables.get(kind) if isinstance(tables, dict) else None
    if table is None:
        return settings.number(older, default) or default
    if not isinstance(table, dict):
        raise settings.damaged("rope_parameters")
    Settings(table).one_of("rope_type", "default", ("default",))
    return Settings(table).number("rope_theta", default) or default


class ModernBert(nn.Module):
    """The network of a shape: tokens and mask (B, T) -> (B, T, width)."""

    def __init__(self, shape: ModernBertShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.layers = nn.ModuleList(_Layer(shape, first=number == 0) for number in range(len(shape.full)))
        self.final_norm = _norm(shape)
        self.apply(fresh)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the last hidden states; `mask` is False on padding, which no token sees."""
        at = torch.arange(tokens.shape[1], device=tokens.device)
        every = mask[:, None, None, :]
        near = every & ((at[:, None] - at[None, :]).abs() <= self.shape.window)  # (B, 1, T, T)
        far_turn, near_turn = (self._turn(at, theta) for theta in (self.shape.theta, self.shape.near_theta))
        x = self.embeddings(tokens)
        for full, layer in zip(self.shape.full, self.layers, strict=True):
            x = layer(x, every, far_turn) if full else layer(x, near, near_turn)
        out: Tensor = self.final_norm(x)
        return out

    def _turn(self, at: Tensor, theta: float) -> tuple[Tensor, Tensor]:
        """Return cosines and sines (T, D) of the rotary positions."""
        size = self.shape.width // self.shape.heads
        rates = theta ** (-torch.arange(0, size, 2, device=at.device).float() / size)
        angles = (at[:, None].float() * rates).repeat(1, 2)
        return angles.cos(), angles.sin()


class _Embeddings(nn.Module):
    def __init__(self, shape: ModernBertShape) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(shape.vocab, shape.width)
        self.norm, self.drop = _norm(shape), QuickDropout(shape.embedding_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.drop(self.norm(self.tok_embeddings(tokens)))
        return x


class _Layer(nn.Module):
    """Attention and gated feed-forward, each after its norm; the first layer's input is normed already."""

    def __init__(self, shape: ModernBertShape, first: bool) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if first else _norm(shape)
        self.attn, self.mlp_norm, self.mlp = _Attention(shape), _norm(shape), _FeedForward(shape)

    def forward(self, x: Tensor, seen: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attn(self.attn_norm(x), seen, turn)
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y


class _Attention(nn.Module):
    def __init__(self, shape: ModernBertShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.attention_dropout
        self.Wqkv = nn.Linear(shape.width, 3 * shape.width, shape.attention_bias)
        self.Wo = nn.Linear(shape.width, shape.width, shape.attention_bias)
        self.out_drop = QuickDropout(shape.attention_dropout)

    def forward(self, x: Tensor, seen: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        # (B, T, 3C) -> 3 × (B, H, T, D)
        q, k, v = self.Wqkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = (part * turn[0] + _rotated(part) * turn[1] for part in (q.float(), k.float()))
        q, k = q.to(v.dtype), k.to(v.dtype)
        dropout = self.dropout if self.training else 0.0
        y = attend(q, k, v, seen, dropout=dropout)
        out: Tensor = self.out_drop(self.Wo(y.transpose(1, 2).flatten(2)))
        return out


class _FeedForward(nn.Module):
    def __init__(self, shape: ModernBertShape) -> None:
        super().__init__()
        self.Wi = nn.Linear(shape.width, 2 * shape.hidden, shape.mlp_bias)
        self.Wo = nn.Linear(shape.hidden, shape.width, shape.mlp_bias)
        self.drop, self.activation = QuickDropout(shape.mlp_dropout), _activation(shape)

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.Wi(x).chunk(2, -1)
        out: Tensor = self.Wo(self.drop(self.activation(y) * gate))
        return out


def _activation(shape: ModernBertShape) -> Callable[[Tensor], Tensor]:
    return ACTIVATIONS[shape.activation]


def _norm(shape: ModernBertShape) -> nn.LayerNorm:
    return nn.LayerNorm(shape.width, shape.eps, bias=shape.norm_bias)


def _rotated(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)
