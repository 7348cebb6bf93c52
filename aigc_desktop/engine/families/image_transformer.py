"""Image Transformer: writes the tokens of a picture, many places at once (MaskGIT, arXiv:2202.04200) or one by one.

The first part of a training learns the tokens (FSQ, arXiv:2309.15505), unless those of an earlier training are chosen;
then they are frozen and the Transformer learns to write them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.nn.caption_encoder import NO_WORD
from aigc_desktop.engine.nn.diffaugment import moved
from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_drawing import Drawing, hide, mask_shares
from aigc_desktop.engine.nn.token_transformer import TokenTransformer
from aigc_desktop.engine.pictures import transformer_tasks as tasks
from aigc_desktop.engine.pictures.caption_words import CaptionWords, caption_notes, captions_of, words_of
from aigc_desktop.engine.pictures.common import ResizedSource, class_names, painted, seeded
from aigc_desktop.engine.pictures.feature_maps import eyes_of
from aigc_desktop.engine.pictures.tokens_learning import (
    check_tokens,
    chosen_tokenizer,
    copies_beside,
    learn_tokens,
    write_tokenizer,
)
from aigc_desktop.engine.pictures.transformer_model import Model, Wish
from aigc_desktop.engine.pictures.transformer_setup import ImageTransformerConfig, plan
from aigc_desktop.engine.training.checkpoint import read_card
from aigc_desktop.engine.training.data import Indices, Sampler, on_device, open_dataset
from aigc_desktop.engine.training.loop import begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.training.two_parts import TwoPartTrainee

PREVIEW_CELLS, PREVIEW_PAIRS = 16, 16
MOST_VALIDATED, VALIDATED_AT_ONCE = 512, 32
ALONE = 0.25  # of the pictures are told by their class alone, and as many by their caption alone


def train(config: ImageTransformerConfig, run: Run) -> EventStream:
    """Train an image Transformer on the pictures of a data set, and its tokens first unless they are chosen."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    tokenizer = chosen_tokenizer(run, config.tokens, device) if config.tokens else None
    config = config.model_copy(update={"use_captions": config.use_captions and not _begun_without_captions(run)})
    trainee = WriterTrainee(config, dataset, device, tokenizer)
    yield from (Note(note) for note in trainee.notes)
    yield from fit(config, run, trainee)


def _begun_without_captions(run: Run) -> bool:
    """Return whether an earlier release began this training, which read no captions."""
    for name in reversed(run.checkpoints()):
        try:
            return "captions" not in read_card(run.checkpoint(name)).extra
        except UserError:  # damaged: the training will tell, and goes on from the one before
            continue
    return False


