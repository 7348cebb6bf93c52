"""What a trained image flow can do: walk from noise to pictures, and back; its noise as a space to explore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.nn.flow import Velocity, guided, walk, walk_around, walk_back
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.pictures.common import Pictures, known_class, seeded, shares_of, together
from aigc_desktop.engine.pictures.flow_space import GridSpace, saved_space
from aigc_desktop.engine.pictures.latent import LatentModel, with_class
from aigc_desktop.engine.shortage import in_halves
from aigc_desktop.engine.training.checkpoint import Card, part, read_model
from aigc_desktop.engine.training.data import to_pictures

USUAL_STEPS = 12  # from noise to a picture
USUAL_GUIDANCE = 3.0  # of those tried it gave the least KID, and as many different pictures as none
GUIDED = (0.05, 0.5)  # from when to when it pushes: before it costs variety, after it gains nothing (arXiv:2404.07724)
QUICK_STEPS = 2  # of a picture that is shown while the pointer is dragged
INVERSION_STEPS = 32  # from a picture back to its noise
COARSE_NOISE = 8  # places a side; finer noise decides details, which no direction is made of


@dataclass(frozen=True)
class Model:
    """The network of a checkpoint in evaluation mode, and what its card says of classes."""

    network: Unet
    classes: list[str]
    shares: list[float]
    space: GridSpace | None = None

    @property
    def device(self) -> torch.device:
        """Return where the weights lie."""
        return next(self.network.parameters()).device

    @property
    def size(self) -> int:
        """Return the side of the pictures in pixels."""
        return self.network.shape.size if self.space is None else self.space.encoder.resolution

    def noise(self, generator: torch.Generator) -> Tensor:
        """Return the noise (1, C, S, S) that a picture begins with."""
        shape = self.network.shape
        return torch.randn(1, shape.channels, shape.size, shape.size, generator=generator).to(self.device)

    def paint(
        self, begin: Tensor, label: int | Tensor, steps: int, guidance: float, start: float = 0.0
    ) -> Tensor:
        """Return pictures (B, 3, R, R) from points `begin` at time `start`; a label -1 is any class.

        `label` is that of all, or those (B,) of each, then known ones.
        """
        return self.shown(walk(self._velocity(label, len(begin), guidance), begin, steps, start), label)

    def sample(self, count: int, seed: int) -> Pictures:
        """Return pictures (count, R, R, C) with default settings, for evaluation.

        They are made several at once, which is faster and rounds differently from one at a time.
        """
        size, end = together(self.device), seed + count
        parts = [range(start, min(end, start + size)) for start in range(seed, end, size)]
        return np.concatenate([in_halves(self._some, seeds, self.device) for seeds in parts])

    def _some(self, seeds: Sequence[int]) -> Pictures:
        generators = [seeded(seed) for seed in seeds]
        noise = torch.cat([self.noise(generator) for generator in generators])
        labels = [known_class(-1, self.shares, generator) if self.classes else -1 for generator in generators]
        with torch.inference_mode():
            made = self.paint(noise, torch.tensor(labels, device=self.device), USUAL_STEPS, USUAL_GUIDANCE)
        return to_pictures(made)

    def fill(
        self, known: Tensor, anew: Tensor, label: int, steps: int, guidance: float, generator: torch.Generator
    ) -> Tensor:
        """Return the points `known` (1, C, S, S) with others where `anew` (1, 1, S, S) is not 0."""
        velocity = self._velocity(label, 1, guidance)
        return walk_around(velocity, known, anew, steps, lambda: self.noise(generator))

    def shown(self, points: Tensor, label: int | Tensor) -> Tensor:
        """Return the pictures (B, 3, R, R) of points on the ways' ends."""
        return points if self.space is None else self.space.decode(points, self.told(label, len(points)))

    def point(self, picture: Tensor, label: int) -> Tensor:
        """Return where a picture (1, 3, R, R) is on the ways' ends; `label` -1 is any class."""
        if self.space is None:
            return picture
        with torch.inference_mode():
            return self.space.encode(picture, self.told(label, 1))

    def told(self, label: int | Tensor, count: int) -> Tensor:
        """Return the shares (count, K) of a class, for -1 those of the data, or of the classes (count,)."""
        if not isinstance(label, int) or label >= 0:
            return shares_of(self._each(label, count), len(self.classes))
        return torch.tensor(self.shares[: len(self.classes)], device=self.device).expand(count, -1)

    def _each(self, label: int | Tensor, count: int) -> Tensor:
        return torch.full((count,), label, device=self.device) if isinstance(label, int) else label

    def _velocity(self, label: int | Tensor, count: int, guidance: float) -> Velocity:
        classes = None if isinstance(label, int) and label < 0 else self._each(label, count)
        return lambda x, time: self.velocity(x, time, classes, guidance)

    def velocity(self, x: Tensor, time: float, classes: Tensor | None, guidance: float) -> Tensor:
        """Return how points x change at a time; `classes` are numbers (B,), shares (B, K), or None for any class."""
        times = torch.full((len(x),), time, device=x.device)
        if classes is None or not self.classes:
            return self.network(x, times)
        told = self.network(x, times, classes)
        if guidance == 1 or not GUIDED[0] <= time < GUIDED[1]:
            return told
        return guided(told, self.network(x, times), guidance)


def load_model(card: Card, weights: dict[str, Tensor], device: torch.device) -> Model:
    """Return the model of a checkpoint."""
    shape = UnetShape(**{**card.extra["shape"], "widths": tuple(card.extra["shape"]["widths"])})
    network = Unet(shape)
    network.load_state_dict(part(weights, "network"))
    network.to(device).eval().requires_grad_(False)
    return Model(network, card.extra["classes"], card.extra["shares"], saved_space(card, weights, device))


def latents(folder: Path, device: str) -> LatentModel:
    """Return the model of a checkpoint as one with a latent space: the noise its ways begin with, and class shares."""
    card, weights = read_model(folder)
    model = load_model(card, weights, choose_device(device))
    shape, names = model.network.shape, tuple(model.classes)
    sides = (shape.channels, shape.size, shape.size)
    length = shape.channels * shape.size**2

    def velocity(classes: Tensor) -> Velocity:
        return lambda x, time: model.velocity(x, time, classes, USUAL_GUIDANCE)

    def draw(seed: int, label: int, wildness: float) -> Tensor:
        generator = seeded(seed)
        noise = model.noise(generator).flatten() * wildness
        return with_class(noise, known_class(label, model.shares, generator) if names else -1, len(names))

    def decode(points: Tensor, steps: int) -> Tensor:
        noise, classes = points[:, :length].view(-1, *sides), points[:, length:]
        end = walk(velocity(classes), noise, steps or USUAL_STEPS)
        return end if model.space is None else model.space.decode(end, classes)

    def encode(image: Tensor) -> Tensor:
        shares = model.told(-1, 1)
        noise = walk_back(velocity(shares), model.point(image, -1), INVERSION_STEPS)
        return torch.cat((noise.flatten(), shares[0])).float().cpu()

    def smooth(noise: Tensor) -> Tensor:
        coarse = F.adaptive_avg_pool2d(noise.view(-1, *sides), COARSE_NOISE)
        return F.interpolate(coarse, sides[1:], mode="nearest").flatten(1)

    centre = torch.cat((torch.zeros(length), torch.tensor(model.shares[: len(names)])))
    return LatentModel(
        length, names, (model.size, model.size), model.device, centre, draw, decode, model.sample, encode, smooth,
        QUICK_STEPS,
    )  # fmt: skip
