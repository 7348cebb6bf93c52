"""The part of a GAN's training before the game: both networks learn to copy pictures through a narrow code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from aigc_desktop.engine.nn.convnet import Encoder, Generator, Trunk
from aigc_desktop.engine.nn.variational import draw, kl_per_dimension, reconstruction_nats
from aigc_desktop.engine.pictures.gan_setup import ImageGanConfig
from aigc_desktop.engine.training.data import Indices, on_device
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step

MOST_CODES = 20_000  # pictures whose codes are remembered while copying

Batch = Callable[[Any], tuple[Tensor, Tensor]]
"""Indices -> pictures (B, C, H, W) and their classes (B,)."""


class Copying:
    """Encode with the discriminator's trunk, decode with the generator; a σ-VAE in all but name.

    `codes` (N + 1, Z) holds the latest code of each picture, where `coded` (N + 1,) says so.
    """

    def __init__(self, config: ImageGanConfig, painter: Generator, trunk: Trunk, pictures: int) -> None:
        device = next(trunk.parameters()).device
        self.painter, self.trunk = painter, trunk
        self.encoder = Encoder(trunk.features, config.latent).to(device)
        self.optimizer = adamw([painter, trunk, self.encoder], config.copy_lr)
        self.steps, self.all_steps = round(config.copy_share * config.steps), config.steps
        self.remembered = min(MOST_CODES, pictures)
        self.codes = torch.zeros(self.remembered + 1, config.latent, device=device)  # the last one is of all others
        self.coded = torch.zeros(self.remembered + 1, dtype=torch.bool, device=device)

    def train_step(self, step: Step, batch: Batch) -> dict[str, Tensor]:
        """Take one step of copying; the price of the code rises."""
        error: Tensor | None = None
        price: Tensor | None = None
        for indices in step.micro_batches():
            images, labels = batch(indices)
            with step.autocast():
                mean, logvar = self.encoder(self.trunk(images))
            code = draw(mean, logvar)
            with step.autocast():
                copies = self.painter(code, labels)
            self._remember(indices, code.detach())
            squared = (copies.float() - images).square().mean()
            kl = kl_per_dimension(mean, logvar).sum(1).mean()
            dimensions = images[0].numel()
            weight = step.along(lambda progress: min(1.0, 2 * progress * self.all_steps / self.steps))
            step.backward((reconstruction_nats(squared, dimensions) + weight * kl) / dimensions)
            error, price = step.mean(error, squared), step.mean(price, kl)
        step.optimize(self.optimizer)
        assert error is not None and price is not None
        return {"copy_error": error, "copy_kl": price}

    def rate_factor(self, number: int) -> float:
        """Return what the learning rate is multiplied by in a step: it falls in a line."""
        return max(0.05, 1 - number / max(1, self.steps))

    def finish(self, classes: Callable[[Any], Tensor]) -> None:
        """Let the generator draw from Gaussians fitted to the codes; `classes` gives those of pictures by place."""
        known = self.coded[:-1].cpu().nonzero()[:, 0]
        if len(known) > 1:
            self.painter.fit_codes(self.codes.cpu()[known], classes(known.numpy()).cpu())

    def _remember(self, indices: Indices | Tensor, codes: Tensor) -> None:
        places = on_device(indices, codes.device).clamp(max=self.remembered)
        self.codes.index_copy_(0, places, codes)
        self.coded.index_fill_(0, places, 1)

    def state(self) -> dict[str, Tensor]:
        """Return what decides what the generator draws from after copying, and how long that is."""
        return {"codes": self.codes[:-1], "coded": self.coded[:-1], "copying_steps": torch.tensor(self.steps)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.codes[:-1] = tensors["codes"]
        self.coded[:-1] = tensors["coded"]
        self.steps = int(tensors.get("copying_steps", self.steps))
