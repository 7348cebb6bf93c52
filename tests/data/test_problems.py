"""The list of problems is complete: each code has a sentence with the name, an advice and a short title."""

from __future__ import annotations

import json
import string

import pytest

from aigc_desktop.core.dataset import ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.data.items import decode_item, encode_item
from aigc_desktop.data.problems import NOTES, PROBLEMS, TITLES, count_problems, shown_name


@pytest.mark.parametrize("code", PROBLEMS)
def test_each_problem_names_the_file_and_the_way_out(code: str) -> None:
    sentence, advice = PROBLEMS[code]
    fields = {field for _text, field, _spec, _conversion in string.Formatter().parse(sentence) if field}
    assert "name" in fields
    assert sentence.endswith(".") and advice.endswith(".")
    assert not [field for field in string.Formatter().parse(advice) if field[1]]


def test_each_code_has_a_title() -> None:
    assert set(TITLES) == set(PROBLEMS) | set(NOTES)
    assert count_problems({"corrupt": 1, "too_small": 12}) == "12 too small, 1 damaged"


@pytest.mark.parametrize(("name", "shown"), [
    ("猫 é 👩‍🎨.png", "猫 é 👩‍🎨.png"), ("a\nb", "a\ufffdb"), ("\u202egnp.exe", "\ufffdgnp.exe"),
    ("raw\udcff", "raw\ufffd"), ("tab\there", "tab\ufffdhere"),
])  # fmt: skip
def test_names_are_safe_to_show(name: str, shown: str) -> None:
    assert shown_name(name) == shown
    shown_name(name).encode()


def test_a_record_comes_back_from_its_line() -> None:
    for record in (
        ItemRecord("猫", "/a/猫.png", "ab" * 32, 1, 2, label='x"y\\'),
        ItemRecord("n", "/raw\udcff.png", note="split"),
    ):
        line = encode_item(record)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert decode_item(line) == record


@pytest.mark.parametrize("damage", [{"offset": -1}, {"size": 2**70}, {"source": "a\0b"}, {"width": -3}])
def test_a_record_of_a_place_that_no_file_has_is_damage(damage):
    line = json.dumps({"name": "a", "source": "a.txt", **damage}).encode() + b"\n"
    with pytest.raises(UserError, match="is damaged"):
        decode_item(line)
