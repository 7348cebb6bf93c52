"""What is exported: a picture or a text with its origin; and what a file format is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.i18n import language
from aigc_desktop.export.label import MARKS, AigcLabel

PROGRAM = "AIGC Desktop"
LEAST = 256
"""What exported pictures are enlarged to unless another size is wanted."""
ORIGIN_FIELDS = ("task", "model", "checkpoint", "seed", "label", "dataset_hash", "settings", "edits")


@dataclass(frozen=True)
class Piece:
    """One work. `image` is uint8 (H, W, C) with C 1, 3 or 4; `origin` has ORIGIN_FIELDS, any may be missing."""

    kind: Literal["image", "text"]
    title: str
    image: npt.NDArray[np.uint8] | None = None
    text: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return the picture; ValueError for a text."""
        if self.image is None:
            raise ValueError("a text has no pixels")
        return self.image


@dataclass(frozen=True)
class Options:
    """How to write: JPEG and WebP quality 1 to 100, the colour under transparent parts, and the label people see."""

    quality: int = 92
    background: tuple[int, int, int] = (255, 255, 255)
    least: int = 0
    """Pixels of a picture's shorter side: smaller ones are enlarged by a whole factor."""
    mark: str = ""
    """What is written on a picture; "" leaves it as it is."""
    line: Literal["end", "start", "none"] = "end"
    """Where a text says that it is generated."""
    fps: float = 12.0
    """Frames of a film in a second."""


def labelled(picture: str, text: Literal["end", "start", "none"]) -> Options:
    """Return options with the labels the preferences name; a picture's "auto" speaks the language in use.

    Pictures are enlarged to LEAST, so that a legible label leaves most of them to be seen.
    """
    return Options(least=LEAST, mark=MARKS.get(language() if picture == "auto" else picture, ""), line=text)


@dataclass(frozen=True)
class Format:
    """A file format. `together` says that one file holds all pieces; `title` is shown with the ending.

    In a `film` the pieces are frames. `missing` says why the format cannot be written on this machine, "" when it can.

    `write` writes pieces to a path; `read_label` and `read_settings` read back from a path what was written.
    """

    name: str
    title: str
    ending: str
    kind: Literal["image", "text"]
    write: Callable[[Path, list[Piece], AigcLabel, Options], None]
    read_label: Callable[[Path], dict[str, Any] | None]
    read_settings: Callable[[Path], dict[str, Any] | None]
    together: bool = False
    order: int = 100
    film: bool = False
    missing: Callable[[], str] = lambda: ""


FREE_TEXT = {"prompt", "caption"}
"""Settings that hold what the user wrote, which may look like anything."""


def settings_json(piece: Piece) -> str:
    """Return what is needed to make a piece again, as JSON; never a path, since files are passed on."""
    origin = {name: _without_paths(piece.origin[name]) for name in ORIGIN_FIELDS if piece.origin.get(name) is not None}
    return json.dumps({"program": PROGRAM, "format": 1, **origin}, ensure_ascii=False, sort_keys=True)


def parse_settings(text: str) -> dict[str, Any] | None:
    """Return settings read from a file, or None when there are none of ours; they are data, nothing is run."""
    if not text or len(text) > 1 << 20:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("settings"), dict):
        return None
    return values if isinstance(values.get("task"), str) else None


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_paths(item) for key, item in value.items() if key in FREE_TEXT or not _is_path(item)}
    return value


def _is_path(value: Any) -> bool:
    """Return whether a value leads to a place on a computer, of this or another system."""
    if isinstance(value, Path):
        return True
    return isinstance(value, str) and (value.startswith(("/", "\\\\", "~")) or value[1:3] in (":\\", ":/"))
