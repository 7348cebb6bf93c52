"""A model with a latent space: draw a point, decode it to a picture, find the point of a picture.

A point is a float32 vector: the latent, then the share of each class the model has learned. Each family offers its
model through `Family.latents`; what is built on it (engine/exploring/tasks.py) is written once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.directions import Direction
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.place import Part, Place
from aigc_desktop.engine.pictures.common import CHUNK, Pictures, one_by_one


@dataclass(frozen=True)
class LatentModel:
    """A model of pictures (C, H, W) with points (D + K,), K classes, on `device`.

    `draw(seed, label, wildness)` returns the point of a seed, the one that the family's own task of making pictures
    takes for it. `decode(points, steps)` returns pictures (B, C, H, W) in [-1, 1], premultiplied where C is 4, and can
    be differentiated; `steps` 0 is the usual quality, and models that are quick anyway ignore it. `encode` returns the
    point of a picture (1, 3, H, W), None for models that learned no encoder. `smooth` takes out of latents (N, D) what
    no direction of pictures is made of. `centre` (D + K,) is the most typical point. `sample(count, seed)` returns
    pictures uint8 (count, H, W, C) with default settings, for evaluation.
    """

    latent: int
    classes: tuple[str, ...]
    size: tuple[int, int]
    device: torch.device
    centre: Tensor
    draw: Callable[[int, int, float], Tensor]
    decode: Callable[[Tensor, int], Tensor]
    sample: Callable[[int, int], Pictures]
    encode: Callable[[Tensor], Tensor] | None = None
    smooth: Callable[[Tensor], Tensor] = field(default=lambda latents: latents)
    quick_steps: int = 0

    @property
    def copies(self) -> bool:
        """Return whether it learned to copy pictures; a flow finds any picture by its way back, which says nothing."""
        return self.encode is not None and not self.quick_steps

    @property
    def chunk(self) -> int:
        """Return how many pictures are made between two events, so that a stop is noticed in time."""
        return 2 if self.quick_steps else CHUNK

    @property
    def seen(self) -> int:
        """Return how many of its pictures are looked at to know the model."""
        return 64 if self.quick_steps else 256

    @property
    def length(self) -> int:
        """Return D + K."""
        return self.latent + len(self.classes)

    def label_of(self, name: str) -> int:
        """Return the number of a class, -1 for ""; UserError when the model has not learned it."""
        if not name:
            return -1
        if name in self.classes:
            return self.classes.index(name)
        raise UserError(
            _("This model has not learned the class “{name}”.").format(name=name), _("Leave the class empty.")
        )

    def label_at(self, point: Tensor) -> str:
        """Return the name of the class that a point is nearest to, "" without classes."""
        return self.classes[int(point[self.latent :].argmax())] if self.classes else ""


def of_class(model: LatentModel) -> Callable[[str, int, int], Pictures]:
    """Return a function (class, count, seed) -> pictures (count, H, W, C) of the class."""

    def make(name: str, count: int, seed: int) -> Pictures:
        label = model.label_of(name)
        return decoded(model, torch.stack([model.draw(each, label, 1.0) for each in range(seed, seed + count)]))

    return make


def with_class(latent: Tensor, label: int, classes: int) -> Tensor:
    """Return the point (D + K,) of a latent (D,) in the class `label`."""
    shares = torch.zeros(classes)
    if classes:
        shares[label] = 1.0
    return torch.cat((latent.float().cpu(), shares))


def resolve(model: LatentModel, place: Place, directions: dict[str, Direction]) -> Tensor:
    """Return the point (D + K,) of a place on the processor; UserError when it belongs to another model."""
    total = sum(part.weight for part in place.parts)
    points = [_point(model, part, place.wildness) for part in place.parts]
    weights = [part.weight / total for part in place.parts]
    point = points[0] if len(points) == 1 else mixture(model, points, weights)
    if place.variant is not None and place.strength > 0:
        other = model.draw(place.variant, _label_number(model, point), place.wildness)
        varied = mixture(model, [point, other], [1 - place.strength, place.strength])
        point = torch.cat((varied[: model.latent], point[model.latent :]))
    for move in place.moves:
        if move.direction not in directions:
            raise UserError(
                _("A slider of these settings is not there any more."),
                _("Set the sliders again, or take the picture from the Library."),
            )
        point = point + move.amount * unpack(directions[move.direction].vector, model.length)
    return point


def decoded(model: LatentModel, points: Tensor, steps: int = 0) -> Pictures:
    """Return pictures (N, H, W, 3) of points (N, D + K), each decoded alone, so that it is always the same."""
    return one_by_one(lambda i: model.decode(points[i : i + 1].to(model.device), steps), range(len(points)))


def pack(vector: Tensor) -> str:
    """Return a vector as text."""
    values = vector.detach().cpu().numpy().astype("<f4")
    return base64.b64encode(values.tobytes()).decode()


def unpack(text: str, length: int) -> Tensor:
    """Return the vector (length,) in a text; UserError when it is none of this model."""
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        if len(values) != length or not np.isfinite(values).all():
            raise ValueError
    except (ValueError, binascii.Error):
        raise UserError(
            _("These settings belong to another model."), _("Choose the model and version the picture was made with.")
        ) from None
    return torch.from_numpy(values.astype(np.float32))


def _point(model: LatentModel, part: Part, wildness: float) -> Tensor:
    if part.seed is not None:
        return model.draw(part.seed, model.label_of(part.label), wildness)
    point = unpack(part.latent, model.length)
    if wildness != 1.0:
        centre = model.centre[: model.latent]
        point = torch.cat((torch.lerp(centre, point[: model.latent], wildness), point[model.latent :]))
    return point


def mixture(model: LatentModel, points: list[Tensor], weights: list[float]) -> Tensor:
    """Return the mixture of points, as far from the centre as they are; `weights` sum to 1.

    On a straight line between two points pictures would be blander than both.
    """
    together = torch.stack([weight * point for weight, point in zip(weights, points, strict=True)]).sum(0)
    centre = model.centre[: model.latent]
    away = together[: model.latent] - centre
    usual = sum(
        weight * float((point[: model.latent] - centre).norm()) for weight, point in zip(weights, points, strict=True)
    )
    length = float(away.norm())
    if length > 1e-3 * usual:  # opposite points cancel each other: then the centre is what lies between
        away = away * (usual / length)
    return torch.cat((centre + away, together[model.latent :]))


def _label_number(model: LatentModel, point: Tensor) -> int:
    return int(point[model.latent :].argmax()) if model.classes else -1


_kept: dict[Hashable, LatentModel] = {}


def kept(key: Hashable, load: Callable[[], LatentModel]) -> LatentModel:
    """Return the model of `key`, loaded if it is not the one in use already: dragging asks many times a second."""
    if key not in _kept:
        _kept.clear()
        _kept[key] = load()
    return _kept[key]


def release(task: str) -> None:
    """Let go of the model unless the task about to run explores, too."""
    if not task.startswith("explore."):
        _kept.clear()
