"""Copy a workspace to another place, all of it or nothing; the old one stays until the user deletes it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from aigc_desktop.core.claim import LOCK
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_folder, folder_size, need_space
from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import PARTIAL

_CHUNK = 4 << 20


class Cancelled(Exception):
    """The user does not want the copy any more; nothing of it is left."""


def copy_workspace(
    old: Path, new: Path, told: Callable[[int, int], None], cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Copy the workspace `old` to `new`, which must not exist or be empty; `told` gets (bytes done, bytes in all).

    UserError when the place cannot be used, OutOfSpace when it is too small, Cancelled when `cancelled` says so.
    """
    _check_place(old, new)
    total, done = folder_size(old), 0
    need_space(new.parent, total)
    if new.is_dir():
        new.rmdir()
    with atomic_folder(new) as partial:
        for source in _entries(old):
            target = partial / source.relative_to(old)
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif source.is_dir():
                target.mkdir(exist_ok=True)
            else:
                for count in _copy_file(source, target):
                    done += count
                    told(done, total)
                    if cancelled():
                        raise Cancelled


def _check_place(old: Path, new: Path) -> None:
    if new.resolve().is_relative_to(old.resolve()):
        raise UserError(_("A workspace cannot be moved into itself."), _("Choose a folder outside of it."))
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise UserError(
            _("There is already something in {path}.").format(path=new), _("Choose an empty folder or another place.")
        )
    if not new.parent.is_dir() or not os.access(new.parent, os.W_OK):
        raise UserError(
            _("The folder {path} cannot be written to.").format(path=new.parent),
            _("Choose a folder that you may write to."),
        )


def _entries(folder: Path) -> Iterator[Path]:
    """Yield folders before what is in them; locks and what a crash left half-written stay behind."""
    for path in sorted(folder.iterdir()):
        if path.name in {".lock", LOCK} or path.name.endswith(PARTIAL):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _entries(path)


def _copy_file(source: Path, target: Path) -> Iterator[int]:
    """Copy a file with its times and yield how many bytes each piece had."""
    with source.open("rb") as read, target.open("wb") as write:
        while piece := read.read(_CHUNK):
            write.write(piece)
            yield len(piece)
    shutil.copystat(source, target)
