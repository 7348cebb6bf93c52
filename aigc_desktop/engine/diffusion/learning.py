"""How a diffusion model learns: pictures become latents, captions become what the denoiser reads, noise is told.

Models of noise predict the noise or the velocity at one of 1000 levels (arXiv:2006.11239, 2202.00512), weighed by
min-SNR (2303.09556); flow models predict the straight way from picture to noise at a time drawn around the middle
(logit-normal, 2403.03206).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.data.pipeline_lines import FLOW_SCHEDULERS
from aigc_desktop.engine.diffusion.libraries import library, quiet
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.diffusion.stepping import Tell, shown, stepwise

_LEVELS = 1000


@dataclass(frozen=True)
class Told:
    """What text encoders make of captions: hidden states (N, T, D), and one vector (N, P) of each for some lines."""

    hidden: Tensor
    pooled: Tensor | None = None

    def at(self, rows: Tensor, device: torch.device, dtype: torch.dtype) -> Told:
        """Return some of the captions, on a device."""
        pooled = None if self.pooled is None else self.pooled[rows].to(device, dtype)
        return Told(self.hidden[rows].to(device, dtype), pooled)


@dataclass(frozen=True)
class Noisy:
    """Latents with noise: `times` are levels 0 to 999, or the share of noise for flow models; `target` is predicted."""

    latents: Tensor
    times: Tensor
    target: Tensor
    weights: Tensor


def read_captions(model: Diffusion, captions: Sequence[str]) -> Generator[int, None, Told]:
    """Return what the text encoders make of captions, on the processor; yields how many are read."""
    pipeline = model.pipeline(model.line.make)
    takes = inspect.signature(pipeline.encode_prompt).parameters
    hidden, pooled = [], []
    for number, caption in enumerate(captions):
        given: dict[str, Any] = {
            "prompt": caption, "prompt_2": None, "prompt_3": None, "device": model.placement.device,
            "num_images_per_prompt": 1, "do_classifier_free_guidance": False,
        }  # fmt: skip

        def read(_tell: Tell, given: dict[str, Any] = given) -> Any:
            with torch.no_grad(), quiet():
                return pipeline.encode_prompt(**{name: value for name, value in given.items() if name in takes})

        out = yield from shown(stepwise(read), lambda _told, number=number: number)  # type: ignore[misc]
        hidden.append(out[0].cpu())
        vector = {"sdxl": 2, "sd3": 2, "flux": 1}.get(model.line.name)
        if vector is not None:
            pooled.append(out[vector].cpu())
    return Told(torch.cat(hidden), torch.cat(pooled) if pooled else None)


@torch.no_grad()
def to_latents(model: Diffusion, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and spread (B, C, h, w) of latents, scaled for the denoiser, of pictures (B, 3, S, S) in [-1, 1]."""
    vae = model.parts["vae"]
    encoded = vae.encode(images.to(model.placement.device, vae.dtype))
    if hasattr(encoded, "latent_dist"):
        mean, spread = encoded.latent_dist.mean, encoded.latent_dist.std
    else:  # a small autoencoder that has no spread
        mean, spread = encoded.latents, torch.zeros_like(encoded.latents)
    scale = float(vae.config.scaling_factor)
    shift = float(getattr(vae.config, "shift_factor", None) or 0.0)
    return ((mean.float() - shift) * scale).cpu(), (spread.float() * scale).cpu()


