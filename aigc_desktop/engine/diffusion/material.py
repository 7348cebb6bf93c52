"""What a LoRA learns from: latents of pictures and what text encoders make of their captions, worked out once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.aspect import pixels_of
from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.data.captions import CAPTION
from aigc_desktop.engine.diffusion.learning import Told, read_captions, to_latents
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.diffusion.stepping import shown
from aigc_desktop.engine.diffusion.train_setup import LoraTrainConfig
from aigc_desktop.engine.pictures.common import ResizedSource
from aigc_desktop.engine.training.data import Indices

_SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Part:
    """The pictures of a split: mean and spread (N, V, C, h, w) of their latents, and the row of each one's caption.

    V is 2 where they are mirrored too.
    """

    mean: Tensor
    spread: Tensor
    captions: Tensor

    def __len__(self) -> int:
        return len(self.captions)

    def latents(self, indices: Indices, device: torch.device, drawn: bool = True) -> Tensor:
        """Return latents (B, C, h, w) drawn from their spread and, where there are two, from both ways round."""
        rows = torch.from_numpy(indices)
        way = torch.randint(self.mean.shape[1], (len(rows),)) if drawn else torch.zeros(len(rows), dtype=torch.long)
        mean = self.mean[rows, way].to(device)
        if not drawn:
            return mean
        return mean + self.spread[rows, way].to(device) * torch.randn_like(mean)


@dataclass(frozen=True)
class Material:
    """Both splits, what is told of their captions, and the row of the empty caption."""

    train: Part
    validation: Part
    told: Told
    empty: int


def captions_of(dataset: Dataset, split: Split, trigger: str) -> list[str]:
    """Return a caption of each picture: the trigger word, then its caption, else its label."""
    names = [*dataset.info.classes, ""]  # a picture without a label has the number -1
    found = []
    for label, told in zip(dataset.labels(split).tolist(), dataset.attributes(split), strict=True):
        words = told.get(CAPTION) or names[label]
        found.append(", ".join(part for part in (trigger, words) if part))
    return found


def need_words(dataset: Dataset, trigger: str) -> None:
    """Raise UserError when nothing tells the model what it sees."""
    if not trigger and not any(captions_of(dataset, "train", "")):
        raise UserError(
            _("The pictures of “{title}” have neither captions nor labels.").format(title=dataset.info.title),
            _("Give a trigger word, or lay a text file with the same name beside each picture and import them again."),
        )


def size_of(config: LoraTrainConfig, dataset: Dataset, own: int, multiple: int) -> tuple[int, int]:
    """Return width and height while training: the shape of the data, as large as is wished, the model or the data."""
    side = config.resolution or min(own, dataset.info.size or own)
    width, height = pixels_of(dataset.info.aspect, side)
    return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)


def make_material(
    config: LoraTrainConfig, dataset: Dataset, model: Diffusion, size: tuple[int, int]
) -> Generator[Event, None, Material]:
    """Return pictures and captions as the denoiser reads them; yields Progress and a Note about missing captions."""
    trigger = config.trigger.strip()
    need_words(dataset, trigger)
    captions = {split: captions_of(dataset, split, trigger) for split in _SPLITS}
    missing = sum(caption == trigger for caption in captions["train"])
    if missing and missing < len(captions["train"]):
        text = ngettext(
            "{count} picture has no caption; it is learned with the trigger word alone.",
            "{count} pictures have no caption; they are learned with the trigger word alone.", missing,
        )  # fmt: skip
        yield Note(text.format(count=missing), "warning")
    different = list(dict.fromkeys(["", *captions["train"], *captions["validation"]]))
    reading = read_captions(model, different)
    told = yield from shown(reading, lambda done: Progress(done, len(different), _("Reading the captions")))
    rows = {caption: row for row, caption in enumerate(different)}
    parts = {}
    for split in _SPLITS:
        flip = config.flip and split == "train"
        mean, spread = yield from _encode(dataset, split, model, size, flip)
        parts[split] = Part(mean, spread, torch.tensor([rows[caption] for caption in captions[split]]).long())
    return Material(parts["train"], parts["validation"], told, rows[""])


def _encode(
    dataset: Dataset, split: Literal["train", "validation"], model: Diffusion, size: tuple[int, int], flip: bool
) -> Generator[Event, None, tuple[Tensor, Tensor]]:
    source = ResizedSource(dataset, split, torch.device("cpu"), (size[1], size[0]))
    means, spreads = [], []
    for number in range(len(source)):
        image = source.images(np.array([number]))
        ways = [image, image.flip(3)] if flip else [image]
        both = [to_latents(model, way) for way in ways]
        means.append(torch.stack([mean[0] for mean, _spread in both]))
        spreads.append(torch.stack([spread[0] for _mean, spread in both]))
        yield Progress(number + 1, len(source), _("Reading the pictures"))
    if not means:
        return torch.zeros(0), torch.zeros(0)
    return torch.stack(means), torch.stack(spreads)
