"""The Transformers of BERT and its kin (arXiv:1810.04805): each token of a text sees all others.

RoBERTa and XLM-RoBERTa (arXiv:1907.11692, 1911.02116), ELECTRA (2003.10555), DistilBERT (1910.01108), ALBERT
(1909.11942) and MPNet (2004.09297) differ in the names of their parts and in little else. Modules are named as
published weights name them, so that those load without a map, and adapters in PEFT's format too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.pretrained.settings import Settings

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


@dataclass(frozen=True)
class Names:
    """What the parts of a layer are called, and where the layers are."""

    layers: str
    query: str
    key: str
    value: str
    out: str
    attention_norm: str
    up: str
    down: str
    norm: str


_BERT = Names(
    "encoder.layer", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
)  # fmt: skip
_MPNET = Names(
    "encoder.layer", "attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
    "attention.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
)  # fmt: skip
_DISTILBERT = Names(
    "transformer.layer", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
    "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm",
)  # fmt: skip
_ALBERT = Names(
    "encoder.albert_layer_groups.{group}.albert_layers", "attention.query", "attention.key", "attention.value",
    "attention.dense", "attention.LayerNorm", "ffn", "ffn_output", "full_layer_layer_norm",
)  # fmt: skip
NAMES = {
    "bert": _BERT, "roberta": _BERT, "xlm-roberta": _BERT, "camembert": _BERT, "electra": _BERT, "mpnet": _MPNET,
    "distilbert": _DISTILBERT, "albert": _ALBERT,
}  # fmt: skip
"""By `model_type`."""
AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Kinds whose positions are counted from the number of the padding token on."""
_UNTYPED = ("distilbert", "mpnet")
_BUCKETS, _FARTHEST = 32, 128  # of MPNet's relative positions


@dataclass(frozen=True)
class BertShape:
    """Size and kind of a network; `groups` and `inner` are ALBERT's sets of layers with weights of their own."""

    kind: str
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
    groups: int = 1
    inner: int = 1

    @property
    def first_position(self) -> int:
        """Return the number of the first token's position."""
        return self.pad + 1 if self.kind in AFTER_PADDING else 0


def bert_shape(settings: Settings) -> BertShape:
    """Return the shape that a configuration describes."""
    kind = settings.kind
    distil = kind == "distilbert"
    width = settings.whole("dim" if distil else "hidden_size", 768)
    return BertShape(
        kind,
        vocab=settings.whole("vocab_size", 30_522),
        width=width,
        layers=settings.layers("n_layers" if distil else "num_hidden_layers", 12),
        heads=settings.divisor("n_heads" if distil else "num_attention_heads", 12, width),
        hidden=settings.whole("hidden_dim" if distil else "intermediate_size", 4 * width),
        positions=settings.whole("max_position_embeddings", 512),
        embedding=settings.whole("embedding_size", 128) if kind in ("albert", "electra") else width,
        types=0 if kind in _UNTYPED else settings.whole("type_vocab_size", 2),
        pad=settings.number_of_token("pad_token_id", 1 if kind in AFTER_PADDING else 0),
        eps=settings.share("layer_norm_eps", 1e-12),
        activation=settings.one_of("activation" if distil else "hidden_act", "gelu", ACTIVATIONS),
        dropout=settings.share("dropout" if distil else "hidden_dropout_prob", 0.1),
        attention_dropout=settings.share("attention_dropout" if distil else "attention_probs_dropout_prob", 0.1),
        groups=settings.whole("num_hidden_groups", 1) if kind == "albert" else 1,
        inner=settings.whole("inner_group_num", 1) if kind == "albert" else 1,
    )


