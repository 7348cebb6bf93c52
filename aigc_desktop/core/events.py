"""What a job tells: frozen plain data, never tensors and never widgets, so a stream can cross a pipe.

A job yields the first group; the host of the job appends exactly one of the second.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aigc_desktop.core.rating import Rating

if TYPE_CHECKING:  # the window is on the screen before numpy is needed
    import numpy as np
    import numpy.typing as npt

Images: TypeAlias = "npt.NDArray[np.uint8]"


@dataclass(frozen=True)
class Progress:
    """Where the job is; `total` 0 means unknown. `rate` counts `unit` per second, `eta_s` is seconds left."""

    step: int
    total: int
    phase: str = ""
    rate: float = 0.0
    unit: str = ""
    eta_s: float | None = None


@dataclass(frozen=True)
class Metric:
    """Finite numbers measured at one step, by name."""

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Sample:
    """Pictures, uint8 (N, H, W, C) with C 1, 3 or 4; `seeds`, `labels`, `ratings`, `captions` have N entries or none.

    `role` says what they are; `reconstruction` pictures alternate original and copy, `rejected` ones were made but are
    not wanted, for the reasons in their ratings.
    """

    step: int
    images: Images
    seeds: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    role: Literal["samples", "real", "reconstruction", "copies", "interpolation", "rejected"] = "samples"
    ratings: tuple[Rating, ...] = ()
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Text:
    """Written texts; with `partial` the items are what there is so far and a later event replaces them.

    An item of the role `reconstruction` is an original, and below it "→" and its copy; `baseline` are texts of the
    model that the family measures itself by.
    """

    step: int
    items: tuple[str, ...]
    seeds: tuple[int, ...] = ()
    role: Literal["samples", "real", "reconstruction", "baseline"] = "samples"
    partial: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint lies on disk; `name` is its folder inside the run's `checkpoints`."""

    step: int
    name: str
    best: bool = False


@dataclass(frozen=True)
class Note:
    """One translated sentence for the user."""

    message: str
    level: Literal["info", "warning"] = "info"
    step: int = 0


@dataclass(frozen=True)
class Result:
    """The structured outcome of a job that is no model: an imported data set, a plan, an evaluation."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """The job ran to its end."""


@dataclass(frozen=True)
class Stopped:
    """The job was stopped; what it saved on the way is there. `forced` means its process had to be ended."""

    forced: bool = False


@dataclass(frozen=True)
class Failed:
    """The job could not go on: a plain sentence, a way out, and details to copy."""

    kind: str
    message: str
    hint: str = ""
    details: str = field(default="", repr=False)


Event = Progress | Metric | Sample | Text | Checkpoint | Note | Result | Finished | Stopped | Failed
EventStream = Generator[Event, "str | None", None]
EVENT_TYPES: tuple[type[Any], ...] = (
    Progress, Metric, Sample, Text, Checkpoint, Note, Result, Finished, Stopped, Failed,
)  # fmt: skip
