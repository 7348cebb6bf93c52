"""The pictures collected while exploring a model, and which came from which: runs/<id>/collected.json.

A picture is its latent and the saved version it belongs to, so it can be made again; once it is kept it knows its card
in the library, and what is made of it later gets that card as a parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from aigc_desktop.core.files import write_json
from aigc_desktop.core.records import read_record
from aigc_desktop.core.run import Run

FORMAT = 1


@dataclass(frozen=True)
class Collected:
    """A picture at `latent`; `parents` are ids of collected pictures it was made from, `card` is its id once kept."""

    id: str
    title: str
    checkpoint: str
    latent: str
    label: str = ""
    parents: tuple[str, ...] = ()
    card: str = ""


@dataclass(frozen=True)
class Collection:
    """What the file holds, in the order in which it was collected."""

    items: list[Collected] = field(default_factory=list)
    format: int = FORMAT


def read_collected(run: Run) -> list[Collected]:
    """Return what was collected of a model; UserError when the file is damaged."""
    path = run.folder / "collected.json"
    return read_record(path, Collection).items if path.is_file() else []


def write_collected(run: Run, items: Sequence[Collected]) -> None:
    """Write what was collected of a model."""
    write_json(run.folder / "collected.json", asdict(Collection(list(items))))


def kept_ancestors(items: Iterable[Collected], parents: Iterable[str]) -> tuple[str, ...]:
    """Return the cards of the nearest kept pictures that a picture with these parents comes from, each once."""
    known = {item.id: item for item in items}
    found: dict[str, None] = {}
    seen: set[str] = set()

    def look(ids: Iterable[str]) -> None:
        for item in (known[each] for each in ids if each in known and each not in seen):
            seen.add(item.id)
            if item.card:
                found[item.card] = None
            else:
                look(item.parents)

    look(parents)
    return tuple(found)
