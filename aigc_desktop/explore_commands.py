"""Commands for exploring a trained model: maps, pictures at places, films, directions, own pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.flags import add_fields, given
from aigc_desktop.terminal import DONE, Shell

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
FASTEST = 50  # frames in a second; programs that show a GIF take shorter frames for longer ones
PICTURES = {
    "map": N_("pictures by chance, similar ones side by side"), "decode": N_("the pictures at places"),
    "path": N_("a film from picture to picture"),
}  # fmt: skip
FINDINGS = {
    "directions": N_("find the ways in which the pictures differ most"),
    "slider": N_("make a slider from examples"), "project": N_("find the place that is most like an own picture"),
}  # fmt: skip


def add_explore_commands(commands: Commands, common: argparse.ArgumentParser, wanted: set[str]) -> None:
    """Add the command `explore` and what can be done with the latent space of a trained model."""
    exploring = commands.add_parser("explore", help=_("look around in what a trained model of pictures can make"))
    tasks = exploring.add_subparsers(required=True)
    for names, command in ((PICTURES, explore_pictures), (FINDINGS, explore_findings)):
        for name, words in names.items():
            _add(tasks, common, wanted, name, _(words), command)


def _add(
    commands: Commands, common: argparse.ArgumentParser, wanted: set[str], name: str, words: str,
    command: Callable[..., int],
) -> None:  # fmt: skip
    made = commands.add_parser(name, help=words, parents=[common])
    made.add_argument("run", metavar="RUN", help=_("the model, as `runs` shows it"))
    if command is explore_pictures:
        made.add_argument("--out", metavar="FOLDER", help=_("export the works to this folder"))
        made.add_argument(
            "--format", default="gif" if name == "path" else "png",
            help=_("file format of the export: gif, webp-film, mp4 for one film; png, jpeg, webp for pictures"),
        )  # fmt: skip
        made.add_argument("--fps", type=float, default=12.0, metavar="X", help=_("frames of a film in a second"))
        made.add_argument(
            "--least-size", type=int, default=256, metavar="PX",
            help=_("smaller pictures are enlarged to this many pixels for the export; 0 leaves them as they are"),
        )  # fmt: skip
    if {"explore", name} <= wanted:
        from aigc_desktop.engine.exploring.tasks import JOBS

        add_fields(made, JOBS.task(name).config, skip={"run"})
    made.set_defaults(command=command, task=name)


def explore_pictures(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Make pictures or a film as a result of the workspace, and export them."""
    from aigc_desktop.engine.exploring.tasks import JOBS
    from aigc_desktop.export.export import format_named
    from aigc_desktop.export.piece import labelled
    from aigc_desktop.export.results import export_result

    task, values = f"explore.{options.task}", {**given(options), "run": options.run}
    workspace.run(options.run)
    format_named(options.format, "image")
    if not 1 <= options.fps <= FASTEST:
        raise UserError(_("--fps takes a number from 1 to {most}.").format(most=FASTEST))
    try:
        check(JOBS.task(options.task).config, values)
    except ConfigError as error:
        return shell.refuse(error.problems)
    result = workspace.new_run(task, values, parent="results")
    told = shell.run(JobRequest(task, values, str(workspace.folder), str(result.folder)))
    if options.out and shell.code == DONE:
        look = replace(labelled("auto", "end"), least=options.least_size, fps=options.fps)
        for file in export_result(result, Path(options.out), look, options.format):
            shell.row({"file": str(file)}, str(file))
    elif shell.code == DONE:
        shell.row({"folder": str(result.folder), **(told or {})}, str(result.folder))
    return shell.code


def explore_findings(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Find something in a model and say what it is."""
    values: dict[str, Any] = {**given(options), "run": options.run}
    if "picture" in values:
        values["picture"] = str(Path(values["picture"]).absolute())
    told = shell.run(JobRequest(f"explore.{options.task}", values, str(workspace.folder)))
    if shell.code == DONE and told is not None:
        words = "\n".join(f"{name}\t{value}" for name, value in told.items())
        shell.row(told, words)
    return shell.code
