"""Captions beside pictures: found, kept through the freeze, and what is wrong with them costs no picture."""

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.events import Note, Result
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
