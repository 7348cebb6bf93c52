"""Exported files are complete, labelled, readable by others, and never written over what is there."""

from __future__ import annotations

import csv
import errno
import gc
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.export import export
from aigc_desktop.export.export import (
    export_pieces,
    file_stem,
    format_named,
    formats,
    label_of,
    read_settings,
)
from aigc_desktop.export.formats.csv_table import harmless
from aigc_desktop.export.formats.png import text_chunks
from aigc_desktop.export.label import (
    SOURCE_TYPE,
    VISIBLE,
    AigcLabel,
    label_in_xmp,
    new_label,
    parse_label,
    xmp_packet,
    xmp_values,
)
from aigc_desktop.export.piece import Options, Piece, parse_settings, settings_json
from aigc_desktop.export.pixels import read_xmp
from aigc_desktop.export.sidecar import sidecar

ORIGIN = {
    "task": "image_gan.generate", "model": "2026-11-23_140511_image_gan", "checkpoint": "000500", "seed": 7,
    "label": "杯 & <cup>", "dataset_hash": "ab", "settings": {"count": 4, "wildness": 0.7, "prompt": '"say" <b>'},
}  # fmt: skip


def _image(channels: int = 3, title: str = "红 cup") -> Piece:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, channels), dtype=np.uint8)
    return Piece("image", title, pixels, origin=ORIGIN)


def _text(text: str = "First line 第一行\nsecond", title: str = "A text") -> Piece:
    return Piece("text", title, text=text, origin=ORIGIN)


def _piece(kind: str) -> Piece:
    return _image() if kind == "image" else _text()


def test_every_format_is_found_by_its_constant():
    assert [each.name for each in formats("image")] == ["png", "jpeg", "webp", "svg", "gif", "webp-film", "mp4"]
    assert [each.name for each in formats("text")] == ["txt", "docx", "jsonl", "csv"]


@pytest.mark.parametrize("name", [each.name for each in formats() if not each.missing()])
def test_every_format_carries_label_and_settings_that_read_back(tmp_path, name):
    to = next(each for each in formats() if each.name == name)
    [path] = export_pieces([_piece(to.kind)], tmp_path / "出口 out", to)
    label = label_of(path)
    assert label["Label"] == "1"
    assert label["ContentProducer"] == label["ContentPropagator"] == "AIGC-Desktop"
    assert label["ProduceID"] == label["PropagateID"]
    settings = read_settings(path)
    for key, value in ORIGIN.items():
        assert settings[key] == value, key
    leftovers = [file for file in path.parent.iterdir() if file not in (path, sidecar(path))]
    assert leftovers == []


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_and_webp_keep_the_pixels_and_jpeg_lays_them_on_white(tmp_path, channels):
    piece = _image(channels)
    [path] = export_pieces([piece], tmp_path, format_named("png", "image"))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), piece.pixels[..., 0] if channels == 1 else piece.pixels)
    clear = replace(piece, image=np.zeros((8, 8, 4), np.uint8))
    [path] = export_pieces([clear], tmp_path, format_named("jpg", "image"))
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert image.getpixel((4, 4)) == (255, 255, 255)
    [path] = export_pieces([clear], tmp_path, format_named("webp", "image"))
    with Image.open(path) as image:
        assert image.convert("RGBA").getpixel((4, 4))[3] == 0


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_another_program_finds_one_label_and_the_source_type(tmp_path, name):
    [path] = export_pieces([_image()], tmp_path, format_named(name, "image"))
    packet = read_xmp(path, name)
    assert packet.count(b"<TC260:AIGC>") == 1
    assert xmp_values(packet)["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"] == SOURCE_TYPE
    assert path.read_bytes().count(b"<TC260:AIGC>") == 1
    if name == "PNG":
        assert set(text_chunks(path)) == {"aigc-desktop", "XML:com.adobe.xmp"}


def test_the_label_allows_only_what_the_standard_allows():
    for wrong in ("公司", "a b", 'a"b', "a\\b", "a\n"):
        with pytest.raises(ValueError, match="printable"):
            AigcLabel("id", producer=wrong)
    numbers = {new_label().produce_id for _ in range(100)}
    assert len(numbers) == 100
    assert all(number[12] == "7" and number[16] in "89ab" for number in numbers)


