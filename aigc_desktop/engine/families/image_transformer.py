"""Image Transformer: writes the tokens of a picture, many places at once (MaskGIT, arXiv:2202.04200) or one by one.

The first part of a training learns the tokens (FSQ, arXiv:2309.15505), unless those of an earlier training are chosen;
then they are frozen and the Transformer learns to write them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.checkpoint import Card, part, read_model
from aigc_desktop.engine.data import Sampler, open_dataset, to_pictures
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.feature_maps import eyes_of
from aigc_desktop.engine.making import MakeConfig, stream_samples
from aigc_desktop.engine.nn.diffaugment import moved
from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_masked, draw_tokens, hide, mask_shares
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.optim import adamw
from aigc_desktop.engine.picture_tokens import (
    check_tokens,
    chosen_tokenizer,
    copies_beside,
    learn_tokens,
    load_tokenizer,
    write_tokenizer,
)
from aigc_desktop.engine.pictures import (
    Pictures,
    ResizedSource,
    class_field,
    class_index,
    class_names,
    guidance_field,
    known_class,
    load_trained,
    one_by_one,
    open_mask,
    open_picture,
    painted,
    seeded,
    together,
)
from aigc_desktop.engine.step import Step
from aigc_desktop.engine.token_transformer_setup import ImageTransformerConfig, plan
from aigc_desktop.engine.training import begin, fit
from aigc_desktop.engine.two_parts import TwoPartTrainee

PREVIEW_CELLS, PREVIEW_PAIRS = 16, 16
MOST_VALIDATED, VALIDATED_AT_ONCE = 512, 32


class WriteConfig(MakeConfig):
    """Settings of every task of a trained image Transformer."""

    label: str = class_field()
    wildness: float = param(
        1.0, N_("Safe … wild"), N_("Below 1 pictures are nearer to typical ones, above 1 they are bolder."),
        ge=0.0, le=2.0,
    )  # fmt: skip
    walk_steps: int = param(
        12, N_("Steps per picture"),
        N_("8 are quick, 16 are good; more is slower and not better. A model that draws token by token has its own."),
        ge=1, le=256,
    )  # fmt: skip
    order: Literal["halton", "confidence"] = param(
        "halton", N_("Order of places"),
        N_("Spread evenly gives more varied pictures; surest first gives plainer ones."),
        labels={"halton": N_("spread evenly"), "confidence": N_("surest first")}, advanced=True,
    )  # fmt: skip
    guidance: float = guidance_field(Drawing.guidance)

    def drawing(self) -> Drawing:
        """Return how tokens are drawn."""
        return Drawing(self.walk_steps, self.wildness, self.guidance, self.order)


class GenerateConfig(WriteConfig):
    """Settings of making new pictures."""


class FillConfig(WriteConfig):
    """Settings of painting a part of a picture anew, inside or at its borders."""

    picture: Path = param(..., N_("Picture"), N_("The picture to change; its centre is used."), kind=FieldKind.FILE)
    mask: Path = param(
        ..., N_("Mask"),
        N_("A picture of the same form: what is white in it is painted anew, in squares of a few pixels."),
        kind=FieldKind.MASK,
    )  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The networks of a checkpoint in evaluation mode, and what its card says of classes."""

    tokenizer: PictureTokenizer
    transformer: TokenTransformer
    classes: list[str]
    shares: list[float]

    @property
    def device(self) -> torch.device:
        """Return where the weights lie."""
        return self.transformer.tokens.weight.device

    def label(self, wish: int, generator: torch.Generator) -> int:
        """Return the class of a picture: the one wished for, or for -1 one drawn as often as it is in the data."""
        return known_class(wish, self.shares, generator) if self.classes else 0

    def names(self, labels: Sequence[int]) -> tuple[str, ...]:
        """Return the names of classes, none where the model knows none."""
        return tuple(self.classes[label] for label in labels) if self.classes else ()

    def paint(self, seed: int, wish: int, drawing: Drawing) -> tuple[Tensor, int]:
        """Return a new picture (1, 3, R, R) and its class."""
        generator = seeded(seed)
        label = self.label(wish, generator)
        return self.tokenizer.pictures(draw_tokens(self.transformer, [label], drawing, [generator])), label


def load_model(card: Card, weights: dict[str, Tensor], device: torch.device) -> Model:
    """Return the model of a checkpoint."""
    transformer = TokenTransformer(TransformerShape(**card.extra["transformer"]))
    transformer.load_state_dict(part(weights, "transformer"))
    transformer.to(device).eval().requires_grad_(False)
    return Model(load_tokenizer(card, weights, device), transformer, card.extra["classes"], card.extra["shares"])


