"""Where in a model's latent space a picture comes from, as plain data that window, records and engine share.

A place is a mixture of parts (drawn from seeds, or given as numbers), moved along directions that are saved with the
model. The numbers of a latent are written as Base64 of little-endian float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import parse_json
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.typed import typed

MOST_PLACES, LONGEST = 10_000, 1 << 26


@dataclass(frozen=True)
class Part:
    """One ingredient: the picture of a seed (`label` is its class, "" one by chance), or a `latent`."""

    weight: float = 1.0
    seed: int | None = None
    label: str = ""
    latent: str = ""


@dataclass(frozen=True)
class Move:
    """A step along the direction with this id; 1 is its usual spread among the pictures of the model."""

    direction: str
    amount: float


@dataclass(frozen=True)
class Place:
    """A mixture of parts, and what is changed in it.

    `wildness` scales the distance of each part from the model's typical picture. With a `variant` (a seed) the mixture
    is moved by the share `strength` towards the picture of that seed, its class kept.
    """

    parts: tuple[Part, ...]
    moves: tuple[Move, ...] = ()
    wildness: float = 1.0
    variant: int | None = None
    strength: float = 0.0

    def plain(self) -> dict[str, Any]:
        """Return JSON types, without what is as usual."""
        usual = vars(Place(()))
        values = {name: value for name, value in asdict(self).items() if name == "parts" or value != usual[name]}
        return values | {"parts": [_unusual(part) for part in self.parts]}


def seed_place(seed: int, label: str = "", wildness: float = 1.0) -> Place:
    """Return the place of the picture that a seed gives."""
    return Place((Part(1.0, seed, label),), wildness=wildness)


def latent_place(latent: str) -> Place:
    """Return the place with these numbers."""
    return Place((Part(latent=latent),))


def mixed(places: Sequence[Place], weights: Sequence[float]) -> Place:
    """Return the mixture of places, each of which is a plain one of a single part; those of weight 0 are left out."""
    used = [(place, weight) for place, weight in zip(places, weights, strict=True) if weight > 0]
    parts = tuple(replace(part, weight=part.weight * weight) for place, weight in used for part in place.parts)
    return Place(parts, wildness=used[0][0].wildness if used else 1.0)


def places_text(places: Sequence[Place]) -> str:
    """Return places as the JSON text that the tasks of the engine take."""
    return json.dumps([place.plain() for place in places], separators=(",", ":"))


def read_places(text: str, least: int = 1) -> list[Place]:
    """Return the places in a JSON text: a list of places, where a whole number stands for a seed.

    UserError when it holds none, fewer than `least`, or anything that is no place.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError("too long")
        values = parse_json(text.encode("utf-8", "replace"))
        if not isinstance(values, list) or len(values) > MOST_PLACES:
            raise ValueError("no list of places")
        found = [_place(value) for value in values]
    except (ValueError, TypeError, RecursionError):
        raise UserError(
            _("These places in the model cannot be read."),
            _("Write a list of seeds, for example [5, 9], or take them from a picture's settings."),
        ) from None
    if len(found) < least:
        raise UserError(
            ngettext(
                "At least {count} picture is needed here.", "At least {count} pictures are needed here.", least
            ).format(count=least),
            _("Choose more pictures."),
        )
    return found


def _place(value: Any) -> Place:
    if type(value) is int:
        value = {"parts": [{"seed": value}]}
    place = typed(Place, value)
    if not place.parts or sum(part.weight for part in place.parts) <= 0:
        raise ValueError("a place without parts")
    for part in place.parts:
        if (part.seed is None) == (not part.latent) or part.weight < 0:
            raise ValueError("a part is a seed or a latent, with a weight of 0 or more")
        if part.seed is not None and not 0 <= part.seed <= 2**53:
            raise ValueError("a seed out of range")
    return place


def _unusual(part: Part) -> dict[str, Any]:
    usual = vars(Part())
    return {name: value for name, value in vars(part).items() if value != usual[name]}
