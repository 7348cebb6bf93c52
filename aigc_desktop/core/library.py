"""The library of kept works. Files are the truth, the index over them can be made again at any time.

library/
  items/ab/<id>.png|.txt    the work; ab are the first two characters of its id
  items/ab/<id>.json        its card, written last: a work is there when its card is there
  index.sqlite              see library_index
trash/library/              deleted works, file and card, until the trash is emptied
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from aigc_desktop.core.card import EXTENSIONS, Card, changed, clean_tags, clean_title, read_card, write_card
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.files import atomic_file, damaged_file, move
from aigc_desktop.core.i18n import _
from aigc_desktop.core.library_index import Facet, IndexDamaged, LibraryIndex, Query, moved_away

__all__ = ["Card", "Facet", "FamilyTree", "Library", "Query"]

Found = TypeVar("Found")
EXCERPT = 400
MOST_RELATIVES = 200


@dataclass(frozen=True)
class FamilyTree:
    """Where a work comes from and what came of it: data set -> run -> checkpoint -> parents -> work -> children.

    `relatives` are all it comes from and all that came of it, by id, over generations.
    """

    card: Card
    parents: list[Card] = field(default_factory=list)
    children: list[Card] = field(default_factory=list)
    siblings: list[Card] = field(default_factory=list)
    relatives: dict[str, Card] = field(default_factory=dict)

    def made_from(self, card: Card) -> list[Card]:
        """Return the works that a work or relative was made from."""
        return [self.relatives[parent] for parent in card.parents if parent in self.relatives]

    def came_of(self, card: Card) -> list[Card]:
        """Return the works that came of a work or relative."""
        return [other for other in self.relatives.values() if card.id in other.parents]


class Library:
    """All kept works of a workspace; may be used from several threads."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "library"
        self.items = self.folder / "items"
        self.trash = workspace / "trash" / "library"
        self.rebuilt = 0
        """How often the index had to be made again since the library was opened."""
        self.damaged: list[Path] = []
        """Cards that cannot be read; the files stay where they are."""
        self._lock = threading.RLock()
        self.items.mkdir(parents=True, exist_ok=True)
        self.trash.mkdir(parents=True, exist_ok=True)
        self._index = self._open()

    def close(self) -> None:
        """Let the index file go."""
        with self._lock:
            self._index.close()

    # keeping

    def add(self, kind: Literal["image", "text"], content: bytes, title: str, **facts: Any) -> Card:
        """Keep a work (PNG or UTF-8 bytes) and return its card; `facts` are further fields of the card.

        A work with the same `fingerprint` (by default of file, run, version and seed) is kept once: the card that
        is there is returned.
        """
        digest = hashlib.sha256(content).hexdigest()
        origin = "|".join(str(facts.get(name) or "") for name in ("run", "checkpoint", "seed"))
        facts.setdefault("fingerprint", hashlib.sha256(f"{digest}|{origin}".encode("utf-8", "replace")).hexdigest())
        known = self._read(lambda index: index.find(facts["fingerprint"]))
        if known:
            return known[0]
        item = facts.pop("id", "") or uuid.uuid4().hex
        facts["tags"] = clean_tags(facts.get("tags", ()))
        card = Card(
            id=item, kind=kind, title=clean_title(title) or item[:8], file=item + EXTENSIONS[kind],
            created=datetime.now().astimezone().isoformat(timespec="microseconds"), sha256=digest,
            excerpt=content.decode("utf-8", "replace")[:EXCERPT] if kind == "text" else "", **facts,
        )  # fmt: skip
        with self._lock:
            self._shard(item).mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path(card), sync_name=False) as f:
                f.write(content)
            self._save([card])
        return card

    def star(self, ids: Sequence[str], starred: bool = True) -> list[Card]:
        """Give works a star, or take it."""
        return self._edit(ids, starred=starred)

    def rename(self, item: str, title: str) -> Card:
        """Give a work another title; UserError when it is empty."""
        return self._edit([item], title=title)[0]

    def tag(self, ids: Sequence[str], tags: Sequence[str]) -> list[Card]:
        """Set the tags of works."""
        return self._edit(ids, tags=tuple(tags))

    # finding

    def get(self, item: str) -> Card:
        """Return the card of a work, from its file; UserError if there is none or it cannot be read."""
        return _kept(self._card_path(item))

    def path(self, card: Card) -> Path:
        """Return the file of a work."""
        return self._shard(card.id) / card.file

    def search(self, query: Query | None = None, offset: int = 0, limit: int = 100) -> list[Card]:
        """Return a page of the works a query finds, newest first."""
        return self._read(lambda index: index.page(query or Query(), offset, limit))

    def count(self, query: Query | None = None) -> int:
        """Return how many works a query finds."""
        return self._read(lambda index: index.count(query or Query()))

    def position(self, query: Query, item: str) -> int:
        """Return the place of a work among those a query finds, from 0."""
        return self._read(lambda index: index.position(query, item))

    def tags(self) -> list[Facet]:
        """Return the tags in use, most used first."""
        return self._read(lambda index: index.tags())

    def runs(self) -> list[Facet]:
        """Return the runs works come from, latest first."""
        return self._read(lambda index: index.runs())

    def family(self, item: str, limit: int = 12) -> FamilyTree:
        """Return where a work comes from and what came of it."""
        card = self.get(item)
        above = _followed(card, lambda each: _present(self, each.parents))
        below = _followed(card, lambda each: self._read(lambda index: index.children(each.id)))
        parents = [above[parent] for parent in card.parents if parent in above]
        children = [each for each in below.values() if item in each.parents]
        siblings = self._read(lambda index: index.siblings(card, limit))
        return FamilyTree(card, parents, children, siblings, above | below)

    # deleting

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Move works to the trash and return their ids; `restore` brings them back.

        One that is gone already, or whose card is damaged, is only taken off the list; its files stay where they are.
        """
        moved, listed = [], []
        with self._lock:
            self.trash.mkdir(parents=True, exist_ok=True)
            try:
                for item in dict.fromkeys(ids):
                    try:
                        card = read_card(self._card_path(item))
                        _to_trash(self._card_path(item), self.path(card), self.trash)
                        moved.append(item)
                    except (FileNotFoundError, ValueError, TypeError):
                        pass
                    listed.append(item)
            finally:  # where one cannot be moved, those before it have been
                self._change(lambda index: index.drop(listed), {item[:2] for item in listed})
        return moved

    def restore(self, ids: Sequence[str]) -> list[Card]:
        """Bring works back from the trash; those that are not in it are left out."""
        with self._lock:
            cards = []
            for item in ids:
                with contextlib.suppress(OSError, ValueError, TypeError):
                    card = read_card(self.trash / f"{item}.json")
                    self._shard(item).mkdir(exist_ok=True)
                    with contextlib.suppress(FileNotFoundError):
                        move(self.trash / card.file, self.path(card))
                    move(self.trash / f"{item}.json", self._card_path(item))
                    cards.append(card)
            self._change(lambda index: _put_all(index, cards), {card.id[:2] for card in cards})
        return cards

    def trashed(self) -> list[str]:
        """Return the ids of the works in the trash."""
        return sorted(path.stem for path in self.trash.glob("*.json"))

    def purge(self) -> int:
        """Empty the trash for good and return how many works it held."""
        with self._lock:
            count = len(self.trashed())
            for path in list(self.trash.iterdir()):
                if path.is_dir() and not path.is_symlink():  # not ours, but in a trash all the same
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        return count

    # the index

    def rebuild(self) -> None:
        """Make the index again from the cards."""
        with self._lock:
            self._index.close()
            _set_aside(self._index_path)
            self._index = LibraryIndex(self._index_path)
            self._agree()
            self.rebuilt += 1

    @property
    def _index_path(self) -> Path:
        return self.folder / "index.sqlite"

    def _open(self) -> LibraryIndex:
        try:
            self._index = LibraryIndex(self._index_path)
            self._agree()
        except IndexDamaged:
            with contextlib.suppress(AttributeError):
                self._index.close()
            _set_aside(self._index_path)
            self._index = LibraryIndex(self._index_path)
            self._agree()
            self.rebuilt += 1
        return self._index

    def _agree(self) -> None:
        """Bring the index into step with the folders of cards that have changed since it was written."""
        known = self._index.shards()
        # not entry.stat(), which on Windows tells what the folder above remembers, and that may be old
        states = {entry.name: Path(entry).stat().st_mtime_ns for entry in os.scandir(self.items) if entry.is_dir()}
        outdated = [shard for shard in sorted({*known, *states}) if known.get(shard) != states.get(shard)]
        if not outdated:
            return
        with self._index.change():
            for shard in outdated:
                try:
                    cards = list(_cards_in(self.items / shard, self.damaged))
                except OSError:  # a folder that may not be read hides no other; what is known of it stays
                    self.damaged.append(self.items / shard)
                    continue
                self._index.drop(self._index.ids_in(shard) - {card.id for card in cards})
                _put_all(self._index, cards)
                self._index.set_shard(shard, states.get(shard, 0))

    def _edit(self, ids: Sequence[str], **changes: Any) -> list[Card]:
        with self._lock:
            cards = [changed(self.get(item), **changes) for item in ids]
            self._save(cards)
        return cards

    def _save(self, cards: list[Card]) -> None:
        """Write cards, then the index; a crash in between is seen by the folders' times at the next start."""
        for card in cards:
            write_card(self._card_path(card.id), card)
        self._change(lambda index: _put_all(index, cards), {card.id[:2] for card in cards})

    def _change(self, change: Callable[[LibraryIndex], None], shards: set[str]) -> None:
        # the system's own times are as coarse as its clock ticks, so two changes can look like one; ours are not
        states = {shard: time.time_ns() for shard in shards if (self.items / shard).is_dir()}
        for shard, mtime in states.items():
            os.utime(self.items / shard, ns=(mtime, mtime))
        try:
            with self._index.change():
                change(self._index)
                for shard in states:
                    self._index.set_shard(shard, (self.items / shard).stat().st_mtime_ns)
        except IndexDamaged:
            self.rebuild()

    def _read(self, ask: Callable[[LibraryIndex], Found]) -> Found:
        with self._lock:
            if not self.folder.is_dir():  # an open index would go on to answer
                raise moved_away(self.folder)
            try:
                return ask(self._index)
            except (IndexDamaged, ValueError, TypeError):
                self.rebuild()
                return ask(self._index)

    def _shard(self, item: str) -> Path:
        return self.items / item[:2]

    def _card_path(self, item: str) -> Path:
        return self._shard(item) / f"{item}.json"