def train(config: ImageTransformerConfig, run: Run) -> EventStream:
    """Train an image Transformer on the pictures of a data set, and its tokens first unless they are chosen."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    tokenizer = chosen_tokenizer(run, config.tokens, device) if config.tokens else None
    yield from fit(config, run, WriterTrainee(config, dataset, device, tokenizer))


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make new pictures; the seed of each decides it alone."""
    model, wish = _opened(config, run)
    yield from _stream(config, run, model, lambda seed: model.paint(seed, wish, config.drawing()))


def fill(config: FillConfig, run: Run) -> EventStream:
    """Paint a part of a picture anew; what lies outside the squares of the mask stays as it is, to the bit."""
    model, wish = _opened(config, run)
    shape = model.tokenizer.shape
    if not model.transformer.shape.masked:
        raise UserError(
            _("This model draws token by token and cannot paint a part anew."),
            _("Choose one that was trained with “Draw many places at once”."),
        )
    picture = open_picture(config.picture, shape.size).to(model.device)
    mask = open_mask(config.mask, shape.size, config.picture).to(model.device)
    patch = shape.size // shape.side
    anew = F.max_pool2d(mask, patch)  # (1, 1, side, side)
    with torch.inference_mode():
        known = model.tokenizer.tokens(picture)
    known = known.masked_fill(anew.flatten(1).bool(), model.transformer.unknown)
    changed = F.interpolate(anew, scale_factor=patch).bool()

    def make(seed: int) -> tuple[Tensor, int]:
        generator = seeded(seed)
        label = model.label(wish, generator)
        tokens = draw_masked(model.transformer, [label], config.drawing(), [generator], known)
        return torch.where(changed, model.tokenizer.pictures(tokens), picture), label

    yield from _stream(config, run, model, make)


def _opened(config: WriteConfig, run: Run) -> tuple[Model, int]:
    card, weights, device, _trained = load_trained(config, run)
    return load_model(card, weights, device), class_index(card, config.label)


def _stream(config: WriteConfig, run: Run, model: Model, make: Callable[[int], tuple[Tensor, int]]) -> Iterator[Event]:
    """Yield Samples of `config.count` pictures; `make` gives the picture and the class of a seed."""
    yield from stream_samples(lambda seeds: _several(model, seeds, make), config, run)


def _several(
    model: Model, seeds: Sequence[int], make: Callable[[int], tuple[Tensor, int]]
) -> tuple[Pictures, tuple[str, ...]]:
    labels: list[int] = []

    def one(seed: int) -> Tensor:
        picture, label = make(seed)
        labels.append(label)
        return picture

    pictures = one_by_one(one, seeds)
    return pictures, model.names(labels)


def sampler(folder: Path, device: str) -> Callable[[int, int], Pictures]:
    """Return a function (count, seed) -> pictures (count, H, W, 3) of a checkpoint, for evaluation.

    They are made several at once, which is faster and rounds differently from one at a time.
    """
    model = load_model(*read_model(folder), choose_device(device))

    def make(seeds: range) -> Pictures:
        generators = [seeded(seed) for seed in seeds]
        labels = [model.label(-1, generator) for generator in generators]
        with torch.inference_mode():
            return to_pictures(model.tokenizer.pictures(draw_tokens(model.transformer, labels, Drawing(), generators)))

    step = together(model.device)
    return lambda count, seed: np.concatenate(
        [make(range(start, min(seed + count, start + step))) for start in range(seed, seed + count, step)]
    )


