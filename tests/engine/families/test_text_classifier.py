"""What the text sorter has beside the contract of all families."""

import json
import shutil
from dataclasses import replace

import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import write_info
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Result, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.report import report_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import text_classifier
from aigc_desktop.engine.labels.labelling import LabelConfig, MeasureConfig
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
from aigc_desktop.engine.training.checkpoint import read_card
from tests.engine.toy import has_fitting_interval, marked_dataset, text_dataset

MACHINE = Machine(cores=4, memory=16 * 2**30, processor="x")


def train(workspace: Workspace, method: str = "full", **values):
    """Train on sentences of two classes; return the run and the events."""
    dataset = marked_dataset(workspace, 120, held_out=24)
    config = check(text_classifier.ClassifierConfig, {
        "dataset": dataset.id, "encoder": add_tiny_encoder(workspace, dataset.texts("train"), hidden_size=32),
        "steps": 120, "lr": 5e-3, "method": method, "warmup": 5, "validate_every": 40, "sample_every": 0,
        "log_every": 10, "device": "cpu", "threads": 1, "precision": "float32", **values,
    })  # fmt: skip
    run = workspace.new_run("text_classifier.train", config.model_dump(mode="json"))
    return run, list(run_job(text_classifier.train, config, run))


@pytest.fixture(scope="module", params=["full", "lora"])
def story(request, tmp_path_factory):
    return train(Workspace.open(tmp_path_factory.mktemp(request.param)), request.param)


def test_it_learns_the_classes(story):
    run, events = story
    assert isinstance(events[-1], Finished), events[-1]
    checks = [e.values for e in events if isinstance(e, Metric) and "val_error" in e.values]
    assert max(values["val_accuracy"] for values in checks) > 0.9
    texts = "Bob left Lima in 2040.\nBob likes Lima in 2040."
    config = check(LabelConfig, {"run": run.id, "text": texts, "device": "cpu"})
    result = Workspace(run.workspace).new_run("text_classifier.label", {}, parent="results")
    list(run_job(text_classifier.label, config, result))
    rows = [json.loads(line) for line in (result.folder / "labels.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["sad", "glad"]
    assert all(0.5 < row["probability"] <= 1 for row in rows)


def test_the_preview_names_the_true_and_the_found_class(story):
    items = [e.items for e in story[1] if isinstance(e, Text)][-1]
    assert all(item.partition(" · ")[2].partition("\n")[0] in ("glad", "sad") and "%" in item for item in items)


def test_the_evaluation_agrees_with_its_confusion(story):
    run, _events = story
    config = check(MeasureConfig, {"run": run.id, "device": "cpu"})
    (result,) = (e.data for e in run_job(text_classifier.evaluate, config, run) if isinstance(e, Result))
    report = report_of(result)
    classes, confusion, worst = report.tables
    right = sum(row[i + 1] for i, row in enumerate(confusion.rows))
    total = sum(sum(row[1:]) for row in confusion.rows)
    accuracy = report.figure("Accuracy")
    assert total == report.count == 24 and accuracy.value == pytest.approx(right / total)
    assert has_fitting_interval(accuracy)
    assert [row[0] for row in classes.rows][:2] == ["glad", "sad"] and len(worst.rows) == min(10, total - right)


def test_too_few_classes_are_one_sentence_before_the_start(workspace):
    dataset = text_dataset(workspace, ["one", "two", "three", "four", "five"])
    encoder = add_tiny_encoder(workspace, dataset.texts("train"))
    plan = text_classifier.FAMILY.task("train").plan
    values = {"dataset": dataset.id, "encoder": encoder}
    (problem,) = plan(values, "auto", dataset, MACHINE).problems
    assert problem.field == "dataset" and "have no classes" in problem.message
    write_info(dataset.folder, replace(dataset.info, classes=["a", "b"], class_counts=[5, 0]))
    one = workspace.dataset(dataset.id)
    (problem,) = plan(values, "auto", one, MACHINE).problems
    assert "are of one class, “a”" in problem.message
    config = check(text_classifier.ClassifierConfig, values)
    run = workspace.new_run("text_classifier.train", config.model_dump(mode="json"))
    end = list(run_job(text_classifier.train, config, run))[-1]
    assert isinstance(end, Failed) and "one class" in end.message


def test_classes_that_the_model_does_not_know_are_named(story):
    run, _events = story
    workspace = Workspace(run.workspace)
    known = read_card(run.checkpoint("last")).extra["classes"]
    dataset = marked_dataset(workspace, name="strange")
    ends = []
    for classes in (["x", "y"], [known[0], "y"]):
        write_info(dataset.folder, replace(dataset.info, classes=classes))
        config = check(MeasureConfig, {"run": run.id, "dataset": "strange", "device": "cpu"})
        ends.append(list(run_job(text_classifier.evaluate, config, run)))
    shutil.rmtree(dataset.folder)
    assert "none of the classes of these data: x, y" in ends[0][-1].message and known[0] in ends[0][-1].hint
    assert isinstance(ends[1][-1], Finished)
    assert any(isinstance(event, Note) and event.message.endswith("not measured on them: y.") for event in ends[1])


def test_data_without_known_labels_cannot_be_measured_on(story):
    run, _events = story
    workspace = Workspace(run.workspace)
    there = [dataset.id for dataset in workspace.datasets()]
    plain = "plain" if "plain" in there else text_dataset(workspace, ["a b", "c d"], "plain").id
    config = check(MeasureConfig, {"run": run.id, "dataset": plain, "device": "cpu"})
    end = list(run_job(text_classifier.evaluate, config, run))[-1]
    assert isinstance(end, Failed) and "no texts with known labels" in end.message
