"""Find directions in a latent space that change pictures in one way: principal ones, and those of own examples.

Principal directions are those in which the pictures differ most, carried back to the latent space by regression, as
GANSpace does with activations (arXiv:2004.02546). A direction of examples leads from the mean of the pictures called
less to the mean of those called more.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.config import param
from aigc_desktop.core.directions import Direction, new_id, read_directions, write_directions
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Result
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.place import Place, read_places
from aigc_desktop.core.run import Run
from aigc_desktop.engine.exploring.map import Principal, looks, principal
from aigc_desktop.engine.exploring.opened import ExploreConfig, Opened, opened
from aigc_desktop.engine.pictures.common import Pictures
from aigc_desktop.engine.pictures.latent import LatentModel, decoded, pack, resolve

TRIED = 48  # so many times fewer pictures than are looked at show how much a step changes
LEAST_SCALE, MOST_SCALE = 0.5, 6.0


class DirectionsConfig(ExploreConfig):
    """Settings of finding principal directions."""

    count: int = param(8, N_("Directions"), N_("How many to find; the first ones change most."), ge=1, le=32)
    samples: int = param(
        0, N_("Pictures looked at"), N_("More find directions more surely and take longer; 0 chooses by the model."),
        ge=0, le=4096, advanced=True,
    )  # fmt: skip
    seed: int = param(0, N_("Seed"), N_("Number of the first picture looked at."), ge=0, le=2**52, advanced=True)


class SliderConfig(ExploreConfig):
    """Settings of making a slider from examples."""

    name: str = param(..., N_("Name"), N_("What more of it means, for example “round”."))
    more: str = param(..., N_("More"), N_("Places of pictures that have much of it; five are a good start."))
    less: str = param(..., N_("Less"), N_("Places of pictures that have little of it; five are a good start."))


def find_directions(config: DirectionsConfig, run: Run) -> EventStream:
    """Find principal directions and save them with the model; the Result "directions" has their ids."""
    found = opened(config, run)
    points, pictures = yield from made(found.model, config.samples or found.model.seen, config.seed)
    seen = looks(pictures)
    axes = principal(seen, config.count)
    vectors = []
    for number in range(axes.scores.shape[1]):
        vector = _carried_back(found.model, points, axes.scores[:, number])
        vectors.append(vector * _scale(found.model, points[: 1 + len(points) // TRIED], vector, axes, number))
        yield Progress(number + 1, axes.scores.shape[1], _("Trying the directions"))
    names = {each.number: each.name for each in found.directions.values() if each.kind == "principal"}
    fresh = [
        Direction(new_id(), "principal", pack(vector), names.get(n, ""), n, round(float(axes.shares[n - 1]), 4))
        for n, vector in enumerate(vectors, 1)
    ]
    own = [each for each in read_directions(found.trained, found.version) if each.kind == "examples"]
    write_directions(found.trained, found.version, [*own, *fresh])
    yield Result("directions", {"ids": [each.id for each in fresh], "checkpoint": found.version})


def make_slider(config: SliderConfig, run: Run) -> EventStream:
    """Make a direction from examples and save it with the model; the Result "directions" has its id."""
    found = opened(config, run)
    means = [_mean(found, _examples(text)) for text in (config.more, config.less)]
    half = (means[0] - means[1]) / 2
    vector = torch.cat((found.model.smooth(half[None, : found.model.latent])[0], half[found.model.latent :]))
    if float(vector.norm()) < 1e-6:
        raise UserError(
            _("The pictures called more and those called less do not differ."), _("Choose other pictures.")
        )
    direction = Direction(new_id(), "examples", pack(vector), config.name.strip())
    if not direction.name:
        raise UserError(_("A slider needs a name."), _("Type at least one character."))
    write_directions(found.trained, found.version, [direction, *found.directions.values()])
    yield Result("directions", {"ids": [direction.id], "checkpoint": found.version})


def made(model: LatentModel, count: int, seed: int) -> Generator[Event, str | None, tuple[Tensor, Pictures]]:
    """Return points (count, D + K) drawn from seeds on, and their pictures; yield the progress."""
    points, pictures = [], []
    for start in range(0, count, model.chunk):
        seeds = range(seed + start, seed + min(count, start + model.chunk))
        points.append(torch.stack([model.draw(each, -1, 1.0) for each in seeds]))
        pictures.append(decoded(model, points[-1], model.quick_steps))
        yield Progress(start + len(seeds), count, _("Looking at what the model makes"), unit=N_("pictures"))
    return torch.cat(points), np.concatenate(pictures)


def _carried_back(model: LatentModel, points: Tensor, scores: np.ndarray) -> Tensor:
    """Return the mean change of points (N, D + K) with scores (N,) of spread 1: the slope of the regression."""
    slope = ((points - points.mean(0)).double().T @ torch.from_numpy(scores) / len(scores)).float()
    return torch.cat((model.smooth(slope[None, : model.latent])[0], slope[model.latent :]))


def _scale(model: LatentModel, points: Tensor, vector: Tensor, axes: Principal, number: int) -> float:
    """Return by how much a step is to be longer so that pictures change as much as they usually differ."""
    ahead, back = (looks(decoded(model, points + sign * vector, model.quick_steps)) for sign in (1, -1))
    change = float(((ahead - back) @ axes.axes[:, number]).mean()) / 2
    return min(MOST_SCALE, max(LEAST_SCALE, 1 / change)) if change > 0 else 1.0


def _examples(text: str) -> list[Place]:
    places = read_places(text, least=0)
    if not places:
        raise UserError(
            _("A slider needs pictures that are called more and pictures that are called less."),
            _("Mark about five of each."),
        )
    return places


def _mean(found: Opened, places: list[Place]) -> Tensor:
    return torch.stack([resolve(found.model, place, found.directions) for place in places]).mean(0)
