"""Write files so that a crash leaves the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from aigc_desktop.core.claim import working_in
from aigc_desktop.core.errors import FULL, OutOfSpace, UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import PARTIAL

Done = TypeVar("Done")
PATIENCE_S = 1.0 if os.name == "nt" else 0.0
"""For so long others may hold a name: Windows renames and removes nothing that somebody reads, as virus scanners do."""
_MANY_FILES = 100
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"com{i}" for i in range(1, 10)),
    *(f"lpt{i}" for i in range(1, 10)),
}


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb", sync_name: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path`; on success it is flushed to the disk and takes the name `path`.

    On an error the neighbour is removed and `path` stays as it was. Without `sync_name` the name is left to the
    next file of the folder to make lasting.
    """
    partial = path.with_name(path.name + PARTIAL)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with naming_disk(path), partial.open(mode, encoding=encoding, newline=newline) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        move(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    if sync_name:
        sync_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour folder that takes the name `path` once its files are on the disk.

    `path` must not exist. On an error nothing half-written stays; what a killed process leaves is held by nobody.
    """
    partial = path.with_name(path.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        patiently(lambda: partial.mkdir(parents=True))  # Windows keeps a removed name while it is looked at
        with naming_disk(path), working_in(partial):
            yield partial
            _sync_files(partial)
            patiently(lambda: os.rename(partial, path))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(path.parent)


def patiently(act: Callable[[], Done]) -> Done:
    """Rename or remove something; PermissionError when others are in the way for longer than PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PATIENCE_S / 50)


def move(source: Path, target: Path) -> None:
    """Give a file or folder another name, in place of a file that has it."""
    patiently(lambda: os.replace(source, target))


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    patiently(lambda: path.unlink(missing_ok=True))


@contextlib.contextmanager
def naming_disk(path: Path) -> Iterator[None]:
    """Let the error of a full disk name `path`: the system names no file when it refuses to write into an open one."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path, "w") as f:
        f.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`; a damaged file is a UserError that names it.

    What `write_json` would refuse to write, as NaN and half of a surrogate pair, is refused here.
    """
    try:
        return parse_json(path.read_bytes())
    except ValueError:
        raise damaged_file(path) from None


def parse_json(data: bytes) -> Any:
    """Return the JSON value in UTF-8 bytes; ValueError when there is none, or one that JSON does not have."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if b"\\ud" in data.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def damaged_file(path: Path) -> UserError:
    """Return the error for a file of ours that does not hold what it should."""
    return UserError(
        _("The file {path} is damaged.").format(path=readable_path(path)), _("Restore it from a backup or remove it.")
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power loss, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text, read in pieces."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def folder_size(folder: Path) -> int:
    """Return the size in bytes of all files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def need_space(folder: Path, count: int, reserve: int = 50_000_000) -> None:
    """Raise OutOfSpace unless `count` bytes fit on the disk of `folder` with `reserve` to spare."""
    free = shutil.disk_usage(folder).free
    if free < count + reserve:
        raise OutOfSpace(count + reserve, free, str(folder))


def readable_path(path: Path | str) -> str:
    """Return a path as text that can be shown and written: what is no UTF-8 becomes a question mark."""
    return str(path).encode("utf-8", "replace").decode()


def safe_name(text: str, limit: int = 60) -> str:
    """Return `text` as a file name that every system takes; letters of any script stay."""
    text = unicodedata.normalize("NFC", readable_path(text))
    text = re.sub(r'[\x00-\x1f<>:"/\\|?*\u200b-\u200f\u202a-\u202e]+', " ", text).strip(" .")
    text = re.sub(r"\s+", " ", text)
    while len(text.encode()) > limit * 3 or len(text) > limit:
        text = text[:-1]
    text = text.strip(" .")
    if not text or text.split(".")[0].strip().lower() in _RESERVED:
        text = f"_{text}"
    return text


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _sync_files(folder: Path) -> None:
    """Bring all files below `folder` to the disk; thousands of them by one call, which is far quicker than each."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    if len(files) > _MANY_FILES and hasattr(os, "sync"):
        os.sync()
        return
    for file in files:
        _sync_file(file)


def _sync_file(file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
