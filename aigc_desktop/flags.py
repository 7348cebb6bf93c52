"""Flags of the command line, made from the configurations of tasks."""

from __future__ import annotations

import argparse
from typing import Any

from aigc_desktop.core.config import TaskConfig, describe
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import N_, _

WORDS = (
    N_("usage: "), N_("positional arguments"), N_("options"), N_("show this help message and exit"),
    N_("show program's version number and exit"), N_("%(prog)s: error: %(message)s\n"),
    N_("argument %(argument_name)s: %(message)s"), N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"), N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"), N_("expected one argument"), N_("expected at least one argument"),
    N_("expected at most one argument"), N_("not allowed with argument %s"),
)  # fmt: skip
"""What argparse says by itself."""


def say_in_our_language() -> None:
    """Let argparse, which looks its words up through a name of its module, say them in the language chosen here."""
    argparse._ = _  # type: ignore[attr-defined]


def add_fields(parser: argparse.ArgumentParser, config: type[TaskConfig], skip: set[str]) -> list[str]:
    """Add one flag per field and return the names that were added."""
    added = [spec for spec in describe(config) if spec.name not in skip]
    for spec in added:
        flag = "--" + spec.name.replace("_", "-")
        options: dict[str, Any] = {"dest": f"field_{spec.name}", "default": argparse.SUPPRESS, "help": _help(spec)}
        match spec.kind:
            case FieldKind.BOOL:
                options["action"] = argparse.BooleanOptionalAction
            case FieldKind.INT:
                options |= {"type": int, "metavar": "N"}
            case FieldKind.FLOAT:
                options |= {"type": float, "metavar": "X"}
            case FieldKind.CHOICE:
                options["choices"] = [value for value, _label in spec.choices]
            case _:
                options["metavar"] = spec.kind.value.upper()
        parser.add_argument(flag, **options)
    return [spec.name for spec in added]


def _help(spec: FieldSpec) -> str:
    parts = [_(spec.title) + ": " + _(spec.help)]
    if spec.minimum is not None or spec.maximum is not None:
        parts.append(f"[{_limit(spec.minimum)} – {_limit(spec.maximum)}]")
    if spec.default not in (None, ""):
        parts.append(_("default: {value}").format(value=spec.default))
    return " ".join(parts).replace("%", "%%")


def _limit(number: float | None) -> str:
    """Return a number in words, whole ones to the last digit."""
    return "" if number is None else f"{number:g}" if isinstance(number, float) else str(number)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields that stand on the command line."""
    return {name.removeprefix("field_"): value for name, value in vars(options).items() if name.startswith("field_")}