Told = tuple[Tensor, Tensor | None]
"""Classes (B,) and, where captions are learned, their words (B, L)."""


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
        self.words, self.captions, self.notes = _read_captions(config, dataset, device)
        self.asked = _asked_captions(dataset, self.words)
        self.tokenizer = tokenizer or PictureTokenizer(config.tokenizer_shape()).to(device)
        reading = self.tokenizer.shape
        self.transformer = TokenTransformer(
            config.shape(reading, self.tokenizer.fsq.count, len(self.classes), self.words)
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
            told = self._told(indices)
            with step.autocast():
                loss = self._loss(self.transformer, tokens, told, mask_shares(len(tokens), self.device))
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(optimizer)}

    def _loss(
        self, network: TokenTransformer, tokens: Tensor, told: Told, shares: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Return nats per token: of the hidden ones, or of all, each after those before it."""
        labels, words = told
        caption = None if words is None else network.read(words)
        if not self.config.masked:
            logits = network(tokens[:, :-1], labels, caption=caption)
            return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())
        shown = hide(tokens, shares, network.unknown, generator)
        targets = tokens.masked_fill(shown != network.unknown, NO_TARGET)
        logits = network(shown, labels, caption=caption)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def _told(self, indices: Indices | Tensor) -> Told:
        """Return what a step is told of its pictures: some of nothing, some of the class or the caption alone.

        So each can be asked for without the other.
        """
        labels = self._labels(self.pictures, indices)
        secret = torch.rand(len(labels), device=self.device) < self.config.class_dropout
        if self.words is None:
            return labels.masked_fill(secret, len(self.classes)), None
        words = self.captions["train"][on_device(indices, self.device)]
        which = torch.rand(len(labels), device=self.device)
        words = words.masked_fill((secret | (which < ALONE))[:, None], NO_WORD)
        return labels.masked_fill(secret | (which >= 1 - ALONE), len(self.classes)), words

    def _labels(self, source: ResizedSource, indices: Any) -> Tensor:
        """Return the classes (B,); a picture without a label is of the last one."""
        labels = source.labels(indices)
        if not self.classes:
            return torch.zeros_like(labels)
        return torch.where(labels < 0, len(self.classes) - 1, labels)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return how well held-out pictures are copied, or once tokens are frozen, the nats of their tokens.

        The same places are hidden each time; where captions are learned, also without these, to tell what they teach.
        """
        tokenizer = cast(PictureTokenizer, models["tokenizer"])
        if self.taken <= self.first_steps:
            return (yield from check_tokens(tokenizer, self.held_out))
        network, count = cast(TokenTransformer, models["transformer"]), min(MOST_VALIDATED, len(self.held_out))
        generator, totals = seeded(self.config.seed), {"val_loss": 0.0}
        for start in range(0, count, VALIDATED_AT_ONCE):
            indices = np.arange(start, min(count, start + VALIDATED_AT_ONCE))
            even = (torch.arange(len(indices), device=self.device) + 0.5) / len(indices)
            labels, hidden = self._labels(self.held_out, indices), generator.get_state()
            told: dict[str, Told] = {"val_loss": (labels, None)}
            if self.words is not None:
                words = self.captions["validation"][on_device(indices, self.device)]
                told = {"val_loss": (labels, words), "val_loss_untold": (labels, torch.zeros_like(words))}
            with torch.inference_mode():
                tokens = tokenizer.tokens(self.held_out.images(indices))
                for name, what in told.items():
                    generator.set_state(hidden)
                    loss = self._loss(network, tokens, what, torch.cos(0.5 * math.pi * even), generator)
                    totals[name] = totals.get(name, 0.0) + float(loss) * len(indices)
            yield
        return {name: total / count for name, total in totals.items()} if count else {}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give held-out pictures beside their copies while tokens are learned, then pictures of the same seeds.

        Where captions are learned, each is asked for by the caption of a held-out picture, the same each time.
        """
        tokenizer = cast(PictureTokenizer, models["tokenizer"])
        if step <= self.first_steps:
            source = self.held_out if len(self.held_out) else self.still
            pairs = np.arange(min(PREVIEW_PAIRS, len(source)))
            yield Sample(step, copies_beside(tokenizer, source, pairs), role="reconstruction")
            return
        network = cast(TokenTransformer, models["transformer"])
        model = Model(tokenizer, network, self.classes, self.shares, self.words)
        seeds = range(self.config.seed, self.config.seed + PREVIEW_CELLS)
        labels: list[int] = []

        def paint(seed: int) -> Tensor:
            caption = self.asked[seed - self.config.seed] if self.asked else ""
            picture, label = model.paint(seed, Wish(caption=caption), Drawing())
            labels.append(label)
            return picture

        pictures = yield from painted(paint, seeds, Progress(step, self.config.steps, _("Painting samples")))
        yield Sample(step, pictures, tuple(seeds), model.names(labels), captions=self.asked)

    def card(self) -> dict[str, Any]:
        """Return what `load_model` needs."""
        return {
            "tokenizer": write_tokenizer(self.tokenizer), "transformer": asdict(self.transformer.shape),
            "resolution": self.tokenizer.shape.size, "classes": self.classes, "shares": self.shares,
            "captions": self.words and self.words.told(),
        }  # fmt: skip


def _read_captions(
    config: ImageTransformerConfig, dataset: Dataset, device: torch.device
) -> tuple[CaptionWords | None, dict[str, Tensor], list[str]]:
    """Return the words of the captions, the rows (N, L) of both splits, and what to say of them."""
    captions, words = words_of(dataset) if config.use_captions else ([], None)
    if words is None:
        return None, {}, []
    rows = {"train": words.rows(captions), "validation": words.rows(captions_of(dataset, "validation"))}
    return words, {split: found.to(device) for split, found in rows.items()}, caption_notes(captions, words)


def _asked_captions(dataset: Dataset, words: CaptionWords | None) -> tuple[str, ...]:
    """Return a caption with known words for each picture of the preview: held-out ones, spread over the data."""
    splits: tuple[Split, Split] = ("validation", "train")
    for split in splits if words is not None else ():
        told = [caption for caption in captions_of(dataset, split) if words is not None and words.knows(caption)]
        if told:
            return tuple(told[i * len(told) // PREVIEW_CELLS] for i in range(PREVIEW_CELLS))
    return ()


GenerateConfig, FillConfig, ExtendConfig = tasks.GenerateConfig, tasks.FillConfig, tasks.ExtendConfig
generate, fill, extend, sampler, captions = tasks.generate, tasks.fill, tasks.extend, tasks.sampler, tasks.captions

FAMILY = Family(
    name="image_transformer",
    title=N_("Image Transformer"),
    summary=N_(
        "Makes pictures, by caption too, extends them and paints parts anew; "
        "wants a graphics card and thousands of pictures."
    ),
    kind="image",
    tasks=(
        Task("train", N_("Train an image Transformer"), ImageTransformerConfig, train, "train", plan),
        Task("generate", N_("Make pictures"), GenerateConfig, generate),
        Task("fill", N_("Paint a part anew"), FillConfig, fill, requires="masked"),
        Task("extend", N_("Extend a picture"), ExtendConfig, extend, requires="masked"),
    ),
    sampler=sampler,
    captions=captions,
)
