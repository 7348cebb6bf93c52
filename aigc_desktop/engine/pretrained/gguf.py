"""Make a plain model folder of a GGUF file: weights in half precision, names and tokenizer as publishers have them.

Quantized weights are made whole numbers again (by the `gguf` package), because the program computes with those; the
file stays as it was. Half precision keeps more digits than any of the quantized kinds had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.data.found_model import INDEX
from aigc_desktop.data.gguf_header import Gguf, GgufTensor
from aigc_desktop.engine.pretrained.gguf_words import tokenizer_of, tokenizer_settings
from aigc_desktop.engine.pretrained.load import check_tensors
from aigc_desktop.engine.weights import write_tensors

SHARD_BYTES = 1_000_000_000
_MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_PARTS = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def convert(gguf: Gguf, folder: Path) -> Iterator[tuple[int, int]]:
    """Write the model of a GGUF file into a folder; yields (tensors done, tensors in all). BadInput when it cannot."""
    config = config_of(gguf)
    named = {_published_name(gguf, name): tensor.shape for name, tensor in _parts_of(gguf).items()}
    check_tensors(config, named, gguf.path.name)  # before minutes of work
    write_json(folder / "config.json", config)
    tokenizer_of(gguf, _embedding(gguf).shape[0]).save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_settings(gguf))
    places: dict[str, str] = {}
    shard: dict[str, Tensor] = {}
    for done, tensor in enumerate(_parts_of(gguf).values(), 1):
        shard[_published_name(gguf, tensor.name)] = read_tensor(gguf, tensor)
        if sum(t.nbytes for t in shard.values()) >= SHARD_BYTES:
            _write_shard(folder, shard, places)
        yield done, len(named)
    _write_shard(folder, shard, places)
    write_json(folder / INDEX, {"metadata": {}, "weight_map": places})


def _parts_of(gguf: Gguf) -> dict[str, GgufTensor]:
    """Return the tensors that are weights; the speeds of rotary positions are told by the configuration."""
    return {name: tensor for name, tensor in gguf.tensors.items() if name != "rope_freqs.weight"}


def read_tensor(gguf: Gguf, tensor: GgufTensor) -> Tensor:
    """Return one tensor in half precision, queries and keys with the halves of their heads side by side."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    raw = np.memmap(gguf.path, np.uint8, "r", tensor.start, (tensor.size,))
    rows = raw.reshape(*tensor.shape[:-1], -1)
    plain = np.array(dequantize(rows, GGMLQuantizationType[tensor.type]), np.float32)  # a copy: the map is read-only
    values = torch.from_numpy(plain).reshape(tensor.shape)
    if not bool(values.isfinite().all()) or float(values.abs().max()) > 65_000:
        raise BadInput(gguf.path.name, _("“{name}” holds numbers that are none").format(name=tensor.name),
                       _("Copy the file again from where it came."))  # fmt: skip
    part = tensor.name.split(".")[-2]
    if gguf.values["general.architecture"] == "llama" and part in ("attn_q", "attn_k"):
        heads = _number(gguf, "attention.head_count" if part == "attn_q" else "attention.head_count_kv")
        # the file has the two halves of each head interleaved
        values = values.reshape(heads, -1, 2, *values.shape[1:]).transpose(1, 2).reshape(tensor.shape)
    return values.half()


