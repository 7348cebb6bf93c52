"""Several models that write together, and one that learns from them."""

from __future__ import annotations

import shutil

import pytest
import torch

from aigc_desktop.core.events import Failed, Finished, Metric, Stopped, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import gpt
from aigc_desktop.engine.families.gpt import FAMILY, GenerateConfig, GPTConfig, generate, train
from aigc_desktop.engine.nn.ensemble import Ensemble
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.training.checkpoint import read_model
from tests.engine.families.test_gpt import LAPTOP, POEMS, TINY
from tests.engine.toy import text_dataset

SHAPE = Shape(20, 2, 16, 2, 12)
TOKENS = torch.arange(24).view(2, 12) % 20


def random_ensemble(count: int = 3) -> Ensemble:
    torch.manual_seed(0)
    ensemble = Ensemble(SHAPE, count).eval()
    for parameter in ensemble.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return ensemble


def trained(workspace: Workspace, **values) -> tuple:
    dataset = workspace.datasets()[0] if workspace.datasets() else text_dataset(workspace, POEMS, held_out=12)
    config = GPTConfig(dataset=dataset.id, **{**TINY, "tokenizer": "char", **values})
    run = workspace.new_run("gpt.train", config.model_dump(mode="json"))
    return run, list(run_job(train, config, run))


def losses(events: list, name: str) -> list[float]:
    return [e.values[name] for e in events if isinstance(e, Metric) and name in e.values]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("ensemble"))
    run, events = trained(workspace, ensemble=2, steps=40, validate_every=20)
    assert isinstance(events[-1], Finished), events[-1]
    return workspace, run, events


def test_logits_are_the_mean_of_the_members():
    ensemble = random_ensemble()
    alone = [model(TOKENS) for model in ensemble.models]
    torch.testing.assert_close(ensemble(TOKENS), sum(alone) / 3)
    assert not torch.allclose(alone[0], alone[1])


@torch.no_grad()
def test_a_cache_gives_the_same_logits():
    ensemble = random_ensemble()
    cache = ensemble.new_cache(2)
    ensemble(TOKENS[:, :5], cache)
    assert cache.filled == 5
    torch.testing.assert_close(ensemble(TOKENS[:, 5:6], cache), ensemble(TOKENS[:, :6])[:, -1:], rtol=1e-4, atol=1e-5)
    cache.filled = 0
    torch.testing.assert_close(ensemble(TOKENS[:, :3], cache), ensemble(TOKENS[:, :3])[:, -1:], rtol=1e-4, atol=1e-5)


def test_each_member_learns_from_rows_of_its_own():
    ensemble = random_ensemble(2)
    targets = TOKENS.roll(1)
    alone = [model.loss(TOKENS[k : k + 1], targets[k : k + 1]) for k, model in enumerate(ensemble.models)]
    torch.testing.assert_close(ensemble.loss(TOKENS, targets), sum(alone) / 2)
    assert ensemble.loss(TOKENS[:1], targets[:1]).isfinite()


def test_together_they_expect_the_text_better_than_alone(story):
    _workspace, run, _events = story
    model, tokenizer = gpt.load(run.checkpoint("last"), "cpu")
    assert isinstance(model, Ensemble) and len(model.members) == 2
    a, b = (parameter for parameter in (model.models[i].embedding.weight for i in range(2)))
    assert not torch.equal(a, b)
    tokens = torch.from_numpy(tokenizer.encode("床前明月光，疑是地上霜。").astype("int64"))[None]
    alone = [member.token_losses(tokens[:, :-1], tokens[:, 1:]).mean() for member in model.models]
    assert model.token_losses(tokens[:, :-1], tokens[:, 1:]).mean() < sum(alone) / 2


def test_an_ensemble_writes_and_goes_on_to_the_same_bits(story):
    workspace, whole, _events = story
    job = GenerateConfig(run=whole.id, device="cpu", count=3, length=10)
    made = list(run_job(generate, job, workspace.new_run("gpt.generate", {}, parent="results")))
    assert isinstance(made[-1], Finished) and any(isinstance(e, Text) and all(e.items) for e in made)
    config = GPTConfig.model_validate(whole.config_values)
    run, seen = workspace.new_run("gpt.train", config.model_dump(mode="json")), []
    for event in run_job(train, config, run, lambda: sum(isinstance(e, Metric) for e in seen) > 2):
        seen.append(event)
    assert isinstance(seen[-1], Stopped)
    assert isinstance(list(run_job(train, config, run))[-1], Finished)
    ours, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, whole))
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


