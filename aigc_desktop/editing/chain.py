"""A chain of edits: operations with their settings, as plain data that lies in records and crosses a pipe.

Each step is {"operation": name, setting: value, ...}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aigc_desktop.core.config import TaskConfig, check, describe
from aigc_desktop.core.discover import discover
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import ConfigError, FieldKind
from aigc_desktop.core.i18n import _
from aigc_desktop.editing import operations as operations_package
from aigc_desktop.editing.operation import Doubler, Operation, Pixels

LONGEST = 50
PRESETS = "edit.apply"
"""The task that saved chains are presets of; their one value is "steps"."""


@dataclass(frozen=True)
class Step:
    """An operation and its checked settings."""

    operation: Operation
    config: TaskConfig

    def plain(self) -> dict[str, Any]:
        """Return the step as plain data."""
        return {"operation": self.operation.name, **self.config.model_dump(mode="json")}

    def record(self) -> dict[str, Any]:
        """Return the step as it is told in records and exported files: of other files only their names."""
        files = [field.name for field in describe(self.operation.config) if field.kind is FieldKind.FILE]
        plain = self.plain()
        return {**plain, **{name: Path(plain[name]).name for name in files}}


@cache
def operations() -> dict[str, Operation]:
    """Return the operations by name, in the order they are offered."""
    found: list[Operation] = discover(operations_package, "OPERATION")
    return {each.name: each for each in sorted(found, key=lambda each: each.order)}


def operation_named(name: str) -> Operation:
    """Return the operation of this name; UserError when there is none."""
    if name not in operations():
        raise UserError(
            _("“{name}” is no way to edit a picture.").format(name=name),
            _("Choose one of: {names}.").format(names=", ".join(operations())),
        )
    return operations()[name]


def check_step(values: dict[str, Any]) -> Step:
    """Return a step of plain data; UserError, with the operation's title, when it cannot be done."""
    operation = operation_named(str(values.get("operation", "")))
    try:
        settings = {name: value for name, value in values.items() if name != "operation"}
        return Step(operation, check(operation.config, settings))
    except ConfigError as error:
        hint = _("Change the values of this edit, or take it out.")
        raise UserError(f"{_(operation.title)}: {error.message}", hint, kind="ConfigError") from error


def parse_steps(text: str) -> list[Step]:
    """Return the chain in a JSON text; UserError when it is none."""
    try:
        steps = json.loads(text)
    except (ValueError, RecursionError):
        steps = None
    return check_steps(steps)


def check_steps(steps: Any) -> list[Step]:
    """Return the chain in plain data; UserError when it is none."""
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps) or len(steps) > LONGEST:
        raise UserError(
            _("These edits cannot be read."), _("Choose at least one edit, at most {count}.").format(count=LONGEST)
        )
    return [check_step(step) for step in steps]


def steps_text(steps: Iterable[dict[str, Any]]) -> str:
    """Return plain steps as JSON, the reverse of `parse_steps`."""
    return json.dumps(list(steps), ensure_ascii=False)


def apply_steps(pixels: Pixels, steps: Sequence[Step], double: Doubler) -> Pixels:
    """Return the picture after all steps; UserError when one of them cannot be done with it."""
    for step in steps:
        pixels = step.operation.apply(pixels, step.config, double)
    return pixels


def edit_titles(records: Iterable[dict[str, Any]]) -> str:
    """Return recorded steps as people read them: “Crop, Enlarge”; what a newer version did keeps its name."""
    names = [str(record.get("operation", "?")) for record in records]
    return _(", ").join(_(operations()[name].title) if name in operations() else name for name in names)
