"""What the name finder has beside the contract of all families."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import write_info
from aigc_desktop.core.events import Failed, Finished, Metric, Result, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.report import report_of
from aigc_desktop.core.words import words_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import token_tagger
from aigc_desktop.engine.labels.adapted import load_adapted
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.labels.labelling import LabelConfig, MeasureConfig
from aigc_desktop.engine.labels.pieces import collate, word_pieces
from aigc_desktop.engine.labels.tagging import find_names, tagged_texts
from aigc_desktop.engine.pretrained.encoder import encoder_folder, load_encoder
from aigc_desktop.engine.pretrained.peft_adapter import read_adapter, work_in
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
from tests.engine.toy import has_fitting_interval, marked_dataset, text_dataset

MACHINE = Machine(cores=4, memory=16 * 2**30, processor="x")
SMALL = {
    "steps": 150, "batch_size": 16, "warmup": 5, "validate_every": 50, "sample_every": 0, "log_every": 10,
    "device": "cpu", "threads": 1, "precision": "float32",
}  # fmt: skip


def train(workspace: Workspace, **values):
    """Train on sentences about people and places; return the run and the events."""
    there = {dataset.id: dataset for dataset in workspace.datasets()}
    dataset = there.get("marked") or marked_dataset(workspace, 120, held_out=24)
    encoder = add_tiny_encoder(workspace, dataset.texts("train"), num_hidden_layers=2, hidden_size=32)
    given = {"dataset": dataset.id, "encoder": encoder, "lr": 5e-3, **SMALL, **values}
    config = check(token_tagger.TaggerConfig, given)
    run = workspace.new_run("token_tagger.train", config.model_dump(mode="json"))
    return run, list(run_job(token_tagger.train, config, run))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return train(Workspace.open(tmp_path_factory.mktemp("tagger")))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return train(Workspace.open(tmp_path_factory.mktemp("adapter")), method="lora", rank=8, lr=8e-3)


def labelled(run, text):
    config = check(LabelConfig, {"run": run.id, "text": text, "device": "cpu"})
    result = Workspace(run.workspace).new_run("token_tagger.label", {}, parent="results")
    events = list(run_job(token_tagger.label, config, result))
    assert isinstance(events[-1], Finished), events[-1]
    return [item for event in events if isinstance(event, Text) for item in event.items]


@pytest.mark.parametrize("which", ["story", "adapter"])
def test_it_learns_to_find_names_it_has_not_seen_in_that_sentence(which, request):
    run, events = request.getfixturevalue(which)
    assert isinstance(events[-1], Finished), events[-1]
    checks = [e.values for e in events if isinstance(e, Metric) and "val_error" in e.values]
    assert next(iter(checks[-1])) == "val_error"
    assert max(values["val_entity_f1"] for values in checks) > 0.9, checks
    (found,) = labelled(run, "Eve Adams left New York in 2031.")
    assert found.startswith("[Eve Adams | person] left [New")


def test_the_preview_shows_true_names_above_those_that_were_found(story):
    texts = [e.items for e in story[1] if isinstance(e, Text)][-1]
    for item in texts:
        true, found = item.split("\n→ ")
        assert "| person]" in true and true.replace("[", "").split(" ")[0] in found


def test_the_evaluation_counts_what_can_be_counted_by_hand(story):
    run, _events = story
    config = check(MeasureConfig, {"run": run.id, "device": "cpu"})
    (result,) = (e.data for e in run_job(token_tagger.evaluate, config, run) if isinstance(e, Result))
    report = report_of(result)
    assert report.count == 24 and report.figure("Names in the data").value == 48
    entities, tokens, confusion, _worst = report.tables
    assert [row[0] for row in entities.rows] == [
        "person", "place", "micro average", "macro average", "weighted average"
    ]
    micro = report.figure("Entity F1, micro (strict, IOB2)")
    assert entities.rows[2][3] == pytest.approx(micro.value, abs=1e-5) and has_fitting_interval(micro)
    assert {row[0] for row in tokens.rows} >= {"O", "B-person", "I-person", "B-place"}
    words = sum(len(words_of(text)) for text in Workspace(run.workspace).datasets()[0].texts("validation"))
    assert sum(sum(row[1:]) for row in confusion.rows) == words
    everything = check(MeasureConfig, {"run": run.id, "dataset": "marked", "device": "cpu"})
    (result,) = (e.data for e in run_job(token_tagger.evaluate, everything, run) if isinstance(e, Result))
    assert result["count"] == 120


def test_long_texts_are_read_in_parts_and_no_word_is_lost(story):
    run, _events = story
    loaded = replace(load_adapted(run.id, "best", "cpu", Workspace(run.workspace)), length=12)
    text = " ".join(["Ann likes Oslo in 1900."] * 12)
    tags = find_names(loaded, [text], [words_of(text)])[0]
    assert len(tags) == 12 * 6 and tags.count("B-person") >= 10 and tags.count("B-place") >= 10
    pieces = value_of(word_pieces(loaded.reader, [text], [words_of(text)], (), 12))
    assert len(pieces) > 3 and sorted(word for piece in pieces for word in piece.words) == list(range(72))
    assert all(len(piece.ids) <= 12 and piece.places.max() < len(piece.ids) for piece in pieces)


def test_a_file_of_labels_can_be_imported(story):
    run, _events = story
    result = Workspace(run.workspace).new_run("token_tagger.label", {}, parent="results")
    config = check(LabelConfig, {"run": run.id, "text": "Kim left Rome in 1999.", "device": "cpu"})
    list(run_job(token_tagger.label, config, result))
    assert json.loads((result.folder / "labels.jsonl").read_text()) == {
        "text": "Kim left Rome in 1999.", "spans": [[0, 3, "person"], [9, 13, "place"]]
    }


def test_an_adapter_is_small_and_stops_where_its_encoder_is_gone(adapter, tmp_path):
    run, _events = adapter
    workspace = Workspace(run.workspace)
    whole = encoder_folder(run.config_values["encoder"], workspace)
    assert (run.checkpoint("best") / "model.safetensors").stat().st_size < (
        whole / "model.safetensors"
    ).stat().st_size / 2
    moved = tmp_path / "moved"
    shutil.move(whole, moved)
    config = check(LabelConfig, {"run": run.id, "text": "Ann", "device": "cpu"})
    try:
        end = list(run_job(token_tagger.label, config, run))[-1]
        assert isinstance(end, Failed) and "not there any more" in end.message and end.hint
        shutil.copytree(moved, whole)
        add_tiny_encoder(workspace, ["other"], "other", num_hidden_layers=2, hidden_size=32)
        shutil.copy(workspace.model("other").folder / "model.safetensors", whole / "model.safetensors")
        (whole / "model.safetensors").write_bytes((moved / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\1")
        end = list(run_job(token_tagger.label, config, run))[-1]
        assert isinstance(end, Failed) and "is not the text encoder" in end.message
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        shutil.move(moved, whole)


@pytest.mark.filterwarnings("ignore")
def test_peft_opens_the_adapter_of_a_checkpoint_and_gives_the_same_logits(adapter):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    run, _events = adapter
    workspace = Workspace(run.workspace)
    loaded = load_adapted(run.id, "best", "cpu", workspace)
    folder = encoder_folder(run.config_values["encoder"], workspace)
    base = transformers.AutoModel.from_pretrained(folder, local_files_only=True)
    theirs = peft.PeftModel.from_pretrained(base, run.checkpoint("best")).eval()
    texts = ["Ann likes Oslo in 1900.", "Eve Adams left."]
    pieces = value_of(word_pieces(loaded.reader, texts, [words_of(text) for text in texts], (), 60))
    batch = collate(pieces, loaded.reader, loaded.device)
    with torch.no_grad():
        ours = loaded.model(batch)
        hidden = theirs(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        other = loaded.model.head(hidden.gather(1, batch.places[:, :, None].expand(-1, -1, hidden.shape[2])))
    assert torch.allclose(ours, other, atol=1e-5)
    read = read_adapter(run.checkpoint("best"))
    assert len(read.parts) == 2 * 6  # query, key, value, and three dense layers, in two layers
    network = load_encoder(folder, torch.device("cpu")).network
    work_in(network, read)
    with torch.no_grad():
        assert torch.allclose(network.eval()(batch.ids, batch.mask)[batch.mask], hidden[batch.mask], atol=1e-5)


def test_data_without_names_is_one_sentence_before_the_start(workspace):
    dataset = text_dataset(workspace, ["no names here", "and none here"] * 8)
    encoder = add_tiny_encoder(workspace, dataset.texts("train"))
    plan = token_tagger.FAMILY.task("train").plan
    made = plan({"dataset": dataset.id, "encoder": encoder}, "auto", dataset, MACHINE)
    (problem,) = made.problems
    assert problem.field == "dataset" and "No names are marked" in problem.message
    config = check(token_tagger.TaggerConfig, {"dataset": dataset.id, "encoder": encoder, **SMALL})
    run = workspace.new_run("token_tagger.train", config.model_dump(mode="json"))
    end = list(run_job(token_tagger.train, config, run))[-1]
    assert isinstance(end, Failed) and "No names are marked" in end.message


def test_the_plan_names_a_missing_encoder_and_counts_what_learns(workspace):
    dataset = marked_dataset(workspace)
    plan = token_tagger.FAMILY.task("train").plan
    assert plan({"dataset": dataset.id, "encoder": "gone"}, "auto", dataset, MACHINE).problems[0].field == "encoder"
    encoder = add_tiny_encoder(workspace, dataset.texts("train"))
    made = plan({"dataset": dataset.id, "encoder": encoder}, "lora", dataset, MACHINE)
    assert made.problems == [] and made.seconds > 0 and made.values["method"] == "lora"
    weights = load_encoder(encoder_folder(encoder, workspace), torch.device("cpu")).network
    assert made.parameters == sum(p.numel() for p in weights.parameters())
    assert made.steps == 60 and made.values["warmup"] == 6  # 48 texts, 16 at once, 20 rounds


def test_the_plan_knows_that_an_encoder_reads_less_than_a_text_has(workspace):
    dataset = marked_dataset(workspace)
    encoder = add_tiny_encoder(workspace, dataset.texts("train"), max_position_embeddings=5)
    made = token_tagger.FAMILY.task("train").plan({"dataset": dataset.id, "encoder": encoder}, "auto", dataset, MACHINE)
    assert made.problems == [] and made.seconds > 0


def test_texts_that_nobody_looked_through_are_not_learned_from(workspace):
    dataset = marked_dataset(workspace, 20, held_out=4)
    file = dataset.snapshot / "spans.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["null", *lines[1:]]) + "\n")
    manifest = json.loads((dataset.snapshot / "manifest.json").read_text())
    manifest["files"]["spans.jsonl"]["size"] = file.stat().st_size
    (dataset.snapshot / "manifest.json").write_text(json.dumps(manifest))
    write_info(dataset.folder, dataset.info)
    assert len(tagged_texts(workspace.dataset(dataset.id), "train")) == 15
