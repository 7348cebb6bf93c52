"""Write works to files for others: labelled, read back, never over what is there unless told to."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from aigc_desktop.core.claim import worked_in, working_in
from aigc_desktop.core.discover import discover
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import move, naming_disk, safe_name, sync_folder
from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import PARTIAL
from aigc_desktop.core.workspace import BEGIN_S, QUIET_S
from aigc_desktop.export import formats as formats_package
from aigc_desktop.export.label import AigcLabel, need_label, new_label
from aigc_desktop.export.piece import Format, Options, Piece
from aigc_desktop.export.sidecar import ENDING, sidecar, write_sidecar
from aigc_desktop.export.sidecar import read_label as read_beside

PATTERN = "{title}"
FIELDS = ("title", "seed", "number", "label", "checkpoint")
"""What a name pattern may hold in braces."""


def formats(kind: Literal["image", "text", ""] = "") -> list[Format]:
    """Return the file formats for a kind of work, the most usual first."""
    found: list[Format] = discover(formats_package, "FORMAT")
    return sorted((each for each in found if kind in ("", each.kind)), key=lambda each: each.order)


def format_named(name: str, kind: Literal["image", "text"]) -> Format:
    """Return a format of a kind by name or ending; "" is the most usual. UserError when it does not exist."""
    available = formats(kind)
    wanted = {"jpg": "jpeg"}.get(name.lower().lstrip("."), name.lower().lstrip("."))
    for each in available:
        if wanted in ("", each.name):
            return each
    raise UserError(
        _("“{name}” is no file format for this.").format(name=name),
        _("Choose one of: {names}.").format(names=", ".join(each.name for each in available)),
    )


def export_pieces(
    pieces: Sequence[Piece],
    folder: Path,
    to: Format,
    pattern: str = PATTERN,
    options: Options | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write pieces into `folder` and return the new files, in order.

    A name that exists gets a number, unless `overwrite`. Each file is complete and carries its label, or it is not
    there. UserError when a pattern is wrong, a label cannot be read back, or the folder cannot be used.
    """
    options = options or Options()
    groups = [list(pieces)] if to.together and pieces else [[piece] for piece in pieces]
    files = []
    with _writing_into(folder):
        for number, group in enumerate(groups, 1):
            target = folder / (file_stem(pattern, group[0], number) + to.ending)
            files.append(_export(group, target, to, options, overwrite))
            progress(number, len(groups))
    return files


def file_stem(pattern: str, piece: Piece, number: int) -> str:
    """Return the file name a pattern gives, without ending; UserError for a field that is none of FIELDS."""
    seed = piece.origin.get("seed")
    values = {
        "title": piece.title, "seed": "" if seed is None else seed, "number": f"{number:04d}",
        "label": piece.origin.get("label") or "", "checkpoint": piece.origin.get("checkpoint") or "",
    }  # fmt: skip
    try:
        parts = [(text, name) for text, name, _spec, _conversion in Formatter().parse(pattern)]
        # not str.format: a field like {title.__class__} must not reach into the program
        stem = "".join(text + (str(values[name]) if name is not None else "") for text, name in parts)
    except (KeyError, ValueError):
        raise UserError(
            _("The name pattern “{pattern}” cannot be used.").format(pattern=pattern),
            _("In braces it may hold: {names}.").format(names=", ".join(FIELDS)),
        ) from None
    return safe_name(stem)


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings a work was made with, from any file this program exported or made; None without any."""
    known = [each for each in formats() if path.name.lower().endswith(each.ending)] or formats("image")
    for each in known:
        found = each.read_settings(path)
        if found is not None:
            return found
    return None


@contextlib.contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    """Make a folder, take away what killed exports left in it, and hold it, so that nobody does so with ours."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # a folder that may not be read, but written
        _remove_leftovers(folder)
    with working_in(folder):
        yield


def _remove_leftovers(folder: Path) -> None:
    """Remove the half-written files of exports that are not at work any more; by name, nothing else is ours here."""
    held = worked_in(folder)
    if held:
        return
    latest = time.time() - (BEGIN_S if held is False else QUIET_S)
    endings = "|".join(re.escape(each.ending) for each in formats())
    companion = f"{re.escape(ENDING)}({re.escape(PARTIAL)})?"
    ours = re.compile(rf"\..+{re.escape(PARTIAL)}({endings})({companion})?", re.DOTALL)
    for path in folder.iterdir():
        if ours.fullmatch(path.name) and not path.is_symlink() and path.is_file() and path.stat().st_mtime <= latest:
            path.unlink(missing_ok=True)


def _export(pieces: list[Piece], target: Path, to: Format, options: Options, overwrite: bool) -> Path:
    if target.is_dir():
        raise UserError(
            _("“{name}” is a folder; no file can have its name.").format(name=target.name), _("Choose another name.")
        )
    label = new_label()
    partial = target.with_name(f".{safe_name(target.name, 40)}{PARTIAL}{to.ending}")
    try:
        with naming_disk(target):
            to.write(partial, pieces, label, options)
        beside = to.read_label is read_beside
        if beside:
            write_sidecar(partial, pieces, label)
        need_label(to.read_label(partial), label)
        return _place(partial, target, overwrite, beside)
    finally:
        for leftover in (partial, sidecar(partial)):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def _place(partial: Path, target: Path, overwrite: bool, beside: bool) -> Path:
    """Give the finished file its name, or the first free one after it; its companion goes first."""
    _sync(partial)
    chosen = target if overwrite else unused(target, beside)
    if beside:
        move(sidecar(partial), sidecar(chosen))
    move(partial, chosen)
    sync_folder(target.parent)
    return chosen


def unused(path: Path, beside: bool = False) -> Path:
    """Return a path, or the first of `name 2`, `name 3` … that nothing has; `beside`, its companion neither."""
    chosen, number = path, 2
    while not _free(chosen, beside):
        chosen = path.with_name(f"{path.stem} {number}{path.suffix}")
        number += 1
    return chosen


def _free(path: Path, beside: bool) -> bool:
    return not os.path.lexists(path) and not (beside and os.path.lexists(sidecar(path)))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def label_of(path: Path) -> dict[str, Any] | None:
    """Return the label for generated content in an exported file, or None."""
    for each in formats():
        if path.name.lower().endswith(each.ending):
            return each.read_label(path)
    return None


__all__ = [
    "AigcLabel", "Format", "Options", "Piece", "export_pieces", "file_stem", "format_named", "formats",
    "label_of", "read_settings", "unused",
]  # fmt: skip
