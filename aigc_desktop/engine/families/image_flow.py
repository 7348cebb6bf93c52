"""Image flow: a U-Net learns how noise becomes a picture along straight ways (rectified flow, arXiv:2209.03003).

Slower to write than a GAN and steadier to train. The same network varies a given picture, fills a part of it, extends
it, and goes from one new picture to another. On demand it walks among the grids of a VAE instead of pictures
(arXiv:2112.10752), which it learns first unless a trained one is chosen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Event, EventStream, Progress, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.nn.flow import between, draw_times
from aigc_desktop.engine.nn.hinted import hinted_augment
from aigc_desktop.engine.nn.unet import Unet
from aigc_desktop.engine.pictures import flow_tasks as tasks
from aigc_desktop.engine.pictures.common import ResizedSource, class_names, known_class, painted, seeded, shares_of
from aigc_desktop.engine.pictures.feature_maps import eyes_of
from aigc_desktop.engine.pictures.flow_model import USUAL_GUIDANCE, USUAL_STEPS, Model, latents
from aigc_desktop.engine.pictures.flow_setup import STARTER, ImageFlowConfig, plan
from aigc_desktop.engine.pictures.flow_space import GridSpace, chosen_space, new_space
from aigc_desktop.engine.pictures.vae_learning import check_codes, learn_codes
from aigc_desktop.engine.pictures.vae_model import copied
from aigc_desktop.engine.pictures.warm_start import Origin, beginning, starter
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.training.two_parts import TwoPartTrainee

PREVIEW_CELLS = 16
MOST_VALIDATED, VALIDATED_AT_ONCE = 512, 32


def train(config: ImageFlowConfig, run: Run) -> EventStream:
    """Train a flow on the pictures of a data set."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    classes, _shares = class_names(dataset, config.use_labels)
    chosen = chosen_space(run, config.autoencoder, classes, device) if config.autoencoder else None
    trainee = FlowTrainee(config, dataset, device, chosen)
    if chosen is not None and not run.checkpoints():
        yield from chosen.fit_scale(trainee.still, len(classes))
    if origin := beginning(config, run, trainee.family, lambda: starter(STARTER)):
        yield from trainee.begin_with(origin)
    yield from fit(config, run, trainee)


