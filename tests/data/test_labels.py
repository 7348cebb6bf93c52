"""Labels that are given here: drafts, acceptance and undo; what the freeze takes; what is saved as a file."""

import contextlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.label_classes import with_class, with_name
from aigc_desktop.core.labels import DECIDED, PROPOSED, JournalWriter, TextLabel, read_label
from aigc_desktop.core.marks import Marks
from aigc_desktop.data.copying import copy_to_label
from aigc_desktop.data.label_export import export_labels
from aigc_desktop.data.label_index import DONE, OPEN, WAITING, LabelIndex, digest_of
from aigc_desktop.data.label_session import LabelSession

TEXTS = ["😀 Ann lives in 奥斯陆.", "Bob left.", "Nothing here.", "Eve Adams likes Rome.", "مرحبا Kim"]


@pytest.fixture
def dataset(do_scan, source):
    (source / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return do_scan(source, kind="text", text_item="line").dataset


@pytest.fixture
def session(dataset):
    session = LabelSession(dataset, "names")
    yield session
    session.close()


def propose(session, *told, certainty=0.8):
    """Write proposals (row, spans) as a model does."""
    with JournalWriter(session.dataset.folder / PROPOSED) as journal:
        journal.append([
            TextLabel(row, digest_of(session.items[row]), "names", spans, source="model", certainty=certainty,
                      run="finder", version="000001") for row, spans in told
        ])  # fmt: skip
    session.index.refresh()


def frozen_names(dataset):
    pairs = zip(dataset.texts("train"), dataset.marks("train"), strict=True)
    return {text: marks and [(text[a:b], name) for a, b, name in marks.spans] for text, marks in pairs}


def test_only_what_was_accepted_gets_into_the_snapshot(session, dataset, do_freeze):
    assert dataset.info.span_classes == []
    propose(session, (0, ((2, 5, "person"),)), (1, ((0, 3, "place"),)))
    session.accept(0)
    session.draft(3, [(0, 9, "person")])
    session.draft(3, [(0, 9, "person"), (16, 20, "place")])
    session.accept(3)
    session.draft(4, [(6, 9, "person")])
    session.accept(2)
    before = dataset.items_file.read_bytes()
    frozen = do_freeze(dataset, validation=0.0)
    assert frozen_names(frozen.dataset) == {
        TEXTS[0]: [("Ann", "person")], TEXTS[1]: None, TEXTS[2]: [], TEXTS[4]: None,
        TEXTS[3]: [("Eve Adams", "person"), ("Rome", "place")],
    }  # fmt: skip
    info = frozen.dataset.info
    assert (info.span_classes, info.span_counts) == (["person", "place"], [2, 1])
    assert any(note.startswith("3 texts take the labels") for note in frozen.notes)
    assert dataset.items_file.read_bytes() == before


def test_classes_of_texts_replace_imported_ones_and_take_their_new_names(do_scan, do_freeze, source):
    rows = [{"text": f"text {n}", "mood": ("glad", "sad")[n % 2]} for n in range(6)]
    (source / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    dataset = do_scan(source, kind="text", labels="column", label_column="mood").dataset
    session = LabelSession(dataset, "class")
    assert session.shown(0).label == "glad" and session.shown(0).origin == "imported"
    session.draft(0, label="angry")
    session.accept(0)
    session.use_classes(with_name(session.class_list, "sad", "blue", session.classes()))
    assert session.shown(1).label == "blue"
    session.close()
    frozen = do_freeze(dataset, validation=0.0).dataset
    assert dict(zip(frozen.info.classes, frozen.info.class_counts, strict=True)) == {"angry": 1, "blue": 3, "glad": 2}
    told = {t: frozen.info.classes[n] for t, n in zip(frozen.texts("train"), frozen.labels("train"), strict=True)}
    assert told["text 0"] == "angry" and told["text 3"] == "blue"


def test_every_state_has_its_texts_and_the_least_certain_comes_first(session):
    propose(session, (0, ()), certainty=0.9)
    propose(session, (4, ()), certainty=0.2)
    session.accept(2)
    index = session.index
    assert [index.state(row) for row in range(5)] == [WAITING, OPEN, DONE, OPEN, WAITING]
    assert index.select("proposed", uncertain_first=True).tolist() == [4, 0]
    assert index.select("any", uncertain_first=True).tolist() == [4, 0, 1, 2, 3]
    assert index.select("open", uncertain_first=False).tolist() == [1, 3]
    assert index.select("done", uncertain_first=False).tolist() == [2]
    assert (index.counts().done, index.counts().proposed, index.counts().open) == (1, 2, 2)


def test_proposals_above_a_certainty_are_accepted_and_taken_back_together(session):
    propose(session, (0, ((2, 5, "person"),)), (1, ((0, 3, "person"),)), certainty=0.95)
    propose(session, (4, ()), certainty=0.5)
    propose(session, (3, ((0, 9, "person"),)), certainty=0.99)
    session.draft(1, [(0, 3, "place")])
    assert session.accept_above(0.9) == 2
    assert session.index.select("done", False).tolist() == [0, 3]
    assert session.shown(0).spans == ((2, 5, "person"),)
    assert session.shown(1).origin == "draft" and session.shown(1).spans == ((0, 3, "place"),)
    session.undo()
    assert session.index.counts().done == 0
    assert session.shown(0).origin == session.shown(3).origin == "proposed"


@given(st.lists(st.tuples(st.sampled_from(["draft", "accept", "undo"]), st.integers(0, 4)), max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_undo_goes_back_state_by_state_and_a_replay_of_the_journal_agrees(dataset, steps):
    (dataset.folder / DECIDED).unlink(missing_ok=True)
    session = LabelSession(dataset, "names")

    def state():
        return [(session.shown(row).spans, session.shown(row).origin) for row in range(5)]

    history = [state()]
    for number, (step, row) in enumerate(steps):
        if step == "undo":
            assert (session.undo() >= 0) == (len(history) > 1)
            history = history[:-1] or history
        else:
            session.draft(row, [(0, 1, f"c{number}")]) if step == "draft" else session.accept(row)
            history.append(state())
        assert state() == history[-1]
    last = state()
    session.close()
    session = LabelSession(dataset, "names")
    assert state() == last
    session.close()


def test_damaged_lines_are_counted_and_the_others_used(session, dataset, do_freeze):
    session.draft(1, [(0, 3, "person")])
    session.accept(1)
    with (dataset.folder / DECIDED).open("ab") as f:
        f.write(b'{"row": 1, "text"\n\x00\xff\xfe\n{"row": 0, "te')
    session.draft(3, [(0, 9, "person")])
    session.accept(3)
    again = LabelSession(dataset, "names")
    assert again.index.damaged == 3 and again.index.select("done", False).tolist() == [1, 3]
    again.close()
    frozen = do_freeze(dataset, validation=0.0)
    assert frozen_names(frozen.dataset)[TEXTS[1]] == [("Bob", "person")]
    assert any(note.startswith("3 lines of the labels are damaged") for note in frozen.notes)


def test_labels_of_texts_that_are_gone_or_changed_are_left_out_and_told(session, dataset, do_freeze):
    good = TextLabel(1, digest_of(session.items[1]), "names", ((0, 3, "person"),), accepted=True)
    wrong = [replace(good, row=0), replace(good, row=77), replace(good, row=3, digest=digest_of(session.items[3]),
             spans=((0, 999, "person"),))]  # fmt: skip
    with JournalWriter(dataset.folder / DECIDED) as journal:
        journal.append([good, *wrong])
    frozen = do_freeze(dataset, validation=0.0)
    names = frozen_names(frozen.dataset)
    assert names[TEXTS[1]] == [("Bob", "person")] and names[TEXTS[0]] is None and names[TEXTS[3]] is None
    assert any("2 labels are left out" in note for note in frozen.notes)


@pytest.mark.parametrize("form", ["jsonl", "conll"])
def test_what_is_saved_can_be_imported_again(session, dataset, do_scan, tmp_path, form):
    session.draft(3, [(0, 9, "full name"), (16, 20, "place")])
    session.accept(3)
    session.draft(1, [(0, 3, "person")])
    out = tmp_path / f"labels.{form}"
    assert export_labels(dataset, out, form) == 1
    again = do_scan(out, kind="text")
    (record,) = again.records
    assert again.texts() == (["Eve Adams likes Rome."] if form == "jsonl" else ["Eve Adams likes Rome ."])
    name = "full name" if form == "jsonl" else "full_name"
    assert json.loads(record.marks)["spans"] == [[0, 9, name], [16, 20, "place"]]


def test_nothing_to_save_is_said(dataset, tmp_path):
    with pytest.raises(UserError, match="Nothing"):
        export_labels(dataset, tmp_path / "x.jsonl", "jsonl")
    assert not list(tmp_path.glob("x.jsonl*"))


def test_a_copy_of_a_frozen_set_can_be_labelled_and_frozen_anew(session, dataset, workspace, do_freeze):
    session.draft(1, [(0, 3, "person")])
    session.accept(1)
    frozen = do_freeze(dataset, validation=0.0).dataset
    copy = workspace.dataset(copy_to_label(frozen, workspace))
    assert not copy.info.frozen and copy.info.title.startswith(frozen.info.title)
    more = LabelSession(copy, "names")
    more.draft(0, [(2, 5, "person")])
    more.accept(0)
    more.close()
    names = frozen_names(do_freeze(copy, validation=0.0).dataset)
    assert names[TEXTS[0]] == [("Ann", "person")] and names[TEXTS[1]] == [("Bob", "person")]
    assert frozen_names(frozen)[TEXTS[0]] is None


def test_a_set_without_labels_is_labelled_from_nothing_but_names_of_classes(session):
    assert session.classes() == []
    session.use_classes(with_class(session.class_list, "person", []))
    again = LabelSession(session.dataset, "names")
    assert again.classes() == ["person"]
    again.close()


def test_a_million_texts_take_little_memory(dataset):
    every = np.ones(1_000_000, bool)
    index = LabelIndex(dataset, "names", every, ~every)
    arrays = [index.decided, index.accepted, index.proposed, index.certainty, index.usable, index.imported]
    assert sum(array.nbytes for array in arrays) <= 24e6


def test_words_of_the_source_stay_with_corrected_names(do_scan, do_freeze, source):
    (source / "t.conll").write_text("Ann\tB-per\nLee\tI-per\nsleeps\tO\n", encoding="utf-8")
    dataset = do_scan(source, kind="text").dataset
    session = LabelSession(dataset, "names")
    session.draft(0, [(0, 3, "per")])
    session.accept(0)
    session.close()
    (marks,) = do_freeze(dataset, validation=0.0).dataset.marks("train")
    assert marks == Marks(((0, 3, "per"),), ((0, 3), (4, 7), (8, 14)))


def test_a_killed_program_loses_no_decision(dataset):
    """Each row that was told is on the disk when the program is ended without warning."""
    code = (
        "import sys; from pathlib import Path\n"
        "from aigc_desktop.core.dataset import Dataset\n"
        "from aigc_desktop.data.label_session import LabelSession\n"
        "session = LabelSession(Dataset(Path(sys.argv[1])), 'names')\n"
        "for number in range(1_000_000):\n"
        "    session.draft(number % 5, [(0, 1, f'c{number}')]); print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(dataset.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            if int(line) == 40:
                break
        program.kill()
        told = [int(line) for line in program.stdout if line.endswith("\n")]
    last = max([40, *told])
    with JournalWriter(dataset.folder / DECIDED) as journal:
        journal.append([])
    names = []
    for line in (dataset.folder / DECIDED).read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            names.append(read_label(line + b"\n").spans[0][2])
    assert names[: last + 1] == [f"c{number}" for number in range(last + 1)]