def config_of(gguf: Gguf) -> dict[str, Any]:
    """Return the published form of the file's configuration; BadInput for a kind of model that is not known."""
    kind = gguf.values.get("general.architecture")
    if kind not in _MODEL_TYPES:
        raise BadInput(
            gguf.path.name, _("models of the kind “{kind}” are not known here").format(kind=str(kind)[:60]),
            _("Kinds that are: {kinds}.").format(kinds=", ".join(_MODEL_TYPES)),
        )  # fmt: skip
    heads, width = _number(gguf, "attention.head_count"), _number(gguf, "embedding_length")
    config: dict[str, Any] = {
        "model_type": _MODEL_TYPES[kind], "hidden_size": width, "num_attention_heads": heads,
        "num_hidden_layers": _number(gguf, "block_count"), "intermediate_size": _number(gguf, "feed_forward_length"),
        "num_key_value_heads": _number(gguf, "attention.head_count_kv", heads),
        "head_dim": _number(gguf, "attention.key_length", width // max(1, heads)),
        "max_position_embeddings": _number(gguf, "context_length"),
        "rms_norm_eps": _real(gguf, "attention.layer_norm_rms_epsilon", 1e-6),
        "rope_theta": _real(gguf, "rope.freq_base", 10_000.0),
        "vocab_size": _embedding(gguf).shape[0], "tie_word_embeddings": "output.weight" not in gguf.tensors,
    }  # fmt: skip
    stretching = _stretching(gguf, str(kind), int(config["head_dim"]))
    if stretching:
        config["rope_scaling"] = stretching
    return config


def _stretching(gguf: Gguf, kind: str, head: int) -> dict[str, Any]:
    """Return how the rotary positions are stretched, as a published configuration says it; BadInput when unknown."""
    told = str(gguf.values.get(f"{kind}.rope.scaling.type", "none"))
    factor = gguf.values.get(f"{kind}.rope.scaling.factor", 1.0)
    if told not in ("none", "linear") or not isinstance(factor, float) or not factor > 0:
        raise BadInput(
            gguf.path.name, _("its stretched context cannot be read from a GGUF file"),
            _("Get the same model as a folder with safetensors files."),
        )  # fmt: skip
    if "rope_freqs.weight" in gguf.tensors:
        factors = read_tensor(gguf, gguf.tensors["rope_freqs.weight"]).float().tolist()
        if len(factors) != head // 2 or not all(value >= 1 for value in factors):
            raise BadInput(gguf.path.name, _("“{name}” holds numbers that are none").format(name="rope_freqs.weight"),
                           _("Copy the file again from where it came."))  # fmt: skip
        return {"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "attention_factor": 1.0}
    return {"rope_type": "linear", "factor": factor} if told == "linear" and factor != 1 else {}


def _number(gguf: Gguf, name: str, default: int | None = None) -> int:
    value = gguf.values.get(f"{gguf.values['general.architecture']}.{name}", default)
    if type(value) is not int or not 0 < value < 1 << 24:
        raise BadInput(gguf.path.name, _("its header does not say “{name}”").format(name=name),
                       _("Copy the file again from where it came."))  # fmt: skip
    return value


def _real(gguf: Gguf, name: str, default: float) -> float:
    value = gguf.values.get(f"{gguf.values['general.architecture']}.{name}", default)
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise BadInput(gguf.path.name, _("its header does not say “{name}”").format(name=name),
                       _("Copy the file again from where it came."))  # fmt: skip
    return float(value)


def _embedding(gguf: Gguf) -> GgufTensor:
    tensor = gguf.tensors.get("token_embd.weight")
    if tensor is None or len(tensor.shape) != 2:
        raise BadInput(gguf.path.name, _("half of the model is missing: {names}").format(names="token_embd.weight"),
                       _("Copy the file again from where it came."))  # fmt: skip
    return tensor


def _published_name(gguf: Gguf, name: str) -> str:
    parts = name.split(".")
    if parts[0] in _OUTSIDE and len(parts) == 2:
        return f"{_OUTSIDE[parts[0]]}.{parts[1]}"
    if len(parts) == 4 and parts[0] == "blk" and parts[1].isdecimal() and parts[2] in _PARTS:
        return f"model.layers.{parts[1]}.{_PARTS[parts[2]]}.{parts[3]}"
    raise BadInput(gguf.path.name, _("“{name}” belongs to no part of the model").format(name=name),
                   _("Choose another model."))  # fmt: skip


def _write_shard(folder: Path, shard: dict[str, Tensor], places: dict[str, str]) -> None:
    """Write what was gathered as the next file and empty it."""
    if shard:
        name = f"model-{len(set(places.values())) + 1:05d}.safetensors"
        write_tensors(folder / name, shard)
        places |= dict.fromkeys(shard, name)
        shard.clear()
