"""Batches from a frozen data set: reshuffled every epoch by a generator of (seed, epoch), so a position says all."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace

Indices = npt.NDArray[np.int64]
_KEEP_SHARE = 0.2  # of the device's memory that a data set may take


def open_dataset(run: Run, dataset_id: str, kind: Literal["image", "text"]) -> Dataset:
    """Return the frozen data set of a training; UserError when it is of another kind or changed since the start."""
    dataset = Workspace(run.workspace).dataset(dataset_id)
    if dataset.info.kind != kind:
        raise UserError(
            _("“{title}” holds the wrong kind of data for this model.").format(title=dataset.info.title),
            _("Choose a data set with pictures.") if kind == "image" else _("Choose a data set with texts."),
        )
    dataset.check_snapshot()
    manifest, before = dataset.manifest_hash(), run.info.dataset_hash
    if before and before != manifest:
        raise UserError(
            _("“{title}” is not the data this training began with.").format(title=dataset.info.title),
            _("Start a new training on the new data."),
        )
    if not before:
        run.update(dataset_hash=manifest)
    if not dataset.info.train:
        raise UserError(
            _("“{title}” has nothing to train on.").format(title=dataset.info.title),
            _("Add usable files to it on the Data page."),
        )
    return dataset


class Sampler:
    """Endless batches of indices below `count`; every item comes once per epoch, in a new order each time.

    A batch may span two epochs, so sets smaller than a batch work. `position` is all that resuming needs.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        if count < 1 or batch_size < 1:
            raise ValueError(f"{count} items in batches of {batch_size}")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.epoch, self.offset = 0, 0
        self._order: tuple[int, Indices] | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Return (epoch, items of it already drawn)."""
        return self.epoch, self.offset

    @position.setter
    def position(self, value: tuple[int, int]) -> None:
        self.epoch, self.offset = value

    def next(self) -> Indices:
        """Return the next batch of indices, int64 (batch_size,)."""
        parts: list[Indices] = []
        missing = self.batch_size
        while missing:
            piece = self.order(self.epoch)[self.offset : self.offset + missing]
            parts.append(piece)
            missing -= len(piece)
            self.offset += len(piece)
            if self.offset == self.count:
                self.epoch, self.offset = self.epoch + 1, 0
        return np.concatenate(parts)

    def order(self, epoch: int) -> Indices:
        """Return the order of an epoch, a permutation that depends on seed and epoch only."""
        if self._order is None or self._order[0] != epoch:
            generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))
            self._order = (epoch, generator.permutation(self.count))
        return self._order[1]


class ImageSource:
    """Pictures of a split as batches on the device; kept there when they take little of its memory."""

    def __init__(
        self, dataset: Dataset, split: Literal["train", "validation"], device: torch.device, flip: bool = False
    ) -> None:
        self.device, self.flip = device, flip
        self._map = dataset.image_map
        self._rows = dataset.indices(split)
        self._labels = torch.from_numpy(dataset.labels(split).astype(np.int64)).to(device)
        size = len(self._rows) * int(np.prod(self._map.shape[1:]))
        self._kept = torch.from_numpy(dataset.images(split)).to(device) if size < _room(device) else None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def kept(self) -> bool:
        """Return whether all pictures lie on the device, so that a batch needs nothing else but its indices."""
        return self._kept is not None

    def images(self, indices: Indices | Tensor) -> Tensor:
        """Return pictures (B, C, H, W) float32 in [-1, 1]; with `flip` each is mirrored half of the time."""
        if self._kept is not None:
            pictures = self._kept[on_device(indices, self.device)]
        else:
            assert isinstance(indices, np.ndarray)
            pictures = torch.from_numpy(self._map[self._rows[indices]])
            if self.device.type == "cuda":
                pictures = pictures.pin_memory()
            pictures = pictures.to(self.device, non_blocking=True)
        images = to_model(pictures)
        if self.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, device=self.device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return images

    def labels(self, indices: Indices | Tensor) -> Tensor:
        """Return the classes (B,) int64 of the same pictures, -1 without a label."""
        return self._labels[on_device(indices, self.device)]


def on_device(indices: Indices | Tensor, device: torch.device) -> Tensor:
    """Return indices (N,) int64 on the device, without waiting for what it still computes."""
    if isinstance(indices, Tensor):
        return indices
    return torch.from_numpy(indices).to(device, non_blocking=True)


def to_model(pictures: Tensor) -> Tensor:
    """Return uint8 (B, H, W, C) as float32 (B, C, H, W) in [-1, 1]."""
    return pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def to_pictures(images: Tensor) -> npt.NDArray[np.uint8]:
    """Return (B, C, H, W) in [-1, 1] as uint8 (B, H, W, C) for events; values outside are clipped."""
    scaled = images.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    pictures: npt.NDArray[np.uint8] = scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pictures


class Source(Protocol):
    """Where indices come from: a Sampler, or anything with its two members."""

    position: tuple[int, int]

    def next(self) -> Indices:
        """Return the next batch of indices."""


def _room(device: torch.device) -> float:
    if device.type == "cuda":
        return _KEEP_SHARE * torch.cuda.get_device_properties(device).total_memory
    return 1e9