class WriterTrainee(TwoPartTrainee):
    """Tokenizer and Transformer, and one step of training: of the tokens first, then of writing them."""

    family, unit, generates = "image_transformer", N_("pictures"), ("tokenizer", "transformer")
    first = "tokenizer"

    def __init__(
        self, config: ImageTransformerConfig, dataset: Dataset, device: torch.device,
        tokenizer: PictureTokenizer | None = None,
    ) -> None:  # fmt: skip
        self.config, self.device = config, device
        self.classes, self.shares = class_names(dataset, config.use_labels)
        self.tokenizer = tokenizer or PictureTokenizer(config.tokenizer_shape()).to(device)
        reading = self.tokenizer.shape
        self.transformer = TokenTransformer(
            config.shape(reading, self.tokenizer.fsq.count, len(self.classes))
        ).to(device)  # fmt: skip
        self.modules = {"tokenizer": self.tokenizer, "transformer": self.transformer}
        self.optimizers = {"transformer": adamw([self.transformer], config.writing_lr, config.weight_decay)}
        if tokenizer is None:
            self.optimizers["tokenizer"] = adamw([self.tokenizer], config.lr)
        self.pictures = ResizedSource(dataset, "train", device, reading.size, config.flip)
        self.held_out = ResizedSource(dataset, "validation", device, reading.size)
        self.still = ResizedSource(dataset, "train", device, reading.size)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.first_steps, self.warmup = config.tokenizer_steps(), config.warmup
        self.eyes = eyes_of(config.feature_weight, reading.size, device) if self.first_steps else None

    def recordable(self, number: int) -> str:
        """Return what is learned in a step."""
        if not self.pictures.kept:
            return ""
        return "tokens" if number < self.first_steps else "writing"

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the copies while the tokens are learned, then one on the cross-entropy of the tokens."""
        if step.number < self.first_steps:
            optimizer = self.optimizers["tokenizer"]
            return learn_tokens(self.tokenizer, optimizer, self.pictures, self.config, step, self.eyes)
        optimizer = self.optimizers["transformer"]
        total: Tensor | None = None
        for indices in step.micro_batches():
            with torch.no_grad(), step.autocast():
                tokens = self.tokenizer.tokens(moved(self.pictures.images(indices), self.config.shift))
            labels = self._labels(self.pictures, indices)
            secret = torch.rand(len(labels), device=self.device) < self.config.class_dropout
            with step.autocast():
                loss = self._loss(
                    self.transformer, tokens, labels.masked_fill(secret, len(self.classes)),
                    mask_shares(len(tokens), self.device),
                )  # fmt: skip
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(optimizer)}

    def _loss(
        self, network: TokenTransformer, tokens: Tensor, labels: Tensor, shares: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Return nats per token: of the hidden ones, or of all, each after those before it."""
        if not self.config.masked:
            logits = network(tokens[:, :-1], labels)
            return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
        shown = hide(tokens, shares, network.unknown, generator)
        targets = tokens.masked_fill(shown != network.unknown, NO_TARGET)
        return F.cross_entropy(network(shown, labels).flatten(0, 1).float(), targets.flatten())

    def _labels(self, source: ResizedSource, indices: Any) -> Tensor:
        """Return the classes (B,); a picture without a label is of the last one."""
        labels = source.labels(indices)
        if not self.classes:
            return torch.zeros_like(labels)
        return torch.where(labels < 0, len(self.classes) - 1, labels)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return how well held-out pictures are copied, or once tokens are frozen, the nats of their tokens.

        The same places are hidden each time.
        """
        tokenizer = cast(PictureTokenizer, models["tokenizer"])
        if self.taken <= self.first_steps:
            return (yield from check_tokens(tokenizer, self.held_out))
        network, count = cast(TokenTransformer, models["transformer"]), min(MOST_VALIDATED, len(self.held_out))
        generator, total = seeded(self.config.seed), 0.0
        for start in range(0, count, VALIDATED_AT_ONCE):
            indices = np.arange(start, min(count, start + VALIDATED_AT_ONCE))
            even = (torch.arange(len(indices), device=self.device) + 0.5) / len(indices)
            labels = self._labels(self.held_out, indices)
            with torch.inference_mode():
                tokens = tokenizer.tokens(self.held_out.images(indices))
                loss = self._loss(network, tokens, labels, torch.cos(0.5 * math.pi * even), generator)
                total += float(loss) * len(indices)
            yield
        return {"val_loss": total / count} if count else {}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give held-out pictures beside their copies while tokens are learned, then pictures of the same seeds."""
        tokenizer = cast(PictureTokenizer, models["tokenizer"])
        if step <= self.first_steps:
            source = self.held_out if len(self.held_out) else self.still
            pairs = np.arange(min(PREVIEW_PAIRS, len(source)))
            yield Sample(step, copies_beside(tokenizer, source, pairs), role="reconstruction")
            return
        model = Model(tokenizer, cast(TokenTransformer, models["transformer"]), self.classes, self.shares)
        seeds = range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        labels: list[int] = []

        def paint(seed: int) -> Tensor:
            picture, label = model.paint(seed, -1, Drawing())
            labels.append(label)
            return picture

        pictures = yield from painted(paint, seeds, Progress(step, self.config.steps, _("Painting samples")))
        yield Sample(step, pictures, tuple(seeds), model.names(labels))

    def card(self) -> dict[str, Any]:
        """Return what `load_model` needs."""
        return {
            "tokenizer": write_tokenizer(self.tokenizer), "transformer": asdict(self.transformer.shape),
            "resolution": self.tokenizer.shape.size, "classes": self.classes, "shares": self.shares,
        }  # fmt: skip


FAMILY = Family(
    name="image_transformer",
    title=N_("Image Transformer"),
    summary=N_("Writes pictures as tokens and paints parts anew; wants a graphics card and thousands of pictures."),
    kind="image",
    tasks=(
        Task("train", N_("Train an image Transformer"), ImageTransformerConfig, train, "train", plan),
        Task("generate", N_("Make pictures"), GenerateConfig, generate),
        Task("fill", N_("Paint a part anew"), FillConfig, fill, requires="masked"),
    ),
    sampler=sampler,
)
