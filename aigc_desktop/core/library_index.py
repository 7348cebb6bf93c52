"""The index of the library: SQLite over the cards, so that 100,000 works are searched in milliseconds.

It holds nothing of its own: when it is missing, damaged or out of step it is made again from the cards. A row's
number is its time of creation in microseconds, so that every search yields the newest first without sorting; all
filters are words of one full-text index, so that any mixture of them is one lookup. It uses the rollback journal, not
the write-ahead log, which in SQLite before 3.51.3 can damage a file when it is reset.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aigc_desktop.core.card import Card, card_of, created_number
from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.partial import known_path

_SCHEMA = """
CREATE TABLE shards (name TEXT PRIMARY KEY, mtime INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, shard TEXT NOT NULL, run TEXT NOT NULL,
    fingerprint TEXT NOT NULL, card TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX by_number ON items (number);
CREATE INDEX by_shard ON items (shard);
CREATE INDEX by_run ON items (run, number);
CREATE INDEX by_fingerprint ON items (fingerprint);
CREATE TABLE tags (tag TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tag, number)) WITHOUT ROWID;
CREATE INDEX tags_by_number ON tags (number);
CREATE TABLE parents (parent TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (parent, number)) WITHOUT ROWID;
CREATE INDEX parents_by_number ON parents (number);
CREATE VIRTUAL TABLE words USING fts5 (text, facets, tokenize = 'ascii');
PRAGMA user_version = 1;
"""
VERSION = 1
_ALL = "SELECT number FROM items INDEXED BY by_number ORDER BY number DESC"
_MATCHING = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC"
_TABLES = (("items", "number"), ("tags", "number"), ("parents", "number"), ("words", "rowid"))
_UNWRITABLE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE")
_REASONS = {
    "SQLITE_READONLY": N_("permission is missing"), "SQLITE_CANTOPEN": N_("its index cannot be opened"),
    "SQLITE_IOERR": N_("the disk cannot read or write it"),
}  # fmt: skip
PATIENCE_S = 0.5  # the window waits for this; another program that holds the file longer gets a sentence


class IndexDamaged(Exception):
    """The index cannot be trusted; it is to be made again."""


@dataclass(frozen=True)
class Query:
    """What to look for: all words of `text`, and each other field that is set."""

    text: str = ""
    kind: str = ""
    run: str = ""
    tag: str = ""
    starred: bool = False


@dataclass(frozen=True)
class Facet:
    """A value to filter by and how many works have it."""

    value: str
    title: str
    count: int


class LibraryIndex:
    """One open index file; UserError when another program holds it, IndexDamaged when it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _faults(self.path):
            self.db = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self.db.close()
                raise

    def close(self) -> None:
        """Let the file go."""
        self.db.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Do the changes inside as one: all of them are there after a crash, or none."""
        with _faults(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    # writing, inside `change`

    def put(self, card: Card) -> None:
        """Take a card in, in place of the one with its id."""
        text = json.dumps(asdict(card), ensure_ascii=False)
        self.drop([card.id])
        number = self._free_number(card)
        row = (number, card.id, card.id[:2], card.run, card.fingerprint, text, _crc(text))
        self.db.execute("INSERT INTO items VALUES (?,?,?,?,?,?,?)", row)
        tags = {_fold(tag) for tag in card.tags}
        self.db.executemany("INSERT INTO tags VALUES (?,?)", [(tag, number) for tag in tags])
        self.db.executemany("INSERT INTO parents VALUES (?,?)", [(parent, number) for parent in set(card.parents)])
        self.db.execute("INSERT INTO words (rowid, text, facets) VALUES (?,?,?)", (number, *_words_of(card)))

    def drop(self, ids: Iterable[str]) -> None:
        """Take works out."""
        for item in ids:
            known = self.db.execute("SELECT number FROM items WHERE id = ?", (item,)).fetchone()
            for table, column in _TABLES if known else ():
                self.db.execute(f"DELETE FROM {table} WHERE {column} = ?", known)

    def set_shard(self, shard: str, mtime: int) -> None:
        """Note the state of a folder of cards that the index now agrees with."""
        self.db.execute("INSERT OR REPLACE INTO shards VALUES (?,?)", (shard, mtime))

    # reading

    def shards(self) -> dict[str, int]:
        """Return the states of the folders that the index agrees with."""
        with _faults(self.path):
            return dict(self.db.execute("SELECT name, mtime FROM shards"))

    def ids_in(self, shard: str) -> set[str]:
        """Return the ids of the works in a folder."""
        with _faults(self.path):
            return {row[0] for row in self.db.execute("SELECT id FROM items WHERE shard = ?", (shard,))}

    def count(self, query: Query) -> int:
        """Return how many works a search finds."""
        match = _match(query)
        with _faults(self.path):
            if not match:
                return int(self.db.execute("SELECT count(*) FROM items").fetchone()[0])
            return int(self.db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (match,)).fetchone()[0])

    def page(self, query: Query, offset: int, limit: int) -> list[Card]:
        """Return works a search finds, newest first."""
        match = _match(query)
        numbers = _MATCHING if match else _ALL
        values = (match, limit, offset) if match else (limit, offset)
        return self._cards(f"WHERE number IN ({numbers} LIMIT ? OFFSET ?) ORDER BY number DESC", values)

    def position(self, query: Query, item: str) -> int:
        """Return how many works come before one in a search."""
        match = _match(query)
        newer = "(SELECT number FROM items WHERE id = ?)"
        found = f"FROM words WHERE words MATCH ? AND rowid > {newer}" if match else f"FROM items WHERE number > {newer}"
        with _faults(self.path):
            return int(self.db.execute(f"SELECT count(*) {found}", (match, item) if match else (item,)).fetchone()[0])

    def find(self, fingerprint: str) -> list[Card]:
        """Return the works with this fingerprint."""
        return self._cards("WHERE fingerprint = ?", (fingerprint,))

    def children(self, item: str) -> list[Card]:
        """Return the works made from one."""
        return self._cards("WHERE number IN (SELECT number FROM parents WHERE parent = ?) ORDER BY number", (item,))

    def siblings(self, card: Card, limit: int) -> list[Card]:
        """Return the newest other works of the same run."""
        if not card.run:
            return []
        return self._cards("WHERE run = ? AND id != ? ORDER BY number DESC LIMIT ?", (card.run, card.id, limit))

    def tags(self) -> list[Facet]:
        """Return the tags in use, most used first."""
        with _faults(self.path):
            rows = self.db.execute("SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY 2 DESC, 1").fetchall()
        return [Facet(tag, tag, count) for tag, count in rows]

    def runs(self) -> list[Facet]:
        """Return the runs that works come from, latest first, titled as the latest work says."""
        with _faults(self.path):
            rows = self.db.execute(
                "SELECT found.run, count, card FROM (SELECT run, count(*) AS count, max(number) AS latest FROM items"
                " WHERE run != '' GROUP BY run) AS found JOIN items ON number = latest ORDER BY latest DESC"
            ).fetchall()
        return [Facet(run, str(json.loads(card).get("run_title") or run), count) for run, count, card in rows]

    def _cards(self, rest: str, values: tuple[object, ...]) -> list[Card]:
        with _faults(self.path):
            rows = self.db.execute(f"SELECT card, crc FROM items {rest}", values).fetchall()
        return [_checked(text, crc) for text, crc in rows]

    def _free_number(self, card: Card) -> int:
        """Return the time of creation in microseconds, or the next moment that no other work has."""
        number = created_number(card)
        while self.db.execute("SELECT 1 FROM items WHERE number = ?", (number,)).fetchone():
            number += 1
        return number

    def _prepare(self) -> None:
        self.db.execute("PRAGMA journal_mode = PERSIST")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA cache_size = -16000")
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self.db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif version != VERSION:
            raise IndexDamaged(f"version {version}")
        elif self.db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise IndexDamaged("quick_check")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn SQLite's faults into the three that matter here: held by another program, not to be written, and damaged."""
    try:
        yield
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise UserError(
                _("The library is in use by another program."), _("Close that program, then try again.")
            ) from error
        if name.startswith(_UNWRITABLE):
            raise _unwritable(name, error, path.parent) from error
        raise IndexDamaged(str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise IndexDamaged(str(error)) from error


def moved_away(folder: Path) -> UserError:
    """Return what to say when the folder of an open library is not in its place any more."""
    return UserError(
        _("The folder of the library, {path}, was moved or deleted while it was open.").format(path=known_path(folder)),
        _("Put it back, or start the program again: it goes on with the works that lie there then."),
    )


def _unwritable(name: str, error: sqlite3.Error, folder: Path) -> UserError:
    """Return why the index in `folder` cannot be written, by SQLite's name of the reason, as people say it."""
    if name == "SQLITE_READONLY_DBMOVED" or not folder.is_dir():
        return moved_away(folder)
    if name.startswith("SQLITE_FULL"):
        return OutOfSpace(where=str(folder))
    reason = next((_(words) for start, words in _REASONS.items() if name.startswith(start)), str(error))
    return UserError(
        _("The library cannot be written: {reason}.").format(reason=reason),
        _("Check that the disk has space and that you may write to the workspace."),
    )


def _checked(text: str, crc: int) -> Card:
    """Return the card of a row whose checksum is right: SQLite itself does not notice a flipped bit in a text."""
    if not isinstance(text, str) or _crc(text) != crc:
        raise IndexDamaged("checksum of a row")
    return card_of(json.loads(text))


def _crc(text: str) -> int:
    return zlib.crc32(text.encode())


def _match(query: Query) -> str:
    """Return a search as FTS5 text, "" when it finds everything."""
    facets = [
        _facet(name, value)
        for name, value in (("kind", query.kind), ("run", query.run), ("tag", _fold(query.tag)))
        if value
    ]
    if query.starred:
        facets.append("starred")
    parts = [f"facets : {facet}" for facet in facets]
    return " AND ".join(parts + [f"text : {phrase}" for phrase in _phrases(query.text)])


def _words_of(card: Card) -> tuple[str, str]:
    """Return what is searched in a card: its words, and one word for each value it can be filtered by."""
    text = " ".join((card.title, *card.tags, card.label, card.run_title, card.excerpt))
    facets = [_facet("kind", card.kind), _facet("run", card.run), *(_facet("tag", _fold(tag)) for tag in card.tags)]
    return _segmented(text), " ".join([*facets, *(["starred"] if card.starred else [])])


def _facet(name: str, value: str) -> str:
    return f"{name}{value.encode('utf-8', 'replace').hex()}"


def _phrases(text: str) -> list[str]:
    """Return the words typed by a user as FTS5 phrases: each begins a word, or is a run of Chinese."""
    phrases = []
    for word in text.split():
        parts = _segmented(word).split()
        if parts:
            phrases.append(f'"{" ".join(parts)}"' + ("" if _is_unspaced(parts[-1][-1]) else " *"))
    return phrases


def _segmented(text: str) -> str:
    """Return the words of `text` without accents, each character of scripts that write without blanks as one.

    What is a letter is decided here alone: SQLite's tables of letters are those of an older Unicode.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", _fold(text)) if not unicodedata.combining(c))
    letters = (c if c.isalnum() else " " for c in unicodedata.normalize("NFC", plain))
    return "".join(f" {c} " if _is_unspaced(c) else c for c in letters)


def _is_unspaced(character: str) -> bool:
    ranges = (("\u2e80", "\u9fff"), ("\uac00", "\ud7af"), ("\U00020000", "\U0003ffff"))
    return any(first <= character <= last for first, last in ranges)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text.replace("\x00", " ")).casefold()