def test_labels_of_both_forms_are_read_and_nonsense_is_not():
    label = new_label()
    assert parse_label(label.json()) == label.values()
    assert parse_label(json.dumps({"AIGC": label.values()})) == label.values()
    for nonsense in ("", "{", "[]", "1", '{"Label": "9"}', "[" * 100_000):
        assert parse_label(nonsense) is None
    assert label_in_xmp(xmp_packet(label)) == label.values()
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]>' + xmp_packet(label)
    assert label_in_xmp(bomb) is None
    assert label_in_xmp(b"\xff\xfe<x") is None


@given(st.text(max_size=200), st.integers(0, 2**53))
def test_settings_with_any_text_survive_in_xmp(text, seed):
    text = text.encode("utf-8", "replace").decode()
    piece = replace(_text(), origin={**ORIGIN, "seed": seed, "settings": {"prompt": text}})
    packet = xmp_packet(new_label(), settings_json(piece))
    found = xmp_values(packet).get("{urn:aigc-desktop:1}Settings", "")
    read = parse_settings(found)
    # XML cannot hold most control characters; JSON writes those as escapes, so nothing is lost
    assert read is not None
    assert read["settings"]["prompt"] == text or any(ord(c) in (0x7F, *range(0x80, 0xA0), 0xFFFE, 0xFFFF) for c in text)
    assert read["seed"] == seed


def test_no_path_of_this_computer_is_written(tmp_path):
    paths = {"folder": "/home/anna/secret", "file": "C:\\Users\\anna"}
    origin = {**ORIGIN, "settings": {**paths, "caption": "~ wave", "count": 1}}
    [path] = export_pieces([replace(_image(), origin=origin)], tmp_path, format_named("png", "image"))
    assert b"anna" not in path.read_bytes()
    assert read_settings(path)["settings"] == {"count": 1, "caption": "~ wave"}


def test_what_exists_is_never_written_over(tmp_path):
    png = format_named("png", "image")
    (tmp_path / "红 cup.png").write_text("mine", encoding="utf-8")
    files = export_pieces([_image(), _image()], tmp_path, png)
    assert [file.name for file in files] == ["红 cup 2.png", "红 cup 3.png"]
    assert (tmp_path / "红 cup.png").read_text(encoding="utf-8") == "mine"
    [file] = export_pieces([_image()], tmp_path, png, overwrite=True)
    assert file.name == "红 cup.png"
    assert label_of(file) is not None
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        export_pieces([_image()], tmp_path, png, "folder", overwrite=True)


def test_names_come_from_the_pattern_and_suit_every_system():
    piece = replace(_image(), title='a/b:c*?"<>|\n')
    assert file_stem("{title}", piece, 1) == "a b c"
    assert file_stem("{number} {seed} {checkpoint}", piece, 12) == "0012 7 000500"
    assert file_stem("{title}", replace(piece, title="CON"), 1) == "_CON"
    assert file_stem("{title}", replace(piece, title="…/../"), 1) not in ("", ".", "..")
    for wrong in ("{path}", "{", "{0}", "{title.__class__}"):
        with pytest.raises(UserError, match="cannot be used"):
            file_stem(wrong, piece, 1)


