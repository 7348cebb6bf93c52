"""The command line: the same tasks as in the window, their flags made from the same configurations.

Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 130 stopped by the user (what was made is saved).
With --json every event is one JSON object a line on standard output, pictures left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

from aigc_desktop import __version__
from aigc_desktop.core import paths
from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError, failure_of, readable_size
from aigc_desktop.core.events import Failed, Finished, Result
from aigc_desktop.core.family import Plan
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.i18n import _, language, set_language
from aigc_desktop.core.machine import THREADS_VARIABLE, usable_cores
from aigc_desktop.core.offline import go_offline
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import status_words
from aigc_desktop.core.settings import load_preferences
from aigc_desktop.core.starters import bring_in, starters
from aigc_desktop.core.workspace import Workspace, is_name
from aigc_desktop.data_commands import add_data_commands
from aigc_desktop.edit_commands import add_edit_commands, take_steps
from aigc_desktop.explore_commands import add_explore_commands
from aigc_desktop.flags import Parser, add_fields, common_flags, given, say_in_our_language, tasks_help
from aigc_desktop.measuring import evaluate_run
from aigc_desktop.terminal import DONE, FAILED, WRONG, Shell


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    go_offline()
    os.environ.setdefault(THREADS_VARIABLE, str(usable_cores()))  # no window needs a core of its own
    set_language(load_preferences().language)
    say_in_our_language()
    shell = Shell("--json" in arguments)
    try:
        return _run(arguments, shell)
    except UserError as error:
        shell.complain(error.message, error.hint)
        return WRONG
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 - the border of what is done outside of jobs
        shell.show(failed := failure_of(error))
        if not isinstance(error, OSError):
            print(failed.details, file=sys.stderr)
        return FAILED


def _run(arguments: Sequence[str], shell: Shell) -> int:
    common, _rest = common_flags().parse_known_args(arguments)
    if common.language:
        set_language(common.language)
    folder = Path(common.workspace).absolute() if common.workspace else paths.default_workspace()
    arguments, steps = take_steps(arguments)
    parser = _parser(arguments, folder)
    options, unknown = parser.parse_known_args(arguments, argparse.Namespace(steps=steps))
    if options.command is train:
        _need_family(options)
    if unknown and options.command is generate:
        _maker(Workspace(folder), options.run)  # its flags are not known where there is no such model: say that
    if unknown:
        parser.prog += f" {arguments[0]}"
        parser.error(_("unrecognized arguments: %s") % " ".join(unknown))
    code: int = options.command(options, Workspace.open(folder), shell)
    return code


# the commands


def train(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Train a family, or go on with an earlier run."""
    if options.resume:
        changed = ["--" + name.replace("_", "-") for name in given(options)]
        if changed:
            raise UserError(
                _("A training goes on with the settings it began with, so {flags} cannot be given.").format(
                    flags=", ".join(changed)
                ),
                _("Leave them out, or begin a new training."),
            )
        run = workspace.run(options.resume)
        return shell.drive(JobRequest(run.info.task, run.config_values, str(workspace.folder), str(run.folder)))
    task = f"{options.family}.train"
    plan = make_plan(task, given(options), options.preset, workspace)
    presets = ["auto", *(preset.name for preset in plan.presets)]
    if options.preset not in presets:
        raise UserError(
            _("There is no preset “{name}” for this kind of model.").format(name=options.preset),
            _("Choose one of: {names}.").format(names=", ".join(presets)),
        )
    if plan.problems:
        return shell.refuse({problem.field: problem.message for problem in plan.problems})
    shell.card(plan)
    run = workspace.new_run(task, plan.values, options.title or "")
    shell.say(_("Run: {id}").format(id=run.id))
    return shell.drive(JobRequest(task, plan.values, str(workspace.folder), str(run.folder)))


