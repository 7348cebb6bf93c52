"""DeBERTa v2 and v3 (arXiv:2006.03654, 2111.09543): attention also looks at how far two tokens stand apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.nn.dropout import QuickDropout
from aigc_desktop.engine.pretrained.bert import ACTIVATIONS, fresh, put
from aigc_desktop.engine.pretrained.settings import Settings


@dataclass(frozen=True)
class DebertaShape:
    """Size of a network; `span` distances to either side have vectors, far ones share them when `buckets`."""

    vocab: int
    width: int
    layers: int
    heads: int
    hidden: int
    positions: int
    embedding: int
    types: int
    pad: int
    eps: float
    activation: str
    dropout: float
    attention_dropout: float
    span: int
    farthest: int
    buckets: bool
    to_places: bool
    from_places: bool
    shared: bool
    normed: bool
    absolute: bool


def deberta_shape(settings: Settings) -> DebertaShape:
    """Return the shape that a configuration describes; UserError for the convolution that the largest ones have."""
    values = settings.values
    if values.get("conv_kernel_size"):
        raise settings.unusual("conv_kernel_size")
    if values.get("relative_attention") is not True:
        raise settings.unusual("relative_attention")
    width, positions = settings.whole("hidden_size", 1536), settings.whole("max_position_embeddings", 512)
    told = values.get("pos_att_type") or []
    kinds = {str(kind).strip().lower() for kind in (told.split("|") if isinstance(told, str) else told)}
    if not kinds <= {"c2p", "p2c"}:
        raise settings.damaged("pos_att_type")
    farthest = settings.positive("max_relative_positions", positions)
    span = settings.positive("position_buckets", 0)
    return DebertaShape(
        vocab=settings.whole("vocab_size", 128_100), width=width, layers=settings.layers("num_hidden_layers", 24),
        heads=settings.divisor("num_attention_heads", 24, width), hidden=settings.whole("intermediate_size", 4 * width),
        positions=positions, embedding=settings.whole("embedding_size", width),
        types=settings.number_of_token("type_vocab_size", 0), pad=settings.number_of_token("pad_token_id", 0),
        eps=settings.share("layer_norm_eps", 1e-7), activation=settings.one_of("hidden_act", "gelu", ACTIVATIONS),
        dropout=settings.share("hidden_dropout_prob", 0.1),
        attention_dropout=settings.share("attention_probs_dropout_prob", 0.1),
        span=span or farthest, farthest=farthest, buckets=span > 0,
        to_places="c2p" in kinds, from_places="p2c" in kinds, shared=bool(values.get("share_att_key")),
        normed="layer_norm" in str(values.get("norm_rel_ebd", "none")).lower(),
        absolute=bool(values.get("position_biased_input", True)),
    )  # fmt: skip


class Deberta(nn.Module):
    """The network of a shape: tokens and mask (B, T) -> (B, T, width)."""

    def __init__(self, shape: DebertaShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        put(self, "encoder.layer", nn.ModuleList(_Layer(shape) for _layer in range(shape.layers)))
        put(self, "encoder.rel_embeddings", nn.Embedding(2 * shape.span, shape.width))
        if shape.normed:
            put(self, "encoder.LayerNorm", nn.LayerNorm(shape.width, shape.eps))
        self.apply(fresh)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the last hidden states; `mask` is False on padding, which no token sees."""
        x = self.embeddings(tokens)
        vectors = cast(Tensor, self.get_submodule("encoder.rel_embeddings").weight)
        if self.shape.normed:
            vectors = self.get_submodule("encoder.LayerNorm")(vectors)
        apart = distances(tokens.shape[1], self.shape, x.device)
        for layer in cast(nn.ModuleList, self.get_submodule("encoder.layer")):
            x = layer(x, mask[:, None, None, :], vectors, apart)
        return x


def distances(length: int, shape: DebertaShape, device: torch.device) -> Tensor:
    """Return the number (T, T) of the vector for the distance from each query to each key."""
    at = torch.arange(length, device=device)
    away = (at[:, None] - at[None, :]).float()
    if shape.buckets:
        near = shape.span // 2
        logarithm = torch.log(away.abs().clamp(min=near) / near) / math.log((shape.farthest - 1) / near)
        far = torch.ceil(logarithm * (near - 1)) + near
        away = torch.where(away.abs() <= near, away, far * away.sign())
    return (away.long() + shape.span).clamp(0, 2 * shape.span - 1)


