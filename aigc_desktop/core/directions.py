"""Named directions in a model's latent space, kept beside the model: runs/<id>/directions/<checkpoint>.json.

They belong to one saved version: training on turns the space, and the same step would do something else.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from aigc_desktop.core.card import clean_title
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import read_record
from aigc_desktop.core.run import Run

FORMAT = 1


@dataclass(frozen=True)
class Direction:
    """A step in the latent space; `vector` is written like a latent, and as long as one.

    A "principal" one was found in what the model makes: its pictures differ by `share` of all they differ by. One made
    from "examples" leads from pictures the user called less to those called more. `name` "" is not named yet:
    `number` counts principal ones from 1.
    """

    id: str
    kind: Literal["principal", "examples"]
    vector: str
    name: str = ""
    number: int = 0
    share: float = 0.0

    @property
    def title(self) -> str:
        """Return what it is called."""
        return self.name or _("Direction {number}").format(number=self.number)


@dataclass(frozen=True)
class Directions:
    """What the file holds."""

    directions: list[Direction] = field(default_factory=list)
    format: int = FORMAT


def read_directions(run: Run, checkpoint: str) -> list[Direction]:
    """Return the directions of a saved version; UserError when their file is damaged."""
    path = run.folder / "directions" / f"{checkpoint}.json"
    return read_record(path, Directions).directions if path.is_file() else []


def write_directions(run: Run, checkpoint: str, directions: Sequence[Direction]) -> None:
    """Write the directions of a saved version."""
    folder = run.folder / "directions"
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{checkpoint}.json", asdict(Directions(list(directions))))


def rename_direction(run: Run, checkpoint: str, item: str, name: str) -> None:
    """Give a direction another name; UserError for a name of nothing."""
    name = clean_title(name)
    if not name:
        raise UserError(_("A slider needs a name."), _("Type at least one character."))
    known = read_directions(run, checkpoint)
    write_directions(run, checkpoint, [replace(each, name=name) if each.id == item else each for each in known])


def remove_direction(run: Run, checkpoint: str, item: str) -> Direction | None:
    """Remove a direction and return it, for `restore_direction`; None if there is none."""
    known = read_directions(run, checkpoint)
    write_directions(run, checkpoint, [each for each in known if each.id != item])
    return next((each for each in known if each.id == item), None)


def add_direction(run: Run, checkpoint: str, direction: Direction) -> None:
    """Add a direction, or put one back that was removed."""
    known = [each for each in read_directions(run, checkpoint) if each.id != direction.id]
    write_directions(run, checkpoint, [*known, direction])


def new_id() -> str:
    """Return an id for a direction."""
    return uuid.uuid4().hex[:12]
