"""Look at texts: decoded, cut into items and copied as UTF-8 into the data set, one pass, memory bounded."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path, PurePath
from typing import IO

from aigc_desktop.core.dataset import ItemRecord
from aigc_desktop.core.errors import system_reason
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.data import attributes
from aigc_desktop.data.conll import looks_like_conll, read_conll
from aigc_desktop.data.encodings import Detected
from aigc_desktop.data.items import ItemWriter
from aigc_desktop.data.pictures import kind_of, read_head, sniff
from aigc_desktop.data.pool import Pace
from aigc_desktop.data.problems import ItemProblem, describe_note
from aigc_desktop.data.sources import Found
from aigc_desktop.data.tables import read_csv, read_jsonl
from aigc_desktop.data.texts import SUFFIXES, TextItem, TextOptions, encoding_of, read_plain

_READERS = {"plain": read_plain, "csv": read_csv, "jsonl": read_jsonl, "conll": read_conll}
_CHECK_EVERY = 256


def scan_texts(
    found: list[Found], items: ItemWriter, texts: Path, options: TextOptions, labels_from_folders: bool
) -> Generator[Event, str | None, None]:
    """Read every file, in order; write the records and, into `texts`, the text of every usable item."""
    pace = Pace(_("Reading texts"), 0, _("texts"))
    encodings: Counter[str] = Counter()
    guessed: dict[str, str] = {}
    with texts.open("wb") as out:
        for file in found:
            try:
                detected = _open(file, options)
                encoding = detected.codec
                encodings[encoding] += 1
                if not detected.sure:
                    guessed[file.name] = encoding
                reader = _READERS[_format(file, encoding, options)](file.path, encoding, options)
                yield from _read_file(reader, file, items, out, pace, labels_from_folders)
            except ItemProblem as problem:
                items.refuse(ItemRecord(file.name, file.source or file.path), problem.code, **problem.values)
            if pace.due():
                yield pace.progress(items.found)
        out.flush()
        os.fsync(out.fileno())
    yield pace.progress(items.found)
    if set(encodings) - {"utf-8"}:
        told = ", ".join(f"{name} ({count})" for name, count in encodings.most_common())
        yield Note(_("Text encodings found: {encodings}.").format(encodings=told))
    if guessed:
        name, encoding = next(iter(guessed.items()))
        text = ngettext(
            "“{name}” has too few letters to tell its encoding for sure; {encoding} is a guess. If it looks wrong, "
            "import it again and choose the text encoding.",
            "{count} files have too few letters to tell their encodings for sure, “{name}” ({encoding}) among them. "
            "If they look wrong, import them again and choose the text encoding.", len(guessed),
        )  # fmt: skip
        yield Note(text.format(count=len(guessed), name=name, encoding=encoding), "warning")


def _open(file: Found, options: TextOptions) -> Detected:
    """Return the encoding of a file; ItemProblem when it is none of ours."""
    if file.problem:
        raise ItemProblem(file.problem, reason=file.reason)
    if PurePath(file.name).suffix.lower() not in SUFFIXES:
        raise ItemProblem("unsupported", kind=_kind(file.path))
    return encoding_of(file.path, options)


def _format(file: Found, encoding: str, options: TextOptions) -> str:
    """Return the name of the reader: by the ending of the file, CoNLL also by what a plain text looks like."""
    name = SUFFIXES[PurePath(file.name).suffix.lower()]
    return "conll" if name == "plain" and looks_like_conll(file.path, encoding, options) else name


def _kind(path: str) -> str:
    try:
        head = read_head(path)
    except OSError as error:
        raise ItemProblem("unreadable", reason=system_reason(error)) from error
    return _("a picture") if sniff(head) else kind_of(head) or _("no text file")


def _read_file(
    reader: Iterator[TextItem], file: Found, items: ItemWriter, out: IO[bytes], pace: Pace, labels_from_folders: bool
) -> Generator[Event, str | None, None]:
    count = 0
    last_split = 0
    for item in _reading(reader):
        name = f"{file.name}:{item.row}"
        label = file.label if labels_from_folders else item.label
        told = attributes.encode(item.attributes) if item.attributes else ""
        place = f"{file.source or file.path}:{item.row}"
        record = ItemRecord(name, place, label=label, attributes=told, marks=item.marks)
        if item.problem:
            items.refuse(record, item.problem, **item.values)
        else:
            note = "split" if item.piece and item.row != last_split else item.note
            last_split = item.row if item.piece else last_split
            _write(record, item.text, note, items, out)
        count += 1
        if count % _CHECK_EVERY == 0 and pace.due():
            yield pace.progress(items.found)
    if not count:
        raise ItemProblem("empty")


def _reading(reader: Iterator[TextItem]) -> Iterator[TextItem]:
    """Yield the items; an error of the disk while reading becomes the file's problem, not that of the import."""
    try:
        yield from reader
    except OSError as error:
        raise ItemProblem("unreadable", reason=system_reason(error)) from error


def _write(record: ItemRecord, text: str, note: str, items: ItemWriter, out: IO[bytes]) -> None:
    data = text.encode()
    written = ItemRecord(
        record.name, record.source, hashlib.sha256(data).hexdigest(), length=len(text), label=record.label, note=note,
        detail=describe_note(note, record.name, limit=len(text)) if note else "", offset=out.tell(),
        size=len(data), attributes=record.attributes, marks=record.marks,
    )  # fmt: skip
    if items.add(written):
        out.write(data)
