"""Names marked in texts: CoNLL and JSONL in, spans in the frozen data set out."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset, write_info
from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.events import Result
from aigc_desktop.core.marks import Marks, read_marks
from aigc_desktop.core.run import Run
from aigc_desktop.data.items import read_items
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.problems import ItemProblem
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.data.spans import from_tags, join_words, marked_text, one_each

KEYS = ["text", "spans", "tokens", "tags", "start", "end", "label"]
IOB2 = "Ann\tB-per\nLee\tI-per\nsleeps\tO\n\t\nOslo\tB-loc\n\n"


def bring_in(workspace, name: str, content: str, freeze=None, **values) -> Dataset:
    path = workspace.folder.parent / name
    path.write_text(content, encoding="utf-8")
    config = check(ScanConfig, {"source": str(path), "kind": "text", **values})
    run = Run(workspace.folder, workspace.folder)
    (end,) = (e for e in import_dataset(config, freeze or {"validation": 0.0}, run) if isinstance(e, Result))
    return workspace.dataset(end.data["id"])


def named(dataset, split="train"):
    """Text and (name, class) of each item."""
    pairs = zip(dataset.texts(split), dataset.marks(split), strict=True)
    return {text: marks and [(text[a:b], name) for a, b, name in marks.spans] for text, marks in pairs}


def problems(dataset):
    return [(record.name, record.detail) for record in read_items(dataset.items_file) if record.problem == "labels"]


@pytest.mark.parametrize("name", ["a.conll", "a.iob", "a.bio", "a.txt"])
def test_sentences_of_a_conll_file_keep_their_names_and_words(workspace, name):
    dataset = bring_in(workspace, name, IOB2)
    assert named(dataset) == {"Ann Lee sleeps": [("Ann Lee", "per")], "Oslo": [("Oslo", "loc")]}
    assert dataset.info.span_classes == ["loc", "per"] and dataset.info.span_counts == [1, 1]
    assert dataset.marks("train")[0].words == ((0, 3), (4, 7), (8, 14))
    dataset.check_snapshot()


def test_columns_between_token_and_tag_comments_and_documents_are_passed_over(workspace):
    start = "-DOCSTART- -X- O O\n\n"
    content = f"{start}# id 7\nAnn NNP B-NP B-per\nsleeps VB B-VP O\n\n{start}Oslo N B I-loc\n"
    dataset = bring_in(workspace, "a.conll", content)
    assert named(dataset) == {"Ann sleeps": [("Ann", "per")]}
    assert len(problems(dataset)) == 1 and "I-loc" in problems(dataset)[0][1]


def test_a_file_in_which_names_begin_with_inside_is_read_as_iob1(workspace):
    content = "Ann I-per\nLee I-per\nBob B-per\nand O\nOslo I-loc\n"
    assert named(bring_in(workspace, "a.conll", content)) == {
        "Ann Lee Bob and Oslo": [("Ann Lee", "per"), ("Bob", "per"), ("Oslo", "loc")]
    }


def test_iobes_and_bilou_mean_the_same(workspace):
    for name, tags in (("a", "BIESO"), ("b", "BILUO")):
        lines = [f"w{i} {tag}-x" if tag != "O" else f"w{i} O" for i, tag in enumerate(tags)]
        assert named(bring_in(workspace, f"{name}.conll", "\n".join(lines))) == {
            "w0 w1 w2 w3 w4": [("w0 w1 w2", "x"), ("w3", "x")]
        }


def test_chinese_characters_are_joined_without_spaces(workspace):
    dataset = bring_in(workspace, "a.bio", "我 O\n在 O\n北 B-地名\n京 I-地名\n。 O\n")
    assert named(dataset) == {"我在北京。": [("北京", "地名")]}
    assert join_words(["iPhone", "很", "好"])[0] == "iPhone 很好"


@pytest.mark.parametrize(("sentence", "said"), [
    ("Ann I-per\nsleeps O", "I-per"), ("Ann PER\nsleeps O", "PER"), ("Ann\nsleeps O", "“”"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_listed_with_the_reason(workspace, sentence, said):
    dataset = bring_in(workspace, "a.conll", f"{IOB2}{sentence}\n")
    ((name, detail),) = problems(dataset)
    assert name == "a.conll:7" and said in detail and dataset.info.usable == 2


def test_of_several_labels_of_a_word_the_one_that_goes_on_is_taken_and_told(workspace):
    """As in the test part of WNUT-17, where annotators disagreed."""
    rows = [
        "At O", "Big B-group,B-place", "Ben I-place", "Apple B-company,B-product", "pie I-person,I-company", "now O",
    ]  # fmt: skip
    dataset = bring_in(workspace, "a.conll", IOB2 + "\n".join(rows) + "\n")
    assert named(dataset)["At Big Ben Apple pie now"] == [("Big Ben", "place"), ("Apple pie", "company")]
    assert dataset.info.span_classes == ["company", "loc", "per", "place"] and dataset.info.notes == {"several": 1}
    assert one_each(["B-a,b", "O"]) == (["B-a,b", "O"], False)  # a class with a comma in its name


def test_spans_of_jsonl_in_their_usual_forms(workspace):
    rows = [
        {"text": "Ann lives in Oslo.", "spans": [[13, 17, "loc"], [0, 4, "per"]]},
        {"text": "Bob sleeps.", "entities": [{"start": 0, "end": 3, "label": "per"}]},
        {"text": "Eve sings.", "label": [[0, 3, "per"]]},
        {"text": "Nobody here.", "spans": []},
        {"text": "Not looked at.", "note": "x"},
        {"tokens": ["In", "Rome"], "tags": ["O", "B-loc"]},
    ]
    dataset = bring_in(workspace, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert named(dataset) == {
        "Ann lives in Oslo.": [("Ann", "per"), ("Oslo", "loc")], "Bob sleeps.": [("Bob", "per")],
        "Eve sings.": [("Eve", "per")], "Nobody here.": [], "Not looked at.": None, "In Rome": [("Rome", "loc")],
    }  # fmt: skip


@pytest.mark.parametrize(("row", "said"), [
    ({"text": "Ann", "spans": [[0, 9, "per"]]}, "outside"), ({"text": "Ann", "spans": [[2, 1, "per"]]}, "outside"),
    ({"text": "Ann Lee", "spans": [[0, 5, "a"], [4, 7, "b"]]}, "overlap"), ({"text": "Ann", "spans": [[0, 3]]}, "span"),
    ({"text": "Ann", "spans": [{"start": "0", "end": 3, "label": "a"}]}, "span"),
    ({"tokens": ["Ann"], "tags": ["B-a", "O"]}, "labels: 2"), ({"tokens": ["Ann"], "tags": [3]}, "“3”"),
    ({"tokens": ["Ann"], "tags": ["I-a"]}, "I-a"), ({"tokens": [""], "tags": ["O"]}, "empty"),
])  # fmt: skip
def test_spans_that_do_not_fit_are_listed_with_the_reason(workspace, row, said):
    good = {"text": "Bob sleeps.", "spans": [[0, 3, "per"]]}
    dataset = bring_in(workspace, "a.jsonl", f"{json.dumps(good)}\n{json.dumps(row)}\n")
    ((name, detail),) = problems(dataset)
    assert name == "a.jsonl:2" and said in detail


def test_a_plain_text_is_no_conll_file(workspace):
    dataset = bring_in(workspace, "a.txt", "Model B-2\nModel O\nand a line more\nand one more\n")
    assert not dataset.info.span_classes and "and a line more" in list(dataset.texts("train"))
    assert dataset.marks("train") == [None] * 4


def test_a_class_of_the_text_and_names_live_side_by_side(workspace):
    rows = [{"text": f"Ann {i}", "spans": [[0, 3, "per"]], "mood": "glad"} for i in range(3)]
    dataset = bring_in(workspace, "a.jsonl", "\n".join(map(json.dumps, rows)), labels="column", label_column="mood")
    assert dataset.info.classes == ["glad"] and dataset.info.span_counts == [3]


def test_damage_is_noticed_and_old_data_sets_open(workspace):
    dataset = bring_in(workspace, "a.conll", IOB2)
    file = dataset.snapshot / "spans.jsonl"
    file.write_text(file.read_text().replace("per", "pex"))
    with pytest.raises(BadInput):
        dataset.check_snapshot()
    old = json.loads((dataset.folder / "dataset.json").read_text())
    del old["span_classes"], old["span_counts"]
    (dataset.folder / "dataset.json").write_text(json.dumps(old))
    assert Dataset(dataset.folder).info.span_classes == []
    write_info(dataset.folder, dataset.info)


@settings(max_examples=60, deadline=None)
@given(st.lists(
    st.tuples(st.text("ab北", min_size=1, max_size=3), st.sampled_from(["O", "B-x", "I-x", "B-y"])), min_size=1
))  # fmt: skip
def test_tags_give_spans_that_stand_on_their_words(pairs):
    tokens, tags = ([pair[side] for pair in pairs] for side in (0, 1))
    try:
        text, marks = from_tags(tokens, tags, iob1=True)
    except ItemProblem:
        return
    assert [text[a:b] for a, b in marks.words] == tokens
    assert len(marks.spans) >= sum(tag[0] == "B" for tag in tags)
    assert read_marks(marks.line()) == marks
    assert all((a in {w[0] for w in marks.words}) and (b in {w[1] for w in marks.words}) for a, b, _n in marks.spans)


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
))  # fmt: skip
def test_any_json_gives_marks_nothing_or_a_problem(value):
    try:
        found = marked_text(value, "text")
    except ItemProblem as problem:
        assert problem.code == "labels"
        return
    assert found is None or read_marks(found[1].line()) == found[1]


@pytest.mark.parametrize("line", ["null", "[]", '{"spans": [[0, 2]]}', '{"spans": [[2, 2, "a"]]}',
                                  '{"spans": [[0, 3, "a"], [2, 4, "b"]]}', '{"spans": [[0, true, "a"]]}'])  # fmt: skip
def test_damaged_marks_are_no_marks(line):
    with pytest.raises(ValueError):
        read_marks(line)
    assert Marks().line() == '{"spans":[]}'
