"""Image VAE: a calibrated decoder (σ-VAE, arXiv:2006.13202) and a density fitted to its codes (arXiv:1903.12436).

Trained on the evidence lower bound with a KL warm-up and free bits (arXiv:1606.04934). New pictures come from a
mixture of Gaussians fitted to the codes of training pictures, not from the prior. If the data have classes, both
networks are told the class (arXiv:1406.5298), and each class has a density of its own. On demand copies are also
compared in the features of a trained network (arXiv:1609.04802); the bound that is reported stays that of the pixels.
A code may also be a grid: what lies between its places an image flow learns better than a density (image_flow.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.nn.variational import between, draw
from aigc_desktop.engine.pictures.common import (
    CHUNK,
    CreateConfig,
    Pictures,
    ResizedSource,
    class_field,
    class_index,
    class_names,
    load_trained,
    one_by_one,
    seeded,
)
from aigc_desktop.engine.pictures.feature_maps import eyes_of
from aigc_desktop.engine.pictures.latent import LatentModel
from aigc_desktop.engine.pictures.making import MakeConfig, stream_samples
from aigc_desktop.engine.pictures.vae_learning import BATCH, check_codes, learn_codes
from aigc_desktop.engine.pictures.vae_model import VaeModel, first_of_each_class, load_model, model_of, new_modules
from aigc_desktop.engine.pictures.vae_setup import ImageVaeConfig, plan, widths_of
from aigc_desktop.engine.training.checkpoint import read_card, read_model
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step

PREVIEW_CELLS, PREVIEW_PAIRS = 32, 16
MOST_CODES = 4000  # training pictures that the density is fitted to


class GenerateConfig(MakeConfig):
    """Settings of making new pictures."""

    wildness: float = param(
        1.0, N_("Safe … wild"), N_("Below 1 pictures are nearer to typical ones, above 1 they are bolder."),
        ge=0.0, le=2.0,
    )  # fmt: skip
    label: str = class_field()


class ReconstructConfig(CreateConfig):
    """Settings of copying held-out pictures through the code; `seed` is the number of the first picture."""


class InterpolateConfig(CreateConfig):
    """Settings of going from one new picture to another in `count` steps."""

    to_seed: int = param(1, N_("To seed"), N_("Number of the picture where the way ends."), ge=0, le=2**53)


def train(config: ImageVaeConfig, run: Run) -> EventStream:
    """Train encoder and decoder on the pictures of a data set."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    config = config.model_copy(update={"use_labels": config.use_labels and not _begun_without_classes(run)})
    yield from fit(config, run, VaeTrainee(config, dataset, device))


