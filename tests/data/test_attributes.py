"""Attributes: what further columns tell of a text, from the table to the snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from aigc_desktop.core.dataset import Dataset, ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.attributes import MOST, MOST_CHARACTERS, decode, parse_columns
from aigc_desktop.data.items import decode_item, encode_item
from aigc_desktop.data.preview import ItemFilter, ItemIndex
from tests.data.conftest import Import

Freeze = Callable[..., object]
CSV = "诗人,诗,朝代,备注\n李白,床前明月光,唐,\n苏轼,明月几时有,宋,  多\t行 \n杜甫,国破山河在,唐,x\n"


@pytest.fixture
def table(source: Path) -> Path:
    (source / "诗.csv").write_text(CSV, encoding="utf-8")
    return source


def told_of(dataset: Dataset) -> list[dict[str, str]]:
    texts = [*dataset.texts("train"), *dataset.texts("validation")]
    told = [*dataset.attributes("train"), *dataset.attributes("validation")]
    return [values for _text, values in sorted(zip(texts, told, strict=True), key=lambda pair: pair[0])]


def test_named_columns_of_a_csv_reach_the_snapshot(table: Path, do_scan: Import, do_freeze: Freeze) -> None:
    found = do_scan(table, text_column="诗", attribute_columns="诗人，备注")
    assert found.dataset.info.attributes == ["诗人", "备注"]
    assert [decode(record.attributes) for record in found.records] == [
        {"诗人": "李白"}, {"诗人": "苏轼", "备注": "多 行"}, {"诗人": "杜甫", "备注": "x"},
    ]  # fmt: skip
    do_freeze(found.dataset, validation=0.3)
    dataset = Dataset(found.dataset.folder)
    dataset.check_snapshot()
    assert [values["诗人"] for values in told_of(dataset)] == ["杜甫", "李白", "苏轼"]
    files = read_json(dataset.snapshot / "manifest.json")["files"]
    assert {"attributes.bin", "attribute_offsets.npy"} <= set(files)


def test_a_star_takes_all_columns_but_text_and_label(table: Path, do_scan: Import) -> None:
    found = do_scan(table, text_column="诗", labels="column", label_column="朝代", attribute_columns="*")
    assert found.dataset.info.attributes == ["诗人", "备注"] and found.dataset.info.classes == ["唐", "宋"]


def test_an_attribute_column_is_not_taken_for_the_text(source: Path, do_scan: Import) -> None:
    (source / "a.csv").write_text("title,words\nThe moon,white and round\nThe sun,red\n", encoding="utf-8")
    (source / "b.jsonl").write_text('{"title": "The long title of a star", "words": "far"}\n', encoding="utf-8")
    found = do_scan(source, attribute_columns="title")
    assert found.texts() == ["white and round", "red", "far"]
    assert decode(found.records[2].attributes) == {"title": "The long title of a star"}


def test_jsonl_values_of_any_kind_become_short_lines(source: Path, do_scan: Import) -> None:
    lines = [
        {"text": "one", "year": 1998, "tags": ["a", "b"], "good": True, "more": {"x": 1}, "none": None},
        {"text": "two", "year": "x" * 500},
    ]
    (source / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found = do_scan(source, attribute_columns="*")
    assert decode(found.records[0].attributes) == {"year": "1998", "tags": "a, b", "good": "true"}
    assert len(decode(found.records[1].attributes)["year"]) == MOST_CHARACTERS


def test_tables_without_a_header_number_their_columns(source: Path, do_scan: Import) -> None:
    rows = "".join(f"n{i},a rather long sentence with number {i},{i % 2}\n" for i in range(5))
    (source / "a.csv").write_text(rows, encoding="utf-8")
    assert do_scan(source, attribute_columns="3").dataset.info.attributes == ["3"]


def test_ragged_rows_stay_a_problem(source: Path, do_scan: Import) -> None:
    (source / "a.csv").write_text("id,text,mood\n1,good,gay\n2,too,many,cells\n3,few\n4,fine,sad\n", encoding="utf-8")
    found = do_scan(source, attribute_columns="mood")
    assert found.texts() == ["good", "fine"] and found.result["problems"] == {
        "too_many_cells": 1, "too_few_cells": 1,
    }  # fmt: skip


def test_columns_that_are_not_there_are_named(table: Path, source: Path, do_scan: Import) -> None:
    with pytest.raises(UserError, match="no column “诗体”") as caught:
        do_scan(table, text_column="诗", attribute_columns="诗体")
    assert "诗人" in caught.value.hint
    (source / "诗.csv").unlink()
    (source / "a.jsonl").write_text('{"text": "one", "mood": "gay"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="No text has a value in the column “form”"):
        do_scan(source, attribute_columns="mood, form")


def test_too_many_columns_are_refused(source: Path, do_scan: Import) -> None:
    (source / "a.jsonl").write_text(json.dumps({"text": "x", **{f"k{i}": "v" for i in range(MOST + 1)}}), "utf-8")
    with pytest.raises(UserError, match="33 attribute columns are too many"):
        do_scan(source, attribute_columns="*")
    assert parse_columns("a, b，c；a\n") == ("a", "b", "c")


def test_attributes_do_not_mix_with_labels_and_problems(source: Path, do_scan: Import) -> None:
    (source / "a.jsonl").write_text('{"text": "x", "label": "a", "problem": "b"}\n{"text": "y"}\n', encoding="utf-8")
    found = do_scan(source, attribute_columns="*")
    index = ItemIndex(found.dataset)
    assert index.select(ItemFilter(problem="")).tolist() == [0, 1]
    assert index.select(ItemFilter(label="a")).tolist() == [] and index.select(ItemFilter(label="")).tolist() == [0, 1]
    index.close()


def test_a_damaged_attribute_is_a_damaged_item() -> None:
    whole = encode_item(ItemRecord("a", "b", attributes='{"x":"y"}'))
    assert decode_item(whole).attributes == '{"x":"y"}'
    for told in ('{"x":1}', "[]", "{"):
        with pytest.raises(UserError, match="damaged"):
            decode_item(encode_item(ItemRecord("a", "b", attributes=told)))


def test_old_data_sets_still_open(table: Path, do_scan: Import, do_freeze: Freeze, workspace: Workspace) -> None:
    found = do_scan(table, text_column="诗")
    do_freeze(found.dataset)
    dataset = Dataset(found.dataset.folder)
    assert not {path.name for path in dataset.snapshot.iterdir()} & {"attributes.bin", "attribute_offsets.npy"}
    old = asdict(dataset.info)
    del old["attributes"]
    write_json(dataset.folder / "dataset.json", old)
    again = workspace.dataset(dataset.id)
    again.check_snapshot()
    assert again.info.attributes == [] and told_of(again) == [{}, {}, {}]


def test_a_flipped_byte_in_the_attributes_is_found(table: Path, do_scan: Import, do_freeze: Freeze) -> None:
    found = do_scan(table, text_column="诗", attribute_columns="诗人")
    do_freeze(found.dataset)
    dataset = Dataset(found.dataset.folder)
    path = dataset.snapshot / "attributes.bin"
    path.write_bytes(path.read_bytes().replace("李白".encode(), "李黑".encode()))
    with pytest.raises(UserError, match="damaged"):
        dataset.check_snapshot()
