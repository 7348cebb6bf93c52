"""Commands for pictures after they were made: edit, and tell the palette."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.flags import Parser, add_fields, given
from aigc_desktop.terminal import DONE, FAILED, Shell

if TYPE_CHECKING:
    from aigc_desktop.core.library import Library
    from aigc_desktop.export.edited import Source
    from aigc_desktop.export.piece import Format, Piece

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
DO = "--do"
FORMATS = "png, jpeg, webp, svg"


def add_edit_commands(commands: Commands, common: argparse.ArgumentParser, wanted: set[str]) -> None:
    """Add what can be done with pictures."""
    editing = commands.add_parser(
        "edit", help=_("crop, enlarge, recolour … pictures; the originals stay"), parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="aigc-desktop edit PICTURE… --do EDIT [--flag …] [--do EDIT …] [--out FOLDER]",
        description=_edits_help() if "edit" in wanted else "",
    )  # fmt: skip
    editing.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help=_("files, folders of pictures, or ids of kept works")
    )
    editing.add_argument("--out", metavar="FOLDER", help=_("where the files go; without it, exports of the workspace"))
    editing.add_argument("--format", default="", help=_("file format: {names}").format(names=FORMATS))
    editing.add_argument("--quality", type=int, default=92, metavar="N", help=_("1 to 100, for jpeg, webp and svg"))
    editing.add_argument(
        "--picture-label", default="auto", choices=("auto", "zh_CN", "en", "none"),
        help=_("the words “AI generated” in a corner of generated pictures: in this language, or none"),
    )  # fmt: skip
    editing.add_argument("--preset", metavar="NAME", help=_("edits that were saved in the window, done first"))
    editing.add_argument("--keep", action="store_true", help=_("also keep generated pictures in the Library"))
    editing.set_defaults(command=edit)
    telling = commands.add_parser("palette", help=_("list the main colours of pictures"), parents=[common])
    telling.add_argument("pictures", nargs="+", metavar="PICTURE", help=_("files, folders, or ids of kept works"))
    telling.add_argument("--count", type=int, default=8, metavar="N", help=_("so many colours at most"))
    telling.set_defaults(command=palette)


def take_steps(arguments: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the arguments without the edits, and the edits; flags of no edit stay where they are.

    Each `--do NAME` begins an edit whose flags follow it, so the same flag may stand several times.
    """
    rest = list(arguments)
    if "edit" not in arguments[:1] or DO not in rest:
        return rest, []
    from aigc_desktop.editing.chain import check_step, operation_named

    first = rest.index(DO)
    rest, words = rest[:first], rest[first:]
    steps = []
    while words:
        end = words.index(DO, 1) if DO in words[1:] else len(words)
        part, words = words[1:end], words[end:]
        if not part:
            raise UserError(_("After --do stands the name of an edit."), _("See aigc-desktop edit --help."))
        parser = Parser(f"aigc-desktop edit … {DO} {part[0]}", allow_abbrev=False)
        operation = operation_named(part[0])
        parser.description = _(operation.summary)
        add_fields(parser, operation.config, skip=set())
        options, others = parser.parse_known_args(part[1:])
        steps.append(check_step({"operation": operation.name, **given(options)}).plain())
        rest += others
    return rest, steps


