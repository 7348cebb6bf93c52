"""What the Explore page works on: a model, its map, the picture looked at, sliders, and the collected pictures.

Widgets show it and call its methods; it asks the engine and tells by signals what has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from aigc_desktop.core.collected import Collected
from aigc_desktop.core.directions import Direction, read_directions
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.core.place import Move, Place, latent_place, mixed, places_text, seed_place
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.ui.asking import URGENT, Answer, Asker
from aigc_desktop.ui.collecting import Collecting, Look

if TYPE_CHECKING:
    from aigc_desktop.ui.page import Services
    from aigc_desktop.ui.works import Work

VARIANTS = 12
AGAIN = "again "
"""Before the kind of question that makes pictures again to keep them."""
REST_MS = 180
RESTED = 3
"""After so long without a change, and so many times what a quick look takes, the picture is made in full quality."""


@dataclass(frozen=True)
class PictureMap:
    """Pictures (N, H, W, C) and their seeds, cell by cell in rows of `columns`."""

    columns: int
    pictures: list[Any]
    seeds: list[int]


@dataclass
class Base:
    """Where the picture begins before sliders move it, and the collected pictures it comes from."""

    place: Place
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class _About:
    """What a question was about: the collected pictures its answer comes from, and whether in full quality."""

    parents: tuple[str, ...] = ()
    final: bool = True


class Exploration(QObject):
    """One model being explored; `open` begins with another one."""

    opened = Signal()
    map_changed = Signal()
    look_changed = Signal()
    variants_changed = Signal()
    directions_changed = Signal()
    made_again = Signal(object)
    """Collected pictures with their pixels in full quality: a list of pairs."""
    rested = Signal()
    """Sliders and wildness are in the middle."""
    progressed = Signal(str, object)
    """Kind of question and Progress."""
    failed = Signal(object)
    """A Failed, to be shown."""

    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self.services = services
        self.run: Run | None = None
        self.version = ""
        self.map: PictureMap | None = None
        self.base: Base | None = None
        self.look: Look | None = None
        self.variants: list[Look] = []
        self.moves: dict[str, float] = {}
        self.wildness = 1.0
        self.directions: list[Direction] = []
        self.shelf = Collecting(self)
        self.shelf.failed.connect(self.failed)
        self.asker = Asker(services.jobs, self)
        self.asker.answered.connect(self._answered)
        self.asker.failed.connect(self._not_answered)
        self.asker.progressed.connect(self.progressed)
        self._quick_ms = 0.0
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._make_final)

    # the model

    def open(self, run: Run, version: str) -> None:
        """Explore a saved version, by its own name, of a trained model."""
        self.asker.forget()
        self._rest.stop()
        self.run, self.version = run, version
        self.map = self.base = self.look = None
        self.variants = []
        self.rest_sliders()
        self.read_directions()
        self.shelf.open(run, version)
        self.opened.emit()
        self.make_map()
        if self.shelf.items:
            places = [latent_place(item.latent) for item in self.shelf.items]
            about = _About(tuple(item.id for item in self.shelf.items))
            self._ask("collected", "explore.decode", {"places": places_text(places), "quick": True}, about)

    def make_map(self, seed: int = 0) -> None:
        """Make a map of pictures with the seeds from `seed` on."""
        self._ask("map", "explore.map", {"seed": seed, "wildness": self.wildness})

    # the picture looked at

    def point(self, across: float, down: float) -> None:
        """Look at a point of the map, in cells from the middle of the first one."""
        if self.map is None:
            return
        self.look_at(self.map_place(across, down))

    def map_place(self, across: float, down: float) -> Place:
        """Return the mixture of the four pictures around a point of the map, by how near they are."""
        assert self.map is not None
        last = self.map.columns - 1
        across, down = min(max(across, 0.0), float(last)), min(max(down, 0.0), float(last))
        left, above = min(int(across), last - 1), min(int(down), last - 1)
        x, y = across - left, down - above
        corners = {(above, left): (1 - x) * (1 - y), (above, left + 1): x * (1 - y), (above + 1, left): (1 - x) * y,
                   (above + 1, left + 1): x * y}  # fmt: skip
        seeds = [self.map.seeds[row * self.map.columns + column] for row, column in corners]
        return mixed([seed_place(seed) for seed in seeds], [round(weight, 4) for weight in corners.values()])

    def look_at(self, place: Place, parents: Sequence[str] = ()) -> None:
        """Look at a place, moved by the sliders; quickly at first, in full quality after a moment's rest."""
        self.base = Base(place, tuple(parents))
        self._refresh()

    def look_at_collected(self, items: Sequence[Collected], weights: Sequence[float]) -> None:
        """Look at a collected picture, or at a mixture of several, as they are: sliders begin anew from there."""
        places = [latent_place(item.latent) for item in items]
        if places and sum(weights) > 0:
            self.rest_sliders()
            self.look_at(mixed(places, weights), [i.id for i, w in zip(items, weights, strict=True) if w > 0])

    def look_at_variant(self, number: int) -> None:
        """Look at one of the variants."""
        variant = self.variants[number]
        self.rest_sliders()
        self.look_at(latent_place(variant.latent), variant.parents)

    def rest_sliders(self) -> None:
        """Put sliders and wildness in the middle."""
        self.moves, self.wildness = {}, 1.0
        self.rested.emit()

    def move(self, amounts: Mapping[str, float]) -> None:
        """Move along directions, by their ids."""
        self.moves = {item: amount for item, amount in amounts.items() if amount}
        self._refresh()

    def set_wildness(self, wildness: float) -> None:
        """Be safer or bolder."""
        self.wildness = wildness
        self._refresh()

    @property
    def place(self) -> Place | None:
        """Return what is looked at, with sliders and wildness."""
        if self.base is None:
            return None
        known = {direction.id for direction in self.directions}
        moves = tuple(Move(item, amount) for item, amount in self.moves.items() if item in known)
        return replace(self.base.place, moves=moves, wildness=self.wildness)

    def _refresh(self) -> None:
        if self.base is not None:
            self._rest.start(REST_MS + round(RESTED * self._quick_ms))
            self._ask_look(quick=True)

    def _make_final(self) -> None:
        if self.base is not None:
            self._ask_look(quick=False)

    def _ask_look(self, quick: bool) -> None:
        place = self.place
        assert place is not None and self.base is not None
        about = _About(self.base.parents, final=not quick)
        self._ask(URGENT, "explore.decode", {"places": places_text([place]), "quick": quick}, about)

    # variants

    def make_variants(self, strength: float, first_seed: int = 0) -> None:
        """Make variants of the picture looked at, which is collected so that they know where they come from."""
        source = self.collect()
        if source is None:
            return
        parts = latent_place(source.latent).parts
        places = [Place(parts, variant=first_seed + i, strength=strength) for i in range(VARIANTS)]
        self._ask("variants", "explore.decode", {"places": places_text(places)}, _About((source.id,)))

    def collect(self, title: str = "", card: str = "") -> Collected | None:
        """Collect the picture looked at and return it; the same picture is collected once."""
        return None if self.look is None else self.shelf.add(self.look, title, card)

    def make_again(self, items: Sequence[Collected]) -> None:
        """Make collected pictures in full quality, to be kept; `made_again` gives them."""
        ids = tuple(item.id for item in items)
        places = [latent_place(item.latent) for item in items]
        self._ask(f"{AGAIN}{ids}", "explore.decode", {"places": places_text(places)}, _About(ids))

    def work(self, item: Collected, pixels: Any) -> Work:
        """Return a collected picture as a work with its origin, for the library."""
        from aigc_desktop.ui.works import Work

        assert self.run is not None
        info = self.run.info
        origin = {
            "task": "explore.decode", "model": self.run.id, "model_title": info.title, "checkpoint": item.checkpoint,
            "dataset": info.dataset, "dataset_hash": info.dataset_hash, "seed": None, "label": item.label,
            "settings": {**self.values(), "places": places_text([latent_place(item.latent)])},
            "parents": self.shelf.cards_of(item.parents),
        }  # fmt: skip
        return Work("image", f"{info.title} · {item.title}", 0, label=item.label, pixels=pixels, origin=origin)

    # directions

    def find_directions(self) -> None:
        """Find principal directions, which are saved with the model."""
        self._ask("directions", "explore.directions", {})

    def make_slider(self, name: str, more: Sequence[Collected], less: Sequence[Collected]) -> None:
        """Make a slider that leads from some collected pictures to others."""
        values = {
            "name": name, "more": places_text([latent_place(item.latent) for item in more]),
            "less": places_text([latent_place(item.latent) for item in less]),
        }  # fmt: skip
        self._ask("directions", "explore.slider", values)

    def read_directions(self) -> None:
        """Read the saved directions again."""
        assert self.run is not None
        try:
            self.directions = read_directions(self.run, self.version)
        except UserError as error:
            self.directions = []
            self.failed.emit(failure_of(error))
        self.directions_changed.emit()

    # asking

    def values(self) -> dict[str, Any]:
        """Return the values that name the model in a task."""
        assert self.run is not None
        return {"run": self.run.id, "checkpoint": self.version}

    def _ask(self, kind: str, task: str, values: dict[str, Any], about: _About | None = None) -> None:
        if self.run is None:
            return
        folder = str(self.services.workspace.folder)
        self.asker.ask(kind, JobRequest(task, {**self.values(), **values}, folder), about or _About())

    def _answered(self, kind: str, answer: Answer) -> None:
        match kind:
            case "map":
                order = answer.data["order"]
                self.map = PictureMap(answer.data["columns"], [answer.pictures[i] for i in order],
                                      [answer.seeds[i] for i in order])  # fmt: skip
                self.map_changed.emit()
            case "variants":
                self.variants = _looks(answer)
                self.variants_changed.emit()
            case "collected":
                self.shelf.show(dict(zip(answer.about.parents, answer.pictures, strict=True)))
            case "directions":
                self.read_directions()
            case again if again.startswith(AGAIN):
                items = [self.shelf.get(item) for item in answer.about.parents]
                made = [(i, p) for i, p in zip(items, answer.pictures, strict=True) if i is not None]
                self.made_again.emit(made)
            case _:
                [self.look] = _looks(answer)
                if not self.look.final:
                    self._quick_ms = answer.seconds * 1000
                self.look_changed.emit()

    def _not_answered(self, _kind: str, failed: Failed) -> None:
        self.failed.emit(failed)


def _looks(answer: Answer) -> list[Look]:
    about: _About = answer.about
    made = zip(answer.pictures, answer.data["latents"], answer.labels, strict=True)
    return [Look(pixels, latent, label, about.parents, about.final) for pixels, latent, label in made]
