"""Image GAN: relativistic pairing loss with R1 and R2, ConvNets without normalisation, DiffAugment, averaged weights.

Recipe of R3GAN (arXiv:2501.05441) made small: penalties every few steps (arXiv:1912.04958, appendix B), augmentation in
the discriminator's input (arXiv:2006.10738), projection of classes (arXiv:1802.05637). Training begins with a share of
steps in which both networks together learn to copy pictures through a narrow code, as a variational autoencoder: it
gives the generator shapes and colours, and the discriminator features, many times faster than the game does. What
the generator draws from in the game is then a Gaussian per class, fitted to the codes.

On demand another game is played: the projected GAN (arXiv:2111.01007). Augmentation may adapt (arXiv:2006.06676).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Event, EventStream, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import choose_device, lay_out
from aigc_desktop.engine.nn.adaptive import AdaptiveProbability
from aigc_desktop.engine.nn.adversarial import decayed, frozen, gradient_penalty
from aigc_desktop.engine.nn.convnet import Discriminator, PictureFormat, Trunk
from aigc_desktop.engine.nn.convnet import Generator as Painter
from aigc_desktop.engine.nn.diffaugment import diff_augment
from aigc_desktop.engine.nn.tiling import roll, roll_tiles
from aigc_desktop.engine.pictures.common import (
    KidMeter,
    Pictures,
    ResizedSource,
    class_field,
    class_index,
    class_names,
    known_class,
    load_trained,
    one_by_one,
    seeded,
)
from aigc_desktop.engine.pictures.gan_copying import Copying
from aigc_desktop.engine.pictures.gan_game import Game, ProjectedGame, RelativisticGame
from aigc_desktop.engine.pictures.gan_setup import WARM_MODEL, ImageGanConfig, format_of, plan, widths_of
from aigc_desktop.engine.pictures.latent import LatentModel, with_class
from aigc_desktop.engine.pictures.making import MakeConfig, stream_samples
from aigc_desktop.engine.pictures.projected import ProjectedCritic
from aigc_desktop.engine.pictures.warm_start import Origin, beginning, shipped
from aigc_desktop.engine.training.checkpoint import Card, part, read_model
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step

GAMMA_FALL = 5.0  # the penalties end at this part of their start
PREVIEW_CELLS = 32
ADAPTING_SHARE = 0.2  # of the steps in which adaptive augmentation may go from never to always
VALIDATION_SEED = 1_000_000  # far from the seeds of previews


class GenerateConfig(MakeConfig):
    """Settings of making pictures with a trained GAN."""

    wildness: float = param(
        1.0, N_("Safe … wild"),
        N_("Below 1 pictures are more alike and cleaner, above 1 they are bolder and break more often."),
        ge=0.0, le=2.0,
    )  # fmt: skip
    label: str = class_field()


def train(config: ImageGanConfig, run: Run) -> EventStream:
    """Train generator and discriminator on the pictures of a data set."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    trainee = GanTrainee(config, dataset, device)
    if origin := beginning(config, run, trainee.family, lambda: shipped(WARM_MODEL)):
        yield from trainee.begin_with(origin)
    yield from fit(config, run, trainee)


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make pictures with a trained generator; the seed of each decides it alone."""
    card, weights, device, _trained = load_trained(config, run)
    painter = load_painter(card, weights, device)
    label = class_index(card, config.label)
    yield from stream_samples(lambda seeds: paint(painter, card.extra, seeds, label, config.wildness), config, run)


def load_painter(card: Card, weights: dict[str, Tensor], device: torch.device) -> Painter:
    """Return the generator of a checkpoint, in evaluation mode on `device`."""
    extra = card.extra
    painter = Painter(
        extra["resolution"], tuple(extra["widths"]), extra["blocks"], extra["latent"], len(extra["classes"]),
        PictureFormat(**extra.get("format", {})),
    )  # fmt: skip
    painter.load_state_dict(part(weights, "generator"))
    lay_out(painter, device)  # as in training, for the same bits as its previews
    return painter.eval().requires_grad_(False)


def sampler(folder: Path, device: str) -> Callable[[int, int], Pictures]:
    """Return a function (count, seed) -> pictures (count, H, W, C) of a checkpoint, for evaluation."""
    return latents(folder, device).sample


def paint(
    painter: Painter, extra: Mapping[str, Any], seeds: Sequence[int], label: int = -1, wildness: float = 1.0
) -> tuple[Pictures, tuple[str, ...]]:
    """Return the pictures of `seeds` and the names of their classes (none without classes)."""
    labels: list[int] = []
    device = next(painter.parameters()).device

    def make(seed: int) -> Tensor:
        generator = seeded(seed)
        noise = (torch.randn(1, extra["latent"], generator=generator) * wildness).to(device)
        if not extra["classes"]:
            return painter(painter.codes(noise))
        labels.append(known_class(label, extra["shares"], generator))
        which = torch.tensor(labels[-1:], device=device)
        return painter(painter.codes(noise, which), which)

    pictures = one_by_one(make, seeds)
    return pictures, tuple(extra["classes"][label] for label in labels)


def latents(folder: Path, device: str) -> LatentModel:
    """Return the generator of a checkpoint as a model with a latent space: codes, and shares of the classes."""
    card, weights = read_model(folder)
    painter = load_painter(card, weights, choose_device(device))
    names, place = tuple(card.extra["classes"]), painter.code_means.device
    shares = torch.tensor(card.extra["shares"]) if names else torch.ones(1)

    def draw_point(seed: int, label: int, wildness: float) -> Tensor:
        generator = seeded(seed)
        noise = (torch.randn(1, painter.latent, generator=generator) * wildness).to(place)
        which = known_class(label, card.extra["shares"], generator) if names else 0
        code = painter.codes(noise, torch.tensor([which], device=place))[0]
        return with_class(code, which, len(names))

    def decode(points: Tensor, _steps: int) -> Tensor:
        code, classes = points[:, : painter.latent], points[:, painter.latent :]
        vectors = () if painter.embedding is None else (classes @ painter.embedding.weight,)
        return painter.decode(torch.cat((code, *vectors), 1))

    centre = (shares[:, None] * painter.code_means.cpu()).sum(0)
    size = painter.picture.pixels(card.extra["resolution"])
    return LatentModel(
        painter.latent, names, size, place, torch.cat((centre, shares[: len(names)])), draw_point, decode,
        lambda count, seed: paint(painter, card.extra, range(seed, seed + count))[0],
    )  # fmt: skip


class GanTrainee(Trainee):
    """Both networks of the game, and one step of it."""

    family, unit, generates = "image_gan", N_("pictures"), ("generator",)

    def __init__(self, config: ImageGanConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.device = config, device
        self.size, self.widths = int(config.resolution), widths_of(config)
        self.classes, self.shares = class_names(dataset, config.use_labels)
        self.format, classes = format_of(config, dataset), len(self.classes)
        pixels = self.format.pixels(self.size)
        self.painter = Painter(self.size, self.widths[::-1], config.blocks, config.latent, classes, self.format)
        lay_out(self.painter, device)
        span = max(1, round(ADAPTING_SHARE * config.steps * config.batch_size))
        self.adaptive = AdaptiveProbability(config.augmentation, span).to(device)
        self.modules: dict[str, nn.Module] = {"generator": self.painter, "augmentation": self.adaptive}
        self.optimizers = {"generator": adamw([self.painter], config.lr, config.weight_decay, betas=(0.0, 0.99))}
        self.pictures = ResizedSource(dataset, "train", device, pixels, config.flip, self.format.channels)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.kid = KidMeter(dataset, pixels, device, outside=config.projected)
        self.game, self.copying = self._new_game()
        critic = self.modules["discriminator"] = self.game.critic
        self.optimizers["discriminator"] = adamw([critic], config.lr, config.weight_decay, betas=(0.0, 0.99))
        self.modules["encoder"], self.optimizers["copying"] = self.copying.encoder, self.copying.optimizer

    def _new_game(self) -> tuple[Game, Copying]:
        """Return the game, and the copying before it, for which a projected one has a trunk of its own."""
        config, classes = self.config, len(self.classes)
        game: Game
        if config.projected:
            trunk = Trunk(self.size, self.widths, config.blocks, self.format)
            lay_out(trunk, self.device)
            self.modules["trunk"] = trunk
            game = ProjectedGame(ProjectedCritic(classes, self.format.pixels(self.size)).to(self.device))
        else:
            critic = Discriminator(self.size, self.widths, config.blocks, classes, self.format)
            lay_out(critic, self.device)
            game, trunk = RelativisticGame(critic), critic.trunk
        copying = Copying(config, self.painter, trunk, len(self.pictures))
        if config.warm_start and not config.start_from:
            copying.steps = 0
        return game, copying

    def begin_with(self, origin: Origin) -> Iterator[Event]:
        """Take over weights; tells of each network how much of it fits."""
        left = yield from origin.take_over_all(self.modules)
        if not left["generator"]:
            self.copying.steps = 0
        means, factors = (origin.tensors.get(f"generator.code_{name}") for name in ("means", "factors"))
        own = self.painter.code_means
        if means is not None and factors is not None and means.shape[1] == own.shape[1] and means.shape != own.shape:
            self.painter.pool_codes(means, factors)

    def begin_step(self, number: int) -> None:
        """End the copying when its time is over."""
        if number == self.copying.steps:
            self.copying.finish(self._classes)

    def rate_factor(self, optimizer: str, number: int) -> float:
        """Return the fall of the rate while pictures are copied."""
        return self.copying.rate_factor(number) if optimizer == "copying" else 1.0

    def recordable(self, number: int) -> str:
        """Return what a step does."""
        if not self.pictures.kept:
            return ""
        if number < self.copying.steps:
            return "copying"
        return "penalised" if self._penalised(number) else "plain"

    def _penalised(self, number: int) -> bool:
        return self.game.smooth and number % self.config.penalty_every == 0

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Copy pictures at first; then one step of the discriminator and one of the generator."""
        if step.number < self.copying.steps:
            return self.copying.train_step(step, self._batch)
        return self._discriminator_step(step) | self._generator_step(step)

    def _batch(self, indices: Any) -> tuple[Tensor, Tensor]:
        """Return pictures (B, C, H, W) and their classes (B,)."""
        return self.pictures.images(indices), self._classes(indices)

    def _classes(self, indices: Any) -> Tensor:
        """Return the classes (B,); pictures without a label are in the last one."""
        labels = self.pictures.labels(indices)
        return torch.where(labels < 0, max(0, len(self.classes) - 1), labels)

    def _real(self, indices: Any) -> tuple[Tensor, Tensor]:
        """Return pictures as the discriminator sees them, and their classes."""
        images, labels = self._batch(indices)
        return roll_tiles(images) if self.format.seamless else images, labels

    def _fakes(self, labels: Tensor) -> Tensor:
        noise = torch.randn(len(labels), self.config.latent, device=self.device)
        images = self.painter(self.painter.codes(noise, labels), labels)
        return roll(images) if self.format.seamless else images

    def _discriminator_step(self, step: Step) -> dict[str, Tensor]:
        config, values = self.config, dict[str, Tensor | None]()
        scores = []
        penalised = self._penalised(step.number)
        gamma = step.along(
            lambda progress: decayed(config.gamma, config.gamma / GAMMA_FALL, progress) * config.penalty_every
        )

        def report(name: str, value: Tensor) -> None:
            values[name] = step.mean(values.get(name), value)

        for indices in step.micro_batches():
            images, labels = self._real(indices)
            with torch.no_grad(), step.autocast():
                fakes = self._fakes(labels).float()
            images, fakes = images.requires_grad_(penalised), fakes.requires_grad_(penalised)
            real, fake = self._judge(step, torch.cat([images, fakes]), labels, exact=penalised).chunk(2)
            scores.append(torch.stack([real.detach(), fake.detach()]))
            loss = self.game.critic_loss(real, fake)
            report("d_loss", loss)
            report("d_accuracy", (real > fake).float().mean())
            if penalised:
                r1, r2 = gradient_penalty(real, images), gradient_penalty(fake, fakes)
                report("r1", r1)
                report("r2", r2)
                loss = loss + 0.5 * gamma * (r1 + r2)
            step.backward(loss)
        step.optimize(self.optimizers["discriminator"])
        if config.adaptive:
            self.adaptive.observe(*torch.cat(scores, 1))
            values |= {"augmentation": self.adaptive.probability.clone(), "overfitting": self.adaptive.r.clone()}
        return {name: value for name, value in values.items() if value is not None}

    def _generator_step(self, step: Step) -> dict[str, Tensor]:
        total: Tensor | None = None
        with frozen(self.game.critic):
            for indices in step.micro_batches():
                images, labels = self._real(indices)
                real = None
                if self.game.paired:
                    with torch.no_grad():
                        real = self._judge(step, images, labels)
                with step.autocast():
                    fakes = self._fakes(labels)
                loss = self.game.painter_loss(self._judge(step, fakes.float(), labels), real)
                step.backward(loss)
                total = step.mean(total, loss)
        step.optimize(self.optimizers["generator"])
        assert total is not None
        return {"g_loss": total}

    def _judge(self, step: Step, images: Tensor, labels: Tensor, exact: bool = False) -> Tensor:
        """Return the scores (B, …) of augmented pictures; `exact` in float32, since second derivatives need it."""
        labels = labels.repeat(len(images) // len(labels))
        most = self.config.augmentation
        often = self.adaptive.probability if self.config.adaptive else step.along(lambda progress: most * progress)
        augmented = diff_augment(images, often)
        if exact:
            return self.game.scores(augmented, labels)
        with step.autocast():
            return self.game.scores(augmented, labels).float()

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return KID of averaged pictures against held-out ones, in EfficientNet-Lite0 features.

        A projected game learns in these; there KID in random features comes first.
        """
        if not self.kid.possible:
            return {}
        painter, extra = cast(Painter, models["generator"]), self.card()
        values = yield from self.kid.measure(lambda seeds: paint(painter, extra, seeds)[0], VALIDATION_SEED)
        return values

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give the same seeds every time."""
        seeds = range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        pictures, labels = paint(cast(Painter, models["generator"]), self.card(), seeds)
        yield Sample(step, pictures, tuple(seeds), labels)

    def state(self) -> dict[str, Tensor]:
        """Return the state of the copying."""
        return self.copying.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.copying.load_state(tensors)

    def card(self) -> dict[str, Any]:
        """Return what `load_painter` and `paint` need."""
        return {
            "resolution": self.size, "widths": list(self.widths[::-1]), "blocks": self.config.blocks,
            "latent": self.config.latent, "classes": self.classes, "shares": self.shares,
            "format": asdict(self.format),
        }  # fmt: skip


FAMILY = Family(
    name="image_gan",
    title=N_("Image GAN"),
    summary=N_("Learns to paint pictures like yours; sharp, and instant once it is trained."),
    kind="image",
    tasks=(
        Task("train", N_("Train an image GAN"), ImageGanConfig, train, "train", plan),
        Task("generate", N_("Make pictures"), GenerateConfig, generate),
    ),
    sampler=sampler,
    latents=latents,
)
