"""What the text GAN has beside the contract of all families."""

import itertools
import math

import numpy as np
import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Result, Stopped, Text
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.job import run_job
from aigc_desktop.core.report import report_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import describe_machine
from aigc_desktop.engine.evaluating.evaluation import EvaluateConfig, evaluate
from aigc_desktop.engine.families import text_gan
from aigc_desktop.engine.nn.gumbel import gumbel_given, ramp, straight_through
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.nn.text_critic import MultiCritic, TransformerCritic, normalised
from aigc_desktop.engine.text import gan_watch as text_gan_watch
from aigc_desktop.engine.text.gan_model import draw_rows
from aigc_desktop.engine.text.gan_setup import PRESETS
from aigc_desktop.engine.text.gan_watch import Collapse, Quality, features, right_share
from aigc_desktop.engine.text.sentences import rows_of_texts
from aigc_desktop.engine.training.checkpoint import read_model
from tests.engine.toy import text_dataset

CPU = torch.device("cpu")
TEXTS = [f"{who} {does} {what}." for who, does, what in itertools.product(
    ("The cat", "A dog", "My aunt", "Nobody"), ("sees", "likes", "wants"), ("tea", "the moon", "rain", "a red cup"),
)]  # fmt: skip
SMALL = {
    "batch_size": 16, "layers": 1, "width": 32, "heads": 2, "tokenizer": "char", "dropout": 0.0, "views": 8,
    "length": 32, "log_every": 1, "sample_every": 0, "device": "cpu", "threads": 1, "precision": "float32",
}  # fmt: skip


def train(workspace, texts=TEXTS, **values):
    """Train a tiny model; return the run and its events."""
    dataset = text_dataset(workspace, texts, held_out=4)
    config = check(text_gan.TextGanConfig, {"dataset": dataset.id, **SMALL, **values})
    run = workspace.new_run("text_gan.train", config.model_dump(mode="json"))
    return run, list(run_job(text_gan.train, config, run))


