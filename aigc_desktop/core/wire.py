"""Plain data over a pipe: a frame is a length, a JSON header, and the arrays it names. No pickle.

frame   = u32 header length | u64 total length of the arrays | header (UTF-8 JSON) | arrays, one after another
header  = the value; a dataclass is {"$": its name, ...}, an array {"$array": [dtype, shape]}
"""

from __future__ import annotations

import dataclasses
import json
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from aigc_desktop.core.events import EVENT_TYPES
from aigc_desktop.core.family import Plan, Preset, Problem, TaskSpec
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.rating import Rating

if TYPE_CHECKING:  # the window is on the screen before numpy is needed
    import numpy as np

_HEAD = struct.Struct("<IQ")
_TYPES = {cls.__name__: cls for cls in (*EVENT_TYPES, FieldSpec, Plan, Preset, Problem, TaskSpec, Machine, Rating)}
_DTYPES = {"uint8", "int64", "int32", "float32", "float64"}
_LIMIT = 1 << 31


def write_frame(pipe: BinaryIO, value: Any) -> None:
    """Write one value: JSON types, dataclasses named above, numpy arrays; anywhere inside each other."""
    arrays: list[np.ndarray[Any, Any]] = []
    header = json.dumps(_pack(value, arrays), ensure_ascii=False, allow_nan=False).encode()
    pipe.write(_HEAD.pack(len(header), sum(array.nbytes for array in arrays)))
    pipe.write(header)
    for array in arrays:
        pipe.write(array.tobytes())
    pipe.flush()


def read_frame(pipe: BinaryIO) -> Any:
    """Return the next value; EOFError at the end of the pipe or when a frame is cut off, ValueError on nonsense."""
    header_size, arrays_size = _HEAD.unpack(_read(pipe, _HEAD.size))
    if header_size > _LIMIT or arrays_size > _LIMIT:
        raise ValueError(f"frame of {header_size} + {arrays_size} bytes")
    header, arrays = _read(pipe, header_size), memoryview(_read(pipe, arrays_size))
    try:
        return _unpack(json.loads(header), arrays, [0])
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no frame: {error!r}") from error


def _read(pipe: BinaryIO, count: int) -> bytes:
    parts = []
    while count:
        part = pipe.read(count)
        if not part:
            raise EOFError("the other side closed the pipe")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _pack(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if hasattr(value, "__array_interface__"):
        arrays.append(value)
        return {"$array": [str(value.dtype), list(value.shape)]}
    if dataclasses.is_dataclass(value):
        fields = {f.name: _pack(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"$": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(key): _pack(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, arrays) for item in value]
    return value


def _unpack(value: Any, data: memoryview, position: list[int]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, data, position) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return _array(value["$array"], data, position)
    fields = {key: _unpack(item, data, position) for key, item in value.items() if key != "$"}
    return _build(_TYPES[value["$"]], fields) if "$" in value else fields


def _array(described: Any, data: memoryview, position: list[int]) -> np.ndarray[Any, Any]:
    import numpy as np

    dtype, shape = described
    if dtype not in _DTYPES:
        raise ValueError(f"array of {dtype}")
    count = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(data, dtype, count, position[0]).reshape(shape)
    position[0] += array.nbytes
    return array


def _build(cls: Any, fields: dict[str, Any]) -> Any:
    """Return the dataclass; JSON knows lists only, so fields declared as tuples get theirs back."""
    for f in dataclasses.fields(cls):
        if str(f.type).startswith("tuple"):
            fields[f.name] = tuple(tuple(x) if isinstance(x, list) else x for x in fields[f.name])
        elif f.type == "FieldKind":
            fields[f.name] = FieldKind(fields[f.name])
    return cls(**fields)
