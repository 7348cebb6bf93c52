"""The Transformer of the Llama family (arXiv:2302.13971): Llama 2 and 3, SmolLM, Mistral, Qwen2, Qwen3 and their kin.

Modules are named as published weights name them, so that those load without a map, and adapters in PEFT's format too.
Grouped queries: arXiv:2305.13245. Rotary positions turn halves, not pairs: arXiv:2104.09864.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.data.model_files import LANGUAGE
from aigc_desktop.engine.nn.attend import attend


@dataclass(frozen=True)
class LlamaShape:
    """Size and kind of a network; `scaling` is the table that stretches the rotary positions, {} for none."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    context: int
    eps: float = 1e-5
    theta: float = 10_000.0
    scaling: dict[str, Any] = field(default_factory=dict, hash=False)
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    tied: bool = False


Linear = Callable[[Tensor, Tensor | None], nn.Module]
"""(weight (N, K), bias (N,) or None) -> a module that maps (..., K) to (..., N)."""


class Llama(nn.Module):
    """The network. `rows` of a cache and positions are explained at `KeyValues`."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = _Body(shape)
        self.lm_head: nn.Module = nn.Linear(shape.width, shape.vocab, bias=False)
        if shape.tied:
            self.tie()

    def forward(self, tokens: Tensor, cache: KeyValues | None = None, mask: Tensor | None = None) -> Tensor:
        """Return the last hidden states (B, T, C) of tokens (B, T); `lm_head` makes logits of them.

        `mask` (B, 1, T, S) or (1, 1, T, S) is True where attention may look; None is causal without padding.
        """
        return self.model(tokens, cache, mask)

    def tie(self) -> None:
        """Use the embedding as the output matrix too."""
        self.lm_head.weight = self.model.embed_tokens.weight

    def fuse(self, linear: Linear, output: bool) -> None:
        """Replace all matrices by `linear` ones for writing only, one for those that read the same input.

        `output` says whether that of the output, too, is replaced.
        """
        for layer in self.model.layers:
            cast(_Layer, layer).self_attn.fuse(linear)
            cast(_Layer, layer).mlp.fuse(linear)
        if output:
            self.lm_head = linear(cast(Tensor, self.lm_head.weight), None)

    @property
    def device(self) -> torch.device:
        """Return where the weights lie."""
        return self.model.embed_tokens.weight.device


class KeyValues:
    """Keys and values of what was read, in buffers that are allocated once.

    keys, values    one (B, K, S, D) per layer; columns [0, filled) are in use
    positions       (B,) of the next token of each row: less than `filled` for a row that was padded on the left
    """

    def __init__(self, shape: LlamaShape, rows: int, columns: int, like: Tensor) -> None:
        size = (rows, shape.kv_heads, columns, shape.head_dim)
        self.keys = [like.new_zeros(size) for _layer in range(shape.layers)]
        self.values = [like.new_zeros(size) for _layer in range(shape.layers)]
        self.filled = 0
        self.positions = torch.zeros(rows, dtype=torch.long, device=like.device)

    def part(self, rows: slice, begin: int) -> KeyValues:
        """Return empty keys and values that lie in some rows here, from column `begin` on."""
        part = object.__new__(KeyValues)
        part.keys, part.values = (
            [buffer[rows, :, begin:] for buffer in buffers] for buffers in (self.keys, self.values)
        )
        part.filled, part.positions = 0, self.positions[rows]
        return part

    def repeat(self, count: int) -> None:
        """Make `count` rows of the only one; on a processor, columns that are never filled take no memory."""
        for buffers in (self.keys, self.values):
            for number, one in enumerate(buffers):
                buffers[number] = one.new_zeros(count, *one.shape[1:])
                buffers[number][:, :, : self.filled] = one[:, :, : self.filled]
        self.positions = self.positions.repeat(count)

    def keep_rows(self, rows: Sequence[int]) -> list[int]:
        """Drop all rows but these, and return in which order they are now.

        The last rows move into the gaps, so that little is copied however many rows there are.
        """
        count, kept = len(rows), set(rows)
        order = list(range(count))
        gaps = [row for row in order if row not in kept]
        for gap, row in zip(gaps, sorted(kept - set(order)), strict=True):
            order[gap] = row
            for buffer in (*self.keys, *self.values):
                buffer[gap, :, : self.filled] = buffer[row, :, : self.filled]
        self.keys, self.values = ([buffer[:count] for buffer in buffers] for buffers in (self.keys, self.values))
        self.positions = self.positions[order]
        return order


class _Body(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.width)
        self.layers = nn.ModuleList(_Layer(shape, number) for number in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.eps)
        self.turns: tuple[Tensor, Tensor] | None = None
        self.checkpointing = False

    def forward(self, tokens: Tensor, cache: KeyValues | None, mask: Tensor | None) -> Tensor:
        x = self.embed_tokens(tokens)  # (B, T, C)
        cosine, sine = self.turns_at(tokens, cache, x)
        for layer in self.layers:
            if self.checkpointing and self.training:
                x = torch.utils.checkpoint.checkpoint(layer, x, cosine, sine, cache, mask, use_reentrant=False)
            else:
                x = layer(x, cosine, sine, cache, mask)
        if cache is not None:
            cache.filled += tokens.shape[1]
            cache.positions = cache.positions + tokens.shape[1]
        return self.norm(x)

    def turns_at(self, tokens: Tensor, cache: KeyValues | None, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine (B or 1, 1, T, D) of the positions of these tokens; padding stands at position 0."""
        length = tokens.shape[1]
        needed = length if cache is None else cache.filled + length
        known = self.turns
        if known is None or len(known[0]) < needed or known[0].dtype != x.dtype or known[0].device != x.device:
            # a published context may be a million positions; most texts need few
            self.turns = known = rotary_tables(self.shape, 1 << max(10, needed.bit_length()), x)
        cosine, sine = known
        if cache is None:
            return cosine[None, None, :length], sine[None, None, :length]
        places = cache.positions[:, None] + torch.arange(length, device=tokens.device)
        places = places.clamp(min=0)
        return cosine[places][:, None], sine[places][:, None]


