"""Captions beside pictures: found, kept through the freeze, and what is wrong with them costs no picture."""

import json
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.events import Failed, Note, Result
from aigc_desktop.core.request import JobRequest
from aigc_desktop.engine.host import execute


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "图片").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "图片" / f"p{number}.png")
    return tmp_path / "图片"


def run(workspace, task, **values):
    events = list(execute(JobRequest(task, values, str(workspace.folder))))
    return next(event.data for event in events if isinstance(event, Result)), events


def bring(workspace, folder, **values):
    found, events = run(workspace, "data.scan", source=str(folder), **values)
    run(workspace, "data.freeze", dataset=found["id"], size="32", validation=0.0)
    return workspace.dataset(found["id"]), events


def test_text_files_of_the_same_name_are_captions(workspace, folder):
    (folder / "p0.txt").write_text("a red\n cat \n", encoding="utf-8")
    (folder / "p1.caption").write_text("一只狗", encoding="gb18030")
    dataset, events = bring(workspace, folder)
    assert dataset.info.kind == "image" and dataset.info.attributes == ["caption"] and not dataset.info.problems
    told = [told.get("caption", "") for told in dataset.attributes("train")]
    assert sorted(told) == ["", "", "", "", "a red cat", "一只狗"]
    assert any(isinstance(event, Note) and "2 pictures have captions" in event.message for event in events)


def test_every_picture_keeps_its_own_caption(workspace, folder):
    for number in range(6):
        (folder / f"p{number}.txt").write_text(f"number {number}", encoding="utf-8")
    dataset, _events = bring(workspace, folder)
    shades = {f"number {n}": np.asarray(Image.open(folder / f"p{n}.png")).mean() for n in range(6)}
    for picture, told in zip(dataset.images("train"), dataset.attributes("train"), strict=True):
        assert abs(picture.mean() - shades[told["caption"]]) < 1.5


@pytest.mark.parametrize("content", [b"", b"   \n", bytes(range(1, 256)) * 8])
def test_an_empty_or_odd_caption_costs_no_picture(workspace, folder, content):
    (folder / "p0.txt").write_bytes(content)
    dataset, _events = bring(workspace, folder)
    assert dataset.info.usable == 6 and not dataset.info.attributes


def test_a_text_without_its_picture_is_named(workspace, folder):
    (folder / "other.txt").write_text("hello", encoding="utf-8")
    found, _events = run(workspace, "data.scan", source=str(folder), kind="image")
    assert found["problems"] == {"not_picture": 1}


def items_of(workspace, found):
    """Return the records of a data set by the names of the files."""
    lines = workspace.dataset(found["id"]).items_file.read_text(encoding="utf-8").splitlines()
    return {record["name"]: record for record in map(json.loads, lines)}


def told_of(workspace, found):
    return {name: record.get("attributes", "") for name, record in items_of(workspace, found).items()}


def in_zip(folder):
    path = folder.with_suffix(".zip")
    with ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_captions_are_found_in_archives_too(workspace, folder, packed):
    (folder / "sub").mkdir()
    (folder / "p1.png").rename(folder / "sub" / "p0.png")
    (folder / "p0.txt").write_text("outer", encoding="utf-8")
    (folder / "sub" / "p0.txt").write_text("inner", encoding="utf-8")
    found, _events = run(workspace, "data.scan", source=str(in_zip(folder) if packed else folder))
    assert found["problems"] == {} and found["usable"] == 6
    told = told_of(workspace, found)
    assert "outer" in told["p0.png"] and "inner" in told["sub/p0.png"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,text,kind\np0.png,a red cat,animal\nsub/p1.png,,plant\n"),
        ("told.csv", "类别;说明;文件名\nanimal;a red cat;p0.png\nplant;;sub\\p1.png\n".replace("说明", "描述")),
        ("metadata.jsonl", '{"file_name": "./p0.png", "text": "a red\\n cat", "kind": "animal"}\n[1]\n'
                           '{"file_name": "sub/p1.png", "kind": "plant"}\n'),
    ],
)  # fmt: skip
def test_tables_name_captions_and_labels(workspace, folder, packed, name, content):
    (folder / "sub").mkdir()
    (folder / "p1.png").rename(folder / "sub" / "p1.png")
    (folder / name).write_text(content, encoding="utf-8")
    column = "类别" if "类别" in content else "kind"
    source = str(in_zip(folder) if packed else folder)
    found, events = run(workspace, "data.scan", source=source, labels="column", label_column=column)
    assert found["problems"] == {} and found["classes"] == ["animal", "plant"] and found["attributes"] == ["caption"]
    assert not any(isinstance(event, Note) and name in event.message for event in events)
    items, told = items_of(workspace, found), told_of(workspace, found)
    assert len(items) == 6 and {name: text for name, text in told.items() if text} == {
        "p0.png": '{"caption":"a red cat"}'
    }
    labels = {name: record["label"] for name, record in items.items() if record.get("label")}
    assert labels == {"p0.png": "animal", "sub/p1.png": "plant"}


def test_a_text_file_goes_before_a_table_and_folders_name_what_it_does_not(workspace, folder):
    (folder / "p0.txt").write_text("from the file", encoding="utf-8")
    long = "very " * 1000 + "long"
    (folder / "t.csv").write_text(f"image,caption\np0.png,from the table\np1.png,{long}\n", encoding="utf-8")
    found, _events = run(workspace, "data.scan", source=str(folder))
    told = told_of(workspace, found)
    assert "from the file" in told["p0.png"] and len(told["p1.png"]) > 1900 and "\\n" not in told["p1.png"]


def test_rows_without_their_picture_are_counted_and_reach_nothing_outside(workspace, folder):
    rows = ["gone.png", "../图片/p0.png", "../../etc/passwd", str(folder / "p1.png"), "P2.PNG", "p2.png"]
    content = "file_name,text\n" + "".join(f"{row},x{number}\n" for number, row in enumerate(rows))
    (folder / "metadata.csv").write_text(content, encoding="utf-8")
    found, events = run(workspace, "data.scan", source=str(folder))
    told = {name: text for name, text in told_of(workspace, found).items() if text}
    assert told == {"p0.png": '{"caption":"x1"}', "p1.png": '{"caption":"x3"}', "p2.png": '{"caption":"x4"}'}
    (note,) = (event.message for event in events if isinstance(event, Note) and "metadata.csv" in event.message)
    assert note == "2 rows of “metadata.csv” name no picture that is there."


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\x00\x01\x02" * 50, b"", b"file_name\n", b'{"file_name": 1}\n'])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_table_that_says_nothing_costs_no_picture(workspace, folder, name, content):
    (folder / name).write_bytes(content)
    dataset, _events = bring(workspace, folder)
    assert dataset.info.usable == 6 and not dataset.info.attributes


def test_labels_that_no_table_has_are_told_with_a_way_out(workspace, folder):
    request = JobRequest(
        "data.scan", {"source": str(folder), "labels": "column", "label_column": "kind"}, str(workspace.folder)
    )
    (failed,) = (event for event in execute(request) if isinstance(event, Failed))
    assert "“kind”" in failed.message and "file_name" in failed.hint
    (folder / "t.csv").write_text("file_name,text\np0.png,x\n", encoding="utf-8")
    (failed,) = (event for event in execute(request) if isinstance(event, Failed))
    assert "“kind”" in failed.message and "file_name, text" in failed.hint
