"""Films: GIF and WebP are written here, MP4 by the program ffmpeg where it is installed."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.export.export import export_pieces, format_named, formats, label_of, read_settings
from aigc_desktop.export.film import read_note
from aigc_desktop.export.formats import mp4
from aigc_desktop.export.piece import Options, Piece

ORIGIN = {"task": "explore.path", "model": "cups", "settings": {"places": '[{"parts":[{"seed":5}]}]', "frames": 3}}
# a stand-in for ffmpeg: it counts the frames that come and writes the boxes of a film around the comment
FFMPEG = """#!{python}
import struct, sys
arguments = sys.argv[1:]
if {refuses!r} and "libx264" in arguments:
    sys.exit("Unknown encoder 'libx264'")
if {refuses!r} == "all":
    sys.exit("no encoder at all")
raw = sys.stdin.buffer.read()
width, height = map(int, arguments[arguments.index("-s") + 1].split("x"))
assert len(raw) == 3 * width * height * {frames}, len(raw)
comment = arguments[arguments.index("-metadata") + 1].removeprefix("comment=").encode()
def box(kind, body): return struct.pack(">I4s", 8 + len(body), kind) + body
with open(arguments[-1], "wb") as f:
    f.write(box(b"ftyp", b"isom") + box(b"mdat", b"x" * 99) + box(b"moov", box(b"udta", comment)))
"""


def frames(count=3, edge=8, channels=3):
    return [
        Piece("image", "cups film", np.full((edge, edge, channels), 40 * i, np.uint8), origin=ORIGIN)
        for i in range(count)
    ]


def put_ffmpeg(folder: Path, monkeypatch, refuses: str = "", count: int = 3) -> None:
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FFMPEG.format(python=sys.executable, refuses=refuses, frames=count), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize("name", ["gif", "webp-film"])
def test_a_film_repeats_and_has_all_frames_in_time(tmp_path, name):
    [path] = export_pieces(frames(), tmp_path, format_named(name, "image"), options=Options(fps=20))
    with Image.open(path) as film:
        assert film.n_frames == 3
        film.seek(1)
        film.load()
        assert film.info["duration"] == 50
        assert film.info["loop"] == 0
        assert np.asarray(film.convert("RGB"))[0, 0].tolist() == pytest.approx([40] * 3, abs=6)
    assert label_of(path)["Label"] == "1"
    assert read_settings(path)["settings"]["frames"] == 3


def test_transparent_frames_stay_so_in_webp(tmp_path):
    pieces = frames(channels=4)
    for piece, cover in zip(pieces, (255, 0, 255), strict=True):
        piece.image[..., 3] = cover
    [path] = export_pieces(pieces, tmp_path, format_named("webp-film", "image"))
    with Image.open(path) as film:
        film.seek(1)
        assert np.asarray(film.convert("RGBA"))[0, 0, 3] == 0


@pytest.mark.parametrize("name", ["gif", "webp-film"])
def test_frames_of_different_sizes_are_a_sentence(tmp_path, name):
    with pytest.raises(UserError, match="one size"):
        export_pieces([*frames(1), *frames(1, edge=16)], tmp_path, format_named(name, "image"))
    assert list(tmp_path.iterdir()) == []


def test_without_ffmpeg_mp4_says_why_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ffmpeg" in next(each for each in formats() if each.name == "mp4").missing()
    with pytest.raises(UserError, match="not installed") as caught:
        export_pieces(frames(), tmp_path / "out", format_named("mp4", "image"))
    assert "GIF" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
@pytest.mark.parametrize("refuses", ["", "first"])
def test_ffmpeg_gets_every_frame_and_the_note(tmp_path, monkeypatch, refuses):
    put_ffmpeg(tmp_path, monkeypatch, refuses)
    assert mp4.missing() == ""
    [path] = export_pieces(frames(), tmp_path / "out", format_named("mp4", "image"))
    assert label_of(path)["Label"] == "1"
    assert read_settings(path)["settings"]["frames"] == 3


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_what_ffmpeg_says_is_told(tmp_path, monkeypatch):
    put_ffmpeg(tmp_path, monkeypatch, "all")
    with pytest.raises(UserError, match="no encoder at all"):
        export_pieces(frames(), tmp_path / "out", format_named("mp4", "image"))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"AIGC": ', b'{"AIGC": 5}', b'{"AIGC": {}, "settings": 3}', b"[" * 9999])
def test_notes_that_are_none_are_none(content):
    assert read_note(content) == (None, None)


@pytest.mark.parametrize("content", [
    b"\0\0\0\x08ftyp\0\0\0\x08moov", b"\0\0\0\x01moov", b"\0\0\0\0mdat" * 3, b"\xff" * 40,
    b"\0\0\0\x01ftyp" + b"\xff" * 8,
])  # fmt: skip
def test_damaged_films_have_no_label(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    assert label_of(tmp_path / "x.mp4") is None
    assert read_settings(tmp_path / "x.mp4") is None
