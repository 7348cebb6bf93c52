"""The fields of a configuration or of the preferences as plain data: what a form, a flag and a check need to know."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _


class FieldKind(StrEnum):
    """How a field is edited."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    CHOICE = "choice"
    PATH = "path"
    FILE = "file"
    """A path of a file, not of a folder."""
    MASK = "mask"
    """A picture file that is white where the one of the field `picture` is to change; it can be painted."""
    DATASET = "dataset"
    RUN = "run"
    CHECKPOINT = "checkpoint"
    MODEL = "model"
    """A pretrained language model of the workspace."""
    ENCODER = "encoder"
    """A pretrained text encoder of the workspace."""
    CLASS = "class"
    """The name of a class that the chosen model has learned, or "" for any."""
    ATTRIBUTES = "attributes"
    """Lines "name: value" of attributes that the chosen model has learned."""
    CAPTION = "caption"
    """What a picture is to show, in words of the captions that the chosen model has learned."""
    ADAPTER = "adapter"
    """An imported adapter of the workspace."""
    DIFFUSION = "diffusion"
    """An imported diffusion model of the workspace."""
    LORA = "lora"
    """An imported LoRA for diffusion models of the workspace."""


WORKED_ON = (
    FieldKind.DATASET, FieldKind.RUN, FieldKind.CHECKPOINT, FieldKind.MODEL, FieldKind.ENCODER, FieldKind.ADAPTER,
    FieldKind.DIFFUSION,
)  # fmt: skip
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
    family: str = ""
    """Of the runs that a field offers; empty for any, or for the family of the task where that is known."""


def field_problem(title: str, text: str) -> str:
    """Return what is wrong with a field, with the field's name before it."""
    return _("{field}: {problem}").format(field=title, problem=text)


class ConfigError(UserError):
    """Values that were refused; `problems` maps each field ("" for the whole) to a sentence."""

    def __init__(self, fields: list[FieldSpec], problems: dict[str, str]) -> None:
        self.problems = problems
        titles = {spec.name: _(spec.title) for spec in fields}
        lines = [field_problem(titles.get(name, name), text) if name else text for name, text in problems.items()]
        super().__init__("\n".join(lines), _("Correct the marked fields."), kind="ConfigError")


def kind_of(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    """Return how a field of this type is edited, and its values when it is a choice."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is Literal:
        return FieldKind.CHOICE, tuple(str(value) for value in typing.get_args(annotation))
    kinds: dict[Any, FieldKind] = {
        bool: FieldKind.BOOL, int: FieldKind.INT, float: FieldKind.FLOAT, str: FieldKind.TEXT, Path: FieldKind.PATH,
    }  # fmt: skip
    return kinds[annotation], ()