class Noiser:
    """Puts noise on latents as the model's scheduler wants it, and says what is to be predicted."""

    def __init__(self, model: Diffusion, size: tuple[int, int], snr_gamma: float) -> None:
        scheduler = model.parts["scheduler"]
        self.flow = type(scheduler).__name__ in FLOW_SCHEDULERS
        self.device, self.gamma = model.placement.device, snr_gamma
        if self.flow:
            self.shift = _shift(scheduler.config, math.prod(size) // (2 * model.compression) ** 2)
            return
        self.kind: str = scheduler.config.prediction_type
        self.kept = scheduler.alphas_cumprod.to(self.device).float()

    def draw(self, latents: Tensor) -> Noisy:
        """Return latents (B, C, h, w) with noise of levels drawn at random."""
        count = len(latents)
        if self.flow:
            middle = torch.randn(count, device=self.device).sigmoid()
            return self.at(latents, self.shift * middle / (1 + (self.shift - 1) * middle), torch.randn_like(latents))
        times = torch.randint(len(self.kept), (count,), device=self.device)
        return self.at(latents, times, torch.randn_like(latents))

    def evenly(self, count: int) -> Tensor:
        """Return `count` levels that are evenly spread, the same every time."""
        middle = (torch.arange(count, device=self.device) + 0.5) / count
        return middle if self.flow else (middle * len(self.kept)).long()

    def at(self, latents: Tensor, times: Tensor, noise: Tensor) -> Noisy:
        """Return latents with this noise at these levels."""
        if self.flow:
            share = times.view(-1, 1, 1, 1)
            return Noisy((1 - share) * latents + share * noise, times, noise - latents, torch.ones_like(times))
        kept = self.kept[times]
        clean, spoilt = kept.sqrt().view(-1, 1, 1, 1), (1 - kept).sqrt().view(-1, 1, 1, 1)
        targets = {"epsilon": noise, "v_prediction": clean * noise - spoilt * latents, "sample": latents}
        return Noisy(clean * latents + spoilt * noise, times, targets[self.kind], self._weights(kept))

    def _weights(self, kept: Tensor) -> Tensor:
        """Return what each level counts: min(SNR, gamma) over what the prediction makes of it (arXiv:2303.09556)."""
        ratio = kept / (1 - kept).clamp(min=1e-8)
        if not self.gamma:
            return torch.ones_like(ratio)
        least = ratio.clamp(max=self.gamma)
        return least / {"epsilon": ratio, "v_prediction": ratio + 1, "sample": torch.ones_like(ratio)}[self.kind]


def _shift(settings: Any, tokens: int) -> float:
    """Return how far a flow model's times lean towards noise, which for some grows with the patches of a picture."""
    if not settings.get("use_dynamic_shifting"):
        return float(settings.get("shift") or 1.0)
    low, high = float(settings.base_shift), float(settings.max_shift)
    share = (tokens - settings.base_image_seq_len) / (settings.max_image_seq_len - settings.base_image_seq_len)
    return math.exp(low + share * (high - low))


def predict(model: Diffusion, network: Any, noisy: Noisy, told: Told) -> Tensor:
    """Return what the denoiser makes of noisy latents, (B, C, h, w)."""
    dtype = next(network.parameters()).dtype
    latents = noisy.latents.to(dtype)
    match model.line.name:
        case "sd":
            return network(latents, noisy.times, told.hidden).sample
        case "sdxl":
            height, width = (float(count * model.compression) for count in latents.shape[2:])
            sizes = torch.tensor([[height, width, 0.0, 0.0, height, width]], device=latents.device, dtype=dtype)
            extra = {"text_embeds": told.pooled, "time_ids": sizes.expand(len(latents), -1)}
            return network(latents, noisy.times, told.hidden, added_cond_kwargs=extra).sample
        case "sd3":
            return network(
                latents, encoder_hidden_states=told.hidden, pooled_projections=told.pooled,
                timestep=noisy.times * _LEVELS,
            ).sample  # fmt: skip
    return _flux(network, latents, noisy.times.to(dtype), told)


def _flux(network: Any, latents: Tensor, times: Tensor, told: Told) -> Tensor:
    """Return FLUX's prediction; it reads patches of 2 by 2 latents in a row, with their places."""
    pipeline = library("diffusers").FluxPipeline
    batch, channels, height, width = latents.shape
    packed = pipeline._pack_latents(latents, batch, channels, height, width)  # (B, h/2 * w/2, 4 C)
    places = pipeline._prepare_latent_image_ids(batch, height // 2, width // 2, latents.device, latents.dtype)
    words = torch.zeros(told.hidden.shape[1], 3, device=latents.device, dtype=latents.dtype)
    guidance = torch.ones(batch, device=latents.device) if network.config.guidance_embeds else None
    out = network(
        hidden_states=packed, timestep=times, guidance=guidance, pooled_projections=told.pooled,
        encoder_hidden_states=told.hidden, txt_ids=words, img_ids=places,
    ).sample  # fmt: skip
    patches = out.view(batch, height // 2, width // 2, channels, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)


def loss_of(told: Tensor, noisy: Noisy) -> Tensor:
    """Return the weighed mean squared error of a prediction."""
    errors = F.mse_loss(told.float(), noisy.target.float(), reduction="none").mean((1, 2, 3))
    return (errors * noisy.weights).mean()
