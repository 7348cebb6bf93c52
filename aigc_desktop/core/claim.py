"""Who works on a run or in a folder: a lock of the operating system, which goes with the process however that ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

LOCK = "lock"
LOOK_S = 0.2  # for so long those who only look, and take the lock for a moment, may stand in the way


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold the run in `folder` against all others; UserError when somebody holds it already."""
    with (folder / LOCK).open("a+b") as f:
        deadline = time.monotonic() + LOOK_S
        while not _take(f):
            if time.monotonic() > deadline:
                raise UserError(
                    _("Another window or command is working on this run."),
                    _("Wait until it ends, or stop it there; then go on here."),
                )
            time.sleep(LOOK_S / 10)
        yield


def claimed(folder: Path) -> bool:
    """Return whether somebody works on the run in `folder` right now."""
    try:
        with (folder / LOCK).open("r+b") as f:
            return not _take(f)
    except OSError:  # no lock was ever taken, or this user may not write here
        return False


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Hold a folder that is being written, so that others see that somebody still is, where the system can."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            held.callback(os.close, handle)
            _share_folder(handle)
        yield


def worked_in(folder: Path) -> bool | None:
    """Return whether somebody is writing a folder right now, None where the system cannot tell."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # as on Windows
        return None
    try:
        _lock_folder(handle, shared=False)
    except BlockingIOError:
        return True
    except OSError:  # a network folder without locks
        return None
    finally:
        os.close(handle)
    return False


def _share_folder(handle: int) -> None:
    """Lock an open folder together with others; one who only looks, as `worked_in`, is waited for."""
    deadline = time.monotonic() + LOOK_S
    while True:
        try:
            return _lock_folder(handle, shared=True)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(LOOK_S / 10)


if sys.platform == "win32":
    import msvcrt

    def _take(f: IO[bytes]) -> bool:
        """Lock the file until it is closed; return whether that was possible."""
        f.seek(0)
        try:
            msvcrt.locking(f.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _lock_folder(handle: int, shared: bool) -> None:
        raise OSError("folders cannot be locked here")

else:
    import fcntl

    def _take(f: IO[bytes]) -> bool:
        """Lock the file until it is closed; return whether that was possible."""
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock_folder(handle: int, shared: bool) -> None:
        """Lock an open folder; BlockingIOError when another holds it, any OSError where that is not possible."""
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
