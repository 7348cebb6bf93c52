"""How good a made picture is: a score, reasons against it, and the training picture nearest to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.typed import typed

REASONS = {
    "blank": N_("nearly blank"),
    "blurred": N_("blurred"),
    "noise": N_("looks like noise"),
    "checkerboard": N_("a checkerboard pattern"),
    "dark": N_("too dark"),
    "bright": N_("too bright"),
    "unlike": N_("unlike all training pictures"),
    "copy": N_("a near copy of a training picture"),
}
"""Codes of reasons against a picture, as messages; the order is that in which they are told."""


@dataclass(frozen=True)
class Rating:
    """The quality of one picture, measured against the training pictures of its model.

    `score` is the percentage of training pictures that stand out at least as much; a copy keeps its score.
    `nearest` is the place of the nearest training picture in the snapshot of `dataset`; `nearness` is the distance to
    it over the usual distance of unseen real pictures. `places` are percentiles among the training pictures by measure.
    """

    score: float
    reasons: tuple[str, ...] = ()
    dataset: str = ""
    nearest: int = -1
    nearness: float = 0.0
    places: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Return whether nothing is said against the picture."""
        return not self.reasons

    def plain(self) -> dict[str, Any]:
        """Return JSON types."""
        return {**asdict(self), "reasons": list(self.reasons)}


def rating_of(values: Any) -> Rating | None:
    """Return the rating in a JSON value, None for a picture that was not rated or a damaged value."""
    try:
        return None if values is None else typed(Rating, values)
    except ValueError:
        return None


def reasons_text(rating: Rating) -> str:
    """Return the reasons in words, "" without any; a code of a newer version is shown as it is."""
    return ", ".join(_(REASONS.get(code, code)) for code in rating.reasons)


def counts_text(ratings: Iterable[Rating]) -> str:
    """Return how many pictures each reason was said of, the most frequent first."""
    counts = Counter(code for rating in ratings for code in rating.reasons)
    return ", ".join(f"{_(REASONS.get(code, code))} {count}" for code, count in counts.most_common())
