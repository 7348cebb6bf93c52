"""What a trained image VAE can do: draw points of its density, decode them, copy pictures.

A point (D + K,) is a code, then the share of each class, as in engine/pictures/latent.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.density import LatentDensity
from aigc_desktop.engine.nn.resnet import PictureDecoder, PictureEncoder
from aigc_desktop.engine.nn.spatial import SpatialDecoder, SpatialEncoder
from aigc_desktop.engine.pictures.common import (
    CHUNK,
    Pictures,
    ResizedSource,
    known_class,
    one_by_one,
    seeded,
    shares_of,
)
from aigc_desktop.engine.pictures.latent import with_class
from aigc_desktop.engine.training.checkpoint import Card, part
from aigc_desktop.engine.training.data import Indices, to_pictures

Encoder = PictureEncoder | SpatialEncoder
Decoder = PictureDecoder | SpatialDecoder


def networks(spatial: bool) -> tuple[type[Encoder], type[Decoder]]:
    """Return the kinds of encoder and decoder whose code is a grid, or one for the whole picture."""
    return (SpatialEncoder, SpatialDecoder) if spatial else (PictureEncoder, PictureDecoder)


@dataclass(frozen=True)
class VaeModel:
    """Networks and density, the names of the K classes they know apart and the shares of these in the data."""

    encoder: Encoder
    decoder: Decoder
    density: LatentDensity
    classes: Sequence[str] = ()
    shares: Sequence[float] = ()

    @property
    def device(self) -> torch.device:
        """Return where the networks are."""
        return self.decoder.error.device

    def draw(self, seed: int, label: int = -1, wildness: float = 1.0) -> Tensor:
        """Return the point (D + K,) of a seed, in the class `label`, or for -1 in one that the seed decides too."""
        generator = seeded(seed)
        which = known_class(label, list(self.shares), generator) if self.classes else 0
        return with_class(self.density.sample(generator, wildness, which), which, len(self.classes))

    def decode(self, points: Tensor) -> Tensor:
        """Return the pictures (B, 3, H, W) of points (B, D + K)."""
        latent = self.decoder.latent
        pictures: Tensor = self.decoder(points[:, :latent], points[:, latent:])
        return pictures

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Return the point (D + K,) of a picture (1, 3, H, W), in the class whose copy comes nearest to it."""
        count = len(self.classes)
        tried = torch.eye(count, device=image.device) if count else torch.zeros(1, 0, device=image.device)
        points, errors = [], []
        for shares in tried.split(CHUNK):
            mean, _logvar = self.encoder(image.expand(len(shares), -1, -1, -1), shares)
            points.append(torch.cat((mean, shares), 1))
            errors.append((self.decode(points[-1]) - image).square().mean((1, 2, 3)))
        return torch.cat(points)[torch.cat(errors).argmin()].float().cpu()

    def paint(self, seeds: Sequence[int], label: int = -1, wildness: float = 1.0) -> tuple[Pictures, tuple[str, ...]]:
        """Return new pictures (N, H, W, 3), each decided by its seed alone, and their classes."""
        points = [self.draw(seed, label, wildness) for seed in seeds]
        pictures = one_by_one(lambda i: self.decode(points[i][None].to(self.device)), range(len(points)))
        labels = [int(point[self.decoder.latent :].argmax()) for point in points] if self.classes else []
        return pictures, tuple(self.classes[label] for label in labels)

    def copied(self, source: ResizedSource, indices: Indices) -> Pictures:
        """Return pictures (2N, H, W, 3): each original followed by what the decoder makes of its mean code."""
        return copied(self.encoder, self.decoder, source, indices, len(self.classes))

    def shares_of(self, labels: Tensor) -> Tensor:
        """Return the shares (B, K) of classes (B,); pictures without a label are in the last one."""
        return shares_of(labels, len(self.classes))


def copied(
    encoder: Encoder, decoder: Decoder, source: ResizedSource, indices: Indices, classes: int
) -> Pictures:
    """Return pictures (2N, H, W, 3): each original followed by what the decoder makes of its mean code."""
    with torch.inference_mode():
        pairs = []
        for index in indices:
            image, shares = source.images(np.array([index])), shares_of(source.labels(np.array([index])), classes)
            pairs += [image, decoder(encoder(image, shares)[0], shares)]
        return to_pictures(torch.cat(pairs))


def load_model(card: Card, weights: dict[str, Tensor], device: torch.device) -> VaeModel:
    """Return the model of a checkpoint in evaluation mode, the density on the processor."""
    classes: list[str] = card.extra.get("classes", [])  # versions saved by earlier releases know none
    modules = new_modules(card.extra, len(classes))
    for name, module in modules.items():
        module.load_state_dict(part(weights, name))
        module.eval().requires_grad_(False).to(device if name != "density" else "cpu")
    return model_of(modules, classes, card.extra.get("shares", []))


def new_modules(extra: Mapping[str, Any], classes: int) -> dict[str, nn.Module]:
    """Return untrained encoder, decoder and density with the sizes on a card."""
    encoder, decoder = new_networks(extra, classes)
    density = LatentDensity(extra["latent"], extra["components"], classes)
    return {"encoder": encoder, "decoder": decoder, "density": density}


def new_networks(extra: Mapping[str, Any], classes: int) -> tuple[Encoder, Decoder]:
    """Return untrained encoder and decoder with the sizes on a card."""
    widths, blocks, latent = tuple(extra["widths"]), extra["blocks"], extra["latent"]
    encoder, decoder = networks(extra.get("spatial", False))
    return (
        encoder(int(extra["resolution"]), widths, blocks, latent, classes),
        decoder(widths[::-1], blocks, latent, classes),
    )


def model_of(modules: Mapping[str, nn.Module], classes: Sequence[str], shares: Sequence[float]) -> VaeModel:
    """Return the model that modules make up, trained ones or their averages."""
    return VaeModel(
        cast(Encoder, modules["encoder"]), cast(Decoder, modules["decoder"]),
        cast(LatentDensity, modules["density"]), classes, shares,
    )  # fmt: skip


def first_of_each_class(labels: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """Return the places of `count` pictures with classes (N,): the first of each class, then the second, and so on."""
    order = np.argsort(labels, kind="stable")
    _classes, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(starts, counts)
    return np.sort(np.argsort(rank, kind="stable")[:count])
