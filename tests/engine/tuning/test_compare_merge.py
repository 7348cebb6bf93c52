"""Before and after side by side, and a fine-tuned model that becomes one of its own."""

import json
import math
import shutil

import pytest
import torch

from aigc_desktop.core.events import Failed, Finished, Note, Result, Text
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.engine.pretrained.tiny import write_tiny_model
from aigc_desktop.engine.tuning.compare import COMPARISON
from aigc_desktop.engine.weights import read_tensors, write_tensors
from tests.engine.toy import cut_in_two, text_dataset
from tests.engine.tuning.conftest import TEXTS, asked_dataset, tune, use
from tests.engine.tuning.test_tuning import base_logits, bring, figures, last_text, tuned_logits


@pytest.mark.parametrize("method", ["lora", "full"])
def test_both_write_on_the_same_held_out_prompts_and_are_measured(workspace, dataset, base, method):
    run, events = tune(workspace, dataset, base, method=method, lr=1e-2, steps=16)
    result, events_of_both = use(workspace, "compare", run=run.id, count=3, length=10)
    assert isinstance(events_of_both[-1], Finished), events_of_both[-1]
    figures_shown, *items = last_text(events_of_both)
    told = json.loads((result.folder / COMPARISON).read_text(encoding="utf-8"))
    held_out = dataset.texts("validation")
    assert len(items) == 3 and all(any(text.startswith(prompt) for text in held_out) for prompt in told["prompts"])
    for item, prompt, one, two in zip(
        items, told["prompts"], told["before"]["texts"], told["after"]["texts"], strict=True
    ):
        assert item.startswith(prompt) and one in item and two.rstrip() in item
    assert told["before"]["texts"] != told["after"]["texts"]
    assert told["perplexity_after"] < told["perplexity_before"]
    assert told["perplexity_after"] == pytest.approx(figures(events, "val_perplexity")[-1], rel=1e-4)
    assert f"{told['perplexity_after']:.2f} after" in figures_shown
    assert any(isinstance(event, Text) and event.partial for event in events_of_both)
    assert math.isfinite(next(e for e in events_of_both if isinstance(e, Result)).data["perplexity_before"])


def test_own_lines_are_prompts_and_the_same_seed_gives_the_same_texts(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base)
    settings = {"run": run.id, "prompts": "Ann\n\nشاي 🍵\n", "length": 8, "seed": 3}
    first, again = (last_text(use(workspace, "compare", **settings)[1]) for _time in range(2))
    assert first == again and [item.split("\n")[0] for item in first[1:]] == ["Ann", "شاي 🍵"]
    _result, events = use(workspace, "compare", run=run.id, prompts="x\n" * 65)
    assert isinstance(events[-1], Failed) and "too many" in events[-1].message


def test_of_one_long_text_only_the_part_that_was_held_out_is_asked(workspace, base):
    text = " ".join(f"sentence {i} of all" for i in range(200))
    run, _events = tune(workspace, text_dataset(workspace, [text], held_out=0), base)
    result, _events = use(workspace, "compare", run=run.id, count=3, length=4)
    prompts = json.loads((result.folder / COMPARISON).read_text(encoding="utf-8"))["prompts"]
    assert len(prompts) == 3 and all(prompt in text[len(text) * 8 // 10 :] for prompt in prompts)


def test_requests_of_held_out_texts_are_asked(workspace, base):
    asked = asked_dataset(workspace, [(f"tea {i}", text) for i, text in enumerate(TEXTS)])
    run, _events = tune(workspace, asked, base, prompt="about", context=96)
    result, _events = use(workspace, "compare", run=run.id, count=2, length=8)
    told = json.loads((result.folder / COMPARISON).read_text(encoding="utf-8"))
    assert told["prompts"] == ["tea 28", "tea 31"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_without_the_base_there_is_no_before(workspace, dataset, base, method):
    run, _events = tune(workspace, dataset, base, method=method)
    shutil.rmtree(workspace.model(base).folder)
    _result, events = use(workspace, "compare", run=run.id)
    assert isinstance(events[-1], Failed) and events[-1].hint


def merged(workspace, **values):
    """Merge and return (the new model, events)."""
    _result, events = run_merge(workspace, **values)
    assert isinstance(events[-1], Finished), events[-1]
    (told,) = [event.data["id"] for event in events if isinstance(event, Result)]
    return workspace.model(told), events


def run_merge(workspace, **values):
    from aigc_desktop.core.config import check
    from aigc_desktop.core.job import run_job
    from aigc_desktop.engine.families.language_model import FAMILY

    task = FAMILY.task("merge")
    result = workspace.new_run("language_model.merge", values, parent="results")
    return result, list(run_job(task.job, check(task.config, values), result))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_becomes_a_model_of_its_own(workspace, dataset, base, method):
    run, _events = tune(workspace, dataset, base, method=method, lr=1e-2)
    wanted = tuned_logits(run)
    model, events = merged(workspace, run=run.id, title="我的 tea")
    info: ModelInfo = model.info
    assert (info.title, info.kind, info.chat) == ("我的 tea", "language", True)
    assert any("model of its own" in event.message for event in events if isinstance(event, Note))
    shutil.rmtree(workspace.model(base).folder)
    torch.testing.assert_close(base_logits(workspace, model.id), wanted, atol=1e-4, rtol=1e-4)
    _result, events = use(workspace, "generate", model=model.id, prompt="Ann", chat=False, count=1, length=5)
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_learns_from_a_model_in_several_files_is_merged_into_one(workspace, dataset, tmp_path, method):
    write_tiny_model(tmp_path / "published")
    cut_in_two(tmp_path / "published")
    base = bring(workspace, tmp_path / "published")
    run, events = tune(workspace, dataset, base, method=method)
    assert isinstance(events[-1], Finished), events[-1]
    model, events = merged(workspace, run=run.id)
    assert isinstance(events[-1], Finished), events[-1]
    assert not (model.folder / "model.safetensors.index.json").is_file() and model.info.bytes > 0
    torch.testing.assert_close(base_logits(workspace, model.id), tuned_logits(run), atol=1e-4, rtol=1e-4)


def test_an_imported_adapter_is_merged_in_the_numbers_of_its_base(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base, lr=1e-2)
    path = workspace.model(base).folder / "model.safetensors"
    write_tensors(path, {name: tensor.half() for name, tensor in read_tensors(path).items()})
    adapter = bring(workspace, run.checkpoint("last"))
    model, _events = merged(workspace, model=adapter)
    tensors = read_tensors(model.folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert not torch.equal(tensors["model.layers.0.mlp.up_proj.weight"],
                           read_tensors(path)["model.layers.0.mlp.up_proj.weight"])  # fmt: skip


def test_nothing_chosen_is_nothing_merged(workspace):
    _result, events = run_merge(workspace)
    assert isinstance(events[-1], Failed) and "Choose a model" in events[-1].message
