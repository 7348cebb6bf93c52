"""MP4: a film for video programs and phones, written by ffmpeg where that program is installed.

ffmpeg is a program of its own: its encoders are not ours to ship, and this process stays free of them. Frames go to it
through a pipe; label and settings are in the comment of the file.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from aigc_desktop.core.engine_process import HIDDEN
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.export.film import frames, note, read_note
from aigc_desktop.export.label import AigcLabel
from aigc_desktop.export.piece import Format, Options, Piece

PROGRAM = "ffmpeg"
ENCODERS = (("libx264", "-crf", "18", "-preset", "medium"), ("mpeg4", "-q:v", "2"))
"""Tried in this order: the first is what all devices play, the second is in every build."""
_MOST_HEAD = 1 << 24


def missing() -> str:
    """Return why MP4 cannot be written on this machine, "" when it can."""
    return "" if shutil.which(PROGRAM) else _("The program ffmpeg is not installed on this machine.")


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all pieces as the frames of one film; UserError when ffmpeg is not there or refuses."""
    reason = missing()
    if reason:
        raise UserError(reason, _("Install ffmpeg, or export the film as GIF or WebP."))
    problem = ""
    for encoder in ENCODERS:
        problem = _encode(path, pieces, label, options, encoder)
        if not problem:
            return
    raise UserError(
        _("ffmpeg could not write the film: {reason}").format(reason=problem), _("Export the film as GIF or WebP.")
    )


def _encode(path: Path, pieces: list[Piece], label: AigcLabel, options: Options, encoder: tuple[str, ...]) -> str:
    """Return "" when the file is written, else what ffmpeg said."""
    pictures = frames(pieces, options, opaque=True)
    first = next(pictures)
    command = [
        str(shutil.which(PROGRAM)), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{first.width}x{first.height}", "-r", f"{options.fps:g}", "-i", "pipe:0", "-an", "-c:v", *encoder,
        "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart",
        "-metadata", f"comment={note(pieces, label)}", "-f", "mp4", str(path),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, creationflags=HIDDEN
        ) as program:
            assert program.stdin is not None
            for picture in itertools.chain([first], pictures):
                if not _given(program.stdin, picture.tobytes()):
                    break  # it has given up, and says why
            with contextlib.suppress(OSError):
                program.stdin.close()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()[-300:]
    return "" if program.returncode == 0 else said or f"{PROGRAM}: {program.returncode}"


def _given(pipe: IO[bytes], data: bytes) -> bool:
    try:
        pipe.write(data)
    except OSError:  # not BrokenPipeError: Windows calls the end of a pipe an invalid argument
        return False
    return True


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of an MP4 file."""
    return read_note(_head(path))[0]


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return our settings of an MP4 file."""
    return read_note(_head(path))[1]


def _head(path: Path) -> bytes:
    """Return the box "moov", which holds all but the pictures; nothing of a file that is no MP4."""
    try:
        with path.open("rb") as f:
            while len(head := f.read(8)) == 8:
                size, kind = struct.unpack(">I4s", head)
                if size == 1:
                    size = struct.unpack(">Q", f.read(8))[0] - 8
                if kind == b"moov":
                    return f.read(min(size - 8, _MOST_HEAD))
                if size < 8:
                    return b""
                f.seek(size - 8, 1)
    except (OSError, ValueError, struct.error, OverflowError):
        return b""
    return b""


FORMAT = Format(
    "mp4", N_("MP4 film, for video programs"), ".mp4", "image", write, read_label, read_settings, together=True,
    order=60, film=True, missing=missing,
)  # fmt: skip
