"""Editing on the command line: chains of edits in their order, batches, formats, and what is wrong in one sentence."""

import json

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.cli import main
from aigc_desktop.core.library import Library
from aigc_desktop.core.presets import Presets
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.editing.chain import PRESETS
from aigc_desktop.export.export import label_of
from aigc_desktop.export.piece import Piece
from aigc_desktop.export.results import keep

ORIGIN = {"task": "image_gan.generate", "model": "m", "seed": 7, "settings": {"count": 4}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "work 空间"
    monkeypatch.setenv("AIGC_DESKTOP_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "照片"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(256, size=(30, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_is_edited_by_a_chain_with_repeated_flags(folder, photos, tmp_path, capsys):
    out = tmp_path / "out"
    steps = ["--do", "resize", "--width", "100", "--do", "crop", "--width", "20", "--height", "10"]
    arguments = [*steps, "--out", str(out)]
    assert main(["edit", str(photos), *arguments, "--json"]) == 0
    files = [row["file"] for row in rows(capsys) if "file" in row]
    assert files == [str(out / "p0.png"), str(out / "p1.png")]
    with Image.open(files[0]) as image:
        assert image.size == (20, 10)
    assert sorted(path.name for path in photos.iterdir()) == ["p0.png", "p1.png"]
    assert main(["edit", str(photos / "p0.png"), *arguments, "--format", "jpeg"]) == 0
    assert (out / "p0.jpg").is_file()


def test_a_kept_work_is_edited_by_its_id_labelled_and_kept_again(folder, tmp_path, capsys):
    workspace = Workspace.open(folder)
    library = Library(workspace.folder)
    pixels = np.random.default_rng(0).integers(256, size=(16, 16, 3), dtype=np.uint8)
    card = keep(library, Piece("image", "cup", pixels, origin=ORIGIN))
    library.close()
    out = tmp_path / "out"
    assert main(["edit", card.id, "--keep", "--out", str(out), "--do", "upscale", "--method", "lanczos"]) == 0
    assert label_of(out / "cup.png")["Label"] == "1"
    library = Library(workspace.folder)
    [new, old] = library.search()
    library.close()
    assert old == card and new.parents == (card.id,) and (new.width, new.height) == (32, 32)
    assert new.edits[0]["operation"] == "upscale"


def test_a_preset_of_the_window_is_used_by_its_name(folder, photos, tmp_path, capsys):
    steps = [{"operation": "crop", "ratio": "16:9"}]
    Presets(Workspace.open(folder).folder).save("Wide 宽", PRESETS, "", {"steps": steps})
    out = tmp_path / "out"
    assert main(["edit", str(photos / "p0.png"), "--preset", "Wide 宽", "--out", str(out)]) == 0
    with Image.open(out / "p0.png") as image:
        assert image.size == (50, 28)
    assert main(["edit", str(photos / "p0.png"), "--preset", "Narrow", "--out", str(out)]) == 2
    assert "Wide 宽" in capsys.readouterr().err


def test_palettes_are_listed(folder, tmp_path, capsys):
    Image.new("RGB", (9, 9), "#1F5FD0").save(tmp_path / "blue.png")
    assert main(["palette", str(tmp_path / "blue.png"), "--json"]) == 0
    assert rows(capsys) == [{"picture": str(tmp_path / "blue.png"), "colours": [["#1F5FD0", 1.0]]}]


def test_a_picture_that_cannot_be_read_is_told_and_the_palettes_of_others_are_listed(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no picture")
    Image.new("RGB", (9, 9), "#1F5FD0").save(tmp_path / "blue.png")
    assert main(["palette", str(tmp_path / "a.png"), str(tmp_path / "blue.png")]) == 1
    told = capsys.readouterr()
    assert told.out == "blue.png\t#1F5FD0 100%\n" and "a.png" in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["edit", "{photos}"], 2, "No edit is named"),
        (["edit", "{photos}", "--do"], 2, "name of an edit"),
        (["edit", "{photos}", "--do", "explode"], 2, "explode"),
        (["edit", "{photos}", "--do", "recolour", "--colours", "blue"], 2, "is no colour"),
        (["edit", "{photos}", "--do", "crop", "--left", "50"], 1, "does not lie within"),
        (["edit", "{photos}", "--keep", "--do", "crop"], 2, "was not made here"),
        (["edit", "{photos}/none.png", "--do", "crop"], 1, "none.png"),
        (["edit", "0" * 32, "--do", "crop"], 2, "not in the library"),
        (["edit", "{photos}", "--format", "exe", "--do", "crop"], 2, "exe"),
        (["edit", "{photos}", "--format", "gif", "--do", "crop"], 2, "films"),
        (["edit", "{photos}", "--quality", "0", "--do", "crop"], 2, "--quality"),
        (["palette", "{photos}", "--count", "0"], 2, "--count"),
        (["palette", "{photos}/.."], 2, "holds no pictures"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(folder, photos, capsys, arguments, code, word):
    assert main([argument.replace("{photos}", str(photos)) for argument in arguments]) == code
    assert word in capsys.readouterr().err
    assert sorted(path.name for path in photos.iterdir()) == ["p0.png", "p1.png"]


def test_a_picture_that_does_not_suit_the_format_is_told_and_the_others_are_written(folder, photos, tmp_path, capsys):
    Image.new("RGB", (20000, 30)).save(photos / "a strip.png")
    out = tmp_path / "out"
    code = main(["edit", str(photos), "--do", "crop", "--ratio", "free", "--format", "webp", "--out", str(out)])
    told = capsys.readouterr().err
    assert code == 1 and "a strip.png" in told and "another format" in told
    assert sorted(path.name for path in out.iterdir()) == ["p0.webp", "p1.webp"]


def test_each_edit_has_help_of_its_own(folder, capsys):
    for arguments, word in ((["edit", "--help"], "match-colours"),
                            (["edit", "x", "--do", "crop", "--help"], "--ratio")):  # fmt: skip
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0 and word in capsys.readouterr().out


def test_an_unknown_flag_is_refused(folder, photos, capsys):
    assert main(["edit", str(photos), "--do", "crop", "--radius", "3"]) == 2
    assert "--radius" in capsys.readouterr().err
