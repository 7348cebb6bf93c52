from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Metric, Note, Progress, Sample
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_flow
from aigc_desktop.engine.nn.flow import REPEATS, between, draw_times, noised_back, walk, walk_around
from aigc_desktop.engine.nn.hinted import hinted_augment
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.pictures.common import open_mask, open_picture
from aigc_desktop.engine.pictures.flow_model import load_model
from aigc_desktop.engine.pictures.flow_setup import STARTER, WARM, ImageFlowConfig, plan
from aigc_desktop.engine.pictures.flow_tasks import FlowConfig
from aigc_desktop.engine.pictures.warm_start import Origin, starter
from aigc_desktop.engine.training.checkpoint import read_model
from aigc_desktop.engine.training.data import to_pictures
from tests.engine.families.shapes import shapes

TINY = {
    "resolution": "32", "width": 16, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "float32",
    "warmup": 5, "log_every": 1, "validate_every": 60, "sample_every": 0, "lr": 3e-3, "dropout": 0.0,
}  # fmt: skip
LAPTOP = Machine(cores=4, memory=16 * 2**30, processor="x")
CPU = torch.device("cpu")


def trained(workspace: Workspace, steps: int, **values):
    dataset = workspace.datasets()[0] if workspace.datasets() else shapes(workspace, validation=0.3)
    config = ImageFlowConfig(**{**TINY, "dataset": dataset.id, "steps": steps, **values})
    run = workspace.new_run("image_flow.train", config.model_dump(mode="json"))
    return run, list(image_flow.train(config, run))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("flow"))
    run, events = trained(workspace, 120)
    return workspace, run, events


def made(task, config, workspace, run) -> np.ndarray:
    result = workspace.new_run("image_flow.task", config.model_dump(mode="json"), parent="results")
    return np.concatenate([event.images for event in task(config, result) if isinstance(event, Sample)])


def base(run, **values):
    return {"run": run.id, "checkpoint": "last", "count": 2, "seed": 3, "walk_steps": 6, "device": "cpu", **values}


def test_its_error_falls_on_pictures_it_never_saw(story):
    _workspace, _run, events = story
    checks = [e.values["val_loss"] for e in events if isinstance(e, Metric) and "val_loss" in e.values]
    losses = [e.values["loss"] for e in events if isinstance(e, Metric) and "loss" in e.values]
    assert len(checks) == 2 and checks[1] < checks[0] < losses[0]


def test_new_pictures_are_nearer_to_the_data_than_noise_is(story):
    workspace, run, _events = story
    pictures = made(image_flow.generate, image_flow.GenerateConfig(**base(run, count=8)), workspace, run)
    real = np.asarray(workspace.datasets()[0].image_map[:40]).astype(float)
    noise = to_pictures(torch.randn(8, 3, 32, 32)).astype(float)

    def distance(images):
        return np.abs(images[:, None].astype(float) - real[None]).mean((2, 3, 4)).min(1).mean()

    assert distance(pictures) < 0.6 * distance(noise)


def test_a_picture_is_the_same_alone_and_in_the_preview(story):
    workspace, run, events = story
    sample = next(e for e in events if isinstance(e, Sample))
    usual = FlowConfig.model_fields["walk_steps"].default
    for cell, label in ((0, ""), (15, ""), (15, sample.labels[15])):
        config = image_flow.GenerateConfig(
            **base(run, count=1, seed=sample.seeds[cell], label=label, walk_steps=usual)
        )
        assert np.array_equal(made(image_flow.generate, config, workspace, run)[0], sample.images[cell])


def photo(folder, name="photo.png"):
    grid = np.mgrid[0:48, 0:64]
    Image.fromarray(np.stack([grid[0] * 5, grid[1] * 3, grid[0] + grid[1]], -1).astype(np.uint8)).save(folder / name)
    return folder / name


def test_strength_says_how_much_of_a_picture_changes(story, tmp_path):
    workspace, run, _events = story
    path = photo(tmp_path)
    original = to_pictures(open_picture(path, 32)).astype(float)

    def change(strength):
        config = image_flow.VaryConfig(**base(run, picture=path, strength=strength))
        return np.abs(made(image_flow.vary, config, workspace, run).astype(float) - original).mean()

    assert change(0.0) < 1 < change(0.3) < change(1.0)


