"""Look at pictures: each is decoded whole, and what cannot be used is named with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import PurePath
from typing import NamedTuple

from aigc_desktop.core.dataset import ItemRecord
from aigc_desktop.core.events import Event
from aigc_desktop.core.i18n import _
from aigc_desktop.data.captions import Told, gather
from aigc_desktop.data.items import ItemWriter
from aigc_desktop.data.pictures import SUFFIXES, PictureFacts, inspect_picture, read_file
from aigc_desktop.data.pool import Pace, ordered_map
from aigc_desktop.data.problems import ItemProblem, describe_note
from aigc_desktop.data.sources import Found


class _Seen(NamedTuple):
    """What one file turned out to be: facts, or the problem it has."""

    found: Found
    sha256: str = ""
    size: int = 0
    facts: PictureFacts | None = None
    problem: ItemProblem | None = None


def scan_pictures(
    found: list[Found], items: ItemWriter, minimum_side: int, label_column: str, encoding: str
) -> Generator[Event, str | None, None]:
    """Look at every file, in order, and write its record; captions and labels may lie beside the pictures."""
    found, told = yield from gather(found, label_column, encoding)
    pace = Pace(_("Looking at pictures"), len(found), _("pictures"))
    done = 0
    for seen in ordered_map(_look, found):
        if seen is not None:
            _write(seen, items, minimum_side, told.get(seen.found.path, Told()))
            done += 1
        if pace.due():
            yield pace.progress(done)
    yield pace.progress(done)


def _look(found: Found) -> _Seen:
    """Read and decode one file; runs in a thread."""
    if found.problem:
        return _Seen(found, problem=ItemProblem(found.problem, reason=found.reason))
    try:
        data = read_file(found.path)
        digest = hashlib.sha256(data).hexdigest()
        return _Seen(found, digest, len(data), inspect_picture(data))
    except ItemProblem as problem:
        return _Seen(found, problem=problem)


def _write(seen: _Seen, items: ItemWriter, minimum_side: int, told: Told) -> None:
    found, facts = seen.found, seen.facts
    label = told.label or found.label
    record = ItemRecord(found.name, found.source or found.path, seen.sha256, label=label, size=seen.size)
    if facts is None:
        assert seen.problem is not None
        items.refuse(record, seen.problem.code, **seen.problem.values)
        return
    note, detail = _note(found.name, facts)
    record = replace(
        record, width=facts.width, height=facts.height, note=note, detail=detail, attributes=told.attributes()
    )
    if min(facts.width, facts.height) < minimum_side:
        items.refuse(record, "too_small", width=facts.width, height=facts.height, minimum=minimum_side)
    else:
        items.add(record, facts.pixels)


def _note(name: str, facts: PictureFacts) -> tuple[str, str]:
    """Return (code, sentence) for something odd about a usable picture, or empty texts."""
    expected = SUFFIXES.get(PurePath(name).suffix.lower(), "")
    if expected and expected != facts.format:
        return "mislabelled", describe_note("mislabelled", name, format=facts.format)
    if facts.animated:
        return "animated", describe_note("animated", name)
    return "", ""
