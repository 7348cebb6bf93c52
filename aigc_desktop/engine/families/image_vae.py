"""Image VAE: a calibrated decoder (σ-VAE, arXiv:2006.13202) and a density fitted to its codes (arXiv:1903.12436).

Trained on the evidence lower bound with a KL warm-up and free bits (arXiv:1606.04934). New pictures come from a
mixture of Gaussians fitted to the codes of training pictures, not from the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

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
from aigc_desktop.engine.checkpoint import Card, part, read_model
from aigc_desktop.engine.data import Sampler, open_dataset, to_pictures
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.latent import LatentModel
from aigc_desktop.engine.making import MakeConfig, stream_samples
from aigc_desktop.engine.nn.density import LatentDensity
from aigc_desktop.engine.nn.diffaugment import shift
from aigc_desktop.engine.nn.resnet import PictureDecoder, PictureEncoder
from aigc_desktop.engine.nn.variational import between, bits_per_dimension, draw, kl_per_dimension, reconstruction_nats
from aigc_desktop.engine.optim import adamw
from aigc_desktop.engine.pictures import (
    CHUNK,
    CreateConfig,
    Pictures,
    ResizedSource,
    load_trained,
    one_by_one,
    seeded,
)
from aigc_desktop.engine.step import Step
from aigc_desktop.engine.training import Trainee, begin, fit
from aigc_desktop.engine.vae_setup import ImageVaeConfig, plan, widths_of

PREVIEW_CELLS, PREVIEW_PAIRS = 32, 16
MOST_CODES = 4000  # training pictures that the density is fitted to
MOST_VALIDATED = 2000
BATCH = 64  # pictures encoded between two chances to stop
ERROR_DECAY = 0.98  # of the running error, per step
ACTIVE = 0.01  # variance of the means above which a latent number says something (arXiv:1509.00519)


class GenerateConfig(MakeConfig):
    """Settings of making new pictures."""

    wildness: float = param(
        1.0, N_("Safe … wild"), N_("Below 1 pictures are nearer to typical ones, above 1 they are bolder."),
        ge=0.0, le=2.0,
    )  # fmt: skip


class ReconstructConfig(CreateConfig):
    """Settings of copying held-out pictures through the code; `seed` is the number of the first picture."""


class InterpolateConfig(CreateConfig):
    """Settings of going from one new picture to another in `count` steps."""

    to_seed: int = param(1, N_("To seed"), N_("Number of the picture where the way ends."), ge=0, le=2**53)


class Model:
    """Encoder, decoder and density of a checkpoint, in evaluation mode."""

    def __init__(self, card: Card, weights: dict[str, Tensor], device: torch.device) -> None:
        extra = card.extra
        self.size, self.device = int(extra["resolution"]), device
        widths, blocks, latent = tuple(extra["widths"]), extra["blocks"], extra["latent"]
        modules = {
            "encoder": PictureEncoder(self.size, widths, blocks, latent),
            "decoder": PictureDecoder(widths[::-1], blocks, latent),
            "density": LatentDensity(latent, extra["components"]),
        }
        for name, module in modules.items():
            module.load_state_dict(part(weights, name))
            module.eval().requires_grad_(False).to(device if name != "density" else "cpu")
        self.modules = modules


def train(config: ImageVaeConfig, run: Run) -> EventStream:
    """Train encoder and decoder on the pictures of a data set."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    yield from fit(config, run, VaeTrainee(config, dataset, device))


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make new pictures; the seed of each decides it alone."""
    card, weights, device, _trained = load_trained(config, run)
    modules = Model(card, weights, device).modules
    yield from stream_samples(lambda seeds: (paint(modules, seeds, config.wildness), ()), config, run)


def reconstruct(config: ReconstructConfig, run: Run) -> EventStream:
    """Show held-out pictures beside their copies."""
    card, weights, device, trained = load_trained(config, run)
    model = Model(card, weights, device)
    dataset = Workspace(run.workspace).dataset(str(trained.config_values["dataset"]))
    source = ResizedSource(dataset, "validation", device, model.size)
    if not len(source):
        raise UserError(
            _("“{title}” has no held-out pictures to copy.").format(title=dataset.info.title),
            _("Freeze the data set with a validation share above 0."),
        )
    count = min(config.count, len(source))
    chosen = (config.seed + np.arange(count)) % len(source)
    for start in range(0, count, CHUNK):
        yield Sample(start, copied(model.modules, source, chosen[start : start + CHUNK]), role="reconstruction")
        yield Progress(min(count, start + CHUNK), count, unit=N_("pictures"))


def interpolate(config: InterpolateConfig, run: Run) -> EventStream:
    """Show the way between two new pictures, along an arc between their codes."""
    card, weights, device, _trained = load_trained(config, run)
    modules = Model(card, weights, device).modules
    density: Any = modules["density"]
    start_code, end_code = (density.sample(seeded(seed)) for seed in (config.seed, config.to_seed))
    for start in range(0, config.count, CHUNK):
        places = range(start, min(config.count, start + CHUNK))
        codes = [between(start_code, end_code, place / max(1, config.count - 1)) for place in places]
        frames = one_by_one(lambda i: modules["decoder"](codes[i][None].to(device)), range(len(codes)))  # noqa: B023
        yield Sample(start, frames, role="interpolation")
        yield Progress(places[-1] + 1, config.count, unit=N_("pictures"))


def sampler(folder: Path, device: str) -> Callable[[int, int], Pictures]:
    """Return a function (count, seed) -> pictures (count, H, W, 3) of a checkpoint, for evaluation."""
    card, weights = read_model(folder)
    modules = Model(card, weights, choose_device(device)).modules
    return lambda count, seed: paint(modules, range(seed, seed + count))


def paint(modules: Mapping[str, nn.Module], seeds: Sequence[int], wildness: float = 1.0) -> Pictures:
    """Return new pictures (N, H, W, 3), each decoded from a draw of the density by its own seed."""
    decoder, density = modules["decoder"], modules["density"]
    device = next(decoder.parameters()).device
    return one_by_one(lambda seed: decoder(density.sample(seeded(seed), wildness)[None].to(device)), seeds)  # type: ignore[operator]


def latents(folder: Path, device: str) -> LatentModel:
    """Return the model of a checkpoint as one with a latent space: its codes."""
    card, weights = read_model(folder)
    model = Model(card, weights, choose_device(device))
    encoder, decoder = model.modules["encoder"], model.modules["decoder"]
    density = cast(LatentDensity, model.modules["density"])
    centre = (density.weights[:, None] * density.means).sum(0).float()
    return LatentModel(
        len(centre), (), (model.size, model.size), model.device, centre,
        lambda seed, _label, wildness: density.sample(seeded(seed), wildness),
        lambda points, _steps: decoder(points),
        lambda image: encoder(image)[0][0].float().cpu(),
    )  # fmt: skip


def copied(modules: Mapping[str, nn.Module], source: ResizedSource, indices: Any) -> Pictures:
    """Return pictures (2N, H, W, 3): each original followed by what the decoder makes of its mean code."""
    with torch.inference_mode():
        pairs = []
        for index in indices:
            image = source.images(np.array([index]))
            pairs += [image, modules["decoder"](modules["encoder"](image)[0])]
        return to_pictures(torch.cat(pairs))


class VaeTrainee(Trainee):
    """Encoder and decoder, the density of the codes, and one step of training."""

    family, unit, generates = "image_vae", N_("pictures"), ("encoder", "decoder", "density")

    def __init__(self, config: ImageVaeConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.device, self.size = config, device, int(config.resolution)
        self.widths = widths_of(config)
        self.encoder = PictureEncoder(self.size, self.widths, config.blocks, config.latent).to(device)
        self.decoder = PictureDecoder(self.widths[::-1], config.blocks, config.latent).to(device)
        self.density = LatentDensity(config.latent, config.components)
        self.modules = {"encoder": self.encoder, "decoder": self.decoder, "density": self.density}
        self.optimizers = {"vae": adamw([self.encoder, self.decoder], config.lr, config.weight_decay)}
        self.pictures = ResizedSource(dataset, "train", device, self.size, config.flip)
        self.held_out = ResizedSource(dataset, "validation", device, self.size)
        self.still = ResizedSource(dataset, "train", device, self.size)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.dimensions = 3 * self.size**2
        self.density_is_fresh = False

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the negative evidence lower bound, per colour value."""
        values: dict[str, Tensor | None] = {}
        weight = min(1.0, step.progress / self.config.kl_warmup) if self.config.kl_warmup else 1.0
        for indices in step.micro_batches():
            images = self._moved(self.pictures.images(indices))
            with step.autocast():
                mean, logvar = self.encoder(images)
            with step.autocast():
                copies = self.decoder(draw(mean, logvar))
            error = (copies - images).square().mean()
            per_dimension = kl_per_dimension(mean, logvar).mean(0)  # (Z,)
            nats = reconstruction_nats(error, self.dimensions)
            step.backward((nats + weight * per_dimension.clamp(min=self.config.free_bits).sum()) / self.dimensions)
            shown = {
                "recon": nats, "psnr": -10 * torch.log10(error / 4), "kl": per_dimension.sum(), "sigma": error.sqrt(),
            }  # fmt: skip
            values = {name: step.mean(values.get(name), value) for name, value in shown.items()}
            with torch.no_grad():
                self.decoder.error.lerp_(error.detach(), 1 - ERROR_DECAY if step.number else 1.0)
        step.optimize(self.optimizers["vae"])
        self.density_is_fresh = False
        return {name: value for name, value in values.items() if value is not None}

    def _moved(self, images: Tensor) -> Tensor:
        reach = self.config.shift
        if not reach:
            return images
        offsets = torch.randint(-reach, reach + 1, (len(images), 2), device=self.device)
        return shift(images, offsets, reach, "replicate")

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the negative ELBO of held-out pictures in bits per colour value, under the trained variance.

        The density is fitted here too, because a checkpoint may be written right after.
        """
        yield from self._fit_density(models)
        error = kl = 0.0
        means = []
        count = min(MOST_VALIDATED, len(self.held_out))
        for start in range(0, count, BATCH):
            images = self.held_out.images(np.arange(start, min(count, start + BATCH)))
            with torch.no_grad():
                mean, logvar = models["encoder"](images)
                copies = models["decoder"](draw(mean, logvar))
            error += float((copies - images).square().mean((1, 2, 3)).sum()) / count
            kl += float(kl_per_dimension(mean, logvar).sum()) / count
            means.append(mean)
            yield
        if not means:
            return {}
        variance = float(models["decoder"].error)  # type: ignore[arg-type]
        nats = 0.5 * self.dimensions * (math.log(2 * math.pi * variance) + error / variance)
        active = int((torch.cat(means).var(0) > ACTIVE).sum()) if count > 1 else 0
        return {
            "validation_bits": bits_per_dimension(nats + kl, self.dimensions),
            "validation_psnr": -10 * math.log10(max(error, 1e-8) / 4),
            "active_units": float(active),
        }

    def _fit_density(self, models: Mapping[str, nn.Module]) -> Iterator[None]:
        """Fit the density to the codes of now, unless no step was taken since the last time."""
        count = min(MOST_CODES, len(self.still))
        if self.density_is_fresh or count < 2:
            return
        codes = []
        for start in range(0, count, BATCH):
            with torch.no_grad():
                mean, logvar = models["encoder"](self.still.images(np.arange(start, min(count, start + BATCH))))
                codes.append(draw(mean, logvar).cpu())
            yield
        for _level in self.density.fit(torch.cat(codes), seeded(self.config.seed)):
            yield
        models["density"].load_state_dict(self.density.state_dict())
        self.density_is_fresh = True

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Give new pictures of the same seeds, and held-out pictures beside their copies."""
        for _piece in self._fit_density(models):
            yield Progress(step, self.config.steps, _("Fitting the density of the codes"))
        seeds = range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        yield Sample(step, paint(models, seeds), tuple(seeds))
        source = self.held_out if len(self.held_out) else self.still
        pairs = np.arange(min(PREVIEW_PAIRS, len(source)))
        yield Sample(step, copied(models, source, pairs), role="reconstruction")

    def card(self) -> dict[str, Any]:
        """Return what `Model` needs."""
        return {
            "resolution": self.size, "widths": list(self.widths), "blocks": self.config.blocks,
            "latent": self.config.latent, "components": self.config.components,
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
