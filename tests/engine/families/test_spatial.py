"""A VAE whose code is a grid, and an image flow that learns to write such grids."""

from contextlib import closing

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Metric, Progress, Sample
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_flow, image_vae
from aigc_desktop.engine.nn.spatial import SpatialDecoder, SpatialEncoder
from aigc_desktop.engine.pictures import flow_setup
from aigc_desktop.engine.pictures.common import shares_of
from aigc_desktop.engine.pictures.flow_model import load_model
from aigc_desktop.engine.pictures.flow_setup import GRID, ImageFlowConfig, plan
from aigc_desktop.engine.pictures.latent import decoded
from aigc_desktop.engine.pictures.vae_setup import ImageVaeConfig
from aigc_desktop.engine.training.checkpoint import read_model
from tests.engine.families.shapes import shapes, started

COMMON = {
    "resolution": "32", "batch_size": 8, "threads": 1, "device": "cpu", "precision": "float32", "warmup": 1,
    "log_every": 1, "validate_every": 0, "sample_every": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("spatial"))
    dataset = shapes(workspace, validation=0.3)
    told = {**COMMON, "dataset": dataset.id, "width": 16, "spatial": True, "latent": 128, "components": 2, "lr": 4e-3}
    vae, vae_events = started(workspace, image_vae, ImageVaeConfig(**told, steps=120))
    told = {**COMMON, "dataset": dataset.id, "width": 16, "autoencoder": vae.id, "lr": 3e-3, "dropout": 0.0}
    flow, flow_events = started(workspace, image_flow, ImageFlowConfig(**{**told, "steps": 80, "validate_every": 40}))
    return workspace, vae, vae_events, flow, flow_events


def pictures(events):
    return np.concatenate([event.images for event in events if isinstance(event, Sample)])


def test_each_number_of_the_grid_stands_for_a_place():
    torch.manual_seed(0)
    encoder, decoder = SpatialEncoder(64, (8, 16, 24), 1, 128), SpatialDecoder((24, 16, 8), 1, 128)
    mean, logvar = encoder(torch.randn(2, 3, 64, 64), torch.zeros(2, 0))
    assert mean.shape == logvar.shape == (2, 128)
    grid = torch.zeros(1, 2, 8, 8, requires_grad=True)
    made = decoder(grid.flatten(1), torch.zeros(1, 0))
    assert made.shape == (1, 3, 64, 64)
    (gradient,) = torch.autograd.grad(made[0, :, :8, :8].abs().sum(), grid)
    strength = gradient[0].abs().sum(0)
    assert strength[:3, :3].mean() > 5 * strength[5:, 5:].mean()


def test_copies_through_the_grid_come_nearer_with_training(story):
    _workspace, vae, events, _flow, _flow_events = story
    psnr = [event.values["psnr"] for event in events if isinstance(event, Metric) and "psnr" in event.values]
    assert psnr[-1] > psnr[0] + 4
    config = image_vae.ReconstructConfig(run=vae.id, checkpoint="last", count=4, device="cpu")
    pairs = pictures(image_vae.reconstruct(config, vae)).astype(float)
    assert np.abs(pairs[::2] - pairs[1::2]).mean() < 0.7 * np.abs(pairs[::2] - pairs[::2].mean((0, 1, 2))).mean()


def test_a_spatial_vae_makes_pictures_alone_too(story):
    _workspace, vae, _events, _flow, _flow_events = story
    config = image_vae.GenerateConfig(run=vae.id, checkpoint="last", count=3, device="cpu")
    assert pictures(image_vae.generate(config, vae)).shape == (3, 32, 32, 3)