class _Layer(nn.Module):
    """Attention, then a gated feed-forward part, each behind its norm."""

    def __init__(self, shape: LlamaShape, number: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.width, shape.eps)
        self.self_attn = _Attention(shape, number)
        self.post_attention_layernorm = nn.RMSNorm(shape.width, shape.eps)
        self.mlp = _FeedForward(shape)

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KeyValues | None, mask: Tensor | None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine, cache, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Attention(nn.Module):
    """Causal attention with rotary positions; queries share keys and values in groups."""

    def __init__(self, shape: LlamaShape, number: int) -> None:
        super().__init__()
        self.shape, self.number = shape, number
        queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.width, queries, shape.qkv_bias)
        self.k_proj = nn.Linear(shape.width, keys, shape.qkv_bias)
        self.v_proj = nn.Linear(shape.width, keys, shape.qkv_bias)
        self.o_proj: nn.Module = nn.Linear(queries, shape.width, shape.out_bias)
        if shape.qk_norm:
            self.q_norm = nn.RMSNorm(shape.head_dim, shape.eps)
            self.k_norm = nn.RMSNorm(shape.head_dim, shape.eps)
        self.fused: nn.Module | None = None
        """One matrix for queries, keys and values; takes the place of the three where nothing is trained."""

    def fuse(self, linear: Linear) -> None:
        self.fused = linear(*_together(self.q_proj, self.k_proj, self.v_proj))
        self.o_proj = linear(cast(Tensor, self.o_proj.weight), cast("Tensor | None", self.o_proj.bias))
        del self.q_proj, self.k_proj, self.v_proj

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KeyValues | None, mask: Tensor | None
    ) -> Tensor:
        shape, (batch, length, _width) = self.shape, x.shape
        if self.fused is not None:
            together = self.fused(x)
        else:
            together = torch.cat((self.q_proj(x), self.k_proj(x), self.v_proj(x)), -1)
        heads = together.view(batch, length, -1, shape.head_dim).transpose(1, 2)  # (B, H + 2 K, T, D)
        q, k, v = heads.split((shape.heads, shape.kv_heads, shape.kv_heads), 1)
        if shape.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = turn(q, cosine, sine), turn(k, cosine, sine)
        causal = mask is None
        if cache is not None:
            keys, values, end = cache.keys[self.number], cache.values[self.number], cache.filled + length
            keys[:, :, cache.filled : end] = k
            values[:, :, cache.filled : end] = v
            causal = causal and cache.filled == 0
            k, v = keys[:, :, :end], values[:, :, :end]
        if length == 1:
            mixed = _look_once(q, k, v, mask)
        else:
            mixed = attend(q, k, v, mask, causal=causal)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


