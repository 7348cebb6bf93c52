"""Tensors in safetensors files: written with their hash in one pass, checked before they are read.

See data/safetensors_header.py for what is checked.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aigc_desktop.core.errors import is_out_of_memory
from aigc_desktop.data.safetensors_header import check_header, damaged_weights

_DTYPES = {
    torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.int32: "I32", torch.float16: "F16",
    torch.bfloat16: "BF16", torch.int16: "I16", torch.uint8: "U8", torch.int8: "I8", torch.bool: "BOOL",
}  # fmt: skip


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
        if is_out_of_memory(error):  # which says nothing of the file
            raise
        raise damaged_weights(path, str(error)) from error