def test_the_flow_learns_grids_of_mean_zero_and_deviation_one(story):
    workspace, _vae, _events, flow, events = story
    losses = [event.values["val_loss"] for event in events if isinstance(event, Metric) and "val_loss" in event.values]
    assert losses[1] < losses[0]
    card, weights = read_model(flow.checkpoint("last"))
    model = load_model(card, weights, torch.device("cpu"))
    assert model.size == 32 and model.network.shape.size == 8 and model.network.shape.channels == 2
    source = image_flow.ResizedSource(workspace.datasets()[0], "train", torch.device("cpu"), 32)
    indices = np.arange(len(source))
    grids = model.space.encode(
        source.images(indices), shares_of(source.labels(indices), len(model.classes))
    )
    assert grids.mean((0, 2, 3)).abs().max() < 1e-3 and (grids.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_codes_are_read_once_and_not_again_when_a_training_goes_on(story):
    workspace, vae, _events, _flow, _flow_events = story
    told = {**COMMON, "dataset": workspace.datasets()[0].id, "width": 8, "autoencoder": vae.id}
    run, events = started(workspace, image_flow, ImageFlowConfig(**told, steps=2))
    more = list(image_flow.train(ImageFlowConfig(**told, steps=4), run))
    read = [
        [e.step for e in part if isinstance(e, Progress) and e.phase == "Reading the codes of pictures"]
        for part in (events, more)
    ]
    assert read == [[28], []] and int(run.checkpoints()[-1]) == 4


def test_the_plan_counts_the_reading_of_codes(story, monkeypatch):
    monkeypatch.setattr(flow_setup, "seconds_per_gigaflop", lambda *_sizes: 1.0)  # a busy machine has many paces
    workspace, vae, _events, _flow, _flow_events = story
    told = {"dataset": workspace.datasets()[0].id, "width": 16}
    machine = Machine(cores=4, memory=16 * 2**30, processor="x")
    pixels, grids = (
        plan({**told, **more}, "cpu64", workspace.datasets()[0], machine) for more in ({}, {"autoencoder": vae.id})
    )
    assert grids.problems == [] and grids.parameters < pixels.parameters and grids.seconds > 0
    reading = plan({**told, "autoencoder": vae.id, "width": 8}, "cpu64", workspace.datasets()[0], machine).seconds
    assert reading > 0.8 * grids.seconds, "most of the time is reading, whatever the size of the flow"


def test_a_chosen_vae_has_a_preset_of_its_own_on_a_processor(story):
    workspace, vae, _events, _flow, _flow_events = story
    dataset, machine = workspace.datasets()[0], Machine(cores=4, memory=16 * 2**30, processor="x")
    assert plan({"dataset": dataset.id}, "auto", dataset, machine).preset == "cpu32"
    chosen = plan({"dataset": dataset.id, "autoencoder": vae.id}, "auto", dataset, machine)
    assert chosen.preset == GRID and not chosen.problems
    assert plan({"dataset": dataset.id, "codes": True}, "auto", dataset, machine).preset == GRID


@pytest.fixture(scope="module")
def learned(story):
    """Return a flow that learned its codes in the first 60 of 100 steps."""
    workspace = story[0]
    told = {**COMMON, "dataset": workspace.datasets()[0].id, "width": 16, "lr": 3e-3, "dropout": 0.0, "codes": True}
    values = {**told, "code_width": 16, "code_share": 0.6, "steps": 100, "validate_every": 20, "sample_every": 60}
    return workspace, values, *started(workspace, image_flow, ImageFlowConfig(**values))


def test_a_flow_learns_its_codes_first(learned):
    _workspace, _values, run, events = learned
    metrics = [event for event in events if isinstance(event, Metric)]
    copying = [event.values["psnr"] for event in metrics if "psnr" in event.values]
    writing = [event.step for event in metrics if "loss" in event.values]
    assert len(copying) == 60 and writing == list(range(61, 101)) and copying[-1] > copying[0] + 4
    checks = [next(iter(event.values)) for event in metrics if any("val" in name for name in event.values)]
    assert checks == 3 * ["validation_bits"] + 2 * ["val_loss"]
    assert [event.role for event in events if isinstance(event, Sample)] == ["reconstruction", "samples"]
    assert int(run.info.best) > 60, "the best version of another task is none of this one"


def test_codes_that_were_learned_have_mean_zero_and_deviation_one(learned):
    workspace, _values, run, events = learned
    model = load_model(*read_model(run.checkpoint("last")), torch.device("cpu"))
    source = image_flow.ResizedSource(workspace.datasets()[0], "train", torch.device("cpu"), 32)
    indices = np.arange(len(source))
    grids = model.space.encode(source.images(indices), shares_of(source.labels(indices), len(model.classes)))
    assert grids.mean((0, 2, 3)).abs().max() < 0.3 and (grids.std((0, 2, 3)) - 1).abs().max() < 0.3
    shown = next(event for event in events if isinstance(event, Sample) and event.seeds)
    config = image_flow.GenerateConfig(run=run.id, checkpoint="last", count=1, seed=shown.seeds[3], device="cpu")
    assert pictures(image_flow.generate(config, run)).shape == (1, 32, 32, 3)


def test_a_flow_stopped_while_it_learns_codes_or_writes_them_ends_with_the_same_weights(learned):
    workspace, values, _run, _events = learned
    config = ImageFlowConfig(**{**values, "width": 8, "code_width": 8, "code_share": 0.5, "steps": 12})
    straight, _events = started(workspace, image_flow, config)
    again = workspace.new_run("image_flow.train", config.model_dump(mode="json"))
    for stopped in (3, 6, 9):
        with closing(image_flow.train(config, again)) as events:
            next(event for event in events if isinstance(event, Progress) and event.step == stopped)
    list(image_flow.train(config, again))
    (_card, first), (_card, second) = (read_model(each.checkpoint("last")) for each in (straight, again))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_plan_of_a_flow_that_learns_codes_counts_both_parts(story):
    dataset, machine = story[0].datasets()[0], Machine(cores=4, memory=16 * 2**30, processor="x")
    told = {"dataset": dataset.id, "resolution": "64"}
    pixels, codes, chosen = (
        plan({**told, **more}, "cpu64", dataset, machine)
        for more in ({}, {"codes": True}, {"codes": True, "autoencoder": "any"})
    )
    assert not codes.problems and codes.parameters > chosen.parameters and codes.seconds > chosen.seconds
    assert "The first 8,000 steps learn the codes" in codes.notes[0] and codes.notes[1:] == pixels.notes
    assert chosen.notes == pixels.notes


def test_the_flow_needs_the_vae_no_more_once_it_is_trained(story, tmp_path):
    _workspace, vae, _events, flow, events = story
    hidden = vae.folder.rename(tmp_path / "gone")
    try:
        sample = next(event for event in events if isinstance(event, Sample))
        config = image_flow.GenerateConfig(
            run=flow.id, checkpoint="last", count=1, seed=sample.seeds[3],
            device="cpu",
        )  # fmt: skip
        made = pictures(image_flow.generate(config, flow))
        assert made.shape == (1, 32, 32, 3) and np.array_equal(made[0], sample.images[3])
    finally:
        hidden.rename(vae.folder)


def test_it_varies_fills_blends_and_is_explored(story, tmp_path):
    workspace, _vae, _events, flow, _flow_events = story
    picture, mask = tmp_path / "picture.png", tmp_path / "mask.png"
    original = np.asarray(workspace.datasets()[0].image_map[0])
    Image.fromarray(original).save(picture)
    white = np.zeros((32, 32), np.uint8)
    white[8:24, 12:28] = 255
    Image.fromarray(white).save(mask)
    told = {"run": flow.id, "checkpoint": "last", "count": 1, "walk_steps": 4, "device": "cpu"}
    near = pictures(image_flow.vary(image_flow.VaryConfig(**told, picture=picture, strength=0.0), flow))[0]
    far = pictures(image_flow.vary(image_flow.VaryConfig(**told, picture=picture, strength=1.0), flow))[0]
    distance = [np.abs(made.astype(float) - original).mean() for made in (near, far)]
    assert distance[0] < distance[1]
    filled = pictures(image_flow.fill(image_flow.FillConfig(**told, picture=picture, mask=mask), flow))[0]
    assert np.array_equal(filled[white == 0], original[white == 0])
    assert not np.array_equal(filled[white > 0], original[white > 0])
    blended = image_flow.InterpolateConfig(**{**told, "count": 3}, to_seed=5)
    assert pictures(image_flow.interpolate(blended, flow)).shape == (3, 32, 32, 3)
    model = image_flow.latents(flow.checkpoint("last"), "cpu")
    points = torch.stack([model.draw(seed, -1, 1.0) for seed in (1, 2)])
    assert decoded(model, points, 2).shape == (2, 32, 32, 3)
    made = image_flow.sampler(flow.checkpoint("last"), "cpu")(3, 9)
    assert made.shape == (3, 32, 32, 3)


def test_a_run_that_a_flow_cannot_build_on_is_refused_before_the_first_step(story):
    workspace, vae, _events, flow, _flow_events = story
    dataset = workspace.datasets()[0]
    whole, _whole_events = started(
        workspace, image_vae, ImageVaeConfig(**COMMON, dataset=dataset.id, width=16, latent=8, steps=1, components=1)
    )
    for run, said in ((flow, "is no image VAE"), (whole, "one code for the whole picture")):
        with pytest.raises(UserError, match=said):
            started(workspace, image_flow, ImageFlowConfig(**COMMON, dataset=dataset.id, autoencoder=run.id, steps=1))
    with pytest.raises(UserError, match="other classes"):
        started(workspace, image_flow, ImageFlowConfig(
            **COMMON, dataset=dataset.id, autoencoder=vae.id, steps=1, use_labels=False
        ))  # fmt: skip


def test_the_latent_size_of_a_grid_is_a_multiple_of_its_places():
    with pytest.raises(ConfigError, match="multiple of 64"):
        check(ImageVaeConfig, {"dataset": "x", "spatial": True, "latent": 100})
