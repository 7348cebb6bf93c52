"""Explore what a trained model can make: a map of it, pictures at places between, and films on the way through them.

The tasks are built once on the latent spaces that the families offer (pictures/latent.py); finding directions and
placing own pictures are in directing.py and projecting.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from pydantic import field_validator
from torch import Tensor

from aigc_desktop.core.config import param
from aigc_desktop.core.events import Event, EventStream, Progress, Result, Sample
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.place import read_places
from aigc_desktop.core.run import Run
from aigc_desktop.engine.exploring.directing import DirectionsConfig, SliderConfig, find_directions, make_slider
from aigc_desktop.engine.exploring.map import arrange
from aigc_desktop.engine.exploring.opened import ExploreConfig, Opened, opened
from aigc_desktop.engine.exploring.projecting import ProjectConfig, project
from aigc_desktop.engine.pictures.common import Pictures
from aigc_desktop.engine.pictures.latent import LatentModel, decoded, mixture, pack, resolve

COLUMNS, COLUMNS_IN_STEPS = 12, 8  # of a map; models that need steps take longer for each picture
MAP_STEPS = 4  # of a picture on the map, for models that need steps: small pictures hide what more would add


class PlacesConfig(ExploreConfig):
    """Settings of what is made at given places."""

    places: str = param(
        ..., N_("Places"), N_("Seeds such as [5, 9], or the places in a picture's settings."), multiline=True
    )


class DecodeConfig(PlacesConfig):
    """Settings of making the pictures at given places."""

    quick: bool = param(
        False, N_("Quick look"), N_("Coarser pictures at once, from models that go in steps; others are quick anyway.")
    )


class MapConfig(ExploreConfig):
    """Settings of making a map."""

    columns: int = param(
        0, N_("Pictures a side"), N_("So many pictures wide and high is the map, at least 2; 0 chooses by the model."),
        ge=0, le=32,
    )  # fmt: skip
    seed: int = param(0, N_("Seed"), N_("Number of the first picture of the map."), ge=0, le=2**53 - 1024)
    label: str = param("", N_("Class"), N_("Only pictures of this class; empty for all."))
    wildness: float = param(
        1.0, N_("Safe … wild"), N_("Below 1 pictures are more alike and cleaner, above 1 they are bolder."),
        ge=0.0, le=2.0,
    )  # fmt: skip

    @field_validator("columns")
    @classmethod
    def _is_a_map(cls, columns: int) -> int:
        if columns == 1:
            raise ValueError(_("One picture is no map: give 2 or more, or 0."))
        return columns


class PathConfig(PlacesConfig):
    """Settings of a film from picture to picture."""

    frames: int = param(
        24, N_("Frames between two pictures"), N_("More frames make the film longer and calmer."), ge=1, le=240
    )
    loop: bool = param(True, N_("Loop"), N_("Goes back to the first picture, so that the film repeats without a jump."))
    pace: Literal["even", "rest"] = param(
        "rest", N_("Pace"), N_("Even never stops; resting slows down at each chosen picture."),
        labels={"even": N_("even"), "rest": N_("rest at each picture")},
    )  # fmt: skip


def decode(config: DecodeConfig, run: Run) -> EventStream:
    """Make the pictures at places; the Result "places" has their latents, which give the same pictures again."""
    found = opened(config, run)
    points = [resolve(found.model, place, found.directions) for place in read_places(config.places)]
    steps = found.model.quick_steps if config.quick else 0
    for start in range(0, len(points), found.model.chunk):
        part = points[start : start + found.model.chunk]
        labels = tuple(found.model.label_at(point) for point in part) if found.model.classes else ()
        yield Sample(start, decoded(found.model, torch.stack(part), steps), labels=labels)
        if len(points) > found.model.chunk:
            yield Progress(start + len(part), len(points), unit=N_("pictures"))
    yield Result("places", {"latents": [pack(point) for point in points], "checkpoint": found.version})


def make_map(config: MapConfig, run: Run) -> EventStream:
    """Make pictures by chance and lay similar ones side by side.

    The Result "map" has `columns` and, cell by cell in rows, the number of the picture in the order it came.
    """
    found = opened(config, run)
    columns = config.columns or (COLUMNS_IN_STEPS if found.model.quick_steps else COLUMNS)
    count = columns**2
    label = found.model.label_of(config.label)
    parts: list[Pictures] = []
    for start in range(0, count, found.model.chunk):
        seeds = range(config.seed + start, config.seed + min(count, start + found.model.chunk))
        points = torch.stack([found.model.draw(seed, label, config.wildness) for seed in seeds])
        parts.append(decoded(found.model, points, MAP_STEPS if found.model.quick_steps else 0))
        labels = tuple(found.model.label_at(point) for point in points) if found.model.classes else ()
        yield Sample(start, parts[-1], tuple(seeds), labels)
        yield Progress(start + len(seeds), count, _("Making pictures for the map"), unit=N_("pictures"))
    yield Result("map", {"columns": columns, "order": arrange(np.concatenate(parts), columns).tolist()})


def make_path(config: PathConfig, run: Run) -> EventStream:
    """Make the frames of a film through at least two places."""
    found = opened(config, run)
    stops = [resolve(found.model, place, found.directions) for place in read_places(config.places, least=2)]
    yield from _frames(found, stops, config)


def _frames(found: Opened, stops: list[Tensor], config: PathConfig) -> Iterator[Event]:
    points = list(way(found.model, stops, config))
    for start in range(0, len(points), found.model.chunk):
        part = torch.stack(points[start : start + found.model.chunk])
        yield Sample(start, decoded(found.model, part), role="interpolation")
        yield Progress(start + len(part), len(points), _("Making the film"), unit=N_("frames"))


def way(model: LatentModel, stops: list[Tensor], config: PathConfig) -> Iterator[Tensor]:
    """Yield the points of all frames; a loop ends one frame before its begin comes again."""
    for begin, end in pairwise([*stops, stops[0]] if config.loop else stops):
        for frame in range(config.frames):
            share = frame / config.frames
            if config.pace == "rest":
                share = share * share * (3 - 2 * share)
            yield begin if not frame else mixture(model, [begin, end], [1 - share, share])
    if not config.loop:
        yield stops[-1]


JOBS = Family(
    "explore", N_("Explore"), N_("Maps, sliders, mixtures and films of what a trained model can make."), "image",
    (
        Task("decode", N_("Make pictures at places"), DecodeConfig, decode, "explore"),
        Task("map", N_("Make a map"), MapConfig, make_map, "explore"),
        Task("path", N_("Make a film"), PathConfig, make_path, "explore"),
        Task("directions", N_("Find directions"), DirectionsConfig, find_directions, "explore"),
        Task("slider", N_("Make a slider from examples"), SliderConfig, make_slider, "explore"),
        Task("project", N_("Put in an own picture"), ProjectConfig, project, "explore"),
    ),
)  # fmt: skip
