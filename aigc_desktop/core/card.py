"""The card of a kept work: what it is and where it comes from, as a JSON file beside the work."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import parse_json, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.rating import Rating
from aigc_desktop.core.typed import typed

FORMAT = 1
EXTENSIONS = {"image": ".png", "text": ".txt"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True)
class Card:
    """A kept work.

    `created` is a local ISO time; `sha256` is of the file; `excerpt` is the start of a text; works with the same
    `fingerprint` are the same work.

    Origin: data set (id and hash) -> run -> checkpoint -> task with `settings` and `seed`; `parents` are the ids
    of the works it was made from, `edits` what was done to the picture after it was made, step by step.
    """

    id: str
    kind: Literal["image", "text"]
    title: str
    created: str
    file: str
    sha256: str = ""
    fingerprint: str = ""
    excerpt: str = ""
    width: int = 0
    height: int = 0
    dataset: str = ""
    dataset_hash: str = ""
    run: str = ""
    run_title: str = ""
    checkpoint: str = ""
    task: str = ""
    seed: int | None = None
    label: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    starred: bool = False
    parents: tuple[str, ...] = ()
    rating: Rating | None = None
    edits: tuple[dict[str, Any], ...] = ()
    format: int = FORMAT


def card_of(values: Any) -> Card:
    """Return the card in a JSON value; ValueError when it is none. Fields of newer versions are left out."""
    card = typed(Card, values)
    if card.file != card.id + EXTENSIONS[card.kind] or not re.fullmatch(r"[0-9a-f]{32}", card.id):
        raise ValueError("a card that points elsewhere")
    created_number(card)
    return card


def created_number(card: Card) -> int:
    """Return a card's time of creation in microseconds since 1970; ValueError when it is no time of this age."""
    moment = datetime.fromisoformat(card.created)
    if not 1970 < moment.year < 3000:
        raise ValueError(f"created {card.created}")
    return round(moment.timestamp() * 1_000_000)


def read_card(path: Path) -> Card:
    """Return the card in a file; ValueError when it is damaged, OSError when it cannot be read."""
    return card_of(parse_json(path.read_bytes()))


def write_card(path: Path, card: Card) -> None:
    """Write a card atomically; fields that a newer version of the program put there stay."""
    try:
        before = parse_json(path.read_bytes())
    except (OSError, ValueError):
        before = {}
    write_json(path, {**(before if isinstance(before, dict) else {}), **asdict(card)})


def clean_title(title: str) -> str:
    """Return a title without control characters, at most 200 characters, and writable in any encoding."""
    title = title.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub(" ", title).strip()[:200]


def clean_tags(tags: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return tags without blanks and repetitions (case does not distinguish), in the order given."""
    kept: dict[str, str] = {}
    for tag in tags:
        cleaned = clean_title(tag)[:60].strip()
        if cleaned:
            kept.setdefault(cleaned.casefold(), cleaned)
    return tuple(kept.values())


def changed(card: Card, **changes: Any) -> Card:
    """Return the card with a new title, tags or star; UserError for a title of nothing."""
    if "title" in changes:
        changes["title"] = clean_title(changes["title"])
        if not changes["title"]:
            raise UserError(_("A work needs a title."), _("Type at least one character."))
    if "tags" in changes:
        changes["tags"] = clean_tags(changes["tags"])
    return replace(card, **changes)