def _look_once(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Return the attention (B, H, 1, D) of one query per row: two small products beat the general kernel."""
    batch, heads, _one, width = q.shape
    grouped = q.reshape(batch, k.shape[1], -1, width)  # (B, K, H / K, D)
    scores = (grouped @ k.transpose(2, 3)) / math.sqrt(width)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) @ v).reshape(batch, heads, 1, width)


class _FeedForward(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj: nn.Module = nn.Linear(shape.hidden, shape.width, bias=False)
        self.fused: nn.Module | None = None
        """One matrix for gate and value, where nothing is trained."""

    def fuse(self, linear: Linear) -> None:
        self.fused = linear(*_together(self.gate_proj, self.up_proj))
        self.down_proj = linear(cast(Tensor, self.down_proj.weight), None)
        del self.gate_proj, self.up_proj

    def forward(self, x: Tensor) -> Tensor:
        if self.fused is not None:
            gate, up = self.fused(x).chunk(2, -1)
        else:
            gate, up = self.gate_proj(x), self.up_proj(x)
        return self.down_proj(F.silu(gate) * up)


def _together(*parts: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias of one linear map that computes what these do, one after another."""
    bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
    return torch.cat([part.weight for part in parts]), bias


def turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Return heads (B, H, T, D) turned by their positions; the sign of the first half is in `sine` already."""
    return x * cosine + torch.roll(x, x.shape[-1] // 2, -1) * sine


def rotary_tables(shape: LlamaShape, positions: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and signed sine (S, D) of so many positions, in the type of `like`."""
    half = shape.head_dim // 2
    speeds = shape.theta ** (-torch.arange(half, dtype=torch.float32) / half)
    speeds = _stretched(speeds, shape.scaling)
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * speeds
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat((cosine, cosine), 1).to(like), torch.cat((-sine, sine), 1).to(like)


def _stretched(speeds: Tensor, scaling: dict[str, Any]) -> Tensor:
    """Return the rotary speeds for a context that was stretched after training.

    Evenly, as Llama 3.1 does it, or by a factor for each speed (arXiv:2402.13753) that is the same at any length.
    """
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "linear":
        return speeds / float(scaling["factor"])
    if kind == "longrope":
        factors = [float(factor) for factor in scaling["short_factor"]]
        if len(factors) != len(speeds):
            raise ValueError("short_factor")
        return speeds / torch.tensor(factors)
    if kind == "llama3":
        factor, low, high = (float(scaling[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
        turns = float(scaling["original_max_position_embeddings"]) * speeds / (2 * math.pi)
        share = ((turns - low) / (high - low)).clamp(0, 1)  # of the old speed: all of it for what turns often
        return speeds * (share + (1 - share) / factor)
    return speeds


def shape_of(config: dict[str, Any]) -> LlamaShape:
    """Return the shape a published configuration describes; UserError when this network cannot compute it."""
    kind = config.get("model_type")
    if kind not in LANGUAGE:
        raise UserError(
            _("Models of the kind “{kind}” cannot write here.").format(kind=str(kind)[:60]),
            _("Kinds that can: {kinds}.").format(kinds=", ".join(LANGUAGE)),
        )
    try:
        shape = _shape(kind, config)
        _check_sizes(shape)
        _stretched(torch.ones(shape.head_dim // 2), shape.scaling)
    except (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise UserError(
            _("The model's configuration is damaged: {reason}.").format(reason=reason),
            _("Copy the model again from where it came."),
        ) from None
    _check_kind(shape, config)
    return shape


def _shape(kind: str, config: dict[str, Any]) -> LlamaShape:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    context = int(config["max_position_embeddings"])
    window = config.get("sliding_window")
    if window and (kind == "mistral" or config.get("use_sliding_window")):
        context = min(context, int(window))  # within its window the network is the plain one
    return LlamaShape(
        vocab=int(config["vocab_size"]), width=width, layers=int(config["num_hidden_layers"]), heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or width // heads),
        hidden=int(config["intermediate_size"]), context=context, eps=float(config.get("rms_norm_eps", 1e-6)),
        theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        scaling={name: value for name, value in rope.items() if name != "rope_theta"},
        qkv_bias=kind == "qwen2" or bool(config.get("attention_bias")),
        out_bias=kind != "qwen2" and bool(config.get("attention_bias")),
        qk_norm=kind == "qwen3", tied=bool(config.get("tie_word_embeddings", False)),
    )  # fmt: skip


def _same_factors(scaling: dict[str, Any]) -> bool:
    """Return whether "longrope" is the same for short and long texts, which this network needs."""
    return bool(scaling.get("short_factor") == scaling.get("long_factor") and scaling.get("attention_factor") == 1.0)


_LIMITS = {"vocab": 1 << 20, "width": 1 << 15, "layers": 256, "heads": 512, "kv_heads": 512, "head_dim": 1024,
           "hidden": 1 << 18, "context": 1 << 21}  # fmt: skip


def _check_sizes(shape: LlamaShape) -> None:
    """Refuse numbers no real model has."""
    wrong = [name for name, most in _LIMITS.items() if not 1 <= getattr(shape, name) <= most]
    if shape.heads % max(1, shape.kv_heads) or shape.head_dim % 2:
        wrong.append("num_attention_heads")
    if not 0 < shape.eps < 1:
        wrong.append("rms_norm_eps")
    if not 1 < shape.theta < math.inf:
        wrong.append("rope_theta")
    if wrong:
        raise UserError(
            _("The model's configuration is damaged: {reason}.").format(reason=", ".join(wrong)),
            _("Copy the model again from where it came."),
        )


def _check_kind(shape: LlamaShape, config: dict[str, Any]) -> None:
    """Refuse what this network does not do."""
    kind = shape.scaling.get("rope_type", shape.scaling.get("type", "default"))
    odd = {
        "hidden_act": config.get("hidden_act", "silu") != "silu", "mlp_bias": bool(config.get("mlp_bias")),
        "rope_scaling": kind not in ("default", "linear", "llama3") and not _same_factors(shape.scaling),
        "quantization_config": "quantization_config" in config,
    }  # fmt: skip
    unusual = [name for name, is_odd in odd.items() if is_odd]
    if unusual:
        raise UserError(
            _("This model does something that the program cannot compute: {what}.").format(what=", ".join(unusual)),
            _("Choose a plain version of it, without quantization, in safetensors files."),
        )
