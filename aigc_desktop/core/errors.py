"""Errors that carry a way out, and the sentences for well-known failures of the machine."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.partial import known_path

_REASONS = {
    "ENOENT": N_("it is not there"), "EACCES": N_("permission is missing"), "EPERM": N_("permission is missing"),
    "ELOOP": N_("the link leads back to itself"), "ENAMETOOLONG": N_("the name is too long"),
    "EROFS": N_("the disk can only be read"), "EIO": N_("the disk cannot read or write it"),
    "ENOTDIR": N_("a part of the path is no folder"), "EISDIR": N_("it is a folder"),
    "EEXIST": N_("a file of this name is in the way"), "ENOTEMPTY": N_("a folder of this name is in the way"),
    "EMFILE": N_("too many files are open"), "ENFILE": N_("too many files are open"),
    "EBUSY": N_("another program is using it"), "ETXTBSY": N_("another program is using it"),
    "EXDEV": N_("it lies on another disk"), "EINVAL": N_("the disk does not allow this"),
    "ENOTSUP": N_("the disk does not allow this"), "EFBIG": N_("the disk takes no file of this size"),
    "ENODEV": N_("the disk is not connected"), "ENXIO": N_("the disk is not connected"),
    "ESTALE": N_("the network folder is not connected"), "ENOTCONN": N_("the network folder is not connected"),
    "ETIMEDOUT": N_("the network folder does not answer"),
}  # fmt: skip
"""What the system's reasons are called for people, by the names of `errno`, of which no system has all."""
_REASON_OF = {getattr(errno, name): reason for name, reason in _REASONS.items() if hasattr(errno, name)}
_NO_MEMORY = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What torch says of short memory in an ordinary RuntimeError: on processors, on Apple's cards, inside libraries."""
_IN_USE = {32, 33}  # how Windows calls a file that others have open, or locked
_PAGING_FILE_FULL = 1455
_OF_THE_NAME = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP}


class UserError(Exception):
    """Something the user can put right: a plain translated sentence and a hint that says how."""

    def __init__(self, message: str, hint: str = "", kind: str = "UserError") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind


class BadInput(UserError):
    """A file that cannot be used; `where` names it, the message says why, with the name before it unless it has it."""

    def __init__(self, where: str, reason: str, hint: str = "") -> None:
        named = f"“{where}”" in reason
        super().__init__(reason if named else f"{where}: {reason}", hint, kind="BadInput")
        self.where = where
        self.reason = reason


class OutOfSpace(UserError):
    """The disk is full, or would be; `where` is a folder on it that the user knows."""

    def __init__(self, needed: int = 0, free: int = 0, where: str = "") -> None:
        if needed:
            message = _("Not enough space on the disk: {needed} needed, {free} free in {where}.").format(
                needed=readable_size(needed), free=readable_size(free), where=known_path(where)
            )
        else:
            message = _("The disk that holds {where} is full.") if where else _("The disk is full.")
            message = message.format(where=known_path(where))
        super().__init__(message, _("Free some space or choose another folder, then try again."), kind="OutOfSpace")


FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # a used-up quota is a full disk to its user


def readable_size(count: float) -> str:
    """Return a size in bytes as people read it: 1.2 GB, 34 MB."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB" if count < 1000 else f"{count / 1000:.1f} TB"


def failure_of(error: BaseException, home: Path | str = "") -> Failed:
    """Return the `Failed` event for an exception: plain sentence, way out, traceback as details.

    `home` is the folder that the user knows as the place of the work.
    """
    details = "".join(traceback.format_exception(error))
    if isinstance(error, UserError):
        return Failed(error.kind, error.message, error.hint, details)
    kind, message, hint = _known_failure(error, home)
    return Failed(kind, message, hint, details)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: Python's, torch's, or a graphics card's, of which some say so in words only."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) == _PAGING_FILE_FULL
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def _known_failure(error: BaseException, home: Path | str) -> tuple[str, str, str]:
    """Return (kind, message, hint) by what the exception is; torch's are known by name, core has no torch."""
    name = type(error).__name__
    if is_out_of_memory(error):
        return (
            "OutOfMemory",
            _("Not enough memory."),
            _("Choose a smaller size or a smaller batch, or close other programs."),
        )
    if isinstance(error, OSError) and error.errno in FULL:
        full = OutOfSpace(where=_full_place(error, home))
        return full.kind, full.message, full.hint
    if isinstance(error, OSError):
        return _disk_failure(error)
    return (
        name,
        _("Something went wrong inside the program: {reason}").format(reason=_first_line(error)),
        _("Copy the details and report them; what was saved is kept."),
    )


def _full_place(error: OSError, home: Path | str) -> str:
    """Return the folder to name for a full disk: the user's own for what lies in it, else that of the file."""
    named = error.filename2 or error.filename  # of a copy the second is what was written
    if not isinstance(named, str) or (home and Path(named).is_relative_to(home)):
        return str(home)
    return str(Path(known_path(named)).parent)


def _disk_failure(error: OSError) -> tuple[str, str, str]:
    """Return (kind, message, hint) of what the system refused, with the path where the system names it."""
    path = known_path(error.filename) if isinstance(error.filename, str) and error.filename else ""
    if isinstance(error.filename2, str) and Path(error.filename2).is_file():  # what was to be replaced
        path = known_path(error.filename2)
    if _in_use(error):
        message = _("Another program has {path} open.").format(path=path or "?")
        return "FileInUse", message, _("Close it there, then try again.")
    if isinstance(error, PermissionError) and getattr(error, "winerror", None) and error.filename2 is not None:
        # Windows also says “access denied” of a file or folder to rename that others have open
        message = _("No permission to change {path}, or another program has it open.").format(path=path or "?")
        return "PermissionError", message, _("Close it there, or choose a folder that you may read and write.")
    if isinstance(error, PermissionError):
        message = _("No permission to use {path}.").format(path=path or "?")
        return "PermissionError", message, _("Choose a folder that you may read and write.")
    if isinstance(error, FileNotFoundError):
        message = _("{path} is not there any more.").format(path=path or "?")
        return "FileNotFoundError", message, _("Put it back or choose another one.")
    if path and error.errno in _OF_THE_NAME:
        message = _("{path} cannot be used: {reason}.").format(path=path, reason=system_reason(error))
        return "OSError", message, _("Choose another name or another folder, then try again.")
    message = _("The disk reported an error: {reason}.").format(reason=system_reason(error))
    return "OSError", message, _("Check the disk, or choose another folder, then try again.")


def system_reason(error: OSError) -> str:
    """Return why the system refused, in the user's language; in the system's own words where it is a rare reason."""
    known = _REASONS["EBUSY"] if _in_use(error) else _REASON_OF.get(error.errno or 0)
    return _(known) if known else error.strerror or str(error)


def _in_use(error: OSError) -> bool:
    """Return whether Windows refused because others have the file open or locked."""
    return getattr(error, "winerror", None) in _IN_USE


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
