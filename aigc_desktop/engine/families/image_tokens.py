"""Image tokens: an autoencoder that writes a picture as a grid of whole numbers (FSQ, arXiv:2309.15505).

It makes no new pictures by itself. An image Transformer learns to write its tokens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.pictures.common import CHUNK, CreateConfig, ResizedSource, load_trained
from aigc_desktop.engine.pictures.feature_maps import eyes_of
from aigc_desktop.engine.pictures.tokens_learning import (
    check_tokens,
    copies_beside,
    learn_tokens,
    load_tokenizer,
    write_tokenizer,
)
from aigc_desktop.engine.pictures.tokens_setup import FAMILY_NAME, ImageTokensConfig, plan
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step

PREVIEW_PAIRS = 16


class ReconstructConfig(CreateConfig):
    """Settings of copying held-out pictures through their tokens; `seed` is the number of the first picture."""


def train(config: ImageTokensConfig, run: Run) -> EventStream:
    """Train a tokenizer on the pictures of a data set."""
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    yield from fit(config, run, TokensTrainee(config, dataset, device))


def reconstruct(config: ReconstructConfig, run: Run) -> EventStream:
    """Show held-out pictures beside their copies."""
    card, weights, device, trained = load_trained(config, run)
    tokenizer = load_tokenizer(card, weights, device)
    dataset = Workspace(run.workspace).dataset(str(trained.config_values["dataset"]))
    source = ResizedSource(dataset, "validation", device, tokenizer.shape.size)
    if not len(source):
        raise UserError(
            _("“{title}” has no held-out pictures to copy.").format(title=dataset.info.title),
            _("Freeze the data set with a validation share above 0."),
        )
    count = min(config.count, len(source))
    chosen = (config.seed + np.arange(count)) % len(source)
    for start in range(0, count, CHUNK):
        yield Sample(start, copies_beside(tokenizer, source, chosen[start : start + CHUNK]), role="reconstruction")
        yield Progress(min(count, start + CHUNK), count, unit=N_("pictures"))


class TokensTrainee(Trainee):
    """The tokenizer and one step of training."""

    family, unit, generates = FAMILY_NAME, N_("pictures"), ("tokenizer",)

    def __init__(self, config: ImageTokensConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.device = config, device
        shape = config.tokenizer_shape()
        self.tokenizer = PictureTokenizer(shape).to(device)
        self.modules = {"tokenizer": self.tokenizer}
        self.optimizers = {"tokenizer": adamw([self.tokenizer], config.lr, config.weight_decay)}
        self.pictures = ResizedSource(dataset, "train", device, shape.size, config.flip)
        self.held_out = ResizedSource(dataset, "validation", device, shape.size)
        self.still = ResizedSource(dataset, "train", device, shape.size)
        self.sampler = Sampler(len(self.pictures), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.eyes = eyes_of(config.feature_weight, shape.size, device)

    def recordable(self, number: int) -> str:
        """Return that all steps are alike."""
        return "step" if self.pictures.kept else ""

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the error of the copies."""
        optimizer = self.optimizers["tokenizer"]
        return learn_tokens(self.tokenizer, optimizer, self.pictures, self.config, step, self.eyes)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the error of held-out copies and how the codes are used."""
        return (yield from check_tokens(cast(PictureTokenizer, models["tokenizer"]), self.held_out))

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Give held-out pictures beside their copies."""
        source = self.held_out if len(self.held_out) else self.still
        pairs = np.arange(min(PREVIEW_PAIRS, len(source)))
        tokenizer = cast(PictureTokenizer, models["tokenizer"])
        yield Sample(step, copies_beside(tokenizer, source, pairs), role="reconstruction")

    def card(self) -> dict[str, Any]:
        """Return what `load_tokenizer` needs."""
        return {"tokenizer": write_tokenizer(self.tokenizer), "resolution": self.tokenizer.shape.size}


FAMILY = Family(
    name=FAMILY_NAME,
    title=N_("Image tokens"),
    summary=N_("Learns to write a picture as a small grid of tokens, which an image Transformer then learns to write."),
    kind="image",
    tasks=(
        Task("train", N_("Train image tokens"), ImageTokensConfig, train, "train", plan),
        Task("reconstruct", N_("Copy held-out pictures"), ReconstructConfig, reconstruct),
    ),
)
