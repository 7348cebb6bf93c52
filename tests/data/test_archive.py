"""Zip archives: good ones are unpacked into the data set, dangerous ones are refused before a byte is written."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from aigc_desktop.core.errors import UserError
from tests.data.conftest import Import, encoded, picture


def make_zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def raw_names(path: Path, replaced: dict[bytes, bytes], clear_utf8: bool = True) -> None:
    """Change names (of the same length) and the UTF-8 flag inside an archive."""
    data = bytearray(path.read_bytes())
    for old, new in replaced.items():
        assert len(old) == len(new)
        data = data.replace(old, new)
    if clear_utf8:
        for magic, flag_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = data.find(magic)
            while at >= 0:
                data[at + flag_at + 1] &= ~0x08
                at = data.find(magic, at + 4)
    path.write_bytes(data)


def test_pictures_from_a_zip_outlive_it(do_scan: Import, do_freeze, tmp_path: Path) -> None:
    entries = {
        f"set/{label}/{n}.png": encoded(picture(n + 10 * i)) for i, label in enumerate(["猫", "dog"]) for n in (1, 2)
    }
    archive = make_zip(
        tmp_path / "素 材.zip",
        {**entries, "set/broken.png": b"no", "set/LICENSE.txt": b"free", "__MACOSX/._x.png": b"junk"},
    )
    found = do_scan(archive, labels="folders")
    assert (found.result["usable"], found.result["classes"]) == (4, ["dog", "猫"])
    assert found["set/broken.png"].problem == "not_picture"
    assert found["set/LICENSE.txt"].problem == "about"
    archive.unlink()
    frozen = do_freeze(found.dataset, size=32, validation=0)
    assert frozen.result["train"] == 4
    assert not Path(found["set/dog/1.png"].source).is_absolute()


@pytest.mark.parametrize(("raw", "shown"), [
    ("图片.png".encode(), "图片.png"), ("照片.png".encode("gb18030"), "照片.png"),
    ("café.png".encode("cp437"), "café.png"),
])  # fmt: skip
def test_names_are_decoded(do_scan: Import, tmp_path: Path, raw: bytes, shown: str) -> None:
    placeholder = b"N" * (len(raw) - 4) + b".png"
    archive = make_zip(tmp_path / "a.zip", {placeholder.decode(): encoded(picture())})
    raw_names(archive, {placeholder: raw})
    assert do_scan(archive)[shown].problem == ""


@pytest.mark.parametrize("name", [
    "../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "C:evil.png", "..\\evil.png", "a\\b.png",
    "//host/x.png",
])  # fmt: skip
def test_names_that_leave_the_folder_refuse_the_archive(do_scan: Import, tmp_path: Path, workspace, name: str) -> None:
    archive = make_zip(tmp_path / "evil.zip", {"good.png": encoded(picture()), name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        do_scan(archive)
    assert "evil.zip" in caught.value.message
    assert "evil.png" in caught.value.message or "b.png" in caught.value.message or "x.png" in caught.value.message
    assert "import the folder" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_nul_in_a_name_is_refused(do_scan: Import, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "nul.zip", {"good@.png": encoded(picture())})
    raw_names(archive, {b"good@.png": b"good\0.png"})
    with pytest.raises(UserError, match=r"nul\.zip"):
        do_scan(archive)


def test_links_case_clashes_and_encryption_are_refused(do_scan: Import, tmp_path: Path) -> None:
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as out:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=r"link\.png.*link or a special file"):
        do_scan(link)
    clash = make_zip(tmp_path / "clash.zip", {"A.png": encoded(picture(1)), "a.PNG": encoded(picture(2))})
    with pytest.raises(UserError, match="there twice"):
        do_scan(clash)
    locked = make_zip(tmp_path / "locked.zip", {"a.png": encoded(picture())})
    data = bytearray(locked.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(data)
    with pytest.raises(UserError, match="encrypted"):
        do_scan(locked)


def test_bombs_stop_before_they_grow(do_scan: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = make_zip(tmp_path / "bomb.zip", {"zeros.bmp": b"\0" * 50_000_000})
    with pytest.raises(UserError, match="50 MB, more than 100 times"):
        do_scan(bomb)
    liar = make_zip(tmp_path / "liar.zip", {"a.png": encoded(picture()), "zeros.bmp": b"\0" * 900_000})
    data = bytearray(liar.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    liar.write_bytes(data)
    assert do_scan(liar)["zeros.bmp"].problem == "corrupt"
    many = make_zip(tmp_path / "many.zip", {f"{n}.png": b"x" for n in range(30)})
    monkeypatch.setattr("aigc_desktop.data.archive.MAX_ENTRIES", 20)
    with pytest.raises(UserError, match="more than 20 entries"):
        do_scan(many)


def test_overlapping_entries_are_refused(do_scan: Import, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "overlap.zip", {"a.png": os.urandom(5000), "b.png": os.urandom(5000)})
    data = bytearray(archive.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 50)
    archive.write_bytes(data)
    with pytest.raises(UserError, match=r"overlap\.zip"):
        do_scan(archive)


def test_an_archive_with_one_bad_entry_gives_the_others(do_scan: Import, tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "crc.zip", {"a.png": encoded(picture(1)), "b.png": encoded(picture(2))}, zipfile.ZIP_STORED
    )
    data = bytearray(archive.read_bytes())
    data[data.index(b"b.png") + 200] ^= 0xFF
    archive.write_bytes(data)
    found = do_scan(archive)
    assert found["b.png"].problem == "corrupt"
    assert "“b.png”" in found["b.png"].detail
    assert found["a.png"].problem == ""


def test_archives_inside_are_named_not_opened(do_scan: Import, tmp_path: Path, source: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"x.png": encoded(picture())}).read_bytes()
    outer = make_zip(tmp_path / "outer.zip", {"inner.zip": inner, "a.png": encoded(picture(1))})
    assert do_scan(outer)["inner.zip"].problem == "archive"
    (source / "a.png").write_bytes(encoded(picture()))
    (source / "inner.zip").write_bytes(inner)
    assert "an archive" in do_scan(source)["inner.zip"].detail


def test_empty_damaged_and_cut_archives_are_one_sentence(do_scan: Import, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty"):
        do_scan(make_zip(tmp_path / "none.zip", {}))
    whole = make_zip(tmp_path / "whole.zip", {"a.png": encoded(picture())}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    with pytest.raises(UserError, match=r"cut\.zip.*damaged") as caught:
        do_scan(tmp_path / "cut.zip")
    assert "Download it again" in caught.value.hint


def test_texts_from_a_zip(do_scan: Import, do_freeze, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "t.zip", {"a/x.txt": "一\n二\n三\n".encode(), "b/y.jsonl": b'{"text": "four"}\n'})
    found = do_scan(archive, labels="folders", text_item="line")
    assert found.texts() == ["一", "二", "三", "four"]
    assert [record.label for record in found.records] == ["a", "a", "a", "b"]


def mutants(count: int, seed: int) -> list[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/good.png", encoded(picture(side=20)))
        archive.writestr("b/text.txt", "hello " * 50)
    whole, rng = out.getvalue(), random.Random(seed)
    heads = [at for at in range(len(whole)) if whole.startswith(b"PK", at)]
    made = []
    for _number in range(count):
        data = bytearray(whole)
        for _change in range(rng.randint(1, 4)):
            at = rng.choice(heads) + rng.randint(0, 46) if rng.random() < 0.7 else rng.randrange(len(data))
            data[min(at, len(data) - 1)] = rng.choice((0, 0xFF, 0x7F, rng.randrange(256)))
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        made.append(bytes(data))
    return made


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # power loss is not the matter here, and it takes 7 ms


def _unpack_mutants(tmp_path: Path, count: int) -> None:
    from aigc_desktop.data.archive import extract

    target, path = tmp_path / "out", tmp_path / "m.zip"
    target.mkdir()
    outcomes = {"good": 0, "refused": 0}
    for data in mutants(count, count):
        path.write_bytes(data)
        try:
            list(extract(path, target / "files", target))
            outcomes["good"] += 1
        except UserError:
            outcomes["refused"] += 1
    assert all(outcomes.values())
    assert {p.name for p in tmp_path.iterdir()} == {"out", "m.zip"}
    assert {p.name for p in target.iterdir()} <= {"files"}


def test_1000_mutated_archives_are_unpacked_or_refused(tmp_path: Path) -> None:
    _unpack_mutants(tmp_path, 1000)


@pytest.mark.slow
def test_10000_mutated_archives_are_unpacked_or_refused(tmp_path: Path) -> None:
    _unpack_mutants(tmp_path, 10_000)