def test_a_file_whose_label_cannot_be_read_back_is_not_there(tmp_path):
    png = format_named("png", "image")
    silent = replace(png, read_label=lambda path: None)
    with pytest.raises(UserError, match="label for generated content"):
        export_pieces([_image()], tmp_path, silent)
    assert list(tmp_path.iterdir()) == []

    def careless(path, pieces, label, options):
        Image.fromarray(pieces[0].pixels).save(path, "PNG")

    with pytest.raises(UserError, match="label for generated content"):
        export_pieces([_image()], tmp_path, replace(png, write=careless))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    png = format_named("png", "image")
    [path] = export_pieces([_image()], tmp_path, png)
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(export.os, "fsync", full)
        export_pieces([_image()], tmp_path, png, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_settings_too_long_for_jpeg_are_a_sentence(tmp_path):
    piece = replace(_image(), origin={**ORIGIN, "settings": {"prompt": "字" * 30_000}})
    with pytest.raises(UserError, match="too long for a JPEG"):
        export_pieces([piece], tmp_path, format_named("jpeg", "image"))
    [path] = export_pieces([piece], tmp_path, format_named("webp", "image"))
    assert read_settings(path)["settings"]["prompt"] == "字" * 30_000


@pytest.mark.parametrize("name", ["webp", "webp-film"])
def test_a_picture_too_long_for_webp_is_a_sentence(tmp_path, name):
    long = Piece("image", "strip", np.zeros((2, 16384, 3), np.uint8))
    with pytest.raises(UserError, match="16384 × 2") as caught:
        export_pieces([long, long], tmp_path, format_named(name, "image"))
    assert "another format" in caught.value.hint and not list(tmp_path.iterdir())


def test_txt_is_the_text_with_a_line_for_readers(tmp_path):
    [path] = export_pieces([_text()], tmp_path, format_named("txt", "text"))
    assert path.read_text(encoding="utf-8") == f"First line 第一行\nsecond\n\n{VISIBLE}\n"
    [path] = export_pieces([_text()], tmp_path, format_named("txt", "text"), options=Options(line="none"))
    assert path.read_text(encoding="utf-8") == "First line 第一行\nsecond\n"
    assert sidecar(path).is_file()
    assert path.name == "A text 2.txt"
    [path] = export_pieces([_text()], tmp_path, format_named("txt", "text"), options=Options(line="start"))
    assert path.read_text(encoding="utf-8") == f"{VISIBLE}\n\nFirst line 第一行\nsecond\n"


def test_a_word_document_is_dated_now(tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    [path] = export_pieces([Piece("text", "a", text="b")], tmp_path, format_named("docx", "text"))
    told = docx.Document(str(path)).core_properties
    for date in (told.created, told.modified):
        assert before <= date.replace(tzinfo=UTC) <= datetime.now(UTC)


def test_a_document_that_does_not_fit_is_told_once_and_leaves_nothing(tmp_path, monkeypatch):
    unheard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: unheard.append(about.exc_value))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    try:
        try:
            export_pieces([Piece("text", "a", text="b")], tmp_path / "out", format_named("docx", "text"))
        except OSError as error:  # pytest.raises would keep the traceback, and with it the archive
            told = error.errno
        gc.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told == errno.EFBIG and not unheard and not list((tmp_path / "out").iterdir())


def test_jsonl_csv_and_docx_hold_all_texts(tmp_path):
    pieces = [_text("one", "1"), _text("=SUM(A1)", "@2"), _text("三\n四", "3")]
    [path] = export_pieces(pieces, tmp_path, format_named("jsonl", "text"))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["one", "=SUM(A1)", "三\n四"]
    assert all(line["AIGC"]["Label"] == "1" and line["settings"]["seed"] == 7 for line in lines)
    [path] = export_pieces(pieces, tmp_path, format_named("csv", "text"))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["text"] for row in rows] == ["one", "'=SUM(A1)", "三\n四"]
    assert rows[1]["title"] == "'@2"
    [path] = export_pieces(pieces, tmp_path, format_named("docx", "text"))
    written = [paragraph.text for paragraph in docx.Document(str(path)).paragraphs]
    assert written == ["1", "one", "@2", "=SUM(A1)", "3", "三", "四", VISIBLE]
    [start] = export_pieces(pieces, tmp_path, format_named("docx", "text"), options=Options(line="start"))
    assert [paragraph.text for paragraph in docx.Document(str(start)).paragraphs][:2] == [VISIBLE, "1"]
    with zipfile.ZipFile(path) as archive:
        assert b'name="AIGC"' in archive.read("docProps/custom.xml")
        assert archive.testzip() is None


@given(st.text(max_size=50))
def test_no_cell_begins_like_a_formula(text):
    assert harmless(text).lstrip(" \u3000\ufeff\xa0")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n", "|")


