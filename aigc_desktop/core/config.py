"""One frozen model per task: form, command line, checks, docs and storage are derived from its fields."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _


class TaskConfig(BaseModel):
    """Base of all task configurations: frozen, and an unknown key is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ValueT = TypeVar("ValueT")
ConfigT = TypeVar("ConfigT", bound=TaskConfig)


class FieldKind(StrEnum):
    """How a field is edited."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    CHOICE = "choice"
    PATH = "path"
    DATASET = "dataset"
    RUN = "run"
    CHECKPOINT = "checkpoint"


WORKED_ON = (FieldKind.DATASET, FieldKind.RUN, FieldKind.CHECKPOINT)
"""Kinds of fields that say what a task works on."""


@dataclass(frozen=True)
class FieldSpec:
    """A field as plain data; `title`, `help`, `unit` and choice labels are messages to translate when shown."""

    name: str
    kind: FieldKind
    default: Any
    title: str
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[tuple[str, str], ...] = field(default=())
    advanced: bool = False
    required: bool = False
    multiline: bool = False


def param(
    default: Any,
    title: str,
    help: str,  # noqa: A002 - the field's standard word
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    labels: dict[str, str] | None = None,
    kind: FieldKind | None = None,
    advanced: bool = False,
    multiline: bool = False,
) -> Any:
    """Declare a field: default (`...` when the user must choose), label, one sentence of help, limits.

    `title`, `help`, `unit` and the `labels` of a Literal's values are marked with N_ by the caller.
    """
    shown = {
        "title": title, "help": help, "unit": unit, "labels": labels or {}, "kind": kind,
        "advanced": advanced, "multiline": multiline,
    }  # fmt: skip
    return Field(default=default, ge=ge, le=le, json_schema_extra={"param": shown})  # type: ignore[dict-item]


def describe(config: type[TaskConfig]) -> list[FieldSpec]:
    """Return the fields of a configuration as plain data: what it works on, given texts, then as they are declared."""
    fields = [_spec(name, info) for name, info in config.model_fields.items()]
    return sorted(fields, key=lambda field: 0 if field.kind in WORKED_ON else 1 if field.multiline else 2)


def check(config: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Return the checked configuration, or raise ConfigError with one sentence for each wrong field."""
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(config, error) from None


def typed(kind: type[ValueT], values: Any) -> ValueT:
    """Return JSON values as a dataclass whose fields have the types they are declared with; ValueError if they cannot.

    Keys that are no field are left out.
    """
    try:
        value: ValueT = _adapter(kind).validate_python(values)  # type: ignore[arg-type]  # a type is hashable
        return value
    except OverflowError as error:
        raise ValueError(str(error)) from None


@lru_cache(maxsize=16)
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class ConfigError(UserError):
    """Values that a configuration refuses; `problems` maps each field ("" for the whole) to a sentence."""

    def __init__(self, config: type[TaskConfig], error: ValidationError) -> None:
        self.problems = {str(e["loc"][0]) if e["loc"] else "": _sentence(e) for e in error.errors()}
        titles = {spec.name: _(spec.title) for spec in describe(config)}
        lines = [f"{titles.get(name, name)}: {text}" if name else text for name, text in self.problems.items()]
        super().__init__("\n".join(lines), _("Correct the marked fields."), kind="ConfigError")


def _spec(name: str, info: FieldInfo) -> FieldSpec:
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or "param" not in extra:
        raise TypeError(f"field {name!r} is not declared with param()")
    shown: dict[str, Any] = extra["param"]  # type: ignore[assignment]
    kind, values = _kind(info.annotation)
    labels = shown["labels"]
    limits = {type(item).__name__: item for item in info.metadata}
    return FieldSpec(
        name=name,
        kind=shown["kind"] or kind,
        default=None if info.is_required() else info.default,
        title=shown["title"],
        help=shown["help"],
        unit=shown["unit"],
        minimum=getattr(limits.get("Ge"), "ge", None),
        maximum=getattr(limits.get("Le"), "le", None),
        choices=tuple((value, labels.get(value, value)) for value in values),
        advanced=shown["advanced"],
        required=info.is_required(),
        multiline=shown["multiline"],
    )


def _kind(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    """Return how a field of this type is edited, and its values when it is a choice."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is Literal:
        return FieldKind.CHOICE, tuple(str(value) for value in typing.get_args(annotation))
    kinds: dict[Any, FieldKind] = {
        bool: FieldKind.BOOL, int: FieldKind.INT, float: FieldKind.FLOAT, str: FieldKind.TEXT, Path: FieldKind.PATH,
    }  # fmt: skip
    return kinds[annotation], ()


def _sentence(error: Any) -> str:
    """Return pydantic's finding as a plain translated sentence."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return _("must be at least {limit}").format(limit=limits["ge"])
        case "less_than_equal":
            return _("must be at most {limit}").format(limit=limits["le"])
        case "missing":
            return _("must be chosen")
        case "extra_forbidden":
            return _("is not a setting of this task")
        case "literal_error":
            return _("must be one of {values}").format(values=limits["expected"])
        case "int_parsing" | "int_type" | "int_from_float":
            return _("must be a whole number")
        case "float_parsing" | "float_type" | "finite_number":
            return _("must be a number")
        case "value_error":
            return str(limits["error"])
        case _:
            return str(error["msg"])
