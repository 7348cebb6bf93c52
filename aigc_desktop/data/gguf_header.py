"""The header of a GGUF file, checked before a byte of its data is used.

Layout (ggml's docs/gguf.md): "GGUF" | u32 version | u64 tensors | u64 pairs | the pairs | the tensors' descriptions |
padding | data. Every length in it is a claim: each is held against what is left of the file before it is believed.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _

VERSIONS = (2, 3)
MOST_TENSORS, MOST_PAIRS, MOST_ITEMS, MOST_TEXT = 100_000, 10_000, 2_000_000, 4_000_000
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
BLOCKS = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136),
    "BF16": (30, 1, 2),
}  # fmt: skip
"""Number types that are read: (number in the file, weights in a block, bytes of a block)."""
_TYPES = {number: (name, weights, size) for name, (number, weights, size) in BLOCKS.items()}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


@dataclass(frozen=True)
class GgufTensor:
    """A tensor: `shape` as torch has it (the file has it backwards), `start` and `size` are bytes of the file."""

    name: str
    shape: tuple[int, ...]
    type: str
    start: int
    size: int


@dataclass(frozen=True)
class Gguf:
    """The checked header: `values` by key, tensors by name."""

    path: Path
    values: dict[str, Any]
    tensors: dict[str, GgufTensor]


def read_gguf(path: Path) -> Gguf:
    """Return the header of a GGUF file; BadInput with the reason when any of it cannot be true."""
    with path.open("rb") as f:
        reader = _Reader(path, f)
        if reader.take(4) != b"GGUF":
            raise reader.bad(_("it is not a GGUF file"))
        version = reader.number("I")
        if version not in VERSIONS:
            raise reader.bad(_("version {number} of the format is not known").format(number=version))
        tensors = reader.count(MOST_TENSORS, 24)
        pairs = reader.count(MOST_PAIRS, 13)
        values: dict[str, Any] = {}
        for _pair in range(pairs):
            key = reader.text()
            if key in values:
                raise reader.bad(_("“{name}” is given twice").format(name=key[:80]))
            values[key] = reader.value(reader.number("I"))
        described = [_describe(reader) for _tensor in range(tensors)]
        return Gguf(path, values, _placed(reader, values, described))


class _Reader:
    """Takes pieces of a file, never more than is left of it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file = path, file
        self.left = self.size = path.stat().st_size

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise self.bad(_("it ends in the middle of its header"))
        self.left -= count
        return self.file.read(count)

    def number(self, kind: str) -> Any:
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def count(self, most: int, least_bytes: int) -> int:
        """Return a count of things of at least so many bytes each."""
        count = int(self.number("Q"))
        if count > most or count * least_bytes > self.left:
            raise self.bad(_("its header speaks of more than the file holds"))
        return count

    def text(self) -> str:
        length = int(self.number("Q"))
        if length > MOST_TEXT:
            raise self.bad(_("its header speaks of more than the file holds"))
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner = self.number("I")
            if inner == _STRING:
                return [self.text() for _item in range(self.count(MOST_ITEMS, 8))]
            if inner in _NUMBERS:
                size = struct.calcsize("<" + _NUMBERS[inner])
                count = self.count(MOST_ITEMS, size)
                return list(struct.unpack(f"<{count}{_NUMBERS[inner]}", self.take(count * size)))
        elif kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        raise self.bad(_("its header holds a value of an unknown kind"))

    def bad(self, reason: str) -> BadInput:
        return BadInput(
            self.path.name, _("the file is damaged or not a model: {reason}").format(reason=reason),
            _("Copy the file again from where it came."),
        )  # fmt: skip


def _describe(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = reader.text(), reader.number("I")
    if not _NAME.fullmatch(name) or ".." in name:
        raise reader.bad(_("“{name}” is not a proper name of a tensor").format(name=name[:80]))
    if not 1 <= dimensions <= 4:
        raise reader.bad(_("“{name}” is not described properly").format(name=name))
    shape = tuple(int(reader.number("Q")) for _dimension in range(dimensions))
    return name, shape[::-1], reader.number("I"), int(reader.number("Q"))


def _placed(
    reader: _Reader, values: dict[str, Any], described: list[tuple[str, tuple[int, ...], int, int]]
) -> dict[str, GgufTensor]:
    """Return the tensors with their places in the file; refuses overlaps, ends beyond the file and odd sizes."""
    alignment = values.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20:
        raise reader.bad(_("its header holds a value of an unknown kind"))
    begin = -(-(reader.size - reader.left) // alignment) * alignment
    tensors: dict[str, GgufTensor] = {}
    for name, shape, number, offset in described:
        if name in tensors:
            raise reader.bad(_("“{name}” is given twice").format(name=name))
        if number not in _TYPES:
            raise reader.bad(_("“{name}” has numbers of a kind that is not known").format(name=name))
        kind, weights, block = _TYPES[number]
        if any(not 1 <= side < 1 << 40 for side in shape) or shape[-1] % weights:
            raise reader.bad(_("“{name}” is not described properly").format(name=name))
        size = math.prod(shape) // weights * block
        if offset % alignment or begin + offset + size > reader.size:
            raise reader.bad(_("the data of “{name}” is not where it should be").format(name=name))
        tensors[name] = GgufTensor(name, shape, kind, begin + offset, size)
    end = begin
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.start):
        if tensor.start < end:
            raise reader.bad(_("the data of “{name}” is not where it should be").format(name=tensor.name))
        end = tensor.start + tensor.size
    return tensors
