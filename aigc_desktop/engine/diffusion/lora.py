"""LoRA files for diffusion models: read in all the namings that are about, counted against the model, added to it.

The library knows the namings of other programs and turns them into its own; what fits is counted here, because it
passes over what does not fit in silence (diffusers 9950, 11657). The change is added to the weights, so that pictures
take no longer than without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import Model
from aigc_desktop.data.pipeline_files import find_lora, made_for
from aigc_desktop.engine.diffusion.libraries import library, quiet
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.weights import read_tensors

LEAST_FITTING = 0.95  # of the layers that a LoRA changes; a text encoder that is left out may be among the rest
_READERS = {
    "sd": "StableDiffusionLoraLoaderMixin", "sdxl": "StableDiffusionXLLoraLoaderMixin", "sd3": "SD3LoraLoaderMixin",
    "flux": "FluxLoraLoaderMixin", "flux_fill": "FluxLoraLoaderMixin", "flux_kontext": "FluxLoraLoaderMixin",
}  # fmt: skip
_SIDES = {"lora_A": "A", "lora.down": "A", "lora_B": "B", "lora.up": "B", "lora_linear_layer.down": "A",
          "lora_linear_layer.up": "B"}  # fmt: skip
_KEY = re.compile(r"(.+)\.(lora_A|lora_B|lora(?:_linear_layer)?\.(?:down|up))(?:\.default(?:_0)?)?\.weight")
_LEGACY = re.compile(r"(?:\.processor)?\.(to_[qkv]|to_out)_lora\.(down|up)\.weight$")
_IN_ENCODERS = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


@dataclass
class Pair:
    """The two thin matrices of a layer, (rank, in …) and (out, rank …), and what their product is scaled by."""

    down: Tensor | None = None
    up: Tensor | None = None
    alpha: float | None = None

    @property
    def whole(self) -> bool:
        """Return whether both matrices are there and belong together."""
        return self.down is not None and self.up is not None and self.up.shape[1] == self.down.shape[0]

    def change(self) -> Tensor:
        """Return what is added to the layer's matrix, float32."""
        assert self.down is not None and self.up is not None  # a pair that is `whole`
        rank = self.down.shape[0]
        change = self.up.float().flatten(1) @ self.down.float().flatten(1)
        scale = 1.0 if self.alpha is None else self.alpha / rank
        return scale * change.view(self.up.shape[0], *self.down.shape[1:])


def add_lora_file(model: Diffusion, lora: Model, weight: float) -> None:
    """Add an imported LoRA to the weights of a model; BadInput when it was made for another one."""
    found = find_lora(lora.folder)
    if lora.info.kind != "lora" or found is None:
        raise UserError(
            _("“{title}” is no LoRA for diffusion models.").format(title=lora.info.title), _("Choose another one.")
        )
    add_lora(model, found.weights[0], lora.info.title, weight, made_for(found.tensors))


def add_lora(model: Diffusion, file: Path, title: str, weight: float, line: str) -> None:
    """Add the LoRA in a file to the weights of a model; `line` is what it says it was made for."""
    pairs = read_pairs(model, file)
    fitting = {name: layer for name, pair in pairs.items() if (layer := _fitting(model, name, pair)) is not None}
    if len(fitting) < LEAST_FITTING * len(pairs) or not pairs:
        raise BadInput(title, _not_made_for(model, len(fitting), len(pairs), line), _("Choose a LoRA for this model."))
    with torch.no_grad():
        for name, layer in fitting.items():
            matrix: Any = layer.weight
            matrix.copy_((matrix.float() + weight * pairs[name].change().to(matrix.device)).to(matrix.dtype))


def _not_made_for(model: Diffusion, count: int, total: int, line: str) -> str:
    if line:
        return _("Layers that fit: {count} of its {all}; it was made for {line}, and “{model}” is {own}.").format(
            count=count, all=total, line=line, model=model.title, own=model.line.title
        )
    return _("Layers that fit “{model}”: {count} of its {all}; it was made for another model.").format(
        count=count, all=total, model=model.title
    )


