"""Commands for data sets: import, look, label, save the labels."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.problems import TITLES, describe_alike
from aigc_desktop.flags import add_fields, given
from aigc_desktop.terminal import DONE, Shell

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
TOLD = 10
"""So many items that cannot be used are named after an import; `data inspect` counts all."""


def add_data_commands(commands: Commands, common: argparse.ArgumentParser, wanted: set[str]) -> None:
    """Add what can be done with data sets."""
    adding = commands.add_parser("import", help=_("import files or folders as a data set"), parents=[common])
    adding.add_argument("paths", nargs="+", metavar="PATH", help=_("pictures, texts, folders or zip files"))
    if {"data", "import"} <= wanted:
        _add_import_fields(adding)
    adding.set_defaults(command=data_import)
    looking = commands.add_parser("inspect", help=_("list the data sets, or show one"), parents=[common])
    looking.add_argument("dataset", nargs="?", metavar="DATASET")
    looking.set_defaults(command=data_inspect)
    labelling = commands.add_parser(
        "label", help=_("let a trained model propose labels for the texts of a data set"), parents=[common]
    )
    labelling.add_argument("dataset", metavar="DATASET")
    labelling.add_argument("--run", required=True, metavar="RUN", help=_("the trained model that labels"))
    labelling.add_argument(
        "--accept-above", type=float, metavar="X", help=_("accept proposals at least so certain, 0 to 1")
    )
    if {"data", "label"} <= wanted:
        from aigc_desktop.engine.labels.proposing import JOBS

        add_fields(labelling, JOBS.task("propose").config, skip={"dataset", "run"})
    labelling.set_defaults(command=data_label)
    saving = commands.add_parser("export-labels", help=_("save the labels of a data set as a file"), parents=[common])
    saving.add_argument("dataset", metavar="DATASET")
    saving.add_argument("out", metavar="FILE", help=_("a name that ends in .conll gives CoNLL, any other JSONL"))
    saving.set_defaults(command=data_export_labels)


def _add_import_fields(parser: argparse.ArgumentParser) -> None:
    from aigc_desktop.data.jobs import JOBS

    add_fields(parser, JOBS.task("scan").config, skip={"source"})
    names = add_fields(parser, JOBS.task("freeze").config, skip={"dataset"})
    parser.set_defaults(freeze_fields=names)


def data_import(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Import files or folders as a data set and freeze it for training."""
    from aigc_desktop.core.config import check
    from aigc_desktop.data.jobs import JOBS
    from aigc_desktop.data.sources import join_sources

    values = given(options)
    freezing = {name: values.pop(name) for name in options.freeze_fields if name in values}
    scan = {**values, "source": join_sources([str(Path(path).absolute()) for path in options.paths])}
    problems: dict[str, str] = {}
    for task, settings in (("scan", scan), ("freeze", {**freezing, "dataset": "still to come"})):
        try:  # before the import, which would leave an unfinished data set behind
            check(JOBS.task(task).config, settings)
        except ConfigError as error:
            problems |= error.problems
    if problems:
        return shell.refuse(problems)
    found = shell.run(JobRequest("data.scan", scan, str(workspace.folder)), more=True)
    if shell.code != DONE or found is None:
        return shell.code
    for problem in found["first_problems"][:TOLD]:
        shell.say(f"  {problem['detail']}")
    freezing["dataset"] = found["id"]
    frozen = shell.run(JobRequest("data.freeze", freezing, str(workspace.folder)))
    if shell.code != DONE:  # an import is whole or not there: no later command could freeze it
        shutil.rmtree(workspace.dataset(found["id"]).folder)
    elif frozen is not None:
        shell.say(_("Data set “{id}” is ready for training.").format(id=found["id"]))
    return shell.code


def data_inspect(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """List the data sets, or show one."""
    unreadable: list[OSError | UserError] = []
    for dataset in [workspace.dataset(options.dataset)] if options.dataset else workspace.datasets(unreadable):
        info = dataset.info
        shell.row(asdict(info), f"{info.id}\t{info.kind}\t{info.usable}/{info.found}\t{info.title}")
        if options.dataset:
            for problem, count in info.problems.items():
                shell.say(f"  {_(TITLES.get(problem, problem))}: {count}")
            for name, count in zip(info.classes, info.class_counts, strict=False):
                shell.say(f"  {name}: {count}")
            if alike := describe_alike(info.classes) or describe_alike(info.span_classes):
                shell.say(alike)
    shell.regret(*unreadable)
    return shell.code


def data_label(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Propose labels with a trained model, and accept those it is sure of."""
    from aigc_desktop.data.label_session import LabelSession

    least = options.accept_above
    if least is not None and not 0 <= least <= 1:
        raise UserError(_("--accept-above takes a number from 0 to 1."), _("0.9 is a good start."))
    values = {**given(options), "dataset": options.dataset, "run": options.run}
    told = shell.run(JobRequest("labels.propose", values, str(workspace.folder)))
    if shell.code != DONE or told is None:
        return shell.code
    count = told["count"]
    text = ngettext("{count} text has a new proposal.", "{count} texts have new proposals.", count)
    shell.say(text.format(count=count))
    if least is not None:
        session = LabelSession(workspace.dataset(options.dataset), told["kind"])
        try:
            count = session.accept_above(least)
        finally:
            session.close()
        text = ngettext("{count} proposal accepted.", "{count} proposals accepted.", count)
        shell.row({"accepted": count}, text.format(count=count))
    return DONE


def data_export_labels(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Save the labels of a data set as JSONL or CoNLL."""
    from aigc_desktop.data.label_export import export_labels

    out = Path(options.out)
    count = export_labels(workspace.dataset(options.dataset), out, "conll" if out.suffix == ".conll" else "jsonl")
    text = ngettext("{count} labelled text saved in {path}.", "{count} labelled texts saved in {path}.", count)
    shell.row({"file": str(out), "texts": count}, text.format(count=count, path=out))
    return DONE