def _kept(path: Path) -> Card:
    """Return the card in a file; UserError when it is not there, damaged or may not be read."""
    try:
        return read_card(path)
    except FileNotFoundError:
        raise UserError(
            _("This work is not in the library any more."), _("Look in the trash, or choose another one.")
        ) from None
    except (ValueError, TypeError):
        raise damaged_file(path) from None
    except OSError as error:
        failed = failure_of(error)
        raise UserError(failed.message, failed.hint) from error


def _cards_in(shard: Path, damaged: list[Path]) -> Iterator[Card]:
    """Yield the cards in a folder whose works are there; those that cannot be read are put into `damaged`."""
    names = {entry.name for entry in os.scandir(shard)} if shard.is_dir() else set()
    for name in sorted(name for name in names if name.endswith(".json")):
        try:
            card = read_card(shard / name)
        except (OSError, ValueError, TypeError):
            damaged.append(shard / name)
            continue
        if f"{card.id}.json" == name and card.id[:2] == shard.name and card.file in names:
            yield card


def _to_trash(card: Path, work: Path, trash: Path) -> None:
    # the card first: a work without its card is no work, so a crash in between leaves it deleted
    trashed = trash / card.name
    move(card, trashed)
    try:
        move(work, trash / work.name)
    except FileNotFoundError:
        pass
    except OSError:  # as where another program has it open
        move(trashed, card)
        raise


def _set_aside(index: Path) -> None:
    """Move a damaged index away: it is never written over, and only the last one is kept."""
    for ending in ("", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            move(Path(f"{index}{ending}"), Path(f"{index.with_name('index.damaged')}{ending}"))


def _put_all(index: LibraryIndex, cards: list[Card]) -> None:
    for card in cards:
        index.put(card)


def _present(library: Library, ids: Sequence[str]) -> list[Card]:
    """Return the cards of those works that are in the library."""
    found = []
    for item in ids:
        with contextlib.suppress(UserError):
            found.append(library.get(item))
    return found


def _followed(card: Card, step: Callable[[Card], list[Card]]) -> dict[str, Card]:
    """Return the works that steps lead to from a work, by id, the nearest first; MOST_RELATIVES at most."""
    found: dict[str, Card] = {}
    waiting = [card]
    while waiting and len(found) < MOST_RELATIVES:
        for each in step(waiting.pop(0)):
            if each.id not in found and each.id != card.id:
                found[each.id] = each
                waiting.append(each)
    return found