def test_a_plan_counts_every_member(story):
    workspace, _run, _events = story
    dataset = workspace.datasets()[0]
    one, three = (
        FAMILY.task("train").plan({"dataset": dataset.id, "context": 32, "ensemble": n}, "XS", dataset, LAPTOP)
        for n in (1, 3)
    )
    assert three.parameters == 3 * one.parameters and three.memory_mb == pytest.approx(3 * one.memory_mb)
    assert three.seconds == pytest.approx(3 * one.seconds)


def test_one_model_learns_from_an_ensemble(story):
    workspace, teacher, _events = story
    run, events = trained(workspace, teacher=teacher.id, teaching=1.0, steps=40)
    assert isinstance(events[-1], Finished), events[-1]
    divergence = losses(events, "teacher_kl")
    assert divergence[-1] < divergence[0] / 2
    model, tokenizer = gpt.load(run.checkpoint("last"), "cpu")
    assert isinstance(model, LanguageModel)
    assert tokenizer.characters == gpt.load(teacher.checkpoint("last"), "cpu")[1].characters


def test_a_learner_stopped_goes_on_to_the_same_bits(story):
    workspace, teacher, _events = story
    whole, _all = trained(workspace, teacher=teacher.id, steps=6)
    config = GPTConfig.model_validate(whole.config_values)
    run, seen = workspace.new_run("gpt.train", config.model_dump(mode="json")), []
    for event in run_job(train, config, run, lambda: any(isinstance(e, Metric) for e in seen)):
        seen.append(event)
    assert isinstance(list(run_job(train, config, run))[-1], Finished)
    ours, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, whole))
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


@pytest.mark.parametrize(("values", "said"), [
    ({"ensemble": 2}, "ensemble cannot have a teacher"),
    ({"context": 32}, "looks back 16 tokens only"),
    ({"infill": 0.5}, "learned other attributes"),
])  # fmt: skip
def test_a_teacher_that_does_not_fit_is_refused(story, values, said):
    workspace, teacher, _events = story
    last = trained(workspace, teacher=teacher.id, **values)[1][-1]
    assert isinstance(last, Failed) and said in last.message and last.hint


@pytest.mark.parametrize(("values", "field", "said"), [
    ({"ensemble": 2}, "ensemble", "ensemble cannot have a teacher"),
    ({"context": 32}, "context", "looks back 16 tokens only"),
    ({"infill": 0.5}, "teacher", "learned other attributes"),
    ({"teacher": "no_such_run"}, "teacher", "no_such_run"),
])  # fmt: skip
def test_the_plan_says_what_a_teacher_stands_in_the_way_of(story, values, field, said):
    workspace, teacher, _events = story
    dataset = workspace.datasets()[0]
    plan = FAMILY.task("train").plan({"dataset": dataset.id, "teacher": teacher.id, **values}, "XS", dataset, LAPTOP)
    assert [problem.field for problem in plan.problems] == [field] and said in plan.problems[0].message


def test_a_plan_looks_back_no_further_than_the_teacher(story, tmp_path):
    workspace = Workspace.open(tmp_path / "w")
    shutil.copytree(story[1].folder, workspace.folder / "runs" / story[1].id)
    dataset = text_dataset(workspace, POEMS * 10)
    alone, taught = (
        FAMILY.task("train").plan({"dataset": dataset.id, **values}, "XS", dataset, LAPTOP)
        for values in ({}, {"teacher": story[1].id})
    )
    assert taught.problems == [] and taught.values["context"] == 16 < alone.values["context"]


def test_a_run_of_another_family_cannot_teach(story):
    workspace, _teacher, _events = story
    other = workspace.new_run("image_gan.train", {})
    last = trained(workspace, teacher=other.id)[1][-1]
    assert isinstance(last, Failed) and "cannot teach" in last.message
