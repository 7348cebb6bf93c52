"""Flags of the command line, made from the configurations of tasks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from aigc_desktop.core.config import TaskConfig, describe
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.family import Task
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import LANGUAGES, N_, _

WORDS = (
    N_("usage: "), N_("positional arguments"), N_("options"), N_("show this help message and exit"),
    N_("show program's version number and exit"), N_("%(prog)s: error: %(message)s\n"),
    N_("argument %(argument_name)s: %(message)s"), N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"), N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"), N_("expected one argument"), N_("expected at least one argument"),
    N_("expected at most one argument"), N_("not allowed with argument %s"),
)  # fmt: skip
"""What argparse says by itself."""


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments; the whole usage, of up to a hundred flags, hides it."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError, in place of the end of the process."""
        raise UserError(message, _("“{command} --help” tells what can be given.").format(command=self.prog))


def common_flags() -> Parser:
    """Return the flags every command has."""
    parser = Parser("aigc-desktop", add_help=False, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a line"))
    parser.add_argument("--workspace", metavar="FOLDER", help=_("the workspace; also AIGC_DESKTOP_WORKSPACE"))
    parser.add_argument("--language", choices=["system", *LANGUAGES], help=_("language of the messages"))
    return parser


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


def tasks_help(tasks: Sequence[Task]) -> str:
    """Return a line for each task that makes something, with the flags that not all of them have."""
    fields = {task.name: [spec.name for spec in describe(task.config)] for task in tasks}
    lines = []
    for task in tasks:
        own = [name for name in fields[task.name] if not all(name in others for others in fields.values())]
        flags = " ".join(f"--{name.replace('_', '-')}" for name in own)
        lines.append(f"  --task {task.name}: {_(task.title)}" + (f" ({flags})" if flags else ""))
    return "\n".join(lines)
