"""Samples of a model for its evaluation, made in small pieces so that a job can stop between them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _

CHUNK = 16


def make_samples(
    sample: Callable[..., Any], count: int, seed: int, phase: str = "", **settings: Any
) -> Generator[Event, str | None, list[Any]]:
    """Return what `sample` (count, seed) makes, chunk by chunk; yields Progress before each."""
    made = []
    for start in range(0, count, CHUNK):
        yield Progress(start, count, phase or _("Making samples"))
        made.append(sample(min(CHUNK, count - start), seed + start, **settings))
    return made
