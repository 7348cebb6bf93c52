"""LoRA: a frozen matrix learns through a product of two thin ones (arXiv:2106.09685), kept in PEFT's file format.

    add_lora(model, ("query", "value"), rank=16, alpha=32, dropout=0.05)   # only the thin matrices learn from here on
    save_adapter(folder, lora_state(model), LoraShape(...))                # what `peft` opens as well

adapter_config.json          PEFT's settings: rank, alpha, dropout, names of the changed layers
adapter_model.safetensors    base_model.model.<layer>.lora_A.weight (R, in) and .lora_B.weight (out, R)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.files import write_json
from aigc_desktop.engine.nn.dropout import QuickDropout
from aigc_desktop.engine.nn.four_bit import PackedLinear
from aigc_desktop.engine.weights import write_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
_SUFFIXES = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True)
class LoraShape:
    """What an adapter is like; `targets` are the last parts of the names of the layers it changes."""

    targets: tuple[str, ...]
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0


class LoraLinear(nn.Linear):
    """A linear layer, (..., in) -> (..., out): W x + b + alpha / rank · B A dropout(x); W and b do not learn.

    It takes over the tensors of `base`, so the names in a state are those of the model, with two more. A base in 4 bits
    stays a layer within.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.packed = base if isinstance(base, PackedLinear) else None
        self.weight, self.bias = base.weight, base.bias
        frozen = base.weight if self.packed is None else self.packed.packed.codes
        place = {"device": frozen.device, "dtype": torch.float32}
        self.lora_A = nn.Linear(self.in_features, rank, bias=False, **place)
        self.lora_B = nn.Linear(rank, self.out_features, bias=False, **place)
        self.scaling, self.dropout = alpha / rank, QuickDropout(dropout)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)  # the model begins as it was

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Return the layer's output with the learned change."""
        out = F.linear(input, self.weight, self.bias) if self.packed is None else self.packed(input)
        seen = self.dropout(input)
        if not torch.is_autocast_enabled(seen.device.type):
            seen = seen.to(self.lora_A.weight.dtype)
        change = self.lora_B(self.scaling * self.lora_A(seen))  # the thin side is cheap to scale
        return out + change.to(out.dtype)


def add_lora(model: nn.Module, targets: Iterable[str], rank: int, alpha: float, dropout: float = 0.0) -> list[str]:
    """Freeze `model` and give its linear layers named in `targets` an adapter; return the names of those layers.

    A target is the last part of a name ("query") or a whole one. ValueError when no layer has such a name.
    """
    wanted = set(targets)
    model.requires_grad_(False)
    chosen = [
        name for name, layer in model.named_modules()
        if _plain(layer) and (name in wanted or name.rpartition(".")[2] in wanted)
    ]  # fmt: skip
    if not chosen:
        raise ValueError(f"no linear layer is called {sorted(wanted)}")
    for name in chosen:
        _put(model, name, LoraLinear(_layer(model, name), rank, alpha, dropout))
    return chosen


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of all adapters in `model`, under their names there."""
    return {name: tensor for name, tensor in model.state_dict().items() if name.endswith(_SUFFIXES)}


def load_lora(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the adapters of `model` these tensors; ValueError unless they are exactly those it has."""
    own = lora_state(model)
    odd = sorted(name for name in own.keys() ^ state.keys())
    odd += [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if odd:
        raise ValueError(f"the adapter does not fit: {odd[:3]}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def save_adapter(
    folder: Path, state: Mapping[str, Tensor], shape: LoraShape, base: str = "", task: str | None = None
) -> None:
    """Write an adapter as PEFT does. `base` names the model it belongs to, `task` is PEFT's `task_type`."""
    write_tensors(folder / WEIGHTS, {PREFIX + name: tensor for name, tensor in state.items()})
    write_json(folder / CONFIG, {
        "peft_type": "LORA", "task_type": task, "base_model_name_or_path": base, "inference_mode": True,
        "r": shape.rank, "lora_alpha": shape.alpha, "lora_dropout": shape.dropout, "bias": "none",
        "target_modules": list(shape.targets), "fan_in_fan_out": False, "init_lora_weights": True,
        "use_rslora": False, "use_dora": False, "modules_to_save": None,
    })  # fmt: skip


def _plain(layer: nn.Module) -> bool:
    """Return whether a layer can be changed: linear, and not part of an adapter."""
    return type(layer) in (nn.Linear, PackedLinear)


def _layer(model: nn.Module, name: str) -> nn.Linear:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return layer


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _dot, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
