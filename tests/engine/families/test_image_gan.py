from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Checkpoint, Metric, Note, Result, Sample
from aigc_desktop.core.files import write_json
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.report import report_of
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.evaluating import evaluation
from aigc_desktop.engine.families import image_gan, image_vae
from aigc_desktop.engine.nn.tiling import seam_ratio
from aigc_desktop.engine.pictures import flow_setup, gan_setup, vae_setup, warm_start
from aigc_desktop.engine.pictures.gan_setup import ImageGanConfig, plan
from aigc_desktop.engine.training.checkpoint import read_card, read_model, read_state
from aigc_desktop.engine.training.data import to_model
from aigc_desktop.engine.weights import write_tensors
from tests.engine.families.shapes import shapes
from tests.engine.toy import image_dataset

TINY = {
    "resolution": "32", "width": 8, "latent": 8, "batch_size": 4, "threads": 1, "device": "cpu",
    "precision": "float32", "warmup": 1, "log_every": 1, "validate_every": 0, "sample_every": 0, "penalty_every": 2,
    "copy_share": 0.34,
}  # fmt: skip
LAPTOP = Machine(cores=4, memory=16 * 2**30, processor="x")
CARD = Machine(
    cores=8, memory=32 * 2**30, processor="x", device="cuda", device_name="GPU", device_memory=24 * 2**30
)  # fmt: skip


def trained(workspace: Workspace, steps: int = 6, **values):
    dataset = workspace.datasets()[0] if workspace.datasets() else shapes(workspace)
    config = ImageGanConfig(**{**TINY, "dataset": dataset.id, "steps": steps, **values})
    run = workspace.new_run("image_gan.train", config.model_dump(mode="json"))
    return run, list(image_gan.train(config, run))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("gan"))
    run, events = trained(workspace)
    return workspace, run, events


def made(workspace, run, **values) -> np.ndarray:
    config = image_gan.GenerateConfig(run=run.id, checkpoint="last", device="cpu", **values)
    return np.concatenate([e.images for e in image_gan.generate(config, run) if isinstance(e, Sample)])


def notes(events) -> list[str]:
    return [event.message for event in events if isinstance(event, Note)]


def test_it_copies_first_then_plays_and_reports_every_loss(story):
    _workspace, _run, events = story
    names = [set(event.values) for event in events if isinstance(event, Metric)]
    assert names[0] == {"copy_error", "copy_kl"}
    assert {"d_loss", "d_accuracy", "g_loss"} <= names[3]
    assert {"r1", "r2"} <= set.union(*names)
    assert {"validation_kid"} in names
    assert any(isinstance(event, Checkpoint) for event in events)


def test_previews_have_seeds_and_classes(story):
    _workspace, _run, events = story
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.images.shape == (32, 32, 32, 3) and len(sample.seeds) == 32
    assert set(sample.labels) == {"disc", "square"}


def test_a_cell_of_a_preview_comes_out_the_same_alone(story):
    workspace, run, events = story
    (sample,) = (event for event in events if isinstance(event, Sample))
    for cell in (0, 17, 31):
        alone = made(workspace, run, count=1, seed=sample.seeds[cell])
        assert np.array_equal(alone[0], sample.images[cell])
        named = made(workspace, run, count=1, seed=sample.seeds[cell], label=sample.labels[cell])
        assert np.array_equal(named[0], sample.images[cell])


def test_the_batch_a_picture_is_made_in_does_not_matter(story):
    workspace, run, _events = story
    together = made(workspace, run, count=20, seed=5)
    parts = np.concatenate([made(workspace, run, count=7, seed=5), made(workspace, run, count=13, seed=12)])
    assert np.array_equal(together, parts)


def test_class_and_wildness_change_the_picture(story):
    workspace, run, _events = story
    disc, square = (made(workspace, run, count=4, label=name) for name in ("disc", "square"))
    assert not np.array_equal(disc, square)
    tame = made(workspace, run, count=3, label="disc", wildness=0.0)
    assert np.array_equal(tame[0], tame[1]) and np.array_equal(tame[1], tame[2])


