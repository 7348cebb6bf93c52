"""What a step of a LoRA costs: counted on a denoiser that has shapes but neither weights nor numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from aigc_desktop.data.found_model import read_config
from aigc_desktop.data.model_files import FoundModel
from aigc_desktop.data.pipeline_lines import Line, line_of
from aigc_desktop.engine.diffusion.learning import Noisy, Told, predict
from aigc_desktop.engine.diffusion.libraries import class_of, quiet
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.diffusion.memory import Placement
from aigc_desktop.engine.diffusion.trainee import layers_of

_META = torch.device("meta")
_TOKENS = {"sd": 77, "sdxl": 77, "sd3": 77 + 256, "flux": 512}
_KEPT_WHEN_SAVING = 0.2  # of the numbers kept for gradients, when they are worked out twice


@dataclass(frozen=True)
class Cost:
    """Of one picture: billions of operations forward, numbers kept for gradients; and how many weights learn."""

    gigaflops: float
    kept: int
    learned: int

    def activations(self, saving: bool) -> float:
        """Return the numbers kept for the gradients."""
        return self.kept * (_KEPT_WHEN_SAVING if saving else 1.0)


def native_of(found: FoundModel) -> tuple[int, int]:
    """Return the side of the pictures a model was made for, and what sides must be a multiple of."""
    model = shapes_of(found)
    return model.side, model.multiple


def shapes_of(found: FoundModel, title: str = "") -> Diffusion:
    """Return a model that knows its settings only."""
    denoiser = cast(Line, line_of(found.architecture)).denoiser
    return _shapes(found, SimpleNamespace(config=_config(found, denoiser)), title)


def cost_of(found: FoundModel, size: tuple[int, int], layers: str, rank: int) -> Cost:
    """Return what learning from a picture of this width and height costs."""
    return _cost(found.folder, found.architecture, found.parts[cast(Line, line_of(found.architecture)).denoiser],
                 size, layers, rank)  # fmt: skip


@functools.lru_cache(maxsize=32)
def _cost(folder: Path, architecture: str, kind: str, size: tuple[int, int], layers: str, rank: int) -> Cost:
    from torch.utils.flop_counter import FlopCounterMode  # the catalogue loads without it

    line = cast(Line, line_of(architecture))
    with _META, quiet():
        network = class_of(kind).from_config(read_config(folder / line.denoiser / "config.json"))
        model = _shapes(SimpleNamespace(folder=folder, architecture=architecture), network)
        network.train().requires_grad_(False)
        chosen = [network.get_submodule(name) for name in layers_of(network, layers)]
        for layer in chosen:  # what they keep for the gradients is what their adapters would
            layer.weight.requires_grad_(True)
        weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.untyped_storage()._cdata not in weights:
                kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        width, height = (pixels // model.compression for pixels in size)
        latents = torch.zeros(1, _channels(line, network), height, width)
        noisy = Noisy(latents, torch.zeros(1), latents, torch.ones(1))
        counter = FlopCounterMode(display=False)
        with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            predict(model, network, noisy, _told(line, network))
    learned = sum(rank * (layer.in_features + layer.out_features) for layer in chosen)
    return Cost(counter.get_total_flops() / 1e9, sum(tensor.numel() for tensor in kept.values()), learned)


def _shapes(found: Any, network: Any, title: str = "") -> Diffusion:
    """Return a model without weights that knows its sizes."""
    line = cast(Line, line_of(found.architecture))
    vae = SimpleNamespace(config=_config(found, "vae"))
    return Diffusion(line, title, {line.denoiser: network, "vae": vae}, {}, Placement(_META, torch.float32))


def _config(found: Any, part: str) -> SimpleNamespace:
    return SimpleNamespace(**read_config(found.folder / part / "config.json"))


def _channels(line: Line, network: Any) -> int:
    return int(network.config.in_channels) // (4 if line.name == "flux" else 1)


def _told(line: Line, network: Any) -> Told:
    settings, tokens = network.config, _TOKENS[line.name]
    if line.denoiser == "transformer":
        pooled = torch.zeros(1, settings.pooled_projection_dim)
        return Told(torch.zeros(1, tokens, settings.joint_attention_dim), pooled)
    hidden = torch.zeros(1, tokens, settings.cross_attention_dim)
    if line.name == "sd":
        return Told(hidden)
    width = settings.projection_class_embeddings_input_dim - 6 * settings.addition_time_embed_dim
    return Told(hidden, torch.zeros(1, width))