@pytest.mark.parametrize("text", ["a\x00b\x07c", "\ud800 lone", "\ufffe", "]]>", "&amp;", ""])
def test_texts_with_strange_characters_are_exported(tmp_path, text):
    for to in formats("text"):
        [path] = export_pieces([_text(text.encode("utf-8", "replace").decode(), "t")], tmp_path, to)
        assert label_of(path) is not None


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\xffiTXtabc", b"\xff\xd8\xff", b"PK"]
)
@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".gif", ".mp4", ".txt", ".jsonl", ".csv", ".docx", ".bin"])
def test_foreign_and_damaged_files_have_no_settings(tmp_path, content, ending):
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    assert read_settings(path) is None
    assert label_of(path) is None
    assert read_settings(tmp_path / f"missing{ending}") is None


def test_settings_are_data_and_nothing_else():
    assert parse_settings('{"task": "a.b", "settings": {}}') == {"task": "a.b", "settings": {}}
    for wrong in ("", "[]", "{}", '{"task": 1, "settings": {}}', '{"task": "a", "settings": []}', "[" * 99_999):
        assert parse_settings(wrong) is None


def test_unknown_formats_are_named():
    with pytest.raises(UserError, match="no file format") as caught:
        format_named("tiff", "image")
    assert "png, jpeg, webp" in caught.value.hint


_EXPORTER = """
import sys
from pathlib import Path
import numpy as np
from aigc_desktop.export.export import export_pieces, format_named
from aigc_desktop.export.piece import Piece
png = format_named("png", "image")
pieces = [Piece("image", "same", np.full((64, 64, 3), i, np.uint8)) for i in range(20)]
print("ready", flush=True)
while True:
    export_pieces(pieces, Path(sys.argv[1]), png, overwrite=True)
"""


_STUCK = """
import sys, time
from dataclasses import replace
from pathlib import Path
from aigc_desktop.export.export import export_pieces, format_named
from aigc_desktop.export.piece import Piece

def write(path, *rest):
    path.write_text("half"); path.with_name(path.name + ".aigc.json").write_text("{}")
    print("writing", flush=True); time.sleep(60)

stuck = replace(format_named("txt", "text"), write=write)
export_pieces([Piece("text", "poem", text="words")], Path(sys.argv[1]), stuck)
"""


def test_what_a_killed_export_left_goes_with_the_next_into_that_folder(tmp_path):
    users = {tmp_path / name for name in (".notes.partial.txt.old", "poem.partial.txt", ".partial", ".a.partial.blend")}
    for path in users:
        path.touch()
    (tmp_path / ".link.partial.png").symlink_to(tmp_path / "poem.partial.txt")
    (tmp_path / ".folder.partial.png").mkdir()
    other = Piece("text", "other", text="words")
    stuck = [sys.executable, "-c", _STUCK, str(tmp_path)]
    with subprocess.Popen(stuck, stdout=subprocess.PIPE, text=True) as exporter:
        assert exporter.stdout.readline() == "writing\n"
        left = {tmp_path / ".poem.txt.partial.txt", tmp_path / ".poem.txt.partial.txt.aigc.json"}
        for path in [*left, *users]:
            os.utime(path, (0, 0))
        export_pieces([other], tmp_path, format_named("jsonl", "text"))
        assert all(path.exists() for path in left)  # somebody is at work
        exporter.kill()
    export_pieces([other], tmp_path, format_named("txt", "text"))
    assert not any(path.exists() for path in left) and all(path.exists() for path in users)
    assert (tmp_path / ".link.partial.png").is_symlink() and (tmp_path / ".folder.partial.png").is_dir()


def test_kill_during_export_leaves_whole_files(tmp_path):
    dice = random.Random(2)
    for _trial in range(5):
        exporter = subprocess.Popen([sys.executable, "-c", _EXPORTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert exporter.stdout.readline() == "ready\n"
        threading.Timer(dice.uniform(0.05, 0.3), os.kill, [exporter.pid, signal.SIGKILL]).start()
        exporter.communicate()
        target = Path(tmp_path / "same.png")
        if target.exists():
            with Image.open(target) as image:
                image.load()
            assert label_of(target) is not None