def test_a_filled_picture_keeps_what_the_mask_leaves(story, tmp_path):
    workspace, run, _events = story
    path = photo(tmp_path)
    white = np.zeros((48, 64), np.uint8)
    white[12:36, 20:44] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    mask = open_mask(tmp_path / "mask.png", 32, path)[0, 0].numpy()
    assert mask[9:23, 9:23].all() and 14**2 <= mask.sum() <= 18**2
    config = image_flow.FillConfig(**base(run, picture=path, mask=tmp_path / "mask.png"))
    original, pictures = to_pictures(open_picture(path, 32)), made(image_flow.fill, config, workspace, run)
    assert np.array_equal(pictures[:, mask == 0], np.repeat(original[:, mask == 0], 2, 0))
    assert not np.array_equal(pictures[0][mask > 0], pictures[1][mask > 0])


def test_what_is_no_picture_or_marks_nothing_is_said(story, tmp_path):
    workspace, run, _events = story
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(UserError) as caught:
        made(image_flow.vary, image_flow.VaryConfig(**base(run, picture=tmp_path / "x.png")), workspace, run)
    assert "x.png" in caught.value.message
    with pytest.raises(UserError) as caught:
        made(image_flow.vary, image_flow.VaryConfig(**base(run, picture=tmp_path / "gone.png")), workspace, run)
    assert caught.value.hint
    Image.new("L", (64, 48), 0).save(tmp_path / "black.png")
    config = image_flow.FillConfig(**base(run, picture=photo(tmp_path), mask=tmp_path / "black.png"))
    with pytest.raises(UserError, match="white"):
        made(image_flow.fill, config, workspace, run)


def test_a_class_is_asked_for_by_name_and_guidance_changes_it(story):
    workspace, run, _events = story
    names = workspace.datasets()[0].info.classes
    plain = made(image_flow.generate, image_flow.GenerateConfig(**base(run, label=names[0])), workspace, run)
    pushed = image_flow.GenerateConfig(**base(run, label=names[0], guidance=1.0))
    assert not np.array_equal(plain, made(image_flow.generate, pushed, workspace, run))
    with pytest.raises(UserError, match="nothing"):
        made(image_flow.generate, image_flow.GenerateConfig(**base(run, label="nothing")), workspace, run)


def test_white_on_an_empty_layer_is_a_mask(tmp_path):
    layer = np.full((32, 32, 4), (255, 255, 255, 0), np.uint8)
    layer[:, 16:, 3] = 255
    Image.fromarray(layer).save(tmp_path / "layer.png")
    mask = open_mask(tmp_path / "layer.png", 32, tmp_path / "layer.png")
    assert mask.shape == (1, 1, 32, 32) and mask[..., 17:].all() and not mask[..., :15].any()


def test_a_mask_of_another_form_is_refused(story, tmp_path):
    workspace, run, _events = story
    Image.new("L", (32, 48), 255).save(tmp_path / "mask.png")
    config = image_flow.FillConfig(**base(run, picture=photo(tmp_path), mask=tmp_path / "mask.png"))
    with pytest.raises(UserError, match="32 × 48 pixels, the picture"):
        made(image_flow.fill, config, workspace, run)


def test_a_training_can_be_stopped_between_the_pictures_of_a_preview(story):
    _workspace, _run, events = story
    shown = next(number for number, event in enumerate(events) if isinstance(event, Sample))
    painting = [isinstance(event, Progress) and event.phase == "Painting samples" for event in events[:shown]]
    assert sum(painting) == len(events[shown].images) == 16 and all(painting[-16:])


def test_guidance_pushes_in_the_middle_of_a_way_only(story):
    _workspace, run, _events = story
    model = load_model(*read_model(run.checkpoint("last")), torch.device("cpu"))
    x, classes = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    for time, pushed in ((0.0, False), (0.04, False), (0.06, True), (0.45, True), (0.5, False), (0.9, False)):
        plain, guided = (model.velocity(x, time, classes, guidance) for guidance in (1.0, 3.0))
        assert torch.equal(plain, guided) is not pushed


