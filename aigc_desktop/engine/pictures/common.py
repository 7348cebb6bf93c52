"""What the families of pictures share: one seed per picture, sizes, files, KID while training."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.pictures import cut_picture, inspect_picture, read_file
from aigc_desktop.data.problems import ItemProblem, describe_problem, shown_name
from aigc_desktop.engine.device import DEVICES, choose_device, set_up
from aigc_desktop.engine.metrics.features import iter_image_features
from aigc_desktop.engine.metrics.image import quick_kid
from aigc_desktop.engine.metrics.random_features import random_features, standardised
from aigc_desktop.engine.pictures.alpha import on_colour, opaque, premultiplied, straight
from aigc_desktop.engine.pictures.masks import need_same_form, white_places
from aigc_desktop.engine.training.checkpoint import Card, read_model
from aigc_desktop.engine.training.data import ImageSource, Indices, to_model, to_pictures

MOST_MEASURED = 300  # pictures a side of the quick KID; more cost more time than they tell
FEWEST_MEASURED = 16  # below this KID is noise
CHUNK = 16  # pictures made between two events

Pictures = npt.NDArray[np.uint8]


def together(device: torch.device) -> int:
    """Return how many pictures are made side by side where their bits need not be those of one made alone."""
    return 128 if device.type == "cuda" else CHUNK


class CreateConfig(TaskConfig):
    """Settings of every task that makes pictures with a trained model."""

    run: str = param(..., N_("Model"), N_("The trained model to use."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    count: int = param(16, N_("How many"), N_("Pictures to make."), ge=1, le=10_000)
    seed: int = param(
        0, N_("Seed"), N_("Number of the first picture; the same number gives the same picture again."),
        ge=0, le=2**53,
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda", "mps"] = param(
        "auto", N_("Device"), N_("Where to compute; automatic takes a graphics card when there is one."),
        labels=DEVICES, advanced=True,
    )  # fmt: skip


def class_field() -> Any:
    """Return the field of the class that is asked for."""
    return param(
        "", N_("Class"), N_("Name of one class the model has learned; empty for a mixture as in the data."),
        kind=FieldKind.CLASS,
    )  # fmt: skip


def guidance_field(usual: float) -> Any:
    """Return the field of how much a model is pushed towards the class."""
    return param(
        usual, N_("Guidance"),
        N_("Above 1 pictures are more typical of their class and less varied; 2 to 5 suits most, 1 turns it off."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip


def load_trained(config: CreateConfig, run: Run) -> tuple[Card, dict[str, Tensor], torch.device, Run]:
    """Return card, weights, device and the training run that a task of making pictures uses."""
    device = choose_device(config.device)
    set_up(device, 0)
    trained = Workspace(run.workspace).run(config.run)
    card, weights = read_model(trained.checkpoint(config.checkpoint))
    return card, weights, device, trained


def seeded(seed: int) -> torch.Generator:
    """Return the random generator of the picture with this seed; on the processor, so that any device agrees."""
    return torch.Generator().manual_seed(seed)


def painted(
    make: Callable[[int], Tensor], seeds: Iterable[int], progress: Progress
) -> Generator[Event, None, Pictures]:
    """Return pictures as `one_by_one` does, with `progress` and a chance to stop before each."""
    made = []
    for seed in seeds:
        yield progress
        made.append(one_by_one(make, [seed]))
    return np.concatenate(made)


def one_by_one(make: Callable[[int], Tensor], seeds: Sequence[int]) -> Pictures:
    """Return the pictures (N, H, W, 3 or 4) of `seeds`, each from `make(seed) -> (1, C, H, W)` on its own.

    Convolutions round differently in batches of different sizes; alone, a picture is the same to the bit every time.
    """
    with torch.inference_mode():
        return np.concatenate([to_pictures(straight(make(seed))) for seed in seeds])


class ResizedSource:
    """Pictures of a split as batches in the size of the model: the side of squares, or (height, width).

    With four channels they are premultiplied; with three, what is transparent is white.
    """

    def __init__(
        self, dataset: Dataset, split: Literal["train", "validation"], device: torch.device,
        size: int | tuple[int, int], flip: bool = False, channels: int = 3,
    ) -> None:  # fmt: skip
        self.source, self.channels = ImageSource(dataset, split, device, flip), channels
        self.size = (size, size) if isinstance(size, int) else size

    def __len__(self) -> int:
        return len(self.source)

    @property
    def kept(self) -> bool:
        """Return whether all pictures lie on the device."""
        return self.source.kept

    def images(self, indices: Indices | Tensor) -> Tensor:
        """Return pictures (B, channels, height, width) in [-1, 1]."""
        images = self.source.images(indices)
        return fitted(as_colour(images) if self.channels == 3 else premultiplied(images), self.size)

    def labels(self, indices: Indices | Tensor) -> Tensor:
        """Return the classes (B,) int64, -1 without a label."""
        return self.source.labels(indices)


def as_colour(images: Tensor) -> Tensor:
    """Return pictures (B, 1, 3 or 4, H, W) of a data set with three channels, transparent ones on white."""
    if images.shape[1] == 4:
        return on_colour(premultiplied(images))
    return images.expand(-1, 3, -1, -1)


def fitted(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the middle of (B, C, H, W) as (B, C, *size): means of areas when smaller, bilinear when larger."""
    (height, width), (rows, columns) = size, images.shape[2:]
    scale = min(rows / height, columns / width)
    kept_rows, kept_columns = round(scale * height), round(scale * width)
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    images = images[..., top : top + kept_rows, left : left + kept_columns]
    if images.shape[2:] == size:
        return images
    if images.shape[2] % height == 0 and images.shape[3] == images.shape[2] // height * width:
        return F.avg_pool2d(images, images.shape[2] // height)
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


class KidMeter:
    """KID of generated pictures against held-out ones, with few pictures, as a validation metric.

    `outside` measures in features of a random network too, for models that learn in those of the trained one.
    Features of the trained one are computed on a graphics card where `device` is one.
    """

    def __init__(self, dataset: Dataset, size: tuple[int, int], device: torch.device, outside: bool = False) -> None:
        self.outside, self.device = outside, "cuda" if device.type == "cuda" else "cpu"
        indices = dataset.indices("validation")[:MOST_MEASURED]
        pictures = np.asarray(dataset.image_map[indices])
        self.held_out = to_pictures(fitted(as_colour(to_model(torch.from_numpy(pictures))), size))
        self._features: npt.NDArray[np.float32] | None = None

    @property
    def possible(self) -> bool:
        """Return whether enough pictures were held out."""
        return len(self.held_out) >= FEWEST_MEASURED

    def measure(
        self, make: Callable[[Sequence[int]], Pictures], first_seed: int
    ) -> Generator[None, None, dict[str, float]]:
        """Yield between small pieces of work; return the metrics of pictures with seeds from `first_seed` on."""
        if self._features is None:
            self._features = yield from self._of(self.held_out)
        made = []
        for start in range(0, MOST_MEASURED, CHUNK):
            made.append(make(range(first_seed + start, first_seed + min(MOST_MEASURED, start + CHUNK))))
            yield
        pictures = opaque(np.concatenate(made))
        features = yield from self._of(pictures)
        values = {"validation_kid": quick_kid(self._features, features)}
        if self.outside:  # first, as the best version is that of the first metric
            random = standardised(random_features(self.held_out), random_features(pictures))
            values = {"validation_random_kid": quick_kid(*random), **values}
        return values

    def _of(self, pictures: Pictures) -> Generator[None, None, npt.NDArray[np.float32]]:
        parts = []
        for part in iter_image_features(pictures, self.device):
            parts.append(part)
            yield
        return np.concatenate(parts)


def class_names(dataset: Dataset, wanted: bool) -> tuple[list[str], list[float]]:
    """Return the classes a model learns apart and their shares of the training pictures; empty without labels.

    Pictures without a label form a class with an empty name.
    """
    labels = dataset.labels("train")
    if not wanted or not (labels >= 0).any():
        return [], []
    names = [*dataset.info.classes, ""] if (labels < 0).any() else list(dataset.info.classes)
    counts = np.bincount(np.where(labels < 0, len(names) - 1, labels), minlength=len(names))
    return names, [float(count) / len(labels) for count in counts]


def shares_of(labels: Tensor, classes: int) -> Tensor:
    """Return the shares (B, K) of classes (B,), on their device; pictures without a label are in the last one."""
    if not classes:
        return torch.zeros(len(labels), 0, device=labels.device)
    return F.one_hot(torch.where(labels < 0, classes - 1, labels).long(), classes).float()


def known_class(label: int, shares: list[float], generator: torch.Generator) -> int:
    """Return `label`, or for -1 a class drawn as often as it is in the data.

    One is drawn in any case, so that asking for the class of a picture by name changes nothing else in it.
    """
    weights: Any = torch.tensor(shares, dtype=torch.float64)
    drawn = int(torch.multinomial(weights, 1, generator=generator))
    return label if label >= 0 else drawn


def class_index(card: Card, name: str) -> int:
    """Return the number of a class, -1 for ""; UserError when the model has not learned it."""
    if not name:
        return -1
    names: list[str] = card.extra.get("classes", [])
    if name in names:
        return names.index(name)
    raise UserError(
        _("This model has not learned the class “{name}”.").format(name=name),
        _("Leave the class empty or choose one of: {names}.").format(names=", ".join(filter(None, names)))
        if names else _("Leave the class empty: it was trained without labels."),
    )  # fmt: skip


def open_picture(path: Path, size: int | tuple[int, int]) -> Tensor:
    """Return the middle of a picture file as (1, 3, H, W) in [-1, 1]; UserError when it cannot be read.

    `size` is the side of a square, or (height, width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    with _told(path):
        return to_model(torch.from_numpy(cut_picture(read_file(path), width, height).copy())[None])


def open_mask(path: Path, size: int, picture: Path) -> Tensor:
    """Return a mask file as (1, 1, size, size), 1 where it is white; UserError when it marks nothing.

    It must have the form of `picture`: of each the middle is cut out, and other middles are other places.
    """
    need_same_form(picture_size(path), picture_size(picture))
    with _told(path):
        white = white_places(cut_picture(read_file(path), size, size, transparent=True))
    if not white.any():
        raise UserError(
            _("Nothing in the mask “{name}” is white.").format(name=shown_name(path.name)),
            _("Paint what is to change white, and the rest black. Only the centre of a picture is used."),
        )
    return torch.from_numpy(white).float()[None, None]


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of a picture file as shown; UserError when it cannot be read."""
    with _told(path):
        facts = inspect_picture(read_file(path))
    return facts.width, facts.height


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what is wrong with a picture file as a UserError."""
    try:
        yield
    except ItemProblem as problem:
        sentence = describe_problem(problem.code, shown_name(path.name), **problem.values)
        raise UserError(sentence, _("Choose another picture.")) from problem
