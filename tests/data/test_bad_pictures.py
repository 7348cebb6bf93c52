"""Every kind of bad picture gets one sentence that names it and says what to do, and harms nothing."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from aigc_desktop.core.dataset import ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import set_language
from aigc_desktop.data import pictures
from aigc_desktop.data.pictures import cut_picture, inspect_picture
from aigc_desktop.data.problems import ItemProblem
from aigc_desktop.data.sources import join_sources, parse_sources
from tests.data.conftest import Import, encoded, picture


def assert_told(record: ItemRecord, code: str, advice: str) -> None:
    """Assert that the record has this problem and that its sentence names the file and the way out."""
    assert record.problem == code
    assert f"“{record.name}”" in record.detail
    assert advice in record.detail
    assert "Traceback" not in record.detail


def add_good(folder: Path, count: int = 1) -> None:
    for number in range(count):
        (folder / f"good{number}.png").write_bytes(encoded(picture(1000 + number)))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_empty_folder_is_one_sentence(do_scan: Import, source: Path, workspace) -> None:
    with pytest.raises(UserError, match="is empty") as caught:
        do_scan(source)
    assert str(source) in caught.value.message
    assert "Choose a folder" in caught.value.hint
    assert not list((workspace.folder / "datasets").iterdir())


def test_folder_without_usable_pictures_says_why(do_scan: Import, source: Path, workspace) -> None:
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(UserError, match="no usable pictures: 1 cut off") as caught:
        do_scan(source)
    assert "“broken.png”" in caught.value.hint
    assert not list((workspace.folder / "datasets").iterdir())


def test_one_picture_works_with_a_warning(do_scan: Import, do_freeze, source: Path) -> None:
    add_good(source)
    imported = do_scan(source)
    assert imported.result["usable"] == 1
    assert any("Only 1 usable item" in note for note in imported.notes)
    frozen = do_freeze(imported.dataset)
    assert (frozen.result["train"], frozen.result["validation"]) == (1, 0)
    assert any("No item is kept apart" in note for note in frozen.notes)


@pytest.mark.parametrize(("format_name", "suffix"), [
    ("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif"), ("TIFF", "tif"), ("BMP", "bmp"),
])  # fmt: skip
def test_truncated_picture_is_named(do_scan: Import, source: Path, format_name: str, suffix: str) -> None:
    add_good(source)
    data = encoded(picture(), format_name)
    (source / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    record = do_scan(source)[f"cut.{suffix}"]
    assert record.problem in ("truncated", "corrupt")
    if format_name != "TIFF":
        assert_told(record, "truncated", "Copy or download it again")


def test_each_bad_file_has_its_code_and_its_advice(do_scan: Import, source: Path) -> None:
    add_good(source, 2)
    (source / "zero.png").write_bytes(b"")
    (source / "small.png").write_bytes(encoded(picture(side=5)))
    data = bytearray(encoded(picture()))
    data[60] ^= 0xFF
    (source / "damaged.png").write_bytes(data)
    (source / "twin.png").write_bytes((source / "good0.png").read_bytes())
    (source / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (source / "paper.png").write_bytes(b"%PDF-1.7 ...")
    (source / "layers.psd").write_bytes(b"8BPS" + b"\0" * 40)
    (source / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    (source / "notes.txt").write_text("hello", encoding="utf-8")
    (source / "README.txt").write_text("about these pictures", encoding="utf-8")
    found = do_scan(source)
    assert found.result["usable"] == 2
    assert_told(found["zero.png"], "empty", "Copy it again")
    assert_told(found["small.png"], "too_small", "lower the minimum side")
    assert "5 × 5" in found["small.png"].detail
    assert_told(found["damaged.png"], "corrupt", "save it again")
    assert_told(found["twin.png"], "duplicate", "Remove duplicates")
    for name, kind in (
        ("drawing.svg", "SVG"),
        ("paper.png", "PDF"),
        ("layers.psd", "Photoshop"),
        ("phone.jpg", "HEIC"),
    ):
        assert_told(found[name], "unsupported", "Use PNG, JPEG")
        assert kind in found[name].detail
    assert_told(found["notes.txt"], "not_picture", "is not a picture. Use PNG")
    assert_told(found["README.txt"], "about", "Nothing to do")
    assert found.result["problems"] == {
        "empty": 1, "too_small": 1, "corrupt": 1, "duplicate": 1, "unsupported": 4, "about": 1, "not_picture": 1,
    }  # fmt: skip
    assert {entry["name"] for entry in found.result["first_problems"]} == {r.name for r in found.records if r.problem}


def test_reasons_are_in_the_users_language_when_there_is_a_catalogue(do_scan: Import, source: Path) -> None:
    add_good(source)
    (source / "空.png").write_bytes(b"")
    set_language("en")
    assert do_scan(source)["空.png"].detail.startswith("“空.png” is empty.")


def test_mislabelled_picture_is_used_and_noted(do_scan: Import, do_freeze, source: Path) -> None:
    (source / "really_jpeg.png").write_bytes(encoded(picture(1), "JPEG"))
    (source / "no_ending").write_bytes(encoded(picture(2)))
    (source / "UPPER.PNG").write_bytes(encoded(picture(3)))
    found = do_scan(source, kind="image")
    assert found.result["usable"] == 3
    assert found["really_jpeg.png"].note == "mislabelled"
    assert "JPEG" in found["really_jpeg.png"].detail
    assert found["UPPER.PNG"].note == found["no_ending"].note == ""
    assert do_freeze(found.dataset, size=32).result["train"] == 2


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (8_001, 8_001), (32_769, 10), (10, 2_000_000_000)])
def test_bomb_is_refused_from_its_header(do_scan: Import, source: Path, width: int, height: int) -> None:
    add_good(source)
    (source / "bomb.png").write_bytes(png_header(width, height))
    began = time.monotonic()
    with pytest.raises(ItemProblem):
        inspect_picture((source / "bomb.png").read_bytes())
    assert time.monotonic() - began < 0.5
    assert_told(do_scan(source)["bomb.png"], "too_large", "Make it smaller")


def test_animated_pictures_give_their_first_frame(do_scan: Import, do_freeze, source: Path) -> None:
    formats = (("GIF", "gif"), ("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp"))
    for number, (format_name, suffix) in enumerate(formats):
        frames = [Image.new("RGB", (40, 40), colour) for colour in ((255, 0, number), (0, 128, 0), (0, 0, 255))]
        options = {"lossless": True} if format_name == "WEBP" else {}
        data = encoded(frames[0], format_name, save_all=True, append_images=frames[1:], **options)
        (source / f"film.{suffix}").write_bytes(data)
    found = do_scan(source)
    assert {record.note for record in found.records} == {"animated"}
    images = do_freeze(found.dataset, size=32, validation=0).dataset.images("train")
    for number, image in enumerate(images):
        assert (image == (255, 0, number)).all()


def test_gif_with_100000_frames_is_quick() -> None:
    data = encoded(Image.new("P", (16, 16)), "GIF")
    frame = data[data.index(b",") : -1]
    began = time.monotonic()
    inspect_picture(data[:-1] + frame * 100_000 + b";")
    assert time.monotonic() - began < 1.0


def test_special_colour_modes_become_rgb() -> None:
    gradient = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    as16 = Image.fromarray(gradient.astype(np.uint16))
    eight = np.asarray(Image.fromarray((gradient / 257).astype(np.uint8)).resize((32, 32), Image.Resampling.LANCZOS))
    for format_name in ("PNG", "TIFF"):
        pixels = cut_picture(encoded(as16, format_name), 32, 32)
        assert np.abs(pixels[..., 0].astype(int) - eight).max() <= 2
    floats = Image.fromarray((gradient / 65535).astype(np.float32))
    assert np.abs(cut_picture(encoded(floats, "TIFF"), 32, 32)[..., 0].astype(int) - eight).max() <= 2
    cmyk = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    red = cut_picture(encoded(cmyk, "JPEG", quality=100), 32, 32)[16, 16]
    assert red[0] > 200 and red[1] < 60 and red[2] < 60
    lab = Image.new("LAB", (40, 40), (128, 128, 128))
    assert np.abs(cut_picture(encoded(lab, "TIFF"), 32, 32)[16, 16].astype(int) - 119).max() <= 3
    for mode in ("1", "L", "P", "LA"):
        pixels = cut_picture(encoded(Image.new(mode, (40, 40), 0).copy(), "PNG"), 32, 32)
        assert pixels.shape == (32, 32, 3)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (cut_picture(encoded(clear), 32, 32) == 255).all()
    half = Image.new("RGBA", (40, 40), (255, 0, 0, 128))
    assert np.abs(cut_picture(encoded(half), 32, 32)[5, 5].astype(int) - (255, 127, 127)).max() <= 1
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert (cut_picture(encoded(palette, "PNG", transparency=0), 32, 32) == 255).all()
    keyed = encoded(Image.new("RGB", (40, 40), (9, 9, 9)), "PNG", transparency=(9, 9, 9))
    assert (cut_picture(keyed, 32, 32) == 255).all()


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])  # Pillow turns TIFFs by itself
@pytest.mark.parametrize("orientation", range(1, 9))
def test_camera_rotation_is_applied(orientation: int, format_name: str) -> None:
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = (255, 0, 0)
    upright[:20, 30:] = (0, 255, 0)
    upright[20:, :30] = (0, 0, 255)
    back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # fmt: skip
    stored = Image.fromarray(upright)
    stored = stored.transpose(back[orientation]) if orientation > 1 else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, format_name, exif=exif)
    facts = inspect_picture(data)
    assert (facts.width, facts.height) == (60, 40)
    assert (cut_picture(data, 40, 40) == upright[:, 10:50]).all()


def test_profile_is_converted_to_srgb_and_a_damaged_one_ignored() -> None:
    flat = Image.new("RGB", (40, 40), (200, 60, 60))
    plain = cut_picture(encoded(flat), 32, 32)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(cut_picture(encoded(flat, icc_profile=srgb), 32, 32).astype(int) - plain).max() <= 1
    assert (cut_picture(encoded(flat, icc_profile=b"no profile at all" * 20), 32, 32) == plain).all()
    xyz = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert cut_picture(encoded(flat, icc_profile=xyz), 32, 32).shape == (32, 32, 3)


def test_mixed_sizes_are_fitted_and_cut_in_the_middle(do_scan: Import, do_freeze, source: Path) -> None:
    wide = np.zeros((50, 200, 3), np.uint8)
    wide[:, 75:125] = 255
    (source / "wide.png").write_bytes(encoded(Image.fromarray(wide)))
    (source / "tall.png").write_bytes(encoded(Image.fromarray(wide.swapaxes(0, 1) // 2)))
    (source / "tiny.png").write_bytes(encoded(picture(side=16)))
    (source / "big.jpg").write_bytes(encoded(Image.new("RGB", (3000, 2000), (10, 200, 30)), "JPEG"))
    images = do_freeze(do_scan(source).dataset, size=64, validation=0).dataset.images("train")
    assert images.shape == (4, 64, 64, 3)
    assert images[3, 2:-2, 2:-2].min() == 255  # wide.png
    assert np.abs(images[0].astype(int) - (10, 200, 30)).max() <= 2


def test_links_loops_and_special_files_neither_hang_nor_leave_the_folder(do_scan: Import, source: Path) -> None:
    add_good(source)
    outside = source.parent / "outside.png"
    outside.write_bytes(encoded(picture(7)))
    (source / "loop").symlink_to(source)
    (source / "self.png").symlink_to(source / "self.png")
    (source / "out.png").symlink_to(outside)
    (source / "out_folder").symlink_to(source.parent)
    (source / "inside.png").symlink_to(source / "good0.png")
    os.mkfifo(source / "pipe.png")
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(source)
    try:
        server.bind("socket.png")
        found = do_scan(source)
    finally:
        os.chdir(here)
        server.close()
    assert found.result["usable"] == 1
    assert_told(found["loop"], "link", "Copy what it leads to")
    assert_told(found["out.png"], "link", "Copy what it leads to")
    assert_told(found["out_folder"], "link", "Copy what it leads to")
    assert_told(found["self.png"], "unreadable", "Check its permissions")
    assert found["inside.png"].problem == "duplicate"
    assert_told(found["pipe.png"], "special", "Leave it out")
    assert_told(found["socket.png"], "special", "Leave it out")


@pytest.mark.parametrize("name", ["pipe.png", "pipe.zip"])
def test_a_pipe_chosen_by_itself_is_told_at_once(do_scan: Import, source: Path, name: str) -> None:
    os.mkfifo(source / name)
    with pytest.raises(UserError, match="1 no ordinary file"):
        do_scan(source / name)


def test_why_a_file_cannot_be_read_is_said_in_the_language_of_the_user(do_scan: Import, source: Path) -> None:
    add_good(source)
    (source / "dead.png").symlink_to(source / "gone.png")
    (source / "self.png").symlink_to(source / "self.png")
    set_language("zh_CN")
    try:
        found = do_scan(source)
    finally:
        set_language("en")
    assert "“dead.png”：不存在" in found["dead.png"].detail
    assert "“self.png”：链接指向自身" in found["self.png"].detail


def test_a_pipe_that_appears_after_the_listing_does_not_hang(source: Path) -> None:
    os.mkfifo(source / "late.png")
    with pytest.raises(ItemProblem) as caught:
        pictures.read_file(source / "late.png")
    assert caught.value.code == "special"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make files another user cannot read")
def test_unreadable_folder_and_file_are_listed(source: Path, workspace) -> None:
    add_good(source)
    (source / "locked").mkdir()
    (source / "locked" / "in.png").write_bytes(encoded(picture(1)))
    (source / "secret.png").write_bytes(encoded(picture(2)))
    (source / "secret.png").chmod(0)
    (source / "locked").chmod(0)
    code = textwrap.dedent(f"""
        import os
        from pathlib import Path
        from aigc_desktop.core.config import check
        from aigc_desktop.core.run import Run
        from aigc_desktop.data.scan import ScanConfig, scan
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
        folder = Path({str(workspace.folder)!r})
        list(scan(check(ScanConfig, {{"source": {str(source)!r}, "title": "t"}}), Run(folder, folder)))
    """)
    for path in (workspace.folder, workspace.folder / "datasets"):
        path.chmod(0o777)
    for parent in workspace.folder.parents:
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    (source / "locked").chmod(0o755)
    from aigc_desktop.data.items import read_items

    records = {record.name: record for record in read_items(workspace.dataset("t").items_file)}
    assert_told(records["locked/"], "unreadable", "Check its permissions")
    assert_told(records["secret.png"], "unreadable", "Check its permissions")
    assert "permission is missing" in records["secret.png"].detail
    assert not records["good0.png"].problem


def test_any_name_works(do_scan: Import, do_freeze, source: Path) -> None:
    deep = source
    for _level in range(12):
        deep = deep / ("深 folder " * 4)
        deep.mkdir()
    assert len(str(deep)) > 400
    names = ["a b.png", "猫 é 😀.png", "new\nline.png", "x" * 251 + ".png", "CON.png", "trailing .png", "‮gnp.png"]
    for number, name in enumerate(names):
        (deep / name).write_bytes(encoded(picture(number)))
    raw = os.fsencode(source) + b"/bad\xff\xfename.png"
    with open(raw, "wb") as f:
        f.write(encoded(picture(99)))
    found = do_scan(source, labels="folders")
    assert found.result["usable"] == len(names) + 1
    assert any("new\ufffdline" in record.name for record in found.records)
    assert found["bad\ufffd\ufffdname.png"].problem == ""
    assert not any("\u202e" in record.name for record in found.records)
    frozen = do_freeze(found.dataset, size=32)
    assert frozen.result["train"] + frozen.result["validation"] == len(names) + 1


def test_several_sources_survive_one_setting(tmp_path: Path) -> None:
    names = ["plain", " spaced ", "new\nline", "100%", "文件", os.fsdecode(b"raw\xff")]
    paths = [str(tmp_path / name) for name in names]
    for path in paths:
        Path(path).mkdir()
    assert parse_sources(join_sources(paths)) == paths
    assert parse_sources(join_sources(paths[5:])) == paths[5:]
    with pytest.raises(UserError, match="is not there"):
        parse_sources(str(tmp_path / "missing"))
    with pytest.raises(UserError, match="Nothing was chosen"):
        parse_sources(" \n ")


def test_labels_come_from_sub_folders(do_scan: Import, do_freeze, source: Path) -> None:
    for number, label in enumerate(["cats", "cats", "狗", "狗", "狗"]):
        (source / "set" / label / "more").mkdir(parents=True, exist_ok=True)
        (source / "set" / label / "more" / f"{number}.png").write_bytes(encoded(picture(number)))
    (source / "LICENSE.txt").write_text("free", encoding="utf-8")
    found = do_scan(source, labels="folders")
    assert (found.result["classes"], found.result["class_counts"]) == (["cats", "狗"], [2, 3])
    dataset = do_freeze(found.dataset, size=32, validation=0).dataset
    assert dataset.labels("train").tolist() == [0, 0, 1, 1, 1]


def test_several_folders_are_labels_themselves(do_scan: Import, source: Path) -> None:
    for number, label in enumerate(["cats", "dogs"]):
        (source / label).mkdir()
        (source / label / "x.png").write_bytes(encoded(picture(number)))
    paths = join_sources([str(source / "cats"), str(source / "dogs")])
    assert do_scan(paths, labels="folders").result["classes"] == ["cats", "dogs"]