def test_a_blend_ends_at_both_pictures(story):
    workspace, run, _events = story
    way = made(image_flow.interpolate, image_flow.InterpolateConfig(**base(run, count=3, to_seed=9)), workspace, run)
    for place, seed in ((0, 3), (-1, 9)):
        config = image_flow.InterpolateConfig(**base(run, count=1, seed=seed, to_seed=seed))
        alone = made(image_flow.interpolate, config, workspace, run)[0]
        assert np.abs(way[place].astype(int) - alone.astype(int)).max() <= 1


def test_a_step_of_heun_is_exact_on_straight_ways_and_second_order_on_bent_ones():
    start, target = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    assert torch.allclose(walk(lambda _x, _t: target - start, start, 1), target, atol=1e-6)

    def error(steps):  # dx/dt = x cos t, whose way is x exp(sin t)
        exact = start * torch.tensor(1.0).sin().exp()
        return (walk(lambda x, t: x * torch.tensor(t).cos(), start, steps) - exact).abs().mean()

    assert error(20) < error(10) / 2


def test_what_is_painted_anew_joins_what_is_known():
    """All 8 places of a picture have one value, normal with deviation 2, so that the velocity can be told."""
    known, anew = torch.full((400, 1, 1, 8), 2.0), (torch.arange(8) >= 4).float().view(1, 1, 1, 8)

    def velocity(x, time):
        value = time * 4 / (time**2 * 4 + (1 - time) ** 2 / 8) * x.mean(3, keepdim=True)
        return (value - x) / (1 - time)

    def miss(repeats):
        torch.manual_seed(0)
        end = walk_around(velocity, known, anew, 12, lambda: torch.randn(known.shape), repeats)
        assert torch.equal(end[..., :4], known[..., :4])
        return (end[..., 4:] - 2.0).square().mean().sqrt()

    assert miss(REPEATS) < 0.4 * miss(1)


def test_a_step_back_has_the_noise_of_its_time():
    torch.manual_seed(0)
    end = torch.full((20_000,), 2.0)
    later = torch.lerp(torch.randn(20_000), end, 0.6)
    earlier = noised_back(later, 0.6, 0.2, torch.randn(20_000))
    assert abs(earlier.mean() - 0.2 * 2) < 0.02 and abs(earlier.std() - 0.8) < 0.02


def test_times_are_inside_and_mostly_in_the_middle():
    times = draw_times(4000, CPU)
    assert times.min() > 0 and times.max() < 1 and abs(times.mean() - 0.5) < 0.03
    assert draw_times(4000, CPU, 0.3).std() < times.std()
    assert torch.equal(between(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.tensor([0.25])).flatten(),
                       torch.tensor([0.25]))  # fmt: skip


def test_hints_tell_all_that_was_done():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 16, 16)
    same, none = hinted_augment(images, 0.0)
    assert torch.equal(same, images) and not none.any()
    moved, hints = hinted_augment(images, 0.3)
    changed = (moved != images).flatten(1).any(1)
    assert torch.equal(changed, (hints != 0).any(1)) and 0.6 < changed.float().mean() < 0.95
    only_mirrored = (hints[:, 0] == 1) & ~(hints[:, 1:] != 0).any(1)
    assert only_mirrored.any() and torch.allclose(moved[only_mirrored], images[only_mirrored].flip(3), atol=1e-5)


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_a_fresh_network_says_zero_whatever_its_form_and_is_told_everything(fold):
    torch.manual_seed(0)
    network = Unet(UnetShape(32, (16, 24), 2, fold, attend=8, classes=3, hints=6))
    images, times = torch.randn(2, 3, 32, 32), torch.tensor([0.2, 0.9])
    assert not network(images, times).any()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        plain = network(images, times)
        assert torch.equal(network(images, times, torch.tensor([3, 3])), plain)
        assert torch.allclose(network(images, times, None, torch.zeros(2, 6)), plain)
        for other in (
            network(images, times.flip(0)), network(images, times, torch.tensor([0, 0])),
            network(images, times, None, torch.ones(2, 6)),
        ):  # fmt: skip
            assert not torch.allclose(other, plain, atol=1e-4)


def test_a_network_that_predicts_pictures_walks_straight_to_what_it_says():
    network = Unet(UnetShape(8, (16,), 1, fold=1, attend=0, predicts="picture"))
    torch.nn.init.constant_(network.leave[-1].bias, 0.5)  # all else of the last layer is zero: every picture is grey
    end = walk(lambda x, time: network(x, torch.full((len(x),), time)), torch.randn(2, 3, 8, 8), 8)
    assert torch.allclose(end, torch.full_like(end, 0.5), atol=1e-4)


