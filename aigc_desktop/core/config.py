"""One frozen model per task: form, command line, checks, docs and storage are derived from its fields."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from aigc_desktop.core.fields import WORKED_ON, ConfigError, FieldKind, FieldSpec, kind_of
from aigc_desktop.core.i18n import _


class TaskConfig(BaseModel):
    """Base of all task configurations: frozen, and an unknown key is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=TaskConfig)


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
    family: str = "",
) -> Any:
    """Declare a field: default (`...` when the user must choose), label, one sentence of help, limits.

    `title`, `help`, `unit` and the `labels` of a Literal's values are marked with N_ by the caller. A field of runs
    offers those of `family` only.
    """
    shown = {
        "title": title, "help": help, "unit": unit, "labels": labels or {}, "kind": kind,
        "advanced": advanced, "multiline": multiline, "family": family,
    }  # fmt: skip
    return Field(default=default, ge=ge, le=le, json_schema_extra={"param": shown})  # type: ignore[dict-item]


def again(config: type[TaskConfig], name: str, default: Any) -> Any:
    """Declare the field `name` of `config` once more, with another default."""
    info = config.model_fields[name]
    limits = _limits(info)
    return param(default, **_shown(name, info), ge=limits["minimum"], le=limits["maximum"])


def describe(config: type[TaskConfig]) -> list[FieldSpec]:
    """Return the fields of a configuration as plain data.

    What it works on comes first, then texts and files that must be given, then the others as they are declared.
    """
    fields = [_spec(name, info) for name, info in config.model_fields.items()]
    return sorted(fields, key=_place)


def _place(field: FieldSpec) -> int:
    given = field.multiline or (field.kind in (FieldKind.FILE, FieldKind.MASK) and field.required)
    return 0 if field.kind in WORKED_ON else 1 if given else 2


def check(config: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Return the checked configuration, or raise ConfigError with one sentence for each wrong field."""
    try:
        return config.model_validate(values)
    except ValidationError as error:
        problems = {str(e["loc"][0]) if e["loc"] else "": _sentence(e) for e in error.errors()}
        raise ConfigError(describe(config), problems) from None


def _spec(name: str, info: FieldInfo) -> FieldSpec:
    shown = _shown(name, info)
    kind, values = kind_of(info.annotation)
    labels = shown["labels"]
    return FieldSpec(
        name=name,
        kind=shown["kind"] or kind,
        default=None if info.is_required() else info.default,
        title=shown["title"],
        help=shown["help"],
        unit=shown["unit"],
        **_limits(info),
        choices=tuple((value, labels.get(value, value)) for value in values),
        advanced=shown["advanced"],
        required=info.is_required(),
        multiline=shown["multiline"],
        family=shown["family"],
    )


def _shown(name: str, info: FieldInfo) -> dict[str, Any]:
    """Return what `param` was told of a field, but for its default and limits."""
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or "param" not in extra:
        raise TypeError(f"field {name!r} is not declared with param()")
    return extra["param"]  # type: ignore[return-value]


def _limits(info: FieldInfo) -> dict[str, Any]:
    limits = {type(item).__name__: item for item in info.metadata}
    return {
        "minimum": getattr(limits.get("Ge"), "ge", None), "maximum": getattr(limits.get("Le"), "le", None),
    }  # fmt: skip


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