def _begun_without_classes(run: Run) -> bool:
    """Return whether an earlier release began this training, which told no classes apart."""
    for name in reversed(run.checkpoints()):
        try:
            return "classes" not in read_card(run.checkpoint(name)).extra
        except UserError:  # damaged: the training will tell, and goes on from the one before
            continue
    return False


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make new pictures; the seed of each decides it alone."""
    card, weights, device, _trained = load_trained(config, run)
    model, label = load_model(card, weights, device), class_index(card, config.label)
    yield from stream_samples(lambda seeds: model.paint(seeds, label, config.wildness), config, run)


def reconstruct(config: ReconstructConfig, run: Run) -> EventStream:
    """Show held-out pictures beside their copies."""
    card, weights, device, trained = load_trained(config, run)
    model = load_model(card, weights, device)
    dataset = Workspace(run.workspace).dataset(str(trained.config_values["dataset"]))
    source = ResizedSource(dataset, "validation", device, model.encoder.resolution)
    if not len(source):
        raise UserError(
            _("“{title}” has no held-out pictures to copy.").format(title=dataset.info.title),
            _("Freeze the data set with a validation share above 0."),
        )
    count = min(config.count, len(source))
    chosen = (config.seed + np.arange(count)) % len(source)
    for start in range(0, count, CHUNK):
        yield Sample(start, model.copied(source, chosen[start : start + CHUNK]), role="reconstruction")
        yield Progress(min(count, start + CHUNK), count, unit=N_("pictures"))


def interpolate(config: InterpolateConfig, run: Run) -> EventStream:
    """Show the way between two new pictures: an arc between their codes, and from class to class."""
    card, weights, device, _trained = load_trained(config, run)
    model = load_model(card, weights, device)
    latent = model.decoder.latent
    first, last = (model.draw(seed) for seed in (config.seed, config.to_seed))

    def frame(place: int) -> Tensor:
        share = place / max(1, config.count - 1)
        code = between(first[:latent], last[:latent], share)
        point = torch.cat((code, torch.lerp(first[latent:], last[latent:], share)))
        return model.decode(point[None].to(device))

    for start in range(0, config.count, CHUNK):
        places = range(start, min(config.count, start + CHUNK))
        yield Sample(start, one_by_one(frame, places), role="interpolation")
        yield Progress(places[-1] + 1, config.count, unit=N_("pictures"))


def sampler(folder: Path, device: str) -> Callable[[int, int], Pictures]:
    """Return a function (count, seed) -> pictures (count, H, W, 3) of a checkpoint, for evaluation."""
    return latents(folder, device).sample


def latents(folder: Path, device: str) -> LatentModel:
    """Return the model of a checkpoint as one with a latent space: its codes, and shares of the classes."""
    card, weights = read_model(folder)
    model = load_model(card, weights, choose_device(device))
    size, shares = model.encoder.resolution, torch.tensor(model.shares)
    if model.classes:
        centre = torch.stack([model.density.centre(label) for label in range(len(shares))]).T @ shares
    else:
        centre = model.density.centre()
    return LatentModel(
        len(centre), tuple(model.classes), (size, size), model.device, torch.cat((centre, shares)),
        model.draw, lambda points, _steps: model.decode(points),
        lambda count, seed: model.paint(range(seed, seed + count))[0], model.encode,
    )  # fmt: skip


class VaeTrainee(Trainee):
    """Encoder and decoder, the density of the codes, and one step of training."""

    family, unit, generates = "image_vae", N_("pictures"), ("encoder", "decoder", "density")

    def __init__(self, config: ImageVaeConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.device, self.size = config, device, int(config.resolution)
        self.classes, self.shares = class_names(dataset, config.use_labels)
        self.modules = new_modules(self.card(), len(self.classes))
        self.model = self._model(self.modules)
        for network in (self.model.encoder, self.model.decoder):
            network.to(device)
        self.optimizers = {"vae": adamw([self.model.encoder, self.model.decoder], config.lr, config.weight_decay)}
        self.pictures = ResizedSource(dataset, "train", device, self.size, config.flip)
        self.held_out = ResizedSource(dataset, "validation", device, self.size)
        self.still = ResizedSource(dataset, "train", device, self.size)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.density_is_fresh = False
        self.eyes = eyes_of(config.feature_weight, self.size, device)

    def begin_step(self, number: int) -> None:
        """Note that the codes change, which the density was fitted to."""
        self.density_is_fresh = False

    def recordable(self, number: int) -> str:
        """Return that all steps are alike after the first one."""
        return "step" if number and self.pictures.kept else ""

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the negative evidence lower bound, per colour value, and the distance in features."""
        return learn_codes(
            self.model.encoder, self.model.decoder, self.optimizers["vae"], self.pictures, len(self.classes),
            self.config, step, self.eyes,
        )  # fmt: skip

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the negative ELBO of held-out pictures in bits per colour value, under the trained variance.

        The density is fitted here too, because a checkpoint may be written right after.
        """
        yield from self._fit_density(models)
        model = self._model(models)
        return (yield from check_codes(model.encoder, model.decoder, self.held_out, len(self.classes)))

    def _fit_density(self, models: Mapping[str, nn.Module]) -> Iterator[None]:
        """Fit the density to the codes of now, unless no step was taken since the last time."""
        count = min(MOST_CODES, len(self.still))
        if self.density_is_fresh or count < 2:
            return
        model, density, codes = self._model(models), self.model.density, []
        labels = self.still.labels(np.arange(len(self.still)))
        coded = first_of_each_class(labels.cpu().numpy(), count) if self.classes else np.arange(count)
        for start in range(0, count, BATCH):
            indices = coded[start : start + BATCH]
            with torch.no_grad():
                mean, logvar = model.encoder(self.still.images(indices), model.shares_of(labels[indices]))
                codes.append(draw(mean, logvar).cpu())
            yield
        points, generator = torch.cat(codes), seeded(self.config.seed)
        if self.classes:
            which = model.shares_of(labels[coded]).argmax(1).cpu()
            yield from (None for _level in density.fit_classes(points, which, generator))
        else:
            yield from (None for _level in density.fit(points, generator))
        model.density.load_state_dict(density.state_dict())
        self.density_is_fresh = True

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Give new pictures of the same seeds, and held-out pictures beside their copies."""
        for _piece in self._fit_density(models):
            yield Progress(step, self.config.steps, _("Fitting the density of the codes"))
        model, seeds = self._model(models), range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        pictures, labels = model.paint(seeds)
        yield Sample(step, pictures, tuple(seeds), labels)
        source = self.held_out if len(self.held_out) else self.still
        pairs = np.arange(min(PREVIEW_PAIRS, len(source)))
        yield Sample(step, model.copied(source, pairs), role="reconstruction")

    def _model(self, modules: Mapping[str, nn.Module]) -> VaeModel:
        return model_of(modules, self.classes, self.shares)

    def card(self) -> dict[str, Any]:
        """Return what `load_model` needs; the components are those of each class."""
        return {
            "resolution": self.size, "widths": list(widths_of(self.config)), "blocks": self.config.blocks,
            "latent": self.config.latent, "components": max(1, self.config.components // max(1, len(self.classes))),
            "classes": self.classes, "shares": self.shares, "spatial": self.config.spatial,
        }  # fmt: skip


FAMILY = Family(
    name="image_vae",
    title=N_("Image VAE"),
    summary=N_("Learns a code for pictures like yours: makes new ones, copies them, and blends one into another."),
    kind="image",
    tasks=(
        Task("train", N_("Train an image VAE"), ImageVaeConfig, train, "train", plan),
        Task("generate", N_("Make pictures"), GenerateConfig, generate),
        Task("reconstruct", N_("Copy held-out pictures"), ReconstructConfig, reconstruct),
        Task("interpolate", N_("Blend two pictures"), InterpolateConfig, interpolate),
    ),
    sampler=sampler,
    latents=latents,
)