def edit(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """Edit pictures one after another and export what comes out."""
    from aigc_desktop.core.library import Library
    from aigc_desktop.data.sources import join_sources
    from aigc_desktop.editing.chain import check_step, steps_text
    from aigc_desktop.export.edited import edited_piece, keep_edited, outcomes
    from aigc_desktop.export.export import format_named

    steps = [*_preset(workspace, options.preset), *options.steps]
    if not steps:
        raise UserError(_("No edit is named."), _("Name one with --do, such as --do crop --ratio 1:1."))
    if not 1 <= options.quality <= 100:
        raise UserError(_("--quality takes a number from 1 to 100."))
    to = format_named(options.format, "image")
    if to.film:
        way_out = _("Choose one of: {names}.").format(names=FORMATS)
        raise UserError(_("“{name}” is a format for films.").format(name=to.name), way_out)
    library = Library(workspace.folder)
    try:
        sources = [source for name in options.pictures for source in _sources(library, name)]
        if options.keep and (foreign := next((each for each in sources if not each.generated), None)):
            raise UserError(
                _("“{name}” was not made here, so the Library does not take it.").format(name=foreign.file.name),
                _("Leave out --keep."),
            )
        records = [check_step(step).record() for step in steps]
        with tempfile.TemporaryDirectory() as folder:
            pictures = join_sources([str(source.file.absolute()) for source in sources])
            values = {"pictures": pictures, "steps": steps_text(steps), "out": folder}
            shell.run(JobRequest("edit.apply", values, str(workspace.folder)))
            for source, file in outcomes(Path(folder), sources):
                piece = edited_piece(source, file, records)
                if options.keep:
                    keep_edited(library, source, piece, records)
                try:
                    out = _export(piece, source, to, options, workspace)
                except OutOfSpace:
                    raise
                except UserError as error:  # the others suit the format all the same
                    shell.complain(f"{source.file.name}: {error.message}", error.hint)
                    shell.code = FAILED
                    continue
                shell.row({"file": str(out), "picture": str(source.file)}, str(out))
    finally:
        library.close()
    return shell.code


def _preset(workspace: Workspace, title: str | None) -> list[dict[str, Any]]:
    """Return the steps of a saved preset, none without a title."""
    from aigc_desktop.core.presets import Presets
    from aigc_desktop.editing.chain import PRESETS, check_steps

    if not title:
        return []
    found = {preset.title: preset for preset in Presets(workspace.folder).of_task(PRESETS)}
    if title not in found:
        names = _("Choose one of: {names}.").format(names=", ".join(found) or "–")
        raise UserError(_("There is no preset “{name}”.").format(name=title), names)
    return [step.plain() for step in check_steps(found[title].values.get("steps"))]


def palette(options: argparse.Namespace, workspace: Workspace, shell: Shell) -> int:
    """List the main colours of pictures and their shares."""
    from aigc_desktop.core.library import Library
    from aigc_desktop.editing.palette import extract
    from aigc_desktop.editing.pictures import open_picture

    if not 1 <= options.count <= 64:
        raise UserError(_("--count takes a number from 1 to 64."))
    library, code = Library(workspace.folder), DONE
    try:
        for source in [source for name in options.pictures for source in _sources(library, name)]:
            try:
                found = extract(open_picture(source.file), options.count)
            except UserError as error:  # the others have colours all the same
                shell.complain(error.message, error.hint)
                code = FAILED
                continue
            colours = [[name, round(float(share), 3)] for name, share in zip(found.codes(), found.shares, strict=True)]
            words = "  ".join(f"{code} {share:.0%}" for code, share in colours)
            shell.row({"picture": str(source.file), "colours": colours}, f"{source.file.name}\t{words}")
    finally:
        library.close()
    return code


def _export(piece: Piece, source: Source, to: Format, options: argparse.Namespace, workspace: Workspace) -> Path:
    from aigc_desktop.export.edited import export_plain
    from aigc_desktop.export.export import export_pieces
    from aigc_desktop.export.piece import labelled

    folder = Path(options.out) if options.out else workspace.folder / "exports"
    if not source.generated:
        return export_plain(piece, folder, to.ending, options.quality)
    look = replace(labelled(options.picture_label, "none"), least=0, quality=options.quality)
    return export_pieces([piece], folder, to, options=look)[0]


def _sources(library: Library, name: str) -> Iterator[Source]:
    """Yield the pictures that one argument names."""
    from aigc_desktop.data.pictures import SUFFIXES
    from aigc_desktop.export.edited import source_of_card, source_of_file

    path = Path(name)
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES and each.is_file())
        if not found:
            raise UserError(_("“{name}” holds no pictures.").format(name=path.name), _("Choose another folder."))
        yield from map(source_of_file, found)
    elif path.exists() or len(name) != 32:
        yield source_of_file(path)
    else:
        yield source_of_card(library, library.get(name))


def _edits_help() -> str:
    from aigc_desktop.editing.chain import operations

    lines = [f"  {each.name:16} {_(each.title)}: {_(each.summary)}" for each in operations().values()]
    return "\n".join([_("Edits, each with flags of its own (--do EDIT --help):"), *lines])
