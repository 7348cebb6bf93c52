"""One training of a LoRA for a diffusion model: what learns, a step, held-out pictures, samples, and its files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note, Progress, Sample
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.pipeline_files import LORA_WEIGHTS
from aigc_desktop.engine import device as devices
from aigc_desktop.engine.diffusion.learning import Noiser, loss_of, predict
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.diffusion.material import Material, Part
from aigc_desktop.engine.diffusion.painting import Painter, Wish, guidance_of, steps_of
from aigc_desktop.engine.diffusion.stepping import shown
from aigc_desktop.engine.diffusion.train_setup import LoraTrainConfig
from aigc_desktop.engine.nn.lora import add_lora, load_lora, lora_state
from aigc_desktop.engine.training.data import Indices, Sampler
from aigc_desktop.engine.training.loop import Trainee
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.weights import read_tensors, write_tensors

FAMILY = "diffusion"
PREVIEW_PICTURES = 2
MOST_VALIDATED = 32  # pictures
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


class Adapters(nn.Module):
    """The LoRA inside a denoiser: its state is what learns only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the thin matrices under the names of their layers in the denoiser."""
        return lora_state(self.network)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take back what `state_dict` gave; RuntimeError when it is of another LoRA."""
        try:
            load_lora(self.network, state_dict)
        except ValueError as error:
            raise RuntimeError(str(error)) from error


def layers_of(network: nn.Module, which: str) -> list[str]:
    """Return the names of the linear layers that learn: those of attention, or "all" inside of blocks."""
    return [
        name for name, layer in network.named_modules()
        if type(layer) is nn.Linear and (name.endswith(tuple(f".{end}" for end in ATTENTION))
                                         or (which == "all" and "blocks." in name))
    ]  # fmt: skip


def add_adapters(model: Diffusion, layers: list[str], rank: int, alpha: float, dropout: float = 0.0) -> None:
    """Give layers of a model's denoiser thin matrices that change nothing yet, where the model computes."""
    add_lora(model.denoiser, layers, rank, alpha, dropout)
    model.denoiser.eval()


@dataclass(frozen=True)
class Base:
    """The imported model a LoRA belongs to: its id, and the hash of its weights."""

    id: str
    hash: str


class LoraTrainee(Trainee):
    """A diffusion model that learns by a LoRA."""

    family, unit, generates = FAMILY, N_("pictures"), ("adapters",)

    def __init__(
        self, config: LoraTrainConfig, model: Diffusion, material: Material, base: Base, size: tuple[int, int],
        precision: str, caption: str,
    ) -> None:  # fmt: skip
        self.config, self.model, self.material, self.base = config, model, material, base
        self.size, self.precision, self.device = size, precision, model.placement.device
        self.prompt = config.preview_prompt.strip() or caption
        network = model.denoiser
        self.layers = layers_of(network, config.layers)
        torch.manual_seed(config.seed)
        add_adapters(model, self.layers, config.rank, config.alpha, config.lora_dropout)
        network.train()
        if config.checkpointing:
            network.enable_gradient_checkpointing()
        self.adapters = Adapters(network)
        self.modules = {"adapters": self.adapters}
        self.optimizer = adamw([self.adapters], config.lr, config.weight_decay, (0.9, 0.999))
        self.optimizers = {"adapters": self.optimizer}
        self.sampler = Sampler(len(material.train), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.noiser = Noiser(model, size, config.snr_gamma)

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the error of the predicted noise, velocity or way."""
        total: Tensor | None = None
        for indices in step.micro_batches():
            latents = self.material.train.latents(indices, self.device)
            noisy = self.noiser.draw(latents)
            rows = self.material.train.captions[torch.from_numpy(indices)]
            left_out = torch.rand(len(rows)) < self.config.caption_dropout
            rows = rows.masked_fill(left_out, self.material.empty)
            with step.autocast():
                loss = loss_of(predict(self.model, self.adapters.network, noisy, self._told(rows)), noisy)
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(self.optimizer)}

    def _told(self, rows: Tensor) -> Any:
        return self.material.told.at(rows, self.device, next(self.model.denoiser.parameters()).dtype)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the error of held-out pictures at the same levels and noises each time."""
        part: Part = self.material.validation
        count = min(MOST_VALIDATED, len(part))
        generator, total = torch.Generator().manual_seed(self.config.seed), 0.0
        network, levels = cast(Adapters, models["adapters"]).network, self.noiser.evenly(max(1, count))
        for number in range(count):
            indices: Indices = np.array([number])
            latents = part.latents(indices, self.device, drawn=False)
            noise = torch.randn(latents.shape, generator=generator).to(self.device)
            noisy = self.noiser.at(latents, levels[number : number + 1], noise)
            with torch.no_grad(), devices.autocast(self.precision, self.device):
                told = predict(self.model, network, noisy, self._told(part.captions[torch.from_numpy(indices)]))
                total += float(loss_of(told, noisy))
            yield
        return {"val_loss": total / count} if count else {}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Make pictures of the same seeds, as Create makes them; a Note when the memory does not suffice."""
        wish = wish_of(self.model, self.prompt, self.size)
        painter = Painter(self.model, "make", wish, PREVIEW_PICTURES, stays=True)
        seeds = range(self.config.seed, self.config.seed + PREVIEW_PICTURES)
        progress = Progress(step, self.config.steps, _("Making samples"))
        try:
            pictures, _labels = yield from shown(painter.make(seeds), lambda _told: progress)
        except UserError as error:
            if error.kind != "OutOfMemory":
                raise
            yield Note(_("Memory is too short for samples while training."), "warning", step)
        else:
            yield Sample(step, pictures, tuple(seeds))

    def card(self) -> dict[str, Any]:
        """Return what `trained.py` needs: the model it belongs to, the layers, and what the samples show."""
        return {
            "base": self.base.id, "base_hash": self.base.hash, "line": self.model.line.name, "layers": self.layers,
            "prompt": self.prompt, "size": list(self.size), "precision": self.precision,
        }  # fmt: skip

    def write_files(self, folder: Path) -> None:
        """Write the LoRA once more as other programs read it: the strength is inside the second matrix."""
        scale = self.config.alpha / self.config.rank
        tensors = read_tensors(folder / "model.safetensors")
        write_tensors(folder / LORA_WEIGHTS, {
            f"{self.model.line.denoiser}.{name.removeprefix('adapters.')}":
                tensor * scale if ".lora_B." in name else tensor
            for name, tensor in tensors.items()
        })  # fmt: skip


def wish_of(model: Diffusion, prompt: str, size: tuple[int, int]) -> Wish:
    """Return what a sample of a training is to be."""
    return Wish(prompt, "", *size, steps_of(model), guidance_of(model))
