"""The text writer told what to write: labels, attributes and gaps, from the import to the text."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Result, Stopped, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families.gpt import FAMILY, GenerateConfig, GPTConfig, InfillConfig, generate, infill, train
from aigc_desktop.engine.training.checkpoint import read_model

SMALL = {
    "layers": 2, "width": 32, "heads": 2, "context": 48, "batch_size": 8, "threads": 1, "device": "cpu",
    "precision": "float32", "warmup": 5, "log_every": 1, "validate_every": 0, "sample_every": 0, "tokenizer": "char",
}  # fmt: skip
WORDS = {"天": "日月星云", "海": "浪潮舟鱼", "ים": "גלחוף", "🌈": "🔴🟡🟢🔵"}
"""What texts of a subject are made of: two Chinese ones, one written from right to left, one of emoji."""


def table(folder: Path) -> Path:
    """Write texts whose letters follow from the subject, and whose end follows from the label."""
    dice = random.Random(0)
    path = folder / "文.csv"
    with path.open("w", encoding="utf-8", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["text", "主题", "author", "tone"])
        for i in range(240):
            subject, tone = list(WORDS)[i % 4], ("loud", "soft")[i // 4 % 2]
            words = "".join(dice.choice(WORDS[subject]) for _letter in range(dice.randint(4, 8)))
            rows.writerow([words + {"loud": "！", "soft": "。"}[tone], subject, f"author {i % 3}", tone])
    return path


def imported(workspace: Workspace, **values) -> Dataset:
    source = table(workspace.folder)
    config = check(ScanConfig, {
        "source": str(source), "text_column": "text", "labels": "column", "label_column": "tone",
        "attribute_columns": "主题, author", **values,
    })  # fmt: skip
    for event in import_dataset(config, {"validation": 0.1}, Run(workspace.folder, workspace.folder)):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise AssertionError("nothing was imported")


def trained(workspace: Workspace, dataset: Dataset, **values) -> tuple[Run, list]:
    config = GPTConfig(dataset=dataset.id, **{**SMALL, "steps": 3, **values})
    run = workspace.new_run("gpt.train", config.model_dump(mode="json"))
    return run, list(run_job(train, config, run))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A model that learned subject, label and gaps, as far as such a small one can."""
    workspace = Workspace.open(tmp_path_factory.mktemp("told"))
    run, events = trained(workspace, imported(workspace), steps=1500, infill=0.3, validate_every=100)
    assert isinstance(events[-1], Finished), events[-1]
    return workspace, run, events


def test_the_plan_takes_a_context_that_holds_a_text_with_its_attributes(workspace):
    """From little text it follows that the context is short, but attributes that do not fit would not be learned."""
    dataset, machine = imported(workspace), Machine(cores=2, memory=16 * 10**9, processor="test")
    plan = FAMILY.task("train").plan
    fitted = plan({"dataset": dataset.id}, "XS", dataset, machine)
    _run, events = trained(workspace, dataset, context=fitted.values["context"], tokenizer="auto")
    assert isinstance(events[-1], Finished) and fitted.problems == []
    assert not [event for event in events if isinstance(event, Note) and "more attributes" in event.message]
    without = plan({"dataset": dataset.id, "attributes": False}, "XS", dataset, machine)
    assert without.values["context"] < fitted.values["context"]


def written(story, task=generate, config=GenerateConfig, **values) -> list:
    workspace, run, _events = story
    checked = check(config, {"run": run.id, "device": "cpu", "count": 8, "length": 24, **values})
    job = workspace.new_run("gpt.generate", checked.model_dump(), parent="results")
    return list(run_job(task, checked, job))


def texts(events: list) -> list[str]:
    assert isinstance(events[-1], Finished), events[-1]
    return [text for event in events if isinstance(event, Text) and not event.partial for text in event.items]


def share_of(letters: str, made: list[str]) -> float:
    found = Counter("".join(made))
    return sum(found[letter] for letter in set(letters)) / max(1, sum(found.values()))


@pytest.mark.parametrize("subject", list(WORDS))
def test_a_text_follows_its_attribute_in_any_script(story, subject):
    made = texts(written(story, attributes=f"主题: {subject}"))
    assert share_of(WORDS[subject] + "！。", made) > 0.9, made


def test_label_and_attributes_work_together_and_alone(story):
    both = texts(written(story, attributes="author：author 1\n主题:海\n", label="loud"))
    assert share_of(WORDS["海"] + "！", both) > 0.8, both
    soft = texts(written(story, label="soft"))
    assert sum(text.endswith("。") for text in soft) > sum(text.endswith("！") for text in soft)
    assert texts(written(story, attributes="label: soft")) == soft
    assert len(set(texts(written(story)))) > 2


def test_a_beginning_goes_with_attributes(story):
    for text in texts(written(story, prompt="鱼", attributes="主题: 海", count=3)):
        assert text.startswith("鱼")


def test_a_text_made_alone_is_identical(story):
    together = texts(written(story, attributes="主题: 天", seed=2))
    assert texts(written(story, attributes="主题: 天", seed=7, count=1)) == together[5:6]