def _need_family(options: argparse.Namespace) -> None:
    """Raise UserError unless a training is told what to train."""
    if options.resume or options.family in options.families:
        return
    wrong = _("There is no kind of model “{name}”.").format(name=options.family)
    way_out = _("Choose one of: {names}.").format(names=", ".join(options.families))
    raise UserError(wrong if options.family else _("Name the kind of model to train."), way_out)


def generate(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Make works with a trained model and export them."""
    from aigc_desktop.engine.families import load_families
    from aigc_desktop.export.export import format_named
    from aigc_desktop.export.piece import labelled
    from aigc_desktop.export.results import export_result, pieces_of

    field, name = _maker(workspace, options.run)
    family = load_families()[name]
    making = {task.name: task for task in family.tasks if task.group == "create"}
    chosen = options.task or next(iter(making))
    if chosen not in making:
        raise UserError(
            _("{title} does not do “{task}”.").format(title=_(family.title), task=chosen),
            _("Choose one of: {names}.").format(names=", ".join(making)),
        )
    if options.format and not options.out:
        raise UserError(_("--format is for exported works, so it needs --out."), _("Name a folder with --out."))
    if family.kind != "any":
        format_named(options.format, family.kind)  # a wrong one is told before the work, which may take hours
    values = {**given(options), field: options.run}
    try:
        check(making[chosen].config, values)
    except ConfigError as error:
        return shell.refuse(error.problems)
    task = f"{name}.{chosen}"
    result = workspace.new_run(task, values, parent="results")
    code = shell.drive(JobRequest(task, values, str(workspace.folder), str(result.folder)))
    if code == FAILED and next(pieces_of(result), None) is None:
        workspace.trash(result.folder)
        return code
    out = Path(options.out) if options.out else None
    if out is not None:
        look = replace(labelled(options.picture_label, options.text_label), least=options.least_size)
        for file in export_result(result, out, look, options.format):
            shell.row({"file": str(file)}, str(file))
    elif code == DONE or any(pieces_of(result)):
        shell.row({"folder": str(result.folder)}, str(result.folder))
    return code


def _maker(workspace: Workspace, name: str) -> tuple[str, str]:
    """Return the field a trained or imported model is named in, and the family whose tasks it does."""
    if is_name(name) and (workspace.folder / "models" / name / "model.json").is_file():
        return "model", "diffusion" if workspace.model(name).info.kind == "diffusion" else "language_model"
    return "run", workspace.run(name).info.task.split(".")[0]


def models_import(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Import a published model from a disk."""
    values = {**given(options), "source": str(Path(options.path).absolute())}
    result = shell.run(JobRequest("models.import", values, str(workspace.folder)))
    if shell.code == DONE and result is not None:
        shell.say(_("Model “{id}” is imported.").format(id=result["id"]))
    return shell.code


def models_list(_options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """List the imported models."""
    for model, info in shell.readable(workspace.models()):
        size = f"{info.parameters / 1e6:,.0f} M"
        line = "\t".join((model.id, info.kind, info.architecture, size, readable_size(info.bytes), info.licence))
        shell.row({"id": model.id, **asdict(info)}, line)
    return shell.code


def models_starter(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """List the models that ship with the program, or copy one into the workspace."""
    if options.name:
        run = bring_in(workspace, options.name)
        shell.row({"run": run.id}, run.id)
        return DONE
    for starter in starters():
        line = "\t".join((starter.name, starter.family, readable_size(starter.bytes), starter.title))
        shell.row({**asdict(starter), "title": starter.title}, line)
    return DONE


def evaluate(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Measure what a trained model makes."""
    values = {**given(options), "run": options.run}
    return evaluate_run(workspace, shell, values, options.html, options.pdf)


def runs(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """List the trained models, or show one."""
    for run, info in shell.readable([workspace.run(options.run)] if options.run else workspace.runs()):
        shell.row(
            {"id": run.id, **asdict(info), "checkpoints": run.checkpoints()},
            f"{run.id}\t{info.task}\t{status_words(info)}\t{info.step}/{info.total}\t{info.title}",
        )
        if options.run:
            for name in run.checkpoints():
                shell.say(f"  {name}{' *' if name == info.best else ''}")
    return shell.code


def rehearse(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Do the main job on the bundled samples: import, train every family small, generate, keep, export."""
    from aigc_desktop.rehearsal import rehearse as rehearsal_steps

    out = Path(options.out) if options.out else workspace.folder / "exports"
    steps = rehearsal_steps(workspace, out, make_plan, set(options.family or ()), options.seconds)
    result: dict[str, Any] | None = None
    while True:
        try:
            title, request = steps.send(result)
        except StopIteration as end:
            files: list[Path] = end.value
            break
        shell.say(f"\n{title}")
        result = shell.run(request, more=True)
        if shell.code != DONE:
            return shell.code
    shell.say("\n" + _("The results:"))
    for file in files:
        shell.row({"file": str(file)}, str(file))
    shell.show(Finished())
    return DONE


def make_plan(task: str, values: dict[str, Any], preset: str, workspace: Workspace) -> Plan:
    """Return the plan of a task for the values the user gave."""
    from aigc_desktop.engine.host import execute

    request = JobRequest(task, values, str(workspace.folder), language=language(), mode="plan", preset=preset)
    for event in execute(request):
        if isinstance(event, Result):
            plan: Plan = event.data["plan"]
            return plan
        if isinstance(event, Failed):
            raise UserError(event.message, event.hint)
    raise RuntimeError(f"{task} made no plan")


# arguments, from the configurations


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _parser(arguments: Sequence[str], folder: Path) -> argparse.ArgumentParser:
    """Return the parser; only the named command gets the flags that cost an import of the engine."""
    parser: argparse.ArgumentParser = Parser("aigc-desktop", description=_("An offline generative studio."))
    parser.add_argument(
        "--version", action="version", version=f"AIGC Desktop {__version__}",
        help=_("show program's version number and exit"),
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = common_flags()
    wanted = set(arguments)
    data = commands.add_parser("data", help=_("import and look at data sets"))
    add_data_commands(data.add_subparsers(required=True), common, wanted)
    models = commands.add_parser("models", help=_("import and list published models"))
    _add_model_commands(models.add_subparsers(required=True), common, {"models", "import"} <= wanted)
    add_edit_commands(commands, common, wanted)
    training = commands.add_parser("train", help=_("train a model"), parents=[common])
    training.set_defaults(command=train)
    if "train" in wanted:
        _add_families(training, arguments)
    _add_generate(commands.add_parser("generate", help=_("make works with a trained model"), parents=[common]))
    if "generate" in wanted:
        _add_generate_fields(commands.choices["generate"], arguments, folder)
    measuring = commands.add_parser("evaluate", help=_("measure what a trained model makes"), parents=[common])
    measuring.add_argument("run", metavar="RUN")
    for kind in ("html", "pdf"):
        text = _("write the report to this {kind} file").format(kind=kind.upper())
        measuring.add_argument(f"--{kind}", default="", metavar="FILE", help=text)
    measuring.set_defaults(command=evaluate)
    if "evaluate" in wanted:
        from aigc_desktop.engine.evaluating.evaluation import JOBS

        add_fields(measuring, JOBS.task("run").config, skip={"run"})
    add_explore_commands(commands, common, wanted)
    listing = commands.add_parser("runs", help=_("list the trained models, or show one"), parents=[common])
    listing.add_argument("run", nargs="?", metavar="RUN")
    listing.set_defaults(command=runs)
    trying = commands.add_parser(
        "rehearse", help=_("do the whole job on the bundled samples, in a few minutes"), parents=[common]
    )
    trying.add_argument("--out", metavar="FOLDER", help=_("where the exported files go"))
    trying.add_argument("--family", action="append", help=_("only this family; may be given more than once"))
    trying.add_argument("--seconds", type=float, metavar="X", help=_("training time of each family"))
    trying.set_defaults(command=rehearse)
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    """Add what all families are asked in the same way."""
    parser.add_argument("run", metavar="RUN", help=_("the model, as `runs` or `models list` shows it"))
    which = _("one of the tasks that --help lists for the model; the first when left out")
    parser.add_argument("--task", default="", help=which)
    parser.add_argument("--out", metavar="FOLDER", help=_("export the works to this folder"))
    parser.add_argument(
        "--format", default="", help=_("file format of the export: png, jpeg, webp, svg, txt, jsonl, csv, docx")
    )
    parser.add_argument(
        "--picture-label", default="auto", choices=("auto", "zh_CN", "en", "none"),
        help=_("the words “AI generated” in a corner of exported pictures: in this language, or none"),
    )  # fmt: skip
    parser.add_argument(
        "--least-size", type=int, default=256, metavar="PX",
        help=_("smaller pictures are enlarged to this many pixels for the export; 0 leaves them as they are"),
    )  # fmt: skip
    parser.add_argument(
        "--text-label", default="end", choices=("end", "start", "none"),
        help=_("where exported texts say that they are generated"),
    )  # fmt: skip
    parser.set_defaults(command=generate)


def _add_model_commands(commands: Commands, common: argparse.ArgumentParser, fields: bool) -> None:
    """Add what can be done with published models."""
    what = _("a model folder, an adapter, a LoRA or a GGUF file")
    bringing = commands.add_parser("import", help=what, parents=[common])
    bringing.add_argument("path", metavar="PATH")
    if fields:
        from aigc_desktop.engine.pretrained.importing import JOBS

        add_fields(bringing, JOBS.task("import").config, skip={"source"})
    bringing.set_defaults(command=models_import)
    known = commands.add_parser("list", help=_("list the imported models"), parents=[common])
    known.set_defaults(command=models_list)
    shipped = commands.add_parser(
        "starter", help=_("list the models that ship with the program, or take one"), parents=[common]
    )
    shipped.add_argument("name", nargs="?", default="", metavar="NAME")
    shipped.set_defaults(command=models_starter)


def _add_families(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    from aigc_desktop.engine.families import load_families

    families = {
        name: family for name, family in load_families().items() if any(t.name == "train" for t in family.tasks)
    }
    summaries = "\n".join(f"  {name}: {_(family.summary)}" for name, family in families.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = summaries
    parser.set_defaults(families=list(families))
    parser.add_argument("family", nargs="?", metavar="FAMILY")
    parser.add_argument("--resume", metavar="RUN", help=_("go on with this run"))
    parser.add_argument(
        "--preset", default="auto", help=_("starting point of the settings; auto chooses by data and machine")
    )
    parser.add_argument("--title", help=_("name of the run"))
    named = next((name for name in arguments if name in families), None)
    chosen = [families[named]] if named else list(families.values())
    if not named and {"-h", "--help"} & set(arguments):  # what they share has other limits in each
        chosen, parser.epilog = [], _("`train FAMILY --help` shows the settings of a family.")
    seen: set[str] = set()
    for family in chosen:
        seen |= set(add_fields(parser, family.task("train").config, skip=seen))


def _add_generate_fields(parser: argparse.ArgumentParser, arguments: Sequence[str], folder: Path) -> None:
    """Add the fields of the family of the named model; without a name there are none to show."""
    from aigc_desktop.engine.families import load_families

    seen = {"run", "model"}
    for name in arguments:  # texts among them, of any length
        places = (folder / "runs" / name / "run.json", folder / "models" / name / "model.json")
        if is_name(name) and any(place.is_file() for place in places):
            field, family_name = _maker(Workspace(folder), name)
            family = load_families()[family_name]
            making = [task for task in family.tasks if task.group == "create"]
            parser.formatter_class = argparse.RawDescriptionHelpFormatter
            parser.description = tasks_help(making)
            seen |= {"checkpoint"} if field == "model" else set()
            for task in making:
                seen |= set(add_fields(parser, task.config, skip=seen))