class Bert(nn.Module):
    """The network of a shape: tokens and mask (B, T) -> (B, T, width)."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape, self.names = shape, NAMES[shape.kind]
        self.embeddings = _Embeddings(shape)
        if shape.kind == "electra" and shape.embedding != shape.width:
            self.embeddings_project = nn.Linear(shape.embedding, shape.width)
        if shape.kind == "albert":
            put(self, "encoder.embedding_hidden_mapping_in", nn.Linear(shape.embedding, shape.width))
        if shape.kind == "mpnet":
            put(self, "encoder.relative_attention_bias", nn.Embedding(_BUCKETS, shape.heads))
        shared = shape.kind == "albert"
        for group in range(shape.groups):
            count = shape.inner if shared else shape.layers
            layers = nn.ModuleList(_Layer(shape, self.names) for _layer in range(count))
            put(self, self.names.layers.format(group=group), layers)
        self.apply(fresh)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the last hidden states; `mask` is False on padding, which no token sees."""
        positions = self.shape.first_position + (mask.long().cumsum(1) - 1).clamp(min=0)  # (B, T)
        x = self.embeddings(tokens, positions)
        seen: Tensor = mask[:, None, None, :]
        if self.shape.kind == "electra" and self.shape.embedding != self.shape.width:
            x = self.embeddings_project(x)
        if self.shape.kind == "albert":
            x = self.get_submodule("encoder.embedding_hidden_mapping_in")(x)
        if self.shape.kind == "mpnet":
            seen = self._relative(tokens.shape[1], x).masked_fill(~seen, -torch.inf)
        for layer in self._layers():
            x = layer(x, seen)
        return x

    def _layers(self) -> list[nn.Module]:
        if self.shape.kind != "albert":
            return list(cast(nn.ModuleList, self.get_submodule(self.names.layers)))
        groups = [
            list(cast(nn.ModuleList, self.get_submodule(self.names.layers.format(group=group))))
            for group in range(self.shape.groups)
        ]
        return [
            layer for number in range(self.shape.layers)
            for layer in groups[number * self.shape.groups // self.shape.layers]
        ]  # fmt: skip

    def _relative(self, length: int, like: Tensor) -> Tensor:
        """Return MPNet's bias (1, H, T, T) for how far a key is from its query; far ones share buckets."""
        at = torch.arange(length, device=like.device)
        away = at[:, None] - at[None, :]
        half, exact = _BUCKETS // 2, _BUCKETS // 4
        far = exact + (torch.log(away.abs().clamp(min=1) / exact) / math.log(_FARTHEST / exact) * (half - exact)).long()
        bucket = torch.where(away.abs() < exact, away.abs(), far.clamp(max=half - 1)) + half * (away < 0)
        bias: Tensor = self.get_submodule("encoder.relative_attention_bias")(bucket)
        return bias.permute(2, 0, 1)[None].to(like.dtype)


class _Embeddings(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocab, shape.embedding)
        self.position_embeddings = nn.Embedding(shape.positions, shape.embedding)
        if shape.types:
            self.token_type_embeddings = nn.Embedding(shape.types, shape.embedding)
        self.LayerNorm = nn.LayerNorm(shape.embedding, shape.eps)
        self.dropout = nn.Dropout(shape.dropout)
        self.types = shape.types

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        x = self.word_embeddings(tokens) + self.position_embeddings(positions)
        if self.types:
            x = x + self.token_type_embeddings.weight[0]  # a single text is of the first type
        return self.dropout(self.LayerNorm(x))


class _Layer(nn.Module):
    """Attention and feed-forward, each with its norm after the sum."""

    def __init__(self, shape: BertShape, names: Names) -> None:
        super().__init__()
        self.names, self.heads, self.attention_dropout = names, shape.heads, shape.attention_dropout
        self.activation = ACTIVATIONS[shape.activation]
        self.dropout = nn.Dropout(shape.dropout)
        width = shape.width
        for name in (names.query, names.key, names.value, names.out):
            put(self, name, nn.Linear(width, width))
        put(self, names.attention_norm, nn.LayerNorm(width, shape.eps))
        put(self, names.up, nn.Linear(width, shape.hidden))
        put(self, names.down, nn.Linear(shape.hidden, width))
        put(self, names.norm, nn.LayerNorm(width, shape.eps))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return (B, T, C); `seen` is bool (B, 1, 1, T), or a bias that is added to the scores."""
        names, part = self.names, self.get_submodule
        q, k, v = (self._split(part(name)(x)) for name in (names.query, names.key, names.value))
        dropout = self.attention_dropout if self.training else 0.0
        y = attend(q, k, v, seen, dropout=dropout)
        y = part(names.out)(y.transpose(1, 2).flatten(2))
        x = part(names.attention_norm)(x + self.dropout(y))
        y = part(names.down)(self.activation(part(names.up)(x)))
        return cast(Tensor, part(names.norm)(x + self.dropout(y)))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)


def put(owner: nn.Module, name: str, module: nn.Module) -> None:
    """Make `module` the part of `owner` with a dotted name, with plain modules on the way to it."""
    *way, last = name.split(".")
    for step in way:
        if step not in owner._modules:
            owner.add_module(step, nn.Module())
        owner = owner.get_submodule(step)
    owner.add_module(last, module)


@torch.no_grad()
def fresh(module: nn.Module) -> None:
    """Give a part new weights as BERT's authors do."""
    if isinstance(module, nn.Linear | nn.Embedding):
        module.weight.normal_(0.0, 0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        module.bias.zero_()


def published_names(tensors: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return for each wanted name the one in a file, which may begin with the model's own; old files say gamma."""
    prefixes = {""} | {name.partition(".")[0] + "." for name in tensors}
    found = {}
    for name in wanted:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        own = next((p + spelt for p in sorted(prefixes) for spelt in (name, old) if p + spelt in tensors), None)
        if own is not None:
            found[name] = own
    return found
