"""The training of an encoder with a new last layer: the same for names in texts and for classes of texts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.events import Event, Text
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.labels.adapted import Adapted, lora_shape
from aigc_desktop.engine.labels.encoder_setup import AdapterConfig
from aigc_desktop.engine.labels.pieces import LEFT_OUT, LengthSampler, Piece, Scores, collate, scores_of
from aigc_desktop.engine.nn.lora import save_adapter
from aigc_desktop.engine.pretrained.encoder import (
    Encoder,
    encoder_folder,
    load_encoder,
    weights_hash,
    width_of,
)
from aigc_desktop.engine.pretrained.reader import Reader
from aigc_desktop.engine.training.checkpoint import part
from aigc_desktop.engine.training.loop import Trainee
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.weights import read_tensors

T = TypeVar("T")
PREVIEW_TEXTS = 6
MOST_VALIDATED = 2000  # texts


class Aim(Protocol):
    """What is learned: how many outputs, what they are called, and what scores mean."""

    family: str
    whole: bool
    outputs: int
    classes: list[str]

    def measure(self, pieces: Sequence[Piece], scores: Sequence[Scores]) -> dict[str, float]:
        """Return figures of held-out pieces from log-probabilities (W, C) of each; the first one is minimised."""

    def show(self, texts: Sequence[int], pieces: Sequence[Piece], scores: Sequence[Scores]) -> list[str]:
        """Return held-out texts by number, and below each "→" and what was found."""


@dataclass(frozen=True)
class Lessons:
    """What is learned from, and what checks it."""

    train: list[Piece]
    validation: list[Piece]


def load_base(config: AdapterConfig, run: Run, device: torch.device) -> Encoder:
    """Return the encoder a training begins with."""
    return load_encoder(encoder_folder(config.encoder, Workspace(run.workspace)), device)


class AdapterTrainee(Trainee):
    """An encoder, its new last layer, and one step of training."""

    generates, unit = ("model",), N_("texts")

    def __init__(
        self, config: AdapterConfig, encoder: Encoder, lessons: Lessons, aim: Aim, device: torch.device, run: Run
    ) -> None:
        self.config, self.encoder, self.lessons, self.aim, self.device = config, encoder, lessons, aim, device
        self.family = aim.family
        lora = None
        self.extra: dict[str, Any] = {}
        if config.method == "lora":
            lora = lora_shape(encoder.network, config.rank, config.alpha, config.lora_dropout)
            folder = encoder_folder(config.encoder, Workspace(run.workspace))
            self.extra = {"targets": list(lora.targets), "weights": weights_hash(folder)}
        torch.manual_seed(config.seed)  # new layers are drawn, those of an encoder not
        self.model = Adapted(
            encoder.network, width_of(encoder.config), aim.outputs, config.dropout, aim.whole, lora
        ).to(device).train()  # fmt: skip
        self.modules = {"model": self.model}
        self.optimizer = adamw([self.model], config.peak_lr, config.weight_decay, (0.9, 0.999))
        self.optimizers = {"model": self.optimizer}
        self.sampler = LengthSampler([len(piece.ids) for piece in lessons.train], config.batch_size, config.seed)
        self.units_per_step = config.batch_size

    @property
    def reader(self) -> Reader:
        """Return what turns text into tokens."""
        return self.encoder.reader

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the cross entropy, in nats per word or per text."""
        total: Tensor | None = None
        for indices in step.micro_batches():
            batch = collate([self.lessons.train[i] for i in indices], self.reader, self.device)
            with step.autocast():
                logits = self.model(batch)
            loss = F.cross_entropy(
                logits.float().flatten(0, 1), batch.labels.flatten(), ignore_index=LEFT_OUT, reduction="sum"
            ) / (batch.labels != LEFT_OUT).sum().clamp(min=1)
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(self.optimizer)}

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return the error of held-out texts, which is minimised, with the other figures and the loss."""
        pieces = [piece for piece in self.lessons.validation if piece.text < MOST_VALIDATED]
        if not pieces:
            return {}
        scores = yield from scores_of(models["model"], pieces, self.reader, self.device)
        return self.aim.measure(pieces, scores) | {"val_loss": mean_loss(pieces, scores)}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterable[Event]:
        """Show held-out texts and what is found in them."""
        source = self.lessons.validation or self.lessons.train
        texts = sorted({piece.text for piece in source})[:PREVIEW_TEXTS]
        pieces = [piece for piece in source if piece.text in texts]
        scores = value_of(scores_of(models["model"], pieces, self.reader, self.device))
        yield Text(step, tuple(self.aim.show(texts, pieces, scores)), role="reconstruction")

    def card(self) -> dict[str, Any]:
        """Return what `load_adapted` needs."""
        reader = self.reader
        return {
            "classes": list(self.aim.classes), "outputs": self.aim.outputs, "whole": self.aim.whole,
            "encoder": self.encoder.config, "pad": reader.pad,
            "positions": reader.longest + len(reader.begin) + len(reader.end), **self.extra,
        }  # fmt: skip

    def write_files(self, folder: Path) -> None:
        """Put the tokenizer beside the weights, and an adapter once more as PEFT writes it."""
        self.reader.save(folder)
        lora = self.model.lora
        if lora is not None:
            state = part(read_tensors(folder / "model.safetensors"), "model.encoder")
            save_adapter(folder, state, lora, self.config.encoder, "FEATURE_EXTRACTION")


def mean_loss(pieces: Sequence[Piece], scores: Sequence[Scores]) -> float:
    """Return the mean -log p of the labels in nats; labels LEFT_OUT do not count."""
    total, count = 0.0, 0
    for piece, told in zip(pieces, scores, strict=True):
        known = (piece.labels != LEFT_OUT).nonzero()[0]
        total -= float(told[known, piece.labels[known]].sum())
        count += len(known)
    return total / max(1, count)


def value_of(steps: Generator[Any, None, T]) -> T:
    """Return what a generator returns, for work too short to be stopped."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
