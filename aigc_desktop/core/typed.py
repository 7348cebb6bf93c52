"""Check JSON values against the types a dataclass declares; plain Python, because the window starts with it."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

ValueT = TypeVar("ValueT")
Reader = Callable[[Any], Any]
"""Returns a JSON value as the type it was made for; ValueError when it is none."""


def typed(kind: type[ValueT], values: Any) -> ValueT:
    """Return JSON values as a dataclass whose fields have the types they are declared with; ValueError if they cannot.

    Keys that are no field are left out. Nothing is converted but what JSON does not know: a whole number where a
    float is declared, a list where a tuple is.
    """
    if not isinstance(values, dict):
        raise ValueError(f"no {kind.__name__}")
    readers = _readers(kind)  # type: ignore[arg-type]  # a type is hashable
    missing = [name for name, (_reader, needed) in readers.items() if needed and name not in values]
    if missing:
        raise ValueError(f"{kind.__name__} without {', '.join(missing)}")
    return kind(**{name: reader(values[name]) for name, (reader, _needed) in readers.items() if name in values})


@lru_cache(maxsize=32)
def _readers(kind: type[Any]) -> dict[str, tuple[Reader, bool]]:
    """Return for each field what reads it, and whether it must be there."""
    hints = typing.get_type_hints(kind)
    return {field.name: (_reader(hints[field.name]), _needed(field)) for field in fields(kind)}


def _needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _reader(annotation: Any) -> Reader:
    """Return what reads a type; TypeError for one that records do not use."""
    parts = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case None if annotation is Any:
            return lambda value: value
        case None if annotation is float:
            return _float
        case None if annotation in (str, int, bool, types.NoneType):
            return lambda value: _exactly(annotation, value)
        case None if isinstance(annotation, type) and is_dataclass(annotation):
            return lambda value: typed(annotation, value)
        case typing.Literal:
            return lambda value: _one_of(parts, value)
        case types.UnionType if len(parts) == 2 and types.NoneType in parts:
            inner = _reader(next(part for part in parts if part is not types.NoneType))
            return lambda value: None if value is None else inner(value)
        case origin if origin is list or (origin is tuple and parts[1:] == (...,)):
            inner = _reader(parts[0])
            return lambda value: origin(inner(item) for item in _exactly(list, value))
        case origin if origin is dict and parts[0] is str:
            inner = _reader(parts[1])
            return lambda value: {key: inner(item) for key, item in _exactly(dict, value).items()}
    raise TypeError(f"records have no {annotation}")


def _exactly(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:  # True is an int to isinstance
        raise ValueError(f"{value!r:.80} is no {kind.__name__}")
    return value


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{value!r:.80} is no float")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def _one_of(choices: tuple[Any, ...], value: Any) -> Any:
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{value!r:.80} is none of {choices}")
    return value