def test_an_unknown_class_is_said_with_the_known_ones(story):
    workspace, run, _events = story
    with pytest.raises(UserError, match="star") as caught:
        made(workspace, run, count=1, label="star")
    assert "disc, square" in caught.value.hint


def test_the_sampler_of_evaluation_agrees_with_generate(story):
    workspace, run, _events = story
    sample = image_gan.sampler(run.checkpoint("last"), "cpu")
    assert np.array_equal(sample(5, 3), made(workspace, run, count=5, seed=3))


def test_stopped_training_goes_on_to_the_same_weights(workspace):
    straight, _events = trained(workspace)
    cut = workspace.new_run("image_gan.train", straight.config_values)
    config = ImageGanConfig(**straight.config_values)
    events = image_gan.train(config, cut)
    for event in events:
        if isinstance(event, Metric) and event.step == 4:
            break
    events.close()
    list(image_gan.train(config, cut))
    one, two = (read_model(run.checkpoint("last"))[1] for run in (straight, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_adaptive_augmentation_is_reported_and_goes_on_where_it_was(workspace):
    straight, events = trained(workspace, steps=8, copy_share=0.0, adaptive=True, augmentation=1.0)
    told = [event.values for event in events if isinstance(event, Metric) and "augmentation" in event.values]
    assert len(told) == 8 and all(0 <= values["augmentation"] <= 1 for values in told)
    assert all(-1 <= values["overfitting"] <= 1 for values in told)
    cut = workspace.new_run("image_gan.train", straight.config_values)
    config = ImageGanConfig(**straight.config_values)
    first = image_gan.train(config, cut)
    next(event for event in first if isinstance(event, Metric) and event.step == 5)
    first.close()
    list(image_gan.train(config, cut))
    one, two = (read_state(run.checkpoint("last")).tensors for run in (straight, cut))
    for name in ("probability", "r"):
        assert torch.equal(one[f"module.augmentation.{name}"], two[f"module.augmentation.{name}"])


def test_small_pieces_of_a_batch_give_about_the_same_gradient(workspace):
    dataset = shapes(workspace)
    from aigc_desktop.engine.training.guard import Guard
    from aigc_desktop.engine.training.step import Step

    config = ImageGanConfig(**{**TINY, "dataset": dataset.id, "augmentation": 0.0, "latent": 2})
    losses = []
    for pieces in (1, 2):
        torch.manual_seed(0)
        trainee = image_gan.GanTrainee(config, dataset, torch.device("cpu"))
        trainee.copying.steps = 0
        step = Step(0, 10, np.arange(4), pieces, "float32", 0.0, Guard(trainee.device))
        losses.append(trainee.train_step(step))
    assert losses[0].keys() == losses[1].keys()
    assert torch.allclose(losses[0]["r1"], losses[1]["r1"], rtol=1e-4)  # no noise in it: only real pictures


def test_data_without_labels_train_without_classes(workspace):
    run, events = trained(workspace, steps=2, use_labels=False)
    card, weights = read_model(run.checkpoint("last"))
    assert card.extra["classes"] == [] and not any("embedding" in name for name in weights)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.labels == ()


def test_pictures_have_the_shape_of_the_data(workspace):
    dataset = shapes(workspace, wide=2, aspect="auto")
    run, events = trained(workspace, steps=4)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.images.shape == (32, 32, 64, 3)
    assert np.array_equal(made(workspace, run, count=1, seed=sample.seeds[3])[0], sample.images[3])
    found = plan({**TINY, "dataset": dataset.id}, "cpu32", dataset, LAPTOP)
    assert any("64 × 32 pixels" in note for note in found.notes) and not found.values["warm_start"]
    for other in (flow_setup, vae_setup):
        notes = other.plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP).notes
        assert any("makes square pictures" in note for note in notes)


def test_transparency_goes_from_the_data_to_the_pictures(workspace):
    dataset = shapes(workspace, ground="#00000000", transparency="keep")
    run, events = trained(workspace, steps=6, copy_share=0.5)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.images.shape == (32, 32, 32, 4)
    clear = sample.images[sample.images[..., 3] == 0]
    assert (clear == (255, 255, 255, 0)).all()
    assert np.array_equal(made(workspace, run, count=1, seed=sample.seeds[3], rate=True)[0], sample.images[3])
    assert any("validation_kid" in event.values for event in events if isinstance(event, Metric))
    found = plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP)
    assert any("stay transparent" in note for note in found.notes)
    for other in (flow_setup, vae_setup):
        notes = other.plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP).notes
        assert any("becomes white" in note for note in notes)


