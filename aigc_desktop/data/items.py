"""Write and read `items.jsonl`: one ItemRecord a line, defaults left out, so that a line is short."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from aigc_desktop.core.dataset import ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.marks import read_marks
from aigc_desktop.data import attributes
from aigc_desktop.data.problems import describe_note, describe_problem, shown_name

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode
_DEFAULTS = [(f.name, f.default) for f in fields(ItemRecord)]
_TYPES = {"name": str, "source": str, **{name: type(default) for name, default in _DEFAULTS[2:]}}
_HASH = re.compile("([0-9a-f]{64})?")
FIRST_PROBLEMS = 100
MAX_LABEL = 200


def encode_item(record: ItemRecord) -> bytes:
    """Return the line of a record, with its newline; paths that are no UTF-8 are escaped."""
    values = {name: value for name, default in _DEFAULTS if (value := getattr(record, name)) != default}
    try:
        return _encode(values).encode() + b"\n"
    except UnicodeEncodeError:
        return _encode_ascii(values).encode() + b"\n"


def decode_item(line: bytes) -> ItemRecord:
    """Return the record of a line; UserError when it is damaged."""
    try:
        values = json.loads(line)
        record = ItemRecord(**values)
        if not all(type(value) is _TYPES[name] for name, value in values.items()) or not _is_hash(record):
            raise ValueError("not a record")
        numbers = [value for value in values.values() if isinstance(value, int)]
        if not all(0 <= number <= sys.maxsize for number in numbers) or "\0" in record.source:
            raise ValueError("a place that no file has")
        if record.attributes:
            attributes.decode(record.attributes)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(
            _("The list of what was found in the data set is damaged."), _("Import the source again.")
        ) from None
    return record


def read_items(path: Path) -> Iterator[ItemRecord]:
    """Yield all records of a data set, in order."""
    with path.open("rb") as f:
        for line in f:
            yield decode_item(line)


def _is_hash(record: ItemRecord) -> bool:
    return bool(_HASH.fullmatch(record.sha256) and _HASH.fullmatch(record.first))


class ItemWriter:
    """Writes the items of a scan and counts them; finds duplicates by the hash of the content, of pictures as shown.

    A text with other attributes is another item: what is asked for in other words may be answered in the same. The
    split keeps both on one side all the same.

    It remembers 16 bytes of hash per usable item, so a million items take about 110 MB; where duplicates of pictures
    are used, also the hash of the first file of each, which those after it name.
    """

    def __init__(self, path: Path, remove_duplicates: bool) -> None:
        self.file = path.open("wb")
        self.remove_duplicates = remove_duplicates
        self.found = 0
        self.usable = 0
        self.characters = 0
        self.bytes = 0
        self.problems: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()  # how many items have each, in the order of their first item
        self.span_classes: Counter[str] = Counter()
        self.first_problems: list[dict[str, str]] = []
        self._seen: dict[bytes, str] = {}  # the label of each content
        self._first: dict[bytes, str] = {}  # the file of each picture, where more than one may be used

    def __enter__(self) -> ItemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.file.flush()
            os.fsync(self.file.fileno())
        self.file.close()

    def add(self, record: ItemRecord, pixels: str = "") -> bool:
        """Write a usable item unless its content was seen before; return whether it is used.

        `pixels` is the hash of a picture as shown, which is its content in whatever file format.
        """
        digest = bytes.fromhex(pixels[:32]) if pixels else _digest_of(record)
        if digest in self._seen:
            if self.remove_duplicates:
                label, other = record.label, self._seen[digest]
                bare = replace(record, offset=0)  # its text is not kept a second time
                if label == other:
                    self.refuse(bare, "duplicate")
                else:
                    self.refuse(bare, "contradiction", label=shown_name(label), other=shown_name(other))
                return False
            first = self._first.get(digest, "")
            record = replace(record, note="duplicate", detail=describe_note("duplicate", record.name), first=first)
        elif pixels and not self.remove_duplicates:
            self._first[digest] = record.sha256
        self._seen[digest] = sys.intern(record.label)
        if record.note:
            self.notes[record.note] += 1
        if record.label:
            record = replace(record, label=record.label[:MAX_LABEL].encode("utf-8", "replace").decode())
        self.found += 1
        self.usable += 1
        self.classes[record.label] += 1
        if record.attributes:
            self.attributes.update(attributes.decode(record.attributes).keys())
        if record.marks:
            self.span_classes.update(name for _start, _end, name in read_marks(record.marks).spans)
        self.characters += record.length
        self.bytes += record.size
        self.file.write(encode_item(record))
        return True

    def refuse(self, record: ItemRecord, code: str, **values: Any) -> None:
        """Write an item that cannot be used, with the reason."""
        detail = describe_problem(code, record.name, **values)
        self.found += 1
        self.problems[code] += 1
        if len(self.first_problems) < FIRST_PROBLEMS:
            self.first_problems.append({"name": record.name, "problem": code, "detail": detail})
        self.file.write(encode_item(replace(record, problem=code, detail=detail, note="", marks="")))

    def labels(self) -> tuple[list[str], list[int]]:
        """Return the classes in order and how many usable items each has; items without a label are left out."""
        return _in_order(self.classes)

    def names(self) -> tuple[list[str], list[int]]:
        """Return the classes of the names marked in texts, in order, and how many names each has."""
        return _in_order(self.span_classes)


def _in_order(classes: Counter[str]) -> tuple[list[str], list[int]]:
    named = sorted((label, count) for label, count in classes.items() if label)
    return [label for label, _count in named], [count for _label, count in named]


def _digest_of(record: ItemRecord) -> bytes:
    """Return 16 bytes for the content of a text with its attributes."""
    if not record.attributes:
        return bytes.fromhex(record.sha256[:32])
    return hashlib.sha256(f"{record.sha256} {record.attributes}".encode()).digest()[:16]
