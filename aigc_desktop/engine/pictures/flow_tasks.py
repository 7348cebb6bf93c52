"""What a trained image flow makes: new pictures, given ones varied, filled, extended or blended, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.config import param
from aigc_desktop.core.events import Event, EventStream, Progress, Sample
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.nn.canvas import Windows
from aigc_desktop.engine.nn.variational import between as along_arc
from aigc_desktop.engine.pictures.common import (
    CHUNK,
    CreateConfig,
    Pictures,
    class_field,
    class_index,
    guidance_field,
    known_class,
    load_trained,
    one_by_one,
    open_mask,
    open_picture,
    seeded,
)
from aigc_desktop.engine.pictures.extending import SidesConfig, stream_extended
from aigc_desktop.engine.pictures.flow_model import USUAL_GUIDANCE, USUAL_STEPS, Model, load_model
from aigc_desktop.engine.pictures.making import MakeConfig, stream_samples
from aigc_desktop.engine.training.checkpoint import read_model


class FlowConfig(CreateConfig):
    """Settings of every task of a trained flow."""

    label: str = class_field()
    walk_steps: int = param(
        USUAL_STEPS, N_("Steps per picture"),
        N_("More steps take longer; 6 are quick, 12 are good, above 24 changes little."),
        ge=1, le=200,
    )  # fmt: skip
    guidance: float = guidance_field(USUAL_GUIDANCE)


class NewConfig(FlowConfig, MakeConfig):
    """Settings of the tasks that make one picture for each seed."""


class GenerateConfig(NewConfig):
    """Settings of making new pictures."""


class VaryConfig(NewConfig):
    """Settings of making variants of a given picture."""

    picture: Path = param(..., N_("Picture"), N_("The picture to vary; its centre is used."), kind=FieldKind.FILE)
    strength: float = param(
        0.6, N_("Strength"), N_("How much may change: 0.3 changes details, 0.6 shapes, 1 everything."), ge=0.0, le=1.0
    )


class FillConfig(NewConfig):
    """Settings of painting a part of a picture anew."""

    picture: Path = param(..., N_("Picture"), N_("The picture to change; its centre is used."), kind=FieldKind.FILE)
    mask: Path = param(
        ..., N_("Mask"), N_("A picture of the same form: what is white in it is painted anew."), kind=FieldKind.MASK
    )


class ExtendConfig(SidesConfig, FlowConfig):
    """Settings of extending a picture beyond its borders."""


class InterpolateConfig(FlowConfig):
    """Settings of going from one new picture to another in `count` steps."""

    to_seed: int = param(1, N_("To seed"), N_("Number of the picture where the way ends."), ge=0, le=2**53)


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make new pictures; the seed of each decides it alone."""
    model, label = _opened(config, run)
    yield from _stream(config, run, model, label, lambda noise, which, _generator: model.paint(
        noise, which, config.walk_steps, config.guidance
    ))  # fmt: skip


def vary(config: VaryConfig, run: Run) -> EventStream:
    """Make variants of a picture: it is mixed with noise, and the way goes on from there."""
    model, label = _opened(config, run)
    picture = model.point(open_picture(config.picture, model.size).to(model.device), label)
    start = 1.0 - config.strength
    yield from _stream(config, run, model, label, lambda noise, which, _generator: model.paint(
        torch.lerp(noise, picture, start), which, config.walk_steps, config.guidance, start
    ))  # fmt: skip


def fill(config: FillConfig, run: Run) -> EventStream:
    """Paint a part of a picture anew; the rest stays as it is, to the bit."""
    model, label = _opened(config, run)
    picture = open_picture(config.picture, model.size).to(model.device)
    mask = open_mask(config.mask, model.size, config.picture).to(model.device)
    known, anew = model.point(picture, label), F.max_pool2d(mask, model.size // model.network.shape.size)

    def paint(_noise: Tensor, which: int, generator: torch.Generator) -> Tensor:
        points = model.fill(known, anew, which, config.walk_steps, config.guidance, generator)
        return torch.where(mask > 0, model.shown(points, which), picture)

    yield from _stream(config, run, model, label, paint)


def extend(config: ExtendConfig, run: Run) -> EventStream:
    """Extend a picture beyond its borders; where no class is asked for, none is drawn: the picture says more."""
    model, label = _opened(config, run)

    def draw(places: Tensor, known: Tensor, generator: torch.Generator) -> Tensor:
        return model.fill(places, (~known)[None, None], label, config.walk_steps, config.guidance, generator)

    side = model.network.shape.size
    windows = Windows(
        side, model.size // side, lambda picture: model.point(picture, label), lambda places: model.shown(places, label)
    )
    names = ("" if label < 0 else model.classes[label],) if model.classes else ()
    yield from stream_extended(config, windows, draw, model.device, names)


def interpolate(config: InterpolateConfig, run: Run) -> EventStream:
    """Show the way between two new pictures, along an arc between their noises."""
    model, label = _opened(config, run)
    ends = [model.noise(seeded(seed)) for seed in (config.seed, config.to_seed)]
    for start in range(0, config.count, CHUNK):
        places = range(start, min(config.count, start + CHUNK))

        def frame(place: int) -> Tensor:
            noise = along_arc(ends[0].flatten(), ends[1].flatten(), place / max(1, config.count - 1))
            return model.paint(noise.view_as(ends[0]), label, config.walk_steps, config.guidance)

        yield Sample(start, one_by_one(frame, places), role="interpolation")
        yield Progress(places[-1] + 1, config.count, unit=N_("pictures"))


def _opened(config: FlowConfig, run: Run) -> tuple[Model, int]:
    card, weights, device, _trained = load_trained(config, run)
    return load_model(card, weights, device), class_index(card, config.label)


def _stream(
    config: NewConfig, run: Run, model: Model, label: int, paint: Callable[[Tensor, int, torch.Generator], Tensor]
) -> Iterator[Event]:
    """Yield Samples of `config.count` pictures; `paint` makes one of its noise, its class and what it draws besides."""
    labels: list[int] = []

    def make(seed: int) -> Tensor:
        generator = seeded(seed)
        noise = model.noise(generator)
        labels.append(known_class(label, model.shares, generator) if model.classes else -1)
        return paint(noise, labels[-1], generator)

    def several(seeds: Sequence[int]) -> tuple[Pictures, tuple[str, ...]]:
        labels.clear()
        pictures = one_by_one(make, seeds)
        return pictures, tuple(model.classes[number] for number in labels) if model.classes else ()

    yield from stream_samples(several, config, run)


def sampler(folder: Path, device: str) -> Callable[[int, int], Pictures]:
    """Return a function (count, seed) -> pictures (count, H, W, C) of a checkpoint, for evaluation."""
    return load_model(*read_model(folder), choose_device(device)).sample
