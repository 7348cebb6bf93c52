"""Find the files of an import: folders to any depth, single files, in the same order on every machine."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from aigc_desktop.core.errors import UserError, system_reason
from aigc_desktop.core.i18n import _
from aigc_desktop.data.problems import shown_name

_ABOUT = re.compile(r"(readme|licen[sc]e|copying)([._-].*)?(\.(txt|md|rst|html))?", re.IGNORECASE)
_LINKS = {0xA000000C, 0xA0000003}  # how Windows marks symbolic links and junctions
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information"}


class Found(NamedTuple):
    """A file to look at; `path` may hold bytes that are no UTF-8, `name` is safe to show.

    With a `problem` (a code of data/problems.py) it need not be opened; `reason` is the system's own word.
    `source` is what the record keeps: the path, or a path inside the data set.
    """

    path: str
    name: str
    label: str = ""
    problem: str = ""
    reason: str = ""
    source: str = ""


def parse_sources(text: str) -> list[str]:
    """Return the paths in a setting: one path, or several, one a line, each also as a file:// address.

    The address form is for names with a line break or with bytes that are no UTF-8.
    """
    if text and not text.startswith("file://") and os.path.lexists(text):
        return [str(Path(text).absolute())]
    paths = [_from_address(line) for line in text.split("\n") if line.strip()]
    if not paths:
        raise UserError(_("Nothing was chosen to import."), _("Choose a folder, files or a zip archive."))
    for path in paths:
        if not os.path.lexists(path):
            raise UserError(
                _("“{path}” is not there.").format(path=shown_name(path)),
                _("Check the spelling, or choose a folder or file that exists."),
            )
    return paths


def join_sources(paths: list[str]) -> str:
    """Return paths as one setting, the reverse of `parse_sources`."""
    if len(paths) == 1 and _is_plain(paths[0]):
        return paths[0]
    return "\n".join(path if _is_plain(path) else Path(path).absolute().as_uri() for path in paths)


def find_files(root: str, skip: str) -> Iterator[Found]:
    """Yield what lies below the folder `root`, sorted by path; `skip` is a folder to leave out (the workspace).

    Links to folders are not followed, so loops do no harm; links to files only when they stay inside. Devices,
    pipes and sockets are named but never opened. Hidden files and what systems leave behind are passed over.
    """
    inside = os.path.realpath(root) + os.sep
    folders = [(root, "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, shown_name(prefix or folder), problem="unreadable", reason=system_reason(error))
            continue
        deeper: list[tuple[str, str]] = []
        for entry in ordered:
            if _is_junk(entry.name):
                continue
            name = prefix + entry.name
            if not _is_link(entry) and entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) != skip:
                    deeper.append((entry.path, name + "/"))
            else:
                yield _found(entry, name, inside)
        folders.extend(reversed(deeper))


def single_file(path: str) -> Found:
    """Return a file that was chosen by itself; a link is followed, because the user chose it."""
    name = shown_name(Path(path).name)
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return Found(path, name, problem="unreadable", reason=system_reason(error))
    return Found(path, name, problem="" if stat.S_ISREG(mode) else "special")


def title_of(path: str) -> str:
    """Return what a data set from this source is called."""
    source = Path(path)
    return shown_name((source.name if source.is_dir() else source.stem) or _("Data"))


def label_by_folder(found: list[Found]) -> list[Found]:
    """Return the files with the name of their first folder as label.

    When everything lies in one folder that itself has folders, as in most archives, the next level counts.
    """
    parts = [item.name.split("/") for item in found]
    counted = [path for item, path in zip(found, parts, strict=True) if not item.problem]  # not a licence beside it
    depth = 0
    while counted and all(len(p) > depth + 1 for p in counted) and len({p[depth] for p in counted}) == 1:
        if len({p[depth + 1] for p in counted if len(p) > depth + 2}) < 2:
            break
        depth += 1
    return [
        item._replace(label=path[depth] if len(path) > depth + 1 else item.label)
        for item, path in zip(found, parts, strict=True)
    ]


def _found(entry: os.DirEntry[str], name: str, inside: str) -> Found:
    shown = shown_name(name)
    try:
        mode = entry.stat().st_mode
        if _is_link(entry) and (stat.S_ISDIR(mode) or not os.path.realpath(entry.path).startswith(inside)):
            return Found(entry.path, shown, problem="link")
    except OSError as error:  # also a link that leads nowhere or to itself
        return Found(entry.path, shown, problem="unreadable", reason=system_reason(error))
    if not stat.S_ISREG(mode):
        return Found(entry.path, shown, problem="special")
    return Found(entry.path, shown, problem="about" if is_about(entry.name) else "")


def _is_link(entry: os.DirEntry[str]) -> bool:
    """Return whether a file or folder stands for another, as junctions of Windows do too."""
    if sys.platform == "win32":  # where this asks nothing of the disk
        return entry.stat(follow_symlinks=False).st_reparse_tag in _LINKS
    return entry.is_symlink()


def is_about(name: str) -> bool:
    """Return whether a file of this name tells about a data set, such as LICENSE.txt or README.md."""
    return _ABOUT.fullmatch(name) is not None and Path(name).suffix.lower() in ("", ".txt", ".md", ".rst", ".html")


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _is_plain(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not path.startswith("file:") and path.strip() == path and "\n" not in path


def _from_address(line: str) -> str:
    line = line.strip()
    if not line.startswith("file://"):
        return str(Path(line).absolute())
    address = urlsplit(line)
    path = os.fsdecode(unquote_to_bytes(address.path))
    if sys.platform != "win32":
        return path
    # file://server/folder is a place in the network, file:///C:/folder one here
    return f"//{address.netloc}{path}" if address.netloc else path.removeprefix("/")