def read_pairs(model: Diffusion, file: Path) -> dict[str, Pair]:
    """Return the pairs of matrices in a file by "part.layer", in the names of this line of models."""
    tensors = dict(read_tensors(file))
    if model.line.name not in _READERS:
        reason = _("models of the kind “{kind}” take no LoRA here").format(kind=model.line.title)
        raise BadInput(file.name, reason, _("Paint without it, or choose a model of another kind."))
    if any("dora_scale" in name for name in tensors):
        raise BadInput(file.name, _("only plain LoRA adapters with named layers can be used"), _("Choose another one."))
    state, alphas = _in_our_names(model, file, tensors)
    pairs: dict[str, Pair] = {}
    for name, tensor in state.items():
        if name.endswith(".alpha"):
            pairs.setdefault(_whole(model, name.removesuffix(".alpha")), Pair()).alpha = float(tensor)
            continue
        layer, side = _split(model, name)
        pair = pairs.setdefault(layer, Pair())
        if side == "A":
            pair.down = tensor
        elif side == "B":
            pair.up = tensor
    for name, alpha in alphas.items():  # named after the layer, or after one of its matrices
        told = name.removesuffix(".alpha")
        for layer in {_whole(model, told), _split(model, told)[0]} & pairs.keys():
            pairs[layer].alpha = float(alpha)
    return pairs


def _in_our_names(model: Diffusion, file: Path, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and scales as the library names them."""
    reader = getattr(library("diffusers").loaders, _READERS[model.line.name])
    extra = {"unet_config": model.denoiser.config} if model.line.name == "sdxl" else {}
    if model.line.name.startswith("flux"):
        extra = {"return_alphas": True}
    try:
        with quiet():
            read = reader.lora_state_dict(tensors, **extra)
    except Exception as error:  # a naming that the library does not know for this line
        line = made_for({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        count = len({name.rpartition(".lora_")[0] for name in tensors})
        raise BadInput(
            file.name, _not_made_for(model, 0, count, line), _("Choose a LoRA for this model.")
        ) from error
    if isinstance(read, tuple):
        return read[0], read[1] or {}
    return read, {}


def _split(model: Diffusion, name: str) -> tuple[str, str]:
    """Return ("part.layer", "A" or "B") of a tensor's name; a naming that is not known belongs to neither."""
    legacy = _LEGACY.search(name)
    if legacy is not None:
        layer = "to_out.0" if legacy[1] == "to_out" else legacy[1]
        if name.startswith("text_encoder"):
            layer = _IN_ENCODERS[legacy[1]]
        return _whole(model, f"{name[: legacy.start()]}.{layer}"), "A" if legacy[2] == "down" else "B"
    key = _KEY.fullmatch(name)
    if key is None:
        return name.partition(".lora_")[0], ""
    return _whole(model, key[1]), _SIDES[key[2]]


def _whole(model: Diffusion, name: str) -> str:
    """Return a layer's name with its part; without one it belongs to the denoiser."""
    part = name.partition(".")[0]
    told = part in ("unet", "transformer") or part.startswith("text_encoder")
    return name if told else f"{model.line.denoiser}.{name}"


def _fitting(model: Diffusion, name: str, pair: Pair) -> nn.Module | None:
    """Return the layer that a pair changes, None when the model has none of its sizes."""
    part, _dot, path = name.partition(".")
    owner = model.parts.get(part)
    if not isinstance(owner, nn.Module) or not pair.whole:
        return None
    for candidate in _spellings(path):
        try:
            layer = owner.get_submodule(candidate)
        except AttributeError:
            continue
        weight = getattr(layer, "weight", None)
        if isinstance(layer, nn.Linear | nn.Conv2d) and isinstance(weight, Tensor):
            assert pair.down is not None and pair.up is not None
            if weight.shape == (pair.up.shape[0], *pair.down.shape[1:]):
                return layer
    return None


def _spellings(path: str) -> Iterator[str]:
    """Yield how a layer may be called: newer text encoders have one level less."""
    yield path
    yield path.removeprefix("text_model.")
    yield f"text_model.{path}"
