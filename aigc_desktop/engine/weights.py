"""Tensors in safetensors files: written with their hash in one pass, checked before they are read.

A file is u64 header length | JSON header | data. The library refuses most lies in the header; it accepts a name that
is given twice and names that look like paths, so those are refused here, before it sees the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _

HEADER_LIMIT = 16_000_000  # bytes; 100,000 tensors fit
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,255}")
_DTYPES = {
    torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.int32: "I32", torch.float16: "F16",
    torch.bfloat16: "BF16", torch.int16: "I16", torch.uint8: "U8", torch.int8: "I8", torch.bool: "BOOL",
}  # fmt: skip
_SIZES = {name: dtype.itemsize for dtype, name in _DTYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a new safetensors file and return its SHA-256; OSError when the disk is full."""
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, offset = {}, 0
    for name in names:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end],
        }  # fmt: skip
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of eight bytes
    digest = hashlib.sha256()
    with path.open("wb") as f:
        for part in (struct.pack("<Q", len(text)), text):
            digest.update(part)
            f.write(part)
        for name in names:
            data = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            digest.update(data)
            f.write(data)
    return digest.hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, in memory of their own; BadInput when it is not a sound one."""
    check_header(path)
    try:
        # copies, because the library's tensors keep the file mapped and Windows cannot remove a mapped file
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise _bad(path, str(error)) from error


def check_header(path: Path) -> dict[str, Any]:
    """Return the checked header of a safetensors file without reading its data; BadInput with the reason."""
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(8)
        if len(head) < 8:
            raise _bad(path, _("it is too short"))
        (length,) = struct.unpack("<Q", head)
        if length > min(HEADER_LIMIT, size - 8):
            raise _bad(path, _("its header is longer than the file or the limit"))
        text = f.read(length)
    header = _parse(path, text)
    _check_layout(path, header, size - 8 - length)
    return header


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _value in pairs}) < len(pairs):
            raise ValueError("a name is given twice")
        return dict(pairs)

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _bad(path, str(error)) from error
    if not isinstance(header, dict):
        raise _bad(path, _("its header is not a table"))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _bad(path, _("its metadata is not text"))
    return header


def _check_layout(path: Path, header: dict[str, Any], size: int) -> None:
    """Refuse odd names, unknown types, shapes that do not match their bytes, overlaps, holes, left-over bytes."""
    position = 0
    for name, start, end in sorted((_entry(path, name, entry) for name, entry in header.items()), key=lambda e: e[1:]):
        if start != position:
            raise _bad(path, _("the data of “{name}” is not where it should be").format(name=name))
        position = end
    if position != size:
        raise _bad(path, _("it has {size} bytes of data, its header speaks of {told}").format(size=size, told=position))


def _entry(path: Path, name: str, entry: Any) -> tuple[str, int, int]:
    if not _NAME.fullmatch(name) or ".." in name:
        raise _bad(path, _("“{name}” is not a proper name of a tensor").format(name=name[:80]))
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, end]
        sound = dtype in _SIZES and len(shape) <= 8
        sound = sound and all(type(number) is int and 0 <= number < 1 << 48 for number in numbers)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _bad(path, _("“{name}” is not described properly").format(name=name))
    if end - start != math.prod(shape) * _SIZES[dtype]:
        raise _bad(path, _("the size of “{name}” does not match its shape").format(name=name))
    return name, start, end


def _bad(path: Path, reason: str) -> BadInput:
    return BadInput(
        path.name, _("the file is damaged or not a model: {reason}").format(reason=reason),
        _("Choose another saved version, or copy the file again from where it came."),
    )  # fmt: skip
