"""Journals of labels: what was written comes back, whatever else happened to the file; classes and their names."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.label_classes import (
    ClassList,
    LabelClasses,
    present,
    read_classes,
    with_class,
    with_colour,
    with_name,
    write_classes,
)
from aigc_desktop.core.labels import JournalWriter, TextLabel, journal_lines, read_label

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def labels(draw):
    row, digest = draw(st.integers(0, 50)), draw(st.text("0123456789abcdef", min_size=16, max_size=16))
    told = {"accepted": draw(st.booleans()), "certainty": draw(st.integers(0, 1000)) / 1000}
    if draw(st.booleans()):
        cuts = sorted(draw(st.sets(st.integers(0, 90), max_size=6)))
        spans = tuple((a, b, draw(NAMES)) for a, b in zip(cuts[::2], cuts[1::2], strict=False))
        return TextLabel(row, digest, "names", spans, source="model", run=draw(NAMES), **told)
    return TextLabel(row, digest, "class", label=draw(NAMES), time="now", **told)


def read_all(path):
    found = []
    for _start, line in journal_lines(path):
        try:
            found.append(read_label(line))
        except ValueError:
            found.append(None)
    return found


@given(st.lists(labels(), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_written_comes_back_from_where_it_lies(tmp_path, told):
    path = tmp_path / "labels.jsonl"
    path.unlink(missing_ok=True)
    with JournalWriter(path) as journal:
        starts = journal.append(told[:3]) + [start for label in told[3:] for start in journal.append([label])]
    assert list(zip(starts, told, strict=True)) == [(start, read_label(line)) for start, line in journal_lines(path)]


@given(st.lists(labels(), min_size=2, max_size=8), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_cut_costs_one_line_and_later_ones_are_whole(tmp_path, told, data):
    path = tmp_path / "labels.jsonl"
    path.unlink(missing_ok=True)
    with JournalWriter(path) as journal:
        starts = journal.append(told)
    cut = data.draw(st.integers(0, path.stat().st_size))
    with path.open("r+b") as f:
        f.truncate(cut)
    ends = [*starts[1:], 1 << 30]
    whole = [label for label, end in zip(told, ends, strict=True) if end <= cut]
    with JournalWriter(path) as journal:
        (start,) = journal.append(told[:1])
    found = [label for label in read_all(path) if label is not None]
    assert found[: len(whole)] == whole and found[-1] == told[0]
    assert len(found) <= len(whole) + 2  # the line whose newline alone was lost is whole again
    assert read_label(path.read_bytes()[start:]) == told[0]


@given(st.lists(labels(), min_size=1, max_size=5), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_a_flipped_byte_never_stops_the_reading(tmp_path, told, data):
    path = tmp_path / "labels.jsonl"
    path.unlink(missing_ok=True)
    with JournalWriter(path) as journal:
        journal.append(told)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert sum(label in told for label in read_all(path)) >= len(told) - 2


@pytest.mark.parametrize("change", [
    {"row": -1}, {"row": True}, {"row": 1.0}, {"spans": [[3, 1, "a"]]}, {"spans": [[0, 2, "a"], [1, 3, "a"]]},
    {"spans": None}, {"certainty": 2}, {"certainty": float("nan")}, {"accepted": 1}, {"kind": "x"}, {"source": "x"},
    {"text": 5}, {"run": 7},
])  # fmt: skip
def test_a_line_with_a_wrong_value_is_refused(change):
    values = json.loads(TextLabel(1, "ab", "names", ((0, 1, "a"),)).line()) | change
    with pytest.raises(ValueError):
        read_label(json.dumps(values).encode() + b"\n")


def test_classes_are_added_renamed_and_coloured(tmp_path):
    classes = with_class(ClassList(), "  person\n", [])
    classes = with_class(classes, "place", ["person"])
    classes = with_colour(with_name(classes, "place", "地点 place", ["person", "place"]), "地点 place", 4)
    write_classes(tmp_path, LabelClasses().using("names", classes))
    read = read_classes(tmp_path).of("names")
    assert read == classes
    assert present(read, ["place", "thing"], {"place", "other"}) == ["地点 place", "thing", "person", "other"]
    assert read.colours == {"地点 place": 4}
    back = with_name(read, "地点 place", "place", present(read, [], set()))
    assert back.renamed == {"地点 place": "place"} and present(back, ["place"], set()) == ["place", "person"]


def test_a_name_goes_along_with_every_renaming():
    classes = with_name(with_name(ClassList(), "a", "b", ["a"]), "b", "c", ["b"])
    assert classes.renamed == {"a": "c", "b": "c"}


@pytest.mark.parametrize("name", ["", "  \n", "x" * 201, "person", "old"])
def test_a_name_that_cannot_be_used_is_refused_with_a_way_out(name):
    with pytest.raises(UserError) as refused:
        with_class(ClassList(renamed={"old": "new"}), name, ["person", "new"])
    assert refused.value.hint


def test_two_classes_do_not_become_one_by_renaming():
    with pytest.raises(UserError, match="already"):
        with_name(ClassList(), "a", "b", ["a", "b"])