@pytest.fixture(autouse=True, scope="module")
def few_texts():
    """Measure on fewer texts than a real training does."""
    text_gan_watch.MEASURED, before = 128, text_gan_watch.MEASURED
    yield
    text_gan_watch.MEASURED = before


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Sixty steps of likelihood and forty of the game."""
    workspace = Workspace.open(tmp_path_factory.mktemp("text_gan"))
    return train(workspace, steps=100, validate_every=20, likelihood_share=0.6, game_lr=2e-4)


def use(trained, **values):
    """Write with a trained model; return the last event and the texts by seed."""
    run = trained[0]
    task = text_gan.FAMILY.task("generate")
    config = check(task.config, {"run": run.id, "checkpoint": "last", "device": "cpu", **values})
    again = Workspace(run.workspace).new_run("text_gan.generate", config.model_dump(mode="json"))
    events = list(run_job(task.job, config, again))
    finished = [e for e in events if isinstance(e, Text) and not e.partial]
    return events[-1], {seed: text for e in finished for seed, text in zip(e.seeds, e.items, strict=True)}


def validations(events):
    return {e.step: e.values for e in events if isinstance(e, Metric) and "val_loss" in e.values}


def test_versions_are_compared_by_many_texts_and_their_likeness_is_that_of_few(tmp_path, monkeypatch):
    """The distance of 512 texts differs from draw to draw as much as that of the versions of a game."""
    assert text_gan_watch.ALIKE == 512
    sizes: dict[str, set[int]] = {"compared": set(), "alike": set()}
    distance, likeness = text_gan_watch.frechet_distance, text_gan_watch.self_bleu_scores
    monkeypatch.setattr(text_gan_watch, "MEASURED", 700)

    def compared(real, made):
        sizes["compared"].add(len(made))
        return distance(real, made)

    def alike(texts, *rest):
        sizes["alike"].add(len(texts))
        return likeness(texts, *rest)

    monkeypatch.setattr(text_gan_watch, "frechet_distance", compared)
    monkeypatch.setattr(text_gan_watch, "self_bleu_scores", alike)
    _run, events = train(Workspace.open(tmp_path), steps=2, validate_every=1, likelihood_share=0.5)
    assert isinstance(events[-1], Finished), events[-1]
    assert sizes == {"compared": {700}, "alike": {512}}


# the gradient through drawn tokens


def test_noise_given_the_tokens_explains_them_and_is_gumbel_noise_on_the_whole():
    torch.manual_seed(0)
    log_p = torch.tensor([0.5, 0.3, 0.2]).log().expand(200_000, 3)
    tokens = torch.multinomial(log_p[0].exp(), len(log_p), replacement=True)
    noisy = gumbel_given(log_p, tokens)
    assert (noisy.argmax(-1) == tokens).all()
    noise = noisy - log_p
    assert torch.allclose(noise.mean(0), torch.full((3,), 0.5772), atol=0.01)  # Euler's constant
    assert torch.allclose(noise.var(0), torch.full((3,), math.pi**2 / 6), atol=0.03)
    assert torch.corrcoef(noise.T).fill_diagonal_(0).abs().max() < 0.01


def test_straight_through_shows_the_token_and_passes_the_gradient_of_the_soft_one():
    logits = torch.randn(4, 7, requires_grad=True)
    tokens, weights = torch.tensor([1, 0, 6, 3]), torch.randn(4, 7)
    torch.manual_seed(1)
    hard = straight_through(logits, tokens, 2.0)
    assert torch.allclose(hard, torch.nn.functional.one_hot(tokens, 7).float(), atol=1e-6)
    (through,) = torch.autograd.grad((hard * weights).sum(), logits)
    torch.manual_seed(1)
    soft = straight_through(logits, tokens, 2.0, hard=False)
    assert not torch.allclose(soft, hard) and torch.allclose(soft.sum(-1), torch.ones(4))
    (direct,) = torch.autograd.grad((soft * weights).sum(), logits)
    assert through.abs().sum() > 0 and torch.allclose(through, direct, atol=1e-6)


def test_the_gradient_raises_the_token_that_is_rewarded():
    torch.manual_seed(0)
    logits = torch.zeros(1, 5, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for _step in range(100):
        rows = logits.expand(32, 5)
        tokens = torch.multinomial(rows.softmax(-1).detach(), 1)[:, 0]
        optimizer.zero_grad()
        (-straight_through(rows, tokens, 1.0)[:, 3].mean()).backward()
        optimizer.step()
    assert logits.softmax(-1)[0, 3] > 0.9


def test_the_inverse_temperature_rises_from_one_to_its_most():
    values = [ramp(100.0, progress) for progress in (0.0, 0.5, 1.0)]
    assert values == pytest.approx([1.0, 10.0, 100.0])


def test_the_parallel_pass_gives_the_probabilities_the_tokens_were_drawn_with():
    torch.manual_seed(0)
    model = LanguageModel(Shape(12, 2, 16, 2, 9)).eval()
    torch.nn.init.normal_(model.embedding.weight, std=0.5)
    shares = torch.zeros(12)
    rows = draw_rows(model, 4000, 8)
    assert rows.targets.shape == rows.known.shape and rows.targets.shape[1] <= 8
    ended = rows.targets == 0
    assert (rows.known.sum(1) == torch.where(ended.any(1), ended.int().argmax(1) + 1, rows.known.shape[1])).all()
    shares = torch.bincount(rows.targets[:, 0], minlength=12) / 4000
    with torch.no_grad():
        told = model(rows.inputs[:1])[0, 0].softmax(-1)
    assert torch.allclose(shares, told, atol=0.03)


# the critics


@pytest.mark.parametrize("make", [
    lambda: MultiCritic(20, 8, 4), lambda: TransformerCritic(Shape(20, 1, 16, 2, 12)),
    lambda: normalised(MultiCritic(20, 8, 4)), lambda: normalised(TransformerCritic(Shape(20, 1, 16, 2, 12))),
])  # fmt: skip
def test_a_critic_reads_drawn_and_soft_tokens_alike_and_nothing_behind_the_end(make):
    torch.manual_seed(0)
    critic = make().eval()
    alone = rows_of_texts([[3, 4, 5]], 11, CPU)
    beside = rows_of_texts([[3, 4, 5], [6] * 11], 11, CPU)
    one, two = (critic(critic.embed(rows.targets), rows.known) for rows in (alone, beside))
    assert torch.allclose(one[0], two[0], atol=1e-5) and not torch.allclose(two[0], two[1], atol=1e-4)
    soft = torch.nn.functional.one_hot(alone.targets, 20).float()
    assert torch.allclose(critic(critic.embed(soft), alone.known), one, atol=1e-5)


def test_spectral_norm_holds_every_matrix_at_size_one():
    critic = normalised(TransformerCritic(Shape(20, 2, 16, 2, 12)))
    rows = rows_of_texts([[3, 4, 5]], 11, CPU)
    for _pass in range(30):  # one power iteration each
        critic(critic.embed(rows.targets), rows.known)
    layers = [layer for layer in critic.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(layers) == 9
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=0.1)


def test_accuracy_is_of_pairs_or_of_each_text():
    real, fake = torch.tensor([1.0, -1.0]), torch.tensor([-2.0, 0.5])
    assert right_share(real, fake, in_pairs=True) == 0.5
    assert right_share(real, fake, in_pairs=False) == 0.5
    assert right_share(real + 2, fake, in_pairs=True) == 1.0
    assert right_share(real + 2, fake, in_pairs=False) == 0.75


# the training


def test_it_learns_and_measures_both_models_from_the_begin_of_the_game(trained):
    run, events = trained
    assert isinstance(events[-1], Finished), events[-1]
    found = validations(events)
    assert [name for name in found[40] if name.startswith("val_")] == ["val_loss"]
    assert found[60]["val_loss"] < found[20]["val_loss"]
    assert found[60]["val_frechet"] == found[60]["val_frechet_mle"] and "val_d_accuracy" not in found[60]
    for name in ("val_frechet", "val_unique", "val_self_bleu", "val_loss"):
        assert found[100][name] != found[60][name] or name == "val_unique"
        assert f"{name}_mle" in found[100]
    assert found[100]["val_frechet"] != found[100]["val_frechet_mle"]
    assert 0 <= found[100]["val_d_accuracy"] <= 1
    best = min((values["val_frechet"], step) for step, values in found.items() if "val_frechet" in values)[1]
    assert int(run.checkpoint("best").name) == best  # what was best by likelihood alone counts no more


def test_a_game_that_does_not_help_is_told_and_what_it_began_from_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Collapse, "look", lambda *_of: None)  # it need not be so bad that it is stopped
    workspace = Workspace.open(tmp_path)
    run, events = train(
        workspace, steps=120, likelihood_share=0.8, validate_every=24, game_lr=0.05, likelihood_weight=0.0, ema=0.0
    )
    (note,) = (event for event in events if isinstance(event, Note) and "did not make" in event.message)
    assert note.level == "info" and int(run.checkpoint("best").name) == 96 and "step 96." in note.message
    trainee = text_gan.TextGanTrainee.__new__(text_gan.TextGanTrainee)
    for share, best, said in ((0.8, 96, True), (0.8, 120, False), (1.0, 96, False)):
        values = {"dataset": "x", "steps": 120, "likelihood_share": share, "validate_every": 24}
        trainee.config = check(text_gan.TextGanConfig, values)
        assert bool(trainee.verdict(best)) is said


def test_the_game_moves_the_generator_and_not_its_twin(trained):
    _card, weights = read_model(trained[0].checkpoint("last"))
    ours, theirs = (
        {name.removeprefix(f"{which}."): tensor for name, tensor in weights.items() if name.startswith(which)}
        for which in ("generator", "likelihood")
    )
    assert ours.keys() == theirs.keys()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    g_losses = {e.step: e.values["g_loss"] for e in trained[1] if isinstance(e, Metric) and "g_loss" in e.values}
    assert min(g_losses) == 65 and len(g_losses) == 36  # a tenth of the game is the critic's alone


def test_both_models_can_be_chosen_and_follow_their_seeds(trained):
    end, texts = use(trained, count=3, seed=5)
    assert isinstance(end, Finished) and set(texts) == {5, 6, 7}
    assert use(trained, count=1, seed=6)[1] == {6: texts[6]}
    others = use(trained, count=3, seed=5, which="likelihood")[1]
    assert set(others) == {5, 6, 7}
    assert use(trained, count=3, seed=5, which="likelihood")[1] == others
    many, more = use(trained, count=40)[1], use(trained, count=40, which="likelihood")[1]
    assert many != more


def test_previews_show_the_twin_once_the_game_is_on(tmp_path):
    _run, events = train(Workspace.open(tmp_path), steps=6, likelihood_share=0.5, validate_every=0, sample_every=3)
    roles = [(e.step, e.role) for e in events if isinstance(e, Text)]
    assert roles == [(3, "samples"), (6, "samples"), (6, "baseline")]


def test_the_evaluation_has_rows_of_both_models(trained):
    run = trained[0]
    workspace = Workspace(run.workspace)
    config = check(EvaluateConfig, {"run": run.id, "count": 20, "sweep": 0, "device": "cpu"})
    events = list(run_job(evaluate, config, workspace.new_run("evaluate.run", {})))
    report = report_of(next(e for e in events if isinstance(e, Result)).data)
    for name in ("Different texts", "Self-BLEU-4 (4 words)", "BLEU-4 (4 words)"):
        figure = report.figure(name)
        twin = next(mark for mark in figure.marks if mark.name == "likelihood model")
        assert 0 <= figure.value <= 1 and 0 <= twin.value <= 1
    assert report.training["val_frechet_mle"] > 0


@pytest.mark.parametrize("values", [
    {"hard": False}, {"critic_steps": 2}, {"spectral": True}, {"game": "binary"}, {"likelihood_weight": 0.0},
    {"critic": "transformer", "gamma": 0.0, "spectral": True},
])  # fmt: skip
def test_every_kind_of_game_runs(tmp_path, values):
    _run, events = train(Workspace.open(tmp_path), steps=8, likelihood_share=0.5, validate_every=0, **values)
    assert isinstance(events[-1], Finished), events[-1]
    last = [e.values for e in events if isinstance(e, Metric) and e.step == 8]
    assert all(math.isfinite(number) for values in last for number in values.values())
    assert {"d_loss", "d_accuracy", "g_loss", "loss", "loss_mle"} <= {name for values in last for name in values}


def test_a_game_that_is_stopped_goes_on_to_the_same_bits(tmp_path):
    workspace = Workspace.open(tmp_path)
    values = {"steps": 9, "likelihood_share": 0.5, "validate_every": 2, "penalty_every": 2}
    whole, events = train(workspace, **values)
    config = check(text_gan.TextGanConfig, whole.config_values)
    run, seen = workspace.new_run("text_gan.train", whole.config_values), []
    for stop_at in (5, 7, 100):
        def reached(stop_at=stop_at):
            return bool(seen) and isinstance(seen[-1], Metric) and seen[-1].step >= stop_at
        for event in run_job(text_gan.train, config, run, reached):
            seen.append(event)
        assert isinstance(seen[-1], Finished if stop_at == 100 else Stopped)
    def told(events):
        return [(e.step, name, value) for e in events if isinstance(e, Metric) for name, value in e.values.items()]
    assert told(seen) == told(events)
    mine, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, whole))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


# the alarms

GOOD = Quality(0.1, 1.0, 0.5)


@pytest.mark.parametrize(("ours", "theirs", "alarm"), [
    (Quality(0.1, 0.96, 0.5), GOOD, 0), (Quality(0.1, 0.94, 0.5), GOOD, 1), (Quality(0.1, 1.0, 0.56), GOOD, 2),
    (Quality(0.1, 1.0, 0.54), GOOD, 0), (Quality(0.1, 0.6, 0.5), Quality(0.1, 0.61, 0.5), 0),
    (Quality(0.1, 0.5, 0.5), Quality(0.1, 0.61, 0.5), 1),
])  # fmt: skip
def test_texts_that_repeat_sound_the_alarm(ours, theirs, alarm):
    collapse = Collapse()
    collapse.look(ours, theirs)
    assert collapse.alarm == alarm and bool(collapse.sentence) == bool(alarm)


@pytest.mark.parametrize(("distances", "alarm"), [
    ((0.1, 0.12, 0.14), 0), ((0.1, 0.12, 0.14, 0.16), 3), ((0.1, 0.101, 0.102, 0.103), 0),
    ((0.1, 0.12, 0.11, 0.16, 0.2), 0), ((0.3, 0.1, 0.12, 0.14, 0.16), 3),
])  # fmt: skip
def test_a_distance_that_rises_three_times_sounds_the_alarm(distances, alarm):
    collapse = Collapse()
    for distance in distances:
        collapse.look(Quality(distance, 1.0, 0.5), GOOD)
    assert collapse.alarm == alarm
    again = Collapse()
    again.load(collapse.tensors())
    assert again.alarm == alarm and again.distances == list(distances)


def test_a_game_that_collapses_is_stopped_and_the_best_version_comes_back(tmp_path):
    workspace = Workspace.open(tmp_path)
    run, events = train(
        workspace, steps=400, likelihood_share=0.5, validate_every=20, game_lr=0.05, likelihood_weight=0.0, gamma=0.0,
        ema=0.0,
    )  # fmt: skip
    assert isinstance(events[-1], Finished), events[-1]
    found = validations(events)
    last = max(found)
    assert 200 < last < 400
    notes = [e for e in events if isinstance(e, Note) and e.level == "warning"]
    assert len(notes) == 1 and "stopped" in notes[0].message
    best = run.checkpoint("best")
    assert 200 <= int(best.name) < last and f"step {int(best.name)}." in notes[0].message
    card, _weights = read_model(best)
    assert card.metrics["val_frechet"] == min(v["val_frechet"] for v in found.values() if "val_frechet" in v)
    shown = [e for e in events if isinstance(e, Text)][-1]  # what it makes now is of the best version
    written = use((run, events), checkpoint="best", count=len(shown.seeds))[1]
    if shown.role == "samples":
        assert tuple(written.values()) == shown.items
    config = check(text_gan.TextGanConfig, run.config_values)
    again = list(run_job(text_gan.train, config, run))  # it does not go on into the collapse
    assert isinstance(again[-1], Finished) and not validations(again)


# data and settings


def test_the_preset_of_the_article_runs_and_reports_the_critics_accuracy(tmp_path):
    (preset,) = (preset for preset in PRESETS if preset.name == "article")
    assert preset.values["critic"] == "transformer" and preset.values["game"] == "binary"
    assert preset.values["game_lr"] == preset.values["critic_lr"] == 2e-4
    _run, events = train(Workspace.open(tmp_path), **{**preset.values, **SMALL, "steps": 12, "validate_every": 4})
    assert isinstance(events[-1], Finished), events[-1]
    assert 0 <= validations(events)[12]["val_d_accuracy"] <= 1


def test_a_penalty_that_a_transformer_cannot_take_is_said():
    with pytest.raises(ConfigError) as problem:
        check(text_gan.TextGanConfig, {"dataset": "x", "critic": "transformer"})
    assert "gradient penalty" in str(problem.value.problems)
    machine = describe_machine()
    plan = text_gan.plan({"critic": "transformer", "dataset": "x"}, "cpu", None, machine)
    assert any("gradient penalty" in problem.message for problem in plan.problems)


@pytest.mark.parametrize("texts", [
    ["שלום עולם, זה חתול."] * 20 + ["مرحبا بالعالم"] * 20, ["🦊🌙🍵", "👩‍👩‍👧 ❤️ 🏳️‍🌈", "🦊"] * 12,
    ["x" * 500, "short", "y"] * 10, ["same"] * 40, ["a", "b", "c", "d", "e", "f"],
])  # fmt: skip
def test_odd_texts_train_and_are_written(tmp_path, texts):
    workspace = Workspace.open(tmp_path)
    run, events = train(workspace, texts, steps=4, likelihood_share=0.5, validate_every=2)
    assert isinstance(events[-1], Finished), events[-1]
    assert len(use((run, events), count=3)[1]) == 3


@pytest.mark.parametrize("texts", [["one text only", "x", "y", "z", "v"], ["", "", "", "", ""]])
def test_too_few_texts_are_said_in_one_sentence(tmp_path, texts):
    _run, events = train(Workspace.open(tmp_path), texts, steps=4)
    assert isinstance(events[-1], Failed) and events[-1].kind == "UserError"
    assert events[-1].message and events[-1].hint


def test_features_do_not_see_what_lies_behind_the_end():
    torch.manual_seed(0)
    model = LanguageModel(Shape(20, 1, 16, 2, 12)).eval()
    alone, beside = rows_of_texts([[3, 4, 5]], 11, CPU), rows_of_texts([[3, 4, 5], [6] * 11], 11, CPU)
    assert np.allclose(features(model, alone)[0], features(model, beside)[0], atol=1e-5)