class FlowTrainee(TwoPartTrainee):
    """The network and one step of training: of the codes first, if any are to be learned, then of the flow."""

    family, unit, first = "image_flow", N_("pictures"), "codes"

    def __init__(
        self, config: ImageFlowConfig, dataset: Dataset, device: torch.device, chosen: GridSpace | None = None
    ) -> None:
        self.config, self.device = config, device
        self.first_steps, self.warmup = config.code_steps(), config.warmup
        self.classes, self.shares = class_names(dataset, config.use_labels)
        known = len(self.classes)
        self.code_config = config.code_config()
        space = new_space(self.code_config, self.classes, device) if self.first_steps else chosen
        self.space = space
        self.size = int(config.resolution) if space is None else space.encoder.resolution
        self.shape = config.shape(known) if space is None else config.grid_shape(known, space.channels)
        self.network = Unet(self.shape).to(device)
        self.modules = {"network": self.network} if space is None else {"network": self.network, "space": space}
        self.generates = tuple(self.modules)
        self.optimizers = {"network": adamw([self.network], config.lr, config.weight_decay)}
        self.eyes = None
        if self.first_steps and space is not None:
            self.optimizers["codes"] = adamw([space], self.code_config.lr, self.code_config.weight_decay)
            self.eyes = eyes_of(self.code_config.feature_weight, self.size, device)
        self.pictures = ResizedSource(dataset, "train", device, self.size, config.flip)
        self.still = ResizedSource(dataset, "train", device, self.size)
        self.held_out = ResizedSource(dataset, "validation", device, self.size)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size

    def begin_with(self, origin: Origin) -> Iterator[Event]:
        """Take over weights; classes that they do not know begin as any class, which they know."""
        yield from origin.take_over_all(self.modules)
        vectors = origin.tensors.get("network.told.class_vectors.weight")
        if self.classes and vectors is not None and origin.extra["classes"] != self.classes:
            with torch.no_grad():
                own = self.network.told.class_vectors.weight
                own.copy_(vectors[-1:].expand_as(own))

    def recordable(self, number: int) -> str:
        """Return what is learned in a step; the first step on codes is unlike the others."""
        if not self.pictures.kept or (self.first_steps and not number):
            return ""
        return "codes" if number < self.first_steps else "step"

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the bound of the VAE while codes are learned, then on the squared error of the velocity."""
        if self.space is not None and step.number < self.first_steps:
            return learn_codes(
                self.space.read, self.space.decoder, self.optimizers["codes"], self.pictures, len(self.classes),
                self.code_config, step, self.eyes, self.first_steps / self.config.steps,
            )  # fmt: skip
        total: Tensor | None = None
        for indices in step.micro_batches():
            images, hints = self.pictures.images(indices), None
            if self.config.augment:
                images, hints = hinted_augment(images, self.config.augment)
            with step.autocast():
                images = self._ends(self.space, images, self.pictures.labels(indices))
            noise, times = torch.randn_like(images), draw_times(len(images), self.device, self.config.time_spread)
            with step.autocast():
                told = self.network(between(noise, images, times), times, self._labels(indices), hints)
            loss = (told.float() - (images - noise)).square().mean()
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(self.optimizers["network"])}

    def _labels(self, indices: Any) -> Tensor | None:
        """Return the classes (B,); some are kept secret."""
        if not self.classes:
            return None
        labels = self._known(self.pictures, indices)
        secret = torch.rand(len(labels), device=self.device) < self.config.class_dropout
        return labels.masked_fill(secret, len(self.classes))

    def _ends(self, space: GridSpace | None, images: Tensor, labels: Tensor) -> Tensor:
        """Return where the ways of pictures with the classes (B,) end: the pictures, or their grids."""
        if space is None:
            return images
        with torch.no_grad():
            return space.encode(images, shares_of(labels, len(self.classes)))

    def _known(self, source: ResizedSource, indices: Any) -> Tensor:
        labels = source.labels(indices)
        return torch.where(labels < 0, len(self.classes) - 1, labels)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the bound of held-out pictures, or once codes are frozen, the error at the same times and noises."""
        if self.taken <= self.first_steps and self.space is not None:
            space = cast(GridSpace, models["space"])
            return (yield from check_codes(space.encoder, space.decoder, self.held_out, len(self.classes)))
        network, count = cast(Unet, models["network"]), min(MOST_VALIDATED, len(self.held_out))
        generator, total = seeded(self.config.seed), 0.0
        for start in range(0, count, VALIDATED_AT_ONCE):
            indices = np.arange(start, min(count, start + VALIDATED_AT_ONCE))
            images = self._ends(self.space, self.held_out.images(indices), self.held_out.labels(indices))
            noise = torch.randn(images.shape, generator=generator).to(self.device)
            times = ((torch.arange(len(indices)) + 0.5) / len(indices)).to(self.device)
            labels = self._known(self.held_out, indices) if self.classes else None
            with torch.inference_mode():
                told = network(between(noise, images, times), times, labels)
                total += float((told - (images - noise)).square().mean()) * len(indices)
            yield
        return {"val_loss": total / count} if count else {}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give copies of held-out pictures while codes are learned, then new ones of the same seeds, made as usual."""
        space = cast(GridSpace, models["space"]) if self.space is not None else None
        if space is not None and step <= self.first_steps:
            source = self.held_out if len(self.held_out) else self.still
            pairs = np.arange(min(PREVIEW_CELLS, len(source)))
            copies = copied(space.encoder, space.decoder, source, pairs, len(self.classes))
            yield Sample(step, copies, role="reconstruction")
            return
        model = Model(cast(Unet, models["network"]), self.classes, self.shares, space)
        seeds = range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        labels: list[int] = []

        def make(seed: int) -> Tensor:
            generator = seeded(seed)
            noise = model.noise(generator)
            labels.append(known_class(-1, self.shares, generator) if self.classes else -1)
            return model.paint(noise, labels[-1], USUAL_STEPS, USUAL_GUIDANCE)

        phase = Progress(step, self.config.steps, _("Painting samples"))
        pictures = yield from painted(make, seeds, phase)
        yield Sample(step, pictures, tuple(seeds), tuple(self.classes[i] for i in labels) if self.classes else ())

    def card(self) -> dict[str, Any]:
        """Return what `load_model` needs."""
        return {
            "shape": {**self.shape.__dict__, "widths": list(self.shape.widths)}, "resolution": self.size,
            "classes": self.classes, "shares": self.shares, "space": self.space and self.space.extra,
        }  # fmt: skip


GenerateConfig, VaryConfig, FillConfig = tasks.GenerateConfig, tasks.VaryConfig, tasks.FillConfig
ExtendConfig, InterpolateConfig = tasks.ExtendConfig, tasks.InterpolateConfig
generate, vary, fill, extend, interpolate = tasks.generate, tasks.vary, tasks.fill, tasks.extend, tasks.interpolate
sampler = tasks.sampler

FAMILY = Family(
    name="image_flow",
    title=N_("Image flow"),
    summary=N_(
        "Steady training and good variety: makes new pictures, varies and extends yours, and paints parts anew."
    ),
    kind="image",
    tasks=(
        Task("train", N_("Train an image flow"), ImageFlowConfig, train, "train", plan),
        Task("generate", N_("Make pictures"), GenerateConfig, generate),
        Task("vary", N_("Vary a picture"), VaryConfig, vary),
        Task("fill", N_("Paint a part anew"), FillConfig, fill),
        Task("extend", N_("Extend a picture"), ExtendConfig, extend),
        Task("interpolate", N_("Blend two pictures"), InterpolateConfig, interpolate),
    ),
    sampler=sampler,
    latents=latents,
)