def test_gaps_are_filled_from_both_sides(story):
    events = written(story, infill, InfillConfig, before="日月", after="云。", attributes="主题: 天")
    made = texts(events)
    assert all(text.startswith("日月") and text.endswith("云。") for text in made)
    assert share_of(WORDS["天"] + "。", made) > 0.9, made
    partial = [e for e in events if isinstance(e, Text) and e.partial]
    assert all(item.endswith("云。") for e in partial for item in e.items)
    sea = texts(written(story, infill, InfillConfig, before="浪", after="！"))
    assert share_of(WORDS["海"] + "！", sea) > 0.6, sea


def test_a_long_surrounding_is_cut_and_said(story):
    events = written(story, infill, InfillConfig, before="日" * 100, after="。", count=1)
    assert texts(events)[0].startswith("日" * 100)
    assert any(isinstance(e, Note) and "nearest to the gap" in e.message for e in events)


@pytest.mark.parametrize(("values", "said", "hint"), [
    ({"attributes": "mood: gay"}, "no attribute “mood”, only: label, 主题, author", "Correct the name"),
    ({"attributes": "just words"}, "Line 1", "label, 主题, author"),
    ({"attributes": "主题: 天\n主题: 海"}, "given twice", "Keep one"),
    ({"label": "silent"}, "not learned the class “silent”", "loud, soft"),
    ({"label": "loud", "attributes": "label: soft"}, "class is given twice", "Keep one"),
])  # fmt: skip
def test_what_the_model_does_not_know_is_said_with_what_it_knows(story, values, said, hint):
    last = written(story, **values)[-1]
    assert isinstance(last, Failed) and said in last.message and hint in last.hint


def test_validation_counts_bytes_of_texts_only(story):
    _workspace, _run, events = story
    values = [e.values["val_bpb"] for e in events if isinstance(e, Metric) and "val_bpb" in e.values]
    assert len(values) == 15 and min(values) < values[0]
    assert 0.5 < min(values) < 1.5  # 2 bits a letter of 2.6 bytes, as each is one of four, and less for the rest


def test_a_model_without_attributes_says_so(tmp_path):
    workspace = Workspace.open(tmp_path / "w")
    dataset = imported(workspace)
    run, events = trained(workspace, dataset, attributes=False)
    assert isinstance(events[-1], Finished), events[-1]
    card, _tensors = read_model(run.checkpoint("last"))
    assert card.extra["fields"] == [] and not card.extra["marks"]
    story = (workspace, run, events)
    assert isinstance(written(story)[-1], Finished)
    assert "knows no attributes" in written(story, attributes="主题: 天")[-1].message
    assert "without labels" in written(story, label="loud")[-1].hint
    last = written(story, infill, InfillConfig, before="日")[-1]
    assert isinstance(last, Failed) and "fill gaps" in last.message


@pytest.mark.parametrize("values", [
    {"infill": 0.5}, {"infill": 0.5, "tokenizer": "bpe", "vocab": 320, "context": 96, "learn_lines": True},
    {"attributes": False, "packing": "apart"}, {"packing": "stream"},
])  # fmt: skip
def test_stopped_it_goes_on_to_the_same_bits(tmp_path, values):
    workspace = Workspace.open(tmp_path / "w")
    dataset = imported(workspace)
    whole, events = trained(workspace, dataset, steps=8, **values)
    assert isinstance(events[-1], Finished), events[-1]
    config = GPTConfig.model_validate(whole.config_values)
    run, seen = workspace.new_run("gpt.train", config.model_dump(mode="json")), []
    for event in run_job(train, config, run, lambda: sum(isinstance(e, Metric) for e in seen) > 2):
        seen.append(event)
    assert isinstance(seen[-1], Stopped)
    assert isinstance(list(run_job(train, config, run))[-1], Finished)
    ours, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, whole))
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


def test_gaps_without_attributes_and_one_single_text(tmp_path):
    workspace = Workspace.open(tmp_path / "w")
    source = workspace.folder / "one.txt"
    source.write_text("静夜思 the moon 🌙 " * 300, encoding="utf-8")
    config = check(ScanConfig, {"source": str(source), "text_item": "document"})
    for _event in import_dataset(config, {"validation": 0.0}, Run(workspace.folder, workspace.folder)):
        pass
    run, events = trained(workspace, workspace.datasets()[0], infill=0.9, steps=4, validate_every=2)
    assert isinstance(events[-1], Finished), events[-1]
    assert any(isinstance(e, Note) and "last tenth" in e.message for e in events)
    assert isinstance(written((workspace, run, events), infill, InfillConfig, before="静", after="思")[-1], Finished)


def test_the_plan_names_what_will_be_learned(tmp_path):
    from tests.engine.families.test_gpt import LAPTOP

    workspace = Workspace.open(tmp_path / "w")
    dataset = imported(workspace)
    plan = FAMILY.task("train").plan
    notes = plan({"dataset": dataset.id, "context": 32}, "auto", dataset, LAPTOP).notes
    assert any("label, 主题, author" in note for note in notes)
    seen = next(float(word) for note in notes for word in note.split() if "times" in note and word[0].isdigit())
    notes = plan({"dataset": dataset.id, "context": 32, "attributes": False}, "auto", dataset, LAPTOP).notes
    assert not any("主题" in note for note in notes)
    more = next(float(word) for note in notes for word in note.split() if "times" in note and word[0].isdigit())
    assert more > 1.5 * seen  # lines take the room of texts
