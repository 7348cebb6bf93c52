"""Take a zip archive out safely: everything is checked before the first byte is written.

An archive is refused as a whole when a name could leave the folder, when it is encrypted or when its sizes do not
add up; files get numbers for names, so what the archive calls them never meets the file system.
"""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath

from aigc_desktop.core.errors import BadInput, OutOfSpace, readable_size
from aigc_desktop.core.events import Event
from aigc_desktop.core.i18n import _
from aigc_desktop.data.pool import Pace
from aigc_desktop.data.problems import shown_name
from aigc_desktop.data.sources import Found, is_about

MAX_ENTRIES = 200_000
MAX_DIRECTORY_BYTES = 100_000_000
MAX_RATIO = 100
_RATIO_FROM = 1 << 20  # small files of one colour pack better than any bomb
_CHUNK = 1 << 20
_CAREFUL_CHUNK = 1 << 12  # bzip2 and LZMA unpack all they are given at once, whatever the table says of its size
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
ZIP_ERRORS = (
    zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error, struct.error, OSError,
    IndexError, KeyError, OverflowError, MemoryError, lzma.LZMAError,
)  # fmt: skip


def is_zip(path: str) -> bool:
    """Return whether a file begins like a zip archive and is called one; pipes, which may wait, stay closed."""
    if not path.lower().endswith(".zip") or not Path(path).is_file():
        return False
    try:
        with open(path, "rb") as f:
            return f.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def extract(archive: Path, folder: Path, root: Path) -> Generator[Event, str | None, list[Found]]:
    """Write the files of a zip archive into `folder` and return them; their `source` is relative to `root`.

    BadInput for an archive that is refused, OutOfSpace when its files would fill more than half of what is free.
    """
    shown = shown_name(archive.name)
    try:
        check_directory(archive)
        opened = zipfile.ZipFile(archive)
    except ZIP_ERRORS as error:
        raise _refused(shown, _("it is damaged"), _("Download it again, or pack it anew.")) from error
    with opened:
        members = _checked_members(opened, shown)
        total = sum(member.file_size for _name, member in members)
        free = shutil.disk_usage(root).free
        if total > free // 2:
            raise OutOfSpace(total * 2, free, str(root))
        pace = Pace(_("Unpacking the archive"), total, "B")
        found: list[Found] = []
        written = 0
        for number, (name, member) in enumerate(members):
            left_out = "archive" if name.lower().endswith(_ARCHIVES) else "about" if is_about(Path(name).name) else ""
            if left_out:
                found.append(Found("", shown_name(name), problem=left_out))
                continue
            target = folder / f"{number // 1000:03d}" / f"{number:06d}{_suffix(name)}"
            target.parent.mkdir(parents=True, exist_ok=True)
            whole = yield from _extract_member(opened, member, target, pace, written)
            written += member.file_size
            source = target.relative_to(root).as_posix()
            found.append(Found(str(target), shown_name(name), problem="" if whole else "corrupt", source=source))
        return found


def check_directory(archive: Path) -> None:
    """Raise BadZipFile when the archive's table is missing or far too large to be read, before it is."""
    size = archive.stat().st_size
    with archive.open("rb") as f:
        f.seek(max(0, size - 65_557 - 20))
        tail = f.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("no end record")
    count, directory = struct.unpack_from("<HI", tail, at + 10)
    locator = tail.rfind(b"PK\x06\x07", 0, at)
    if (count == 0xFFFF or directory == 0xFFFFFFFF) and locator >= 0:
        with archive.open("rb") as f:
            f.seek(min(struct.unpack_from("<Q", tail, locator + 8)[0], size))
            record = f.read(56)
        count, directory = struct.unpack_from("<QQ", record, 32)
    if directory > min(size, MAX_DIRECTORY_BYTES):
        raise zipfile.BadZipFile("table of contents too large")


def _checked_members(opened: zipfile.ZipFile, shown: str) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return (name, member) of all files; BadInput names the first entry that must not be there."""
    infos = opened.infolist()
    if len(infos) > MAX_ENTRIES:
        raise _refused(shown, _("it has more than {limit} entries").format(limit=MAX_ENTRIES), _("Split it."))
    members: list[tuple[str, zipfile.ZipInfo]] = []
    names: set[str] = set()
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = decode_name(info)
        reason = _forbidden(name, info)
        key = unicodedata.normalize("NFC", name).casefold()
        if not reason and key in names:
            reason = _("it is there twice")
        if not reason and info.header_offset < end:
            reason = _("it overlaps with another one")
        if reason:
            about = _("the entry “{name}”: {reason}").format(name=shown_name(name), reason=reason)
            raise _refused(shown, about, _("Unpack it with a program you trust and import the folder."))
        names.add(key)
        end = info.header_offset + 30 + info.compress_size
        if not name.endswith("/") and not _is_junk(name):
            members.append((name, info))
    return sorted(members, key=lambda member: member[0])


def decode_name(info: zipfile.ZipInfo) -> str:
    """Return the name of an entry: as UTF-8, else as GB18030, else as code page 437."""
    name = info.orig_filename
    if info.flag_bits & 0x800:
        return name
    raw = name.encode("cp437")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name


def _forbidden(name: str, info: zipfile.ZipInfo) -> str:
    """Return why an entry must not be taken out, or ""."""
    if not name or "\0" in name or "\\" in name:
        return _("its name is not allowed")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return _("its name leads out of the folder")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _("it is a link or a special file")
    if info.flag_bits & 0x1:
        return _("it is encrypted")
    if info.file_size > _RATIO_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return _("it would grow to {size}, more than {ratio} times its packed size").format(
            size=readable_size(info.file_size), ratio=MAX_RATIO
        )
    return ""


def _extract_member(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, pace: Pace, before: int
) -> Generator[Event, str | None, bool]:
    """Write one file, at most as long as the table says; return whether it was whole."""
    written, ended = 0, False
    step = _CHUNK if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _CAREFUL_CHUNK
    try:
        source = opened.open(member)
    except ZIP_ERRORS:
        return False
    with source, target.open("wb") as out:
        while not ended:
            try:
                chunk = source.read(step)
            except ZIP_ERRORS:  # wrong checksum, damaged stream: this entry is lost, the others are not
                break
            ended = not chunk
            written += len(chunk)
            out.write(chunk)
            if pace.due():
                yield pace.progress(before + written)
    whole = ended and written == member.file_size
    if not whole:
        target.unlink()
    return whole


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _is_junk(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts) or parts[-1].lower() == "thumbs.db"


def _refused(shown: str, reason: str, advice: str) -> BadInput:
    return BadInput(shown, _("the archive cannot be used, because {reason}").format(reason=reason), advice)
