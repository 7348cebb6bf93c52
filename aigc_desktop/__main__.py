"""The one entry: the window, the engine process (`--worker`), helpers, the self-check, or the command line."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from pathlib import Path

COMMANDS = {"data", "models", "train", "generate", "evaluate", "explore", "runs", "rehearse", "edit", "palette"}
BROKEN = 70  # not 1, the code of what Windows was asked to end
UNSEEN = {"--worker", "--self-check", "--trace", "--pdf"}
FLAGS = {"--workspace": 2, "--language": 2, "--json": 1}  # of every command, and how many words they are


def main(arguments: list[str] | None = None) -> int:
    """Start what the arguments name and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    open_streams()
    if "--multiprocessing-fork" in arguments:  # a library started this program as its helper
        from multiprocessing import freeze_support

        freeze_support()
    # read by the libraries when they are imported, so set before anything heavy
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins reads all metadata
    arguments = command_first(arguments)
    first = arguments[0] if arguments else ""
    if first in UNSEEN:
        return run_unseen(first, arguments[1:])
    if first in COMMANDS or first in {"--help", "-h", "--version"} or is_no_file(first):
        try:
            from aigc_desktop.cli import main as command_line

            return command_line(arguments)
        except KeyboardInterrupt:  # before or after the work itself, which stops in good order
            return 130
    else:
        gc.disable()  # from here on the window collects when it has time; imports alone cost 60 ms of collections
        from aigc_desktop.app import main as window

        return window(arguments)


def run_unseen(first: str, arguments: list[str]) -> int:
    """Be the engine, a helper or the self-check and return the exit code.

    No exception leaves: frozen without a console, the program would show it in a dialog and wait for its end.
    """
    try:
        if first == "--worker":
            from aigc_desktop.worker import main as serve

            return serve()
        if first == "--self-check":
            from aigc_desktop.selfcheck import main as check

            return check()
        if first == "--trace":
            from aigc_desktop.export.tracing import main as trace

            return trace(arguments)
        from aigc_desktop.ui.report_pdf import main as lay_out

        return lay_out(arguments)
    except Exception:  # noqa: BLE001 - the border of a process that nobody sees
        traceback.print_exc()
        return BROKEN


def open_streams() -> None:
    """Give a program that Windows started without a console somewhere to write: there it has no streams at all."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open as long as the program


def command_first(arguments: list[str]) -> list[str]:
    """Return the arguments with flags that stand before a command after it; without a command they stay."""
    at = 0
    while at < len(arguments) and (name := arguments[at].partition("="))[0] in FLAGS:
        at += 1 if name[1] else FLAGS[name[0]]
    return arguments[at:] + arguments[:at] if arguments[at : at + 1] and arguments[at] in COMMANDS else arguments


def is_no_file(name: str) -> bool:
    """Return whether a first argument is neither an option nor a file to open: a mistyped command, which is told."""
    return bool(name) and not name.startswith("-") and not Path(name).exists()


if __name__ == "__main__":
    sys.exit(main())
