"""Labels that a trained model proposes for a data set: what is written, what is left out, stopped and gone on with."""

import json

import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Note, Progress, Result, Stopped
from aigc_desktop.core.job import run_job
from aigc_desktop.core.labels import PROPOSED, JournalWriter, TextLabel
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.label_session import LabelSession
from aigc_desktop.data.scan import ScanConfig, scan
from aigc_desktop.engine.labels import proposing
from aigc_desktop.engine.labels.proposing import ProposeConfig, propose
from tests.engine.families import test_text_classifier as classifier
from tests.engine.families import test_token_tagger as tagger

LINES = [f"{who} likes {where} in {1900 + n}." for n, (who, where) in enumerate(
    [("Ann", "Oslo"), ("Bob", "Rome"), ("Kim", "Lima"), ("Eve Adams", "New York")] * 20
)]  # fmt: skip


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    run, _events = tagger.train(Workspace.open(tmp_path_factory.mktemp("finder")))
    return run


def bring_in(workspace, lines, name="new.txt", **values):
    path = workspace.folder.parent / f"{workspace.folder.name}-{name}"
    path.write_text("\n".join(lines), encoding="utf-8")
    config = check(ScanConfig, {"source": str(path), "kind": "text", **values})
    (end,) = (e for e in scan(config, Run(workspace.folder, workspace.folder)) if isinstance(e, Result))
    return workspace.dataset(end.data["id"])


def ask(run, dataset, should_stop=lambda: False, **values):
    config = check(ProposeConfig, {"run": run.id, "dataset": dataset.id, "device": "cpu", **values})
    return list(run_job(propose, config, Run(run.workspace, run.workspace), should_stop))


def proposals(dataset):
    return [json.loads(line) for line in (dataset.folder / PROPOSED).read_text().splitlines()]


def test_names_are_proposed_with_how_certain_they_are(finder):
    dataset = bring_in(Workspace(finder.workspace), [*LINES, "zq xv?"], text_item="line")
    events = ask(finder, dataset)
    assert isinstance(events[-1], Finished), events[-1]
    (result,) = (e.data for e in events if isinstance(e, Result))
    assert result == {"dataset": dataset.id, "kind": "names", "count": 81, "classes": ["person", "place"]}
    session = LabelSession(dataset, "names")
    try:
        right = 0
        for row in range(80):
            shown = session.shown(row)
            assert 0 < shown.certainty <= 1 and shown.origin == "proposed"
            right += any(shown.text[a:b] in shown.text[:9] and name == "person" for a, b, name in shown.spans)
        assert right > 70
        least = session.index.select("proposed", uncertain_first=True)
        certain = session.index.certainty[least]
        assert (certain[:-1] <= certain[1:]).all()
    finally:
        session.close()


def test_what_is_labelled_or_proposed_already_is_left_out(finder):
    dataset = bring_in(Workspace(finder.workspace), LINES[:40], "some.txt", text_item="line")
    session = LabelSession(dataset, "names")
    session.draft(3, [(0, 2, "person")])
    session.accept(5)
    session.close()
    ask(finder, dataset)
    assert [row["row"] for row in proposals(dataset)] == [n for n in range(40) if n != 5]
    ask(finder, dataset)
    assert len(proposals(dataset)) == 39


def test_a_stopped_job_keeps_what_it_has_and_goes_on_there(finder, monkeypatch):
    monkeypatch.setattr(proposing.Pace, "due", lambda self: True)
    dataset = bring_in(Workspace(finder.workspace), LINES, "stop.txt", text_item="line")
    events = ask(finder, dataset, lambda: (dataset.folder / PROPOSED).is_file() and bool(proposals(dataset)))
    assert isinstance(events[-1], Stopped)
    done = len(proposals(dataset))
    assert 0 < done < len(LINES)
    events = ask(finder, dataset)
    (result,) = (e.data for e in events if isinstance(e, Result))
    assert result["count"] == len(LINES) - done
    assert [row["row"] for row in proposals(dataset)] == list(range(len(LINES)))
    assert any(isinstance(event, Progress) and event.total == len(LINES) for event in events)


def test_a_text_longer_than_the_network_is_read_in_pieces(finder):
    text = " ".join(f"{who} likes {where} in 1999." for who, where in [("Ann", "Oslo"), ("Bob", "Rome")] * 60)
    dataset = bring_in(Workspace(finder.workspace), [text, LINES[0]], "long.txt", text_item="line")
    assert isinstance(ask(finder, dataset)[-1], Finished)
    found = {row["row"]: row for row in proposals(dataset)}
    last = found[0]["spans"][-1]
    assert last[1] > len(text) * 0.9


def test_classes_that_the_data_do_not_have_are_told(finder):
    workspace = Workspace(finder.workspace)
    dataset = bring_in(workspace, ["Tea\tB-drink", "helps\tO", "", "Ann\tO", "left\tO"], "drinks.conll")
    events = ask(finder, dataset, only_new=False)
    (note,) = (event for event in events if isinstance(event, Note))
    assert note.level == "warning" and "person, place" in note.message
    session = LabelSession(dataset, "names")
    assert session.classes()[0] == "drink"
    session.close()
    assert not [row for row in proposals(bring_in_and_ask(finder, workspace)) if row["row"] < 2]


def bring_in_and_ask(finder, workspace):
    """Propose for a set in which names are marked, leaving labelled texts out."""
    dataset = bring_in(workspace, ["Tea\tB-drink", "", "Ann\tO"], "marked.conll")
    ask(finder, dataset)
    return dataset


def test_a_model_of_another_kind_is_refused_with_a_way_out(finder):
    workspace = Workspace(finder.workspace)
    dataset = bring_in(workspace, LINES[:2], "two.txt", text_item="line")
    failed = ask(workspace.new_run("gpt.train", {}, "poems"), dataset)[-1]
    assert isinstance(failed, Failed) and "does not label texts" in failed.message and "name finder" in failed.hint


def test_damaged_proposals_do_not_stop_the_next_ones(finder):
    dataset = bring_in(Workspace(finder.workspace), LINES[:3], "damaged.txt", text_item="line")
    with JournalWriter(dataset.folder / PROPOSED) as journal:
        journal.append([TextLabel(9999, "", "names", source="model", run=finder.id, version="000150")])
    with (dataset.folder / PROPOSED).open("ab") as f:
        f.write(b"\xff\x00 nonsense")
    events = ask(finder, dataset)
    assert isinstance(events[-1], Finished), events[-1]
    session = LabelSession(dataset, "names")
    assert session.index.damaged == 1 and session.index.counts().proposed == 3
    session.close()


def test_classes_are_proposed_with_their_probability(tmp_path):
    run, _events = classifier.train(Workspace.open(tmp_path / "sorter"))
    dataset = bring_in(Workspace(run.workspace), LINES[:8], text_item="line")
    events = ask(run, dataset)
    assert isinstance(events[-1], Finished), events[-1]
    session = LabelSession(dataset, "class")
    shown = [session.shown(row) for row in range(8)]
    session.close()
    assert {each.label for each in shown} <= set(session.classes())
    assert all(0.5 <= each.certainty <= 1 and each.origin == "proposed" for each in shown)