class _Embeddings(nn.Module):
    def __init__(self, shape: DebertaShape) -> None:
        super().__init__()
        self.shape = shape
        self.word_embeddings = nn.Embedding(shape.vocab, shape.embedding)
        if shape.absolute:
            self.position_embeddings = nn.Embedding(shape.positions, shape.embedding)
        if shape.types:
            self.token_type_embeddings = nn.Embedding(shape.types, shape.embedding)
        if shape.embedding != shape.width:
            self.embed_proj = nn.Linear(shape.embedding, shape.width, bias=False)
        self.LayerNorm, self.dropout = nn.LayerNorm(shape.width, shape.eps), QuickDropout(shape.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.word_embeddings(tokens)
        if self.shape.absolute:
            x = x + self.position_embeddings.weight[: tokens.shape[1]]
        if self.shape.types:
            x = x + self.token_type_embeddings.weight[0]
        if self.shape.embedding != self.shape.width:
            x = self.embed_proj(x)
        out: Tensor = self.dropout(self.LayerNorm(x))
        return out


class _Layer(nn.Module):
    """Attention and feed-forward, each with its norm after the sum."""

    def __init__(self, shape: DebertaShape) -> None:
        super().__init__()
        width = shape.width
        self.activation, self.dropout = ACTIVATIONS[shape.activation], QuickDropout(shape.dropout)
        put(self, "attention.self", _Attention(shape))
        put(self, "attention.output.dense", nn.Linear(width, width))
        put(self, "attention.output.LayerNorm", nn.LayerNorm(width, shape.eps))
        put(self, "intermediate.dense", nn.Linear(width, shape.hidden))
        put(self, "output.dense", nn.Linear(shape.hidden, width))
        put(self, "output.LayerNorm", nn.LayerNorm(width, shape.eps))

    def forward(self, x: Tensor, seen: Tensor, vectors: Tensor, apart: Tensor) -> Tensor:
        part: Any = self.get_submodule
        y = part("attention.output.dense")(part("attention.self")(x, seen, vectors, apart))
        x = part("attention.output.LayerNorm")(x + self.dropout(y))
        y = part("output.dense")(self.activation(part("intermediate.dense")(x)))
        return cast(Tensor, part("output.LayerNorm")(x + self.dropout(y)))


class _Attention(nn.Module):
    """Scores of content with content, content with place, and place with content."""

    def __init__(self, shape: DebertaShape) -> None:
        super().__init__()
        self.shape, self.dropout = shape, QuickDropout(shape.dropout)
        self.query_proj, self.key_proj, self.value_proj = (nn.Linear(shape.width, shape.width) for _part in range(3))
        if shape.to_places and not shape.shared:
            self.pos_key_proj = nn.Linear(shape.width, shape.width)
        if shape.from_places and not shape.shared:
            self.pos_query_proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor, seen: Tensor, vectors: Tensor, apart: Tensor) -> Tensor:
        """Return (B, T, C); `seen` (B, 1, 1, T), `vectors` (2 S, C) and `apart` (T, T), the numbers of theirs."""
        shape = self.shape
        q, k, v = (self._split(part(x)) for part in (self.query_proj, self.key_proj, self.value_proj))
        scale = 1 / math.sqrt(q.shape[-1] * (1 + shape.to_places + shape.from_places))
        index = apart.expand(*q.shape[:2], *apart.shape)
        bias = torch.zeros(index.shape, dtype=q.dtype, device=q.device)
        places = self.dropout(vectors)
        if shape.to_places:
            keys = self._split((self.key_proj if shape.shared else self.pos_key_proj)(places)[None])
            bias = bias + (q @ keys.transpose(2, 3)).gather(3, index)  # (B, H, T, 2 S) -> (B, H, T, T)
        if shape.from_places:
            queries = self._split((self.query_proj if shape.shared else self.pos_query_proj)(places)[None])
            bias = bias + (k @ queries.transpose(2, 3)).gather(3, index.transpose(2, 3)).transpose(2, 3)
        bias = (bias * scale).masked_fill(~seen, -torch.inf)
        dropout = shape.attention_dropout if self.training else 0.0
        y = attend(q, k, v, bias, dropout=dropout, scale=scale)
        return y.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.shape.heads, -1)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)
