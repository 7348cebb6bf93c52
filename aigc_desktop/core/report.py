"""What an evaluation found, as plain data: figures with intervals, plots, tables and examples.

Names, titles and explanations are messages to translate when they are shown; notes are sentences already.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.i18n import N_
from aigc_desktop.core.records import read_record, record_of

FILE = "report.json"
"""Where the report of an evaluation lies in its folder."""
FORMAT = 1
WORDS = "words"
"""The unit of figures that count words: what stands with them depends on the number."""
OWN, REAL, UNSEEN = N_("this model"), N_("real data"), N_("unseen real data")
BASELINE = N_("likelihood model")
_SIGNS = {OWN: 0, REAL: 1, UNSEEN: 1, BASELINE: 2}
Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Mark:
    """What a figure is to be compared with: the same measured on real data or on a baseline."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval where it has one; `headline` ones are shown on top."""

    name: str
    value: float
    explanation: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    better: Better = ""
    marks: list[Mark] = field(default_factory=list)
    digits: int = 3
    headline: bool = False

    @property
    def has_bar(self) -> bool:
        """Return whether there is more to draw than a number."""
        return bool(self.better or self.marks or self.low is not None)

    def span(self) -> tuple[float, float]:
        """Return the range that a bar for this figure covers: 0 to 1 for shares, else from 0 over all that is known."""
        known = [self.value, self.low, self.high]
        for mark in self.marks:
            known += [mark.value, mark.low, mark.high]
        numbers = [number for number in known if number is not None]
        low, high = min(0.0, *numbers), max(numbers)
        if low == 0 and high <= 1:
            return 0.0, 1.0
        return low, low + 1.1 * (high - low) if high > low else low + 1


@dataclass(frozen=True)
class Section:
    """Figures that belong together."""

    title: str
    figures: list[Figure]

    def mark_names(self) -> list[str]:
        """Return what its figures are compared with, in the order of a legend."""
        return list(dict.fromkeys(mark.name for figure in self.figures for mark in figure.marks))


@dataclass(frozen=True)
class Curve:
    """Points of a plot in their order, each with a word beside it or ""."""

    name: str
    x: list[float]
    y: list[float]
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plot:
    """Curves over two axes."""

    title: str
    explanation: str
    x_title: str
    y_title: str
    curves: list[Curve]


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers; of a `confusion` the first column names the true class."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    kind: Literal["scores", "confusion", "examples"] = "scores"


@dataclass(frozen=True)
class Copied:
    """A made text and the training text it repeats most of: `text[start:end]` is `source[source_start:source_end]`."""

    text: str
    start: int
    end: int
    source: str
    source_start: int
    source_end: int
    tokens: int


@dataclass(frozen=True)
class Report:
    """One evaluation; `training` are values measured while training, by their names, at the version evaluated."""

    run: str
    title: str
    family: str
    checkpoint: str
    dataset: str
    created: str
    count: int = 0
    seed: int = 0
    sections: list[Section] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    training: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def figures(self) -> list[Figure]:
        """Return the figures of all sections."""
        return [figure for section in self.sections for figure in section.figures]

    def figure(self, name: str) -> Figure:
        """Return the figure of this name, as it is written; KeyError without one."""
        for figure in self.figures():
            if figure.name == name:
                return figure
        raise KeyError(name)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return asdict(self)


def sign_of(name: str) -> int:
    """Return the number of the sign and colour of a mark or curve: the same in every bar, plot and legend."""
    return _SIGNS.get(name, 3)


def report_of(values: Any) -> Report:
    """Return the report in JSON values; ValueError when they hold none, UserError when it is of a newer format."""
    return record_of(values, Report, FILE)


def read_report(folder: Path) -> Report:
    """Return the report in the folder of an evaluation; UserError when it is damaged."""
    return read_record(folder / FILE, Report)


def number_text(value: float, digits: int = 3) -> str:
    """Return a measured number with so many places, whole ones in groups of three digits."""
    return f"{value:,.0f}" if digits == 0 else f"{value:,.{digits}f}"
