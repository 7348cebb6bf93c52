"""The window's view of a data set: random access, filters and safe thumbnails."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.dataset import Dataset, DatasetInfo, ItemRecord, write_info
from aigc_desktop.core.errors import BadInput
from aigc_desktop.data.items import encode_item
from aigc_desktop.data.preview import ItemFilter, ItemIndex, load_thumbnail
from tests.data.conftest import Import, encoded, picture


def names(index: ItemIndex, **wanted) -> list[str]:
    return [index[int(row)].name for row in index.select(ItemFilter(**wanted))]


def test_pictures_by_label_problem_split_and_name(do_scan: Import, do_freeze, source: Path) -> None:
    for label in ("猫", 'd"og'):
        (source / label).mkdir()
        for number in range(3):
            (source / label / f"{label} {number}.png").write_bytes(encoded(picture(hash(label + str(number)) % 10_000)))
    (source / "猫" / "empty.png").write_bytes(b"")
    (source / "loose.png").write_bytes(encoded(picture(1)))
    dataset = do_freeze(do_scan(source, labels="folders").dataset, size=32, validation=0.3).dataset
    index = ItemIndex(dataset)
    assert len(index) == 8
    assert len(names(index, label="猫")) == 4
    assert names(index, label="猫", problem="any") == ["猫/empty.png"]
    assert names(index, problem="empty") == ["猫/empty.png"]
    assert names(index, label="") == ["loose.png"]
    assert names(index, search='D"OG 1') == ['d"og/d"og 1.png']
    assert names(index, search="猫 2", label="猫") == ["猫/猫 2.png"]
    assert len(names(index, problem="")) == 7
    assert len(names(index, split="validation")) == dataset.info.validation
    assert len(names(index, split="train")) == dataset.info.train
    assert names(index, search="label") == []
    with pytest.raises(IndexError):
        index[8]
    index.close()
    with pytest.raises(LookupError):
        index[0]


def test_texts_are_shown_and_found_by_their_words(do_scan: Import, source: Path) -> None:
    (source / "a.txt").write_text("first line\n春眠不觉晓\nfirst line\n\nThird One\n" + "x" * 2000, encoding="utf-8")
    index = ItemIndex(do_scan(source, text_item="line").dataset)
    assert index.text(1) == "春眠不觉晓"
    assert index.text(1, limit=2) == "春眠"
    assert index.text(2) == ""  # a duplicate
    assert len(index.text(4)) == 500
    assert names(index, search="third one") == ["a.txt:5"]
    assert names(index, search="不觉") == ["a.txt:2"]
    assert names(index, search="line") == ["a.txt:1"]
    index.close()


def test_100000_items_open_and_filter_at_once(tmp_path: Path) -> None:
    with (tmp_path / "items.jsonl").open("wb") as f:
        for number in range(100_000):
            bad = number % 1000 == 0
            f.write(encode_item(ItemRecord(
                f"folder/图片 {number}.png", f"/home/someone/pictures/folder/图片 {number}.png", "ab" * 32, 64, 64,
                label=f"class {number % 7}", problem="corrupt" if bad else "", size=1000,
            )))  # fmt: skip
    write_info(tmp_path, DatasetInfo("d", "d", "image", "", "", found=100_000, usable=99_900))
    began = time.process_time()
    index = ItemIndex(Dataset(tmp_path))
    opened = time.process_time() - began
    assert len(index) == 100_000 and index[99_999].name == "folder/图片 99999.png"
    assert index.starts.nbytes < 1_000_000
    began = time.process_time()
    assert len(index.select(ItemFilter(problem="any"))) == 100
    assert len(index.select(ItemFilter(label="class 3", problem=""))) == sum(
        n % 7 == 3 and n % 1000 > 0 for n in range(100_000)
    )
    assert len(index.select(ItemFilter(search="图片 9999"))) == 11
    filtered = time.process_time() - began
    assert opened < 0.5 and filtered < 2.0
    index.close()


def test_thumbnails_fit_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.jpg").write_bytes(encoded(Image.new("RGB", (400, 100), (10, 20, 200)), "JPEG", quality=95))
    thumbnail = load_thumbnail(tmp_path / "wide.jpg", 64)
    assert thumbnail.shape == (16, 64, 3) and thumbnail.dtype == np.uint8
    assert np.abs(thumbnail.astype(int) - (10, 20, 200)).max() < 8
    (tmp_path / "small.png").write_bytes(encoded(picture(side=20)))
    assert load_thumbnail(tmp_path / "small.png", 64).shape == (20, 20, 3)
    (tmp_path / "bad.png").write_bytes(encoded(picture())[:-40])
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("bad.png", "pipe.png", "missing.png"):
        with pytest.raises(BadInput, match=name) as caught:
            load_thumbnail(tmp_path / name, 64)
        assert caught.value.hint
    (tmp_path / "huge.png").write_bytes(encoded(Image.new("1", (6000, 5000))))
    with pytest.raises(BadInput, match="too large"):
        load_thumbnail(tmp_path / "huge.png", 64)


def test_an_empty_list_opens(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes(b"")
    write_info(tmp_path, DatasetInfo("d", "d", "image", "", ""))
    index = ItemIndex(Dataset(tmp_path))
    assert len(index) == 0 and names(index, search="x", problem="any") == []
    index.close()