def test_a_network_of_before_pictures_were_predicted_still_gives_velocities(story):
    _workspace, run, _events = story
    card, weights = read_model(run.checkpoint("last"))
    old = {name: value for name, value in card.extra["shape"].items() if name != "predicts"}
    assert card.extra["shape"]["predicts"] == "picture"
    model = load_model(replace(card, extra={**card.extra, "shape": old}), weights, CPU)
    assert model.network.shape.predicts == "velocity"


def test_the_plan_chooses_by_machine_and_names_what_does_not_fit(workspace):
    dataset = shapes(workspace)
    made_plan = plan({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert made_plan.preset == "cpu32" and made_plan.problems == [] and made_plan.seconds > 0
    network = Unet(ImageFlowConfig(**{"dataset": "x", **made_plan.values}).shape(len(dataset.info.classes)))
    assert made_plan.parameters == sum(p.numel() for p in network.parameters())
    huge = plan({"dataset": dataset.id, "width": 512, "batch_size": 4096}, "cpu64", dataset, LAPTOP)
    assert huge.problems and "memory" in huge.problems[0].message.lower()


def test_settings_outside_their_limits_are_refused():
    for values in ({"fold": "3"}, {"class_dropout": 1.5}, {"time_spread": 0}):
        with pytest.raises(ConfigError):
            check(ImageFlowConfig, {"dataset": "x", **values})


def test_a_training_starts_from_an_earlier_one(story):
    workspace, first, _events = story
    run, events = trained(workspace, steps=1, start_from=first.id, ema=0.0, lr=1e-7)
    (told,) = (event.message for event in events if isinstance(event, Note) and "Warm start" in event.message)
    assert f"begins with the weights of “{first.info.title}”" in told
    before, after = (read_model(one.checkpoint("last"))[1] for one in (first, run))
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)
    again = list(image_flow.train(ImageFlowConfig(**run.config_values), run))  # nothing is taken over twice
    assert not any(isinstance(event, Note) and "Warm start" in event.message for event in again)


def test_classes_that_the_earlier_one_did_not_know_begin_as_any(story):
    workspace, first, _events = story
    card, weights = read_model(first.checkpoint("last"))
    trainee = image_flow.FlowTrainee(ImageFlowConfig(**first.config_values), workspace.datasets()[0], CPU)
    trainee.classes = ["ring", "star"]
    list(trainee.begin_with(Origin("first", weights, card.extra)))
    vectors, known = trainee.network.told.class_vectors.weight, weights["network.told.class_vectors.weight"]
    assert len(vectors) == 3 and all(torch.equal(vector, known[-1]) for vector in vectors)


def test_the_weak_machine_begins_with_the_starter_whose_shapes_fit(workspace):
    dataset = shapes(workspace, size=64)
    found = plan({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert found.preset == WARM
    assert found.values["warm_start"] and any("trained on emoji" in note for note in found.notes)
    assert not plan({"dataset": dataset.id, "width": 16}, WARM, dataset, LAPTOP).values["warm_start"]
    assert not plan({"dataset": dataset.id, "codes": True}, WARM, dataset, LAPTOP).values["warm_start"]
    asked = plan({"dataset": dataset.id, "width": 16, "warm_start": True}, WARM, dataset, LAPTOP)
    assert asked.values["warm_start"] and any("only the parts that fit" in note for note in asked.notes)


def test_weights_that_ship_begin_a_training(workspace):
    shapes(workspace, size=64)
    values = {"resolution": "64", "width": 48, "batch_size": 2, "warm_start": True, "validate_every": 0}
    run, events = trained(workspace, 1, **values, ema=0.0, lr=1e-7)
    (told,) = (event.message for event in events if isinstance(event, Note) and "Warm start" in event.message)
    assert "“Starter: emoji, 64 px”" in told
    theirs, own = starter(STARTER).tensors, read_model(run.checkpoint("last"))[1]
    assert torch.allclose(theirs["network.enter.weight"].float(), own["network.enter.weight"], atol=1e-3)
