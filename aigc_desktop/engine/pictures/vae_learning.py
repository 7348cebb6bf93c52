"""Learning the codes of pictures: a step of a VAE, and what held-out pictures say of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc_desktop.engine.nn.diffaugment import moved
from aigc_desktop.engine.nn.variational import bits_per_dimension, draw, kl_per_dimension, reconstruction_nats
from aigc_desktop.engine.pictures.common import ResizedSource, shares_of
from aigc_desktop.engine.pictures.feature_maps import FeatureMaps, feature_distance
from aigc_desktop.engine.pictures.vae_model import Decoder, Encoder
from aigc_desktop.engine.pictures.vae_setup import ImageVaeConfig
from aigc_desktop.engine.training.step import Step

MOST_VALIDATED = 2000
BATCH = 64  # pictures encoded between two chances to stop
ERROR_DECAY = 0.98  # of the running error, per step
ACTIVE = 0.01  # variance of the means above which a latent number says something (arXiv:1509.00519)

Reading = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # pictures, shares of classes: mean and log variance


def learn_codes(
    read: Reading, decoder: Decoder, optimizer: Optimizer, source: ResizedSource, classes: int,
    config: ImageVaeConfig, step: Step, eyes: FeatureMaps | None, share: float = 1.0,
) -> dict[str, Tensor]:  # fmt: skip
    """Take one step on the negative evidence lower bound, per colour value, and the distance in what `eyes` see.

    `share` of all steps learn the codes; the price of the code rises along these.
    """
    values: dict[str, Tensor | None] = {}
    rise, dimensions = share * config.kl_warmup, 3 * int(config.resolution) ** 2
    weight = step.along(lambda progress: min(1.0, progress / rise) if rise else 1.0)
    for indices in step.micro_batches():
        images = moved(source.images(indices), config.shift)
        shares = shares_of(source.labels(indices), classes)
        with step.autocast():
            mean, logvar = read(images, shares)
        with step.autocast():
            copies = decoder(draw(mean, logvar), shares)
        error = (copies - images).square().mean()
        per_dimension = kl_per_dimension(mean, logvar).mean(0)  # (Z,)
        nats = reconstruction_nats(error, dimensions)
        loss = (nats + weight * per_dimension.clamp(min=config.free_bits).sum()) / dimensions
        shown = {
            "recon": nats, "psnr": -10 * torch.log10(error / 4), "kl": per_dimension.sum(), "sigma": error.sqrt(),
        }  # fmt: skip
        if eyes is not None:
            with step.autocast():
                shown["feature_distance"] = _apart(eyes, images, copies)
            loss = loss + config.feature_weight * shown["feature_distance"]
        step.backward(loss)
        values = {name: step.mean(values.get(name), value) for name, value in shown.items()}
        with torch.no_grad():
            decoder.error.lerp_(error.detach(), 1 - ERROR_DECAY if step.number else 1.0)
    step.optimize(optimizer)
    return {name: value for name, value in values.items() if value is not None}


def _apart(eyes: FeatureMaps, images: Tensor, copies: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = eyes(images)
    return feature_distance(eyes(copies), wanted)


def check_codes(
    encoder: Encoder, decoder: Decoder, held_out: ResizedSource, classes: int
) -> Generator[None, None, dict[str, float]]:
    """Return the negative ELBO of held-out pictures in bits per colour value, under the trained variance."""
    error = kl = 0.0
    means = []
    count = min(MOST_VALIDATED, len(held_out))
    for start in range(0, count, BATCH):
        indices = np.arange(start, min(count, start + BATCH))
        images, shares = held_out.images(indices), shares_of(held_out.labels(indices), classes)
        with torch.no_grad():
            mean, logvar = encoder(images, shares)
            copies = decoder(draw(mean, logvar), shares)
        error += float((copies - images).square().mean((1, 2, 3)).sum()) / count
        kl += float(kl_per_dimension(mean, logvar).sum()) / count
        means.append(mean)
        yield
    if not means:
        return {}
    dimensions, variance = images[0].numel(), float(decoder.error)
    nats = 0.5 * dimensions * (math.log(2 * math.pi * variance) + error / variance)
    active = int((torch.cat(means).var(0) > ACTIVE).sum()) if count > 1 else 0
    return {
        "validation_bits": bits_per_dimension(nats + kl, dimensions),
        "validation_psnr": -10 * math.log10(max(error, 1e-8) / 4),
        "active_units": float(active),
    }
