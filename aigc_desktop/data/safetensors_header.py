"""The header of a safetensors file, checked without torch and without reading the data.

A file is u64 header length | JSON header | data. The library refuses most lies in the header; it accepts a name that
is given twice and names that look like paths, so those are refused here, before it sees the file.
"""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _

HEADER_LIMIT = 16_000_000  # bytes; 100,000 tensors fit
SIZES = {
    "F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of each type of number that is read."""
WHOLE = ("I64", "I32", "I16", "U8", "I8", "BOOL")
"""Types without fractions, which weights have where they are compressed or damaged."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,255}")


def check_header(path: Path) -> dict[str, Any]:
    """Return the checked header of a safetensors file without reading its data; BadInput with the reason."""
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(8)
        if len(head) < 8:
            raise damaged_weights(path, _("it is too short"))
        (length,) = struct.unpack("<Q", head)
        if length > min(HEADER_LIMIT, size - 8):
            raise damaged_weights(path, _("its header is longer than the file or the limit"))
        text = f.read(length)
    header = _parse(path, text)
    _check_layout(path, header, size - 8 - length)
    return header


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _value in pairs}) < len(pairs):
            raise damaged_weights(path, _("a name is given twice"))
        return dict(pairs)

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise damaged_weights(path, _("its header cannot be read")) from error
    if not isinstance(header, dict):
        raise damaged_weights(path, _("its header is not a table"))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged_weights(path, _("its metadata is not text"))
    return header


def _check_layout(path: Path, header: dict[str, Any], size: int) -> None:
    """Refuse odd names, unknown types, shapes that do not match their bytes, overlaps, holes, left-over bytes."""
    position = 0
    for name, start, end in sorted((_entry(path, name, entry) for name, entry in header.items()), key=lambda e: e[1:]):
        if start != position:
            raise damaged_weights(path, _("the data of “{name}” is not where it should be").format(name=name))
        position = end
    if position != size:
        told = _("it has {size} bytes of data, its header speaks of {told}").format(size=size, told=position)
        raise damaged_weights(path, told)


def _entry(path: Path, name: str, entry: Any) -> tuple[str, int, int]:
    if not _NAME.fullmatch(name) or ".." in name:
        raise damaged_weights(path, _("“{name}” is not a proper name of a tensor").format(name=name[:80]))
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, end]
        sound = dtype in SIZES and len(shape) <= 8
        sound = sound and all(type(number) is int and 0 <= number < 1 << 48 for number in numbers)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged_weights(path, _("“{name}” is not described properly").format(name=name))
    if end - start != math.prod(shape) * SIZES[dtype]:
        raise damaged_weights(path, _("the size of “{name}” does not match its shape").format(name=name))
    return name, start, end


def damaged_weights(path: Path, reason: str) -> BadInput:
    """Return the error for a weights file that cannot be used."""
    return BadInput(
        path.name, _("the file is damaged or not a model: {reason}").format(reason=reason),
        _("Choose another saved version, or copy the file again from where it came."),
    )  # fmt: skip
