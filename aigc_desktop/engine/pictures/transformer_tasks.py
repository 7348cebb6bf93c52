"""What a trained image Transformer makes: new pictures, pictures painted anew in part or extended, samples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import choose_device
from aigc_desktop.engine.nn.canvas import Windows
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_masked, draw_tokens
from aigc_desktop.engine.pictures.caption_words import captions_of, passed_over
from aigc_desktop.engine.pictures.common import (
    CreateConfig,
    Pictures,
    class_field,
    class_index,
    guidance_field,
    load_trained,
    one_by_one,
    open_mask,
    open_picture,
    seeded,
    together,
)
from aigc_desktop.engine.pictures.extending import SidesConfig, stream_extended
from aigc_desktop.engine.pictures.making import MakeConfig, stream_samples
from aigc_desktop.engine.pictures.transformer_model import Model, Wish, load_model
from aigc_desktop.engine.shortage import in_halves
from aigc_desktop.engine.training.checkpoint import read_card, read_model
from aigc_desktop.engine.training.data import to_pictures


class DrawConfig(CreateConfig):
    """Settings of every task of a trained image Transformer."""

    caption: str = param(
        "", N_("Caption"),
        N_("What the picture is to show, in words of the captions it has learned from; empty for anything."),
        kind=FieldKind.CAPTION, multiline=True,
    )  # fmt: skip
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


class WriteConfig(DrawConfig, MakeConfig):
    """Settings of the tasks whose pictures are rated."""


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


class ExtendConfig(SidesConfig, DrawConfig):
    """Settings of extending a picture; the usual ones keep nearer to it than those of making new pictures."""

    wildness: float = again(DrawConfig, "wildness", 0.5)
    guidance: float = again(DrawConfig, "guidance", 2.0)


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make new pictures; the seed of each decides it alone."""
    model, wish = yield from open_model(config, run)
    yield from _stream(config, run, model, lambda seed: model.paint(seed, wish, config.drawing()))


def fill(config: FillConfig, run: Run) -> EventStream:
    """Paint a part of a picture anew; what lies outside the squares of the mask stays as it is, to the bit."""
    model, wish = yield from open_model(config, run)
    need_masked(model, _("This model draws token by token and cannot paint a part anew."))
    shape = model.tokenizer.shape
    picture = open_picture(config.picture, shape.size).to(model.device)
    mask = open_mask(config.mask, shape.size, config.picture).to(model.device)
    anew = F.max_pool2d(mask, shape.patch)  # (1, 1, side, side)
    with torch.inference_mode():
        known = model.tokenizer.tokens(picture)
    known = known.masked_fill(anew.flatten(1).bool(), model.transformer.unknown)
    changed = F.interpolate(anew, scale_factor=shape.patch).bool()

    def make(seed: int) -> tuple[Tensor, int]:
        generator = seeded(seed)
        asked = model.asked(wish, generator)
        tokens = draw_masked(
            model.transformer, [asked.label], config.drawing(), [generator], known, asked.words
        )  # fmt: skip
        return torch.where(changed, model.tokenizer.pictures(tokens), picture), asked.label

    yield from _stream(config, run, model, make)


def extend(config: ExtendConfig, run: Run) -> EventStream:
    """Extend a picture beyond its borders; where no class is asked for, none is drawn: the picture says more."""
    model, wish = yield from open_model(config, run)
    need_masked(model, _("This model draws token by token and cannot extend a picture."))
    label = wish.label if wish.label >= 0 else len(model.classes)
    words = None if model.words is None else model.words.rows([wish.caption])

    def draw(places: Tensor, known: Tensor, generator: torch.Generator) -> Tensor:
        tokens = places.masked_fill(~known, model.transformer.unknown).flatten(1)
        drawn = draw_masked(model.transformer, [label], config.drawing(), [generator], tokens, words)
        return drawn.view_as(places)

    yield from stream_extended(config, windows_of(model.tokenizer), draw, model.device, model.names([label]))


def windows_of(tokenizer: PictureTokenizer) -> Windows:
    """Return how tokens are read and shown, as places with one number."""
    side = tokenizer.shape.side
    return Windows(
        side, tokenizer.shape.patch, lambda picture: tokenizer.tokens(picture).view(1, 1, side, side),
        lambda places: tokenizer.pictures(places.flatten(1)),
    )  # fmt: skip


def open_model(config: DrawConfig, run: Run) -> Generator[Event, None, tuple[Model, Wish]]:
    """Return the model and what is asked for, with a Note about words of the caption that it passes over."""
    card, weights, device, _trained = load_trained(config, run)
    model = load_model(card, weights, device)
    caption = " ".join(config.caption.split())
    if caption:
        yield from (Note(note, "warning") for note in passed_over(model.words, caption))
    return model, Wish(class_index(card, config.label), caption)


def need_masked(model: Model, sentence: str) -> None:
    """UserError with what cannot be done, unless the model draws around places that are known."""
    if not model.transformer.shape.masked:
        raise UserError(sentence, _("Choose one that was trained with “Draw many places at once”."))


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


def captions(folder: Path, dataset: Dataset, split: Split) -> list[str]:
    """Return the captions of a split, none for a model that has not learned from them."""
    return captions_of(dataset, split) if read_card(folder).extra.get("captions") else []


def sampler(folder: Path, device: str) -> Callable[..., Pictures]:
    """Return a function (count, seed, captions=()) -> pictures (count, H, W, 3) of a checkpoint, for evaluation.

    They are made several at once, which is faster and rounds differently from one at a time.
    """
    model = load_model(*read_model(folder), choose_device(device))

    def make(seeds: Sequence[int], told: Sequence[str]) -> Pictures:
        generators = [seeded(seed) for seed in seeds]
        wishes = [Wish(caption=told[seed % len(told)] if told else "") for seed in seeds]
        asked = [model.asked(wish, generator) for wish, generator in zip(wishes, generators, strict=True)]
        words = None if model.words is None else model.words.rows([wish.caption for wish in wishes])
        with torch.inference_mode():
            tokens = draw_tokens(model.transformer, [one.label for one in asked], Drawing(), generators, words)
            return to_pictures(model.tokenizer.pictures(tokens))

    def sample(count: int, seed: int, captions: Sequence[str] = ()) -> Pictures:
        step, end = together(model.device), seed + count
        parts = [range(start, min(end, start + step)) for start in range(seed, end, step)]
        return np.concatenate([in_halves(lambda some: make(some, captions), seeds, model.device) for seeds in parts])

    return sample