def test_transparent_pictures_are_white_unless_transparency_is_kept(workspace):
    shapes(workspace, ground="#00000000")
    _run, events = trained(workspace, steps=1)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.images.shape[3] == 3


def test_seamless_pictures_tile_and_their_model_remembers_it(workspace):
    run, events = trained(workspace, steps=6, copy_share=0.5, seamless=True)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert read_card(run.checkpoint("last")).extra["format"]["seamless"]
    assert np.array_equal(made(workspace, run, count=1, seed=sample.seeds[2])[0], sample.images[2])
    assert seam_ratio(to_model(torch.from_numpy(sample.images))).median() < 1.2
    dataset = workspace.datasets()[0]
    found = plan({**TINY, "dataset": dataset.id, "seamless": True}, "cpu32", dataset, LAPTOP)
    assert any("without a seam" in note for note in found.notes)


def test_a_projected_game_goes_on_where_it_was_and_is_judged_outside_its_features(workspace):
    straight, events = trained(workspace, steps=4, projected=True, adaptive=True)
    told = [event.values for event in events if isinstance(event, Metric)]
    assert "copy_error" in told[0] and {"d_loss", "g_loss", "augmentation"} <= told[-2].keys()
    assert "r1" not in set().union(*told)
    (measured,) = (values for values in told if "validation_kid" in values)
    assert next(iter(measured)) == "validation_random_kid"
    cut = workspace.new_run("image_gan.train", straight.config_values)
    config = ImageGanConfig(**straight.config_values)
    first = image_gan.train(config, cut)
    next(event for event in first if isinstance(event, Metric) and event.step == 2)
    first.close()
    list(image_gan.train(config, cut))
    one, two = (read_model(run.checkpoint("last"))[1] for run in (straight, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_projected_game_knows_shapes_and_transparency_and_can_start_from_the_other(workspace):
    dataset = shapes(workspace, wide=2, ground="#00000000", aspect="auto", transparency="keep")
    first, _events = trained(workspace, steps=2)
    _run, events = trained(workspace, steps=1, projected=True, start_from=first.id)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.images.shape == (32, 32, 64, 4)
    told = [note for note in notes(events) if "Warm start" in note]
    assert len(told) == 3 and "the generator begins with" in told[0]
    found = plan({**TINY, "dataset": dataset.id, "projected": True}, "cpu32", dataset, LAPTOP)
    assert found.problems == [] and found.seconds > 0 and any("random features" in note for note in found.notes)
    many = replace(dataset.info, train=5000)
    dataset.info = many
    noted = plan({**TINY, "dataset": dataset.id, "projected": True}, "cpu32", dataset, LAPTOP).notes
    assert any("up to 2,000 pictures" in note for note in noted)


@pytest.mark.parametrize("values", [{}, {"projected": True, "adaptive": True}])
def test_twenty_pictures_and_a_class_of_one_are_enough_to_train(workspace, values):
    dataset = image_dataset(workspace, count=20, held_out=0, every=20)
    assert dataset.info.class_counts == [19, 1]
    _run, events = trained(workspace, steps=4, batch_size=16, **values)
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert np.ptp(sample.images) > 0 and set(sample.labels) <= {"blue", "red"}
    found = plan({**TINY, "dataset": dataset.id}, "cpu32", dataset, LAPTOP)
    assert found.problems == []
    assert any("look alike: red" in note for note in found.notes)
    assert any("Too few pictures are held out" in note for note in found.notes)


def test_versions_from_before_pictures_had_formats_still_load(story):
    _workspace, run, _events = story
    card, weights = read_model(run.checkpoint("last"))
    extra = {name: value for name, value in card.extra.items() if name != "format"}
    old = image_gan.load_painter(replace(card, extra=extra), weights, torch.device("cpu"))
    new = image_gan.load_painter(card, weights, torch.device("cpu"))
    assert np.array_equal(image_gan.paint(old, extra, [3])[0], image_gan.paint(new, card.extra, [3])[0])


def test_its_report_measures_in_features_nobody_learned_in_and_loads_the_model_once(story, monkeypatch):
    workspace, run, _events = story
    loaded, load = [], image_gan.load_painter
    monkeypatch.setattr(image_gan, "load_painter", lambda *given: loaded.append(given) or load(*given))
    config = evaluation.EvaluateConfig(run=run.id, checkpoint="last", device="cpu", count=24)
    events = evaluation.evaluate(config, Run(workspace.folder, workspace.folder))
    (result,) = (event.data for event in events if isinstance(event, Result))
    figures = {figure.name: figure for figure in report_of(result).figures()}
    figure = figures["Kernel distance in random features"]
    assert np.isfinite(figure.value) and [mark.name for mark in figure.marks] == ["real data"]
    assert len(loaded) == 1


def test_the_plan_fits_data_and_machine(workspace):
    dataset = shapes(workspace, size=64)
    weak = plan({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert weak.preset == "cpu32" and weak.problems == [] and weak.items == dataset.info.train
    assert weak.seconds > 0 and weak.good_after_s > 0 and weak.memory_mb > 0
    painter_and_critic = image_gan.GanTrainee(ImageGanConfig(**weak.values), dataset, torch.device("cpu"))
    modules = painter_and_critic.modules
    assert weak.parameters == sum(
        p.numel() for name in ("generator", "discriminator") for p in modules[name].parameters()
    )


def test_the_plan_names_every_problem_at_once(workspace):
    dataset = shapes(workspace, count=12)
    found = plan({"dataset": dataset.id, "device": "cuda"}, "cpu32", dataset, LAPTOP).problems
    assert {problem.field for problem in found} == {"dataset", "device"}
    wrong = plan({"dataset": dataset.id, "batch_size": 0, "width": 1}, "auto", dataset, LAPTOP)
    assert {problem.field for problem in wrong.problems} >= {"batch_size", "width"}


@pytest.mark.parametrize("preset", [preset for preset in gan_setup.PRESETS if preset.name.startswith("cpu")])
def test_every_processor_preset_is_a_valid_configuration(preset):
    config = ImageGanConfig(dataset="x", **preset.values)
    assert len(gan_setup.widths_of(config)) >= 3


def shipped(folder: Path, monkeypatch, **extra):
    """Ship a model of the tiny sizes, with one tensor of another shape."""
    config = ImageGanConfig(**{**TINY, "dataset": "x"})
    painter = image_gan.Painter(32, gan_setup.widths_of(config)[::-1], 1, 8, 3)
    critic = image_gan.Discriminator(32, gan_setup.widths_of(config), 1, 3)
    tensors = {f"generator.{name}": tensor for name, tensor in painter.state_dict().items()}
    tensors |= {f"discriminator.{name}": tensor for name, tensor in critic.state_dict().items()}
    target = folder / "models" / "image_gan_emoji32"
    target.mkdir(parents=True)
    write_tensors(target / "model.safetensors", {name: t.half() for name, t in tensors.items()})
    write_json(target / "model.json", {"extra": extra})
    monkeypatch.setattr(warm_start, "resources", lambda: folder)
    return tensors


def test_warm_start_takes_what_fits_and_counts_it(workspace, tmp_path, monkeypatch):
    tensors = shipped(tmp_path / "resources", monkeypatch)
    painter = image_gan.Painter(32, (16, 12, 8), 1, 8, 2)  # two classes instead of three
    before = painter.embedding.weight.clone()
    left, sentence = warm_start.shipped("image_gan_emoji32").take_over(painter, "generator")
    total = len(painter.state_dict())
    assert left == 3 and f"{total - 3} of {total}" in sentence  # all but the embedding and the codes of the classes
    assert torch.equal(painter.embedding.weight, before)
    assert torch.allclose(painter.first.weight, tensors["generator.first.weight"], atol=1e-3)


def test_a_warm_start_without_the_weights_says_what_to_do(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(warm_start, "resources", lambda: tmp_path)
    with pytest.raises(UserError, match="not part of this installation"):
        trained(workspace, steps=1, warm_start=True)


def test_the_plan_offers_a_warm_start_only_when_the_shapes_fit(workspace, tmp_path, monkeypatch):
    dataset = shapes(workspace)
    shipped(tmp_path / "other", monkeypatch, resolution=32, widths=[8, 8, 8], blocks=1, latent=64)
    assert not plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP).values["warm_start"]
    asked = plan({"dataset": dataset.id, "warm_start": True}, "cpu32", dataset, LAPTOP)
    assert asked.values["warm_start"] and any("parts that fit" in note for note in asked.notes)
    shipped(tmp_path / "same", monkeypatch, resolution=32, widths=[128, 96, 64], blocks=1, latent=64)
    assert plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP).values["warm_start"]
    assert not plan({"dataset": dataset.id}, "gpu32", dataset, CARD).values["warm_start"]


def test_a_warm_start_is_told_for_every_network(workspace, tmp_path, monkeypatch):
    shipped(tmp_path / "resources", monkeypatch)
    _run, events = trained(workspace, steps=2, warm_start=True)
    assert sum(isinstance(event, Note) and "Warm start" in event.message for event in events) == 3
    assert not any("copy_error" in event.values for event in events if isinstance(event, Metric))


def test_a_training_starts_from_an_earlier_one(story):
    workspace, first, _events = story
    run, events = trained(workspace, steps=1, start_from=first.id, ema=0.0, lr=1e-7, copy_lr=1e-7)
    told = [note for note in notes(events) if "Warm start" in note]
    assert len(told) == 3 and all(f"begins with the weights of “{first.info.title}”" in note for note in told)
    assert not any("copy_error" in event.values for event in events if isinstance(event, Metric))
    before, after = (read_model(one.checkpoint("best"))[1] for one in (first, run))
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)


def test_of_an_earlier_training_with_other_sizes_only_parts_fit_and_copying_comes_first(story):
    workspace, first, _events = story
    run, events = trained(workspace, steps=3, start_from=first.id, latent=4, warm_start=True)
    (told,) = (note for note in notes(events) if "of the generator come from" in note)
    assert first.info.title in told and "the rest begins new" in told
    assert any("copy_error" in event.values for event in events if isinstance(event, Metric))
    list(image_gan.train(ImageGanConfig(**run.config_values), run))  # nothing is taken over twice


def test_a_training_of_another_kind_cannot_be_started_from(workspace):
    dataset = shapes(workspace)
    values = {"dataset": dataset.id, "steps": 1, "device": "cpu", "threads": 1, "width": 8, "validate_every": 0}
    config = vae_setup.ImageVaeConfig(**values)
    other = workspace.new_run("image_vae.train", config.model_dump(mode="json"))
    list(image_vae.train(config, other))
    with pytest.raises(UserError, match="another kind"):
        trained(workspace, steps=1, start_from=other.id)
    with pytest.raises(UserError):
        trained(workspace, steps=1, start_from="gone")


@pytest.mark.parametrize("projected", [False, True])
def test_the_critic_still_learns_after_a_shortage_in_the_turn_of_the_generator(workspace, monkeypatch, projected):
    game = image_gan.ProjectedGame if projected else image_gan.RelativisticGame
    lose, turns = game.painter_loss, []

    def short(self, fake, real):
        turns.append(len(fake))
        if len(turns) == 2:
            raise torch.OutOfMemoryError("no room")
        return lose(self, fake, real)

    monkeypatch.setattr(game, "painter_loss", short)
    run, events = trained(workspace, steps=4, copy_share=0.0, projected=projected)
    assert turns[:4] == [4, 4, 2, 2] and any("2 items at a time" in note for note in notes(events))
    assert run.info.step == 4 or int(run.checkpoints()[-1]) == 4
    first, last = (read_state(run.checkpoint(name)).tensors for name in ("000000", "last"))
    name = next(name for name in first if name.startswith("module.discriminator.") and "weight" in name and
                not torch.equal(first[name], last[name]))  # fmt: skip
    assert name
