import math

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Metric, Sample
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine import vae_setup
from aigc_desktop.engine.checkpoint import read_model
from aigc_desktop.engine.families import image_vae
from aigc_desktop.engine.vae_setup import ImageVaeConfig, plan
from tests.engine.families.shapes import shapes

TINY = {
    "resolution": "32", "width": 8, "latent": 4, "batch_size": 8, "threads": 1, "device": "cpu",
    "precision": "float32", "warmup": 1, "log_every": 1, "validate_every": 0, "sample_every": 0, "components": 2,
}  # fmt: skip
LAPTOP = Machine(cores=4, memory=16 * 2**30, processor="x")


def trained(workspace: Workspace, steps: int = 40, validation: float = 0.4, **values):
    dataset = workspace.datasets()[0] if workspace.datasets() else shapes(workspace, validation=validation)
    config = ImageVaeConfig(**{**TINY, "dataset": dataset.id, "steps": steps, **values})
    run = workspace.new_run("image_vae.train", config.model_dump(mode="json"))
    return run, list(image_vae.train(config, run))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("vae"))
    run, events = trained(workspace)
    return workspace, run, events


def pictures(events) -> np.ndarray:
    return np.concatenate([event.images for event in events if isinstance(event, Sample)])


def test_it_learns_and_reports_what_matters(story):
    _workspace, _run, events = story
    rows = [event.values for event in events if isinstance(event, Metric)]
    steps = [row for row in rows if "recon" in row]
    assert set(steps[0]) == {"recon", "psnr", "kl", "sigma"}
    assert steps[-1]["recon"] < steps[0]["recon"] and steps[-1]["psnr"] > steps[0]["psnr"] + 2
    assert math.isclose(steps[-1]["psnr"], -10 * math.log10(steps[-1]["sigma"] ** 2 / 4), abs_tol=1e-3)
    (validation,) = (row for row in rows if "validation_bits" in row)
    assert next(iter(validation)) == "validation_bits" and validation["active_units"] >= 1


def test_bits_fall_with_training(workspace):
    _run, _events = trained(workspace, steps=40, validate_every=10)
    bits = [row["validation_bits"] for row in run_metrics(_events)]
    assert len(bits) == 4 and bits[-1] < bits[0]


def run_metrics(events):
    return [e.values for e in events if isinstance(e, Metric) and "validation_bits" in e.values]


def test_the_saved_density_is_fitted_to_the_codes(story):
    workspace, run, _events = story
    card, weights = read_model(run.checkpoint("last"))
    model = image_vae.Model(card, weights, torch.device("cpu"))
    prior = image_vae.LatentDensity(4, 2)
    dataset = workspace.datasets()[0]
    source = image_vae.ResizedSource(dataset, "train", torch.device("cpu"), 32)
    with torch.no_grad():
        codes, _logvar = model.modules["encoder"](source.images(np.arange(len(source))))
    assert model.modules["density"].log_density(codes).mean() > prior.log_density(codes).mean()


def test_a_cell_of_a_preview_comes_out_the_same_alone(story):
    _workspace, run, events = story
    sample = next(e for e in events if isinstance(e, Sample) and e.role == "samples")
    for cell in (0, 31):
        config = image_vae.GenerateConfig(
            run=run.id, checkpoint="last", count=1, seed=sample.seeds[cell], device="cpu"
        )
        assert np.array_equal(pictures(image_vae.generate(config, run))[0], sample.images[cell])


def test_reconstructions_alternate_original_and_copy(story):
    workspace, run, _events = story
    config = image_vae.ReconstructConfig(run=run.id, checkpoint="last", count=5, device="cpu")
    events = list(image_vae.reconstruct(config, run))
    pairs = pictures(events)
    held_out = workspace.datasets()[0].images("validation")
    assert np.array_equal(pairs[::2], held_out[:5])
    other = held_out[[1, 2, 3, 4, 0]].astype(float)
    copies = pairs[1::2].astype(float)
    assert np.square(copies - held_out[:5]).mean() < np.square(copies - other).mean()


def test_interpolation_begins_and_ends_with_the_pictures_of_its_seeds(story):
    _workspace, run, _events = story
    config = image_vae.InterpolateConfig(run=run.id, checkpoint="last", count=18, seed=3, to_seed=8, device="cpu")
    events = [event for event in image_vae.interpolate(config, run) if isinstance(event, Sample)]
    frames = pictures(events)
    assert len(frames) == 18 and all(event.role == "interpolation" for event in events)
    ends = image_vae.sampler(run.checkpoint("last"), "cpu")(6, 3)[[0, 5]].astype(int)
    assert np.abs(frames[0] - ends[0]).max() <= 1 and np.abs(frames[-1] - ends[1]).max() <= 1


def test_the_arc_between_two_codes_keeps_their_length():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    assert torch.allclose(image_vae.between(a, b, 0.5), torch.full((2,), 3 / math.sqrt(2)), atol=1e-5)
    assert torch.allclose(image_vae.between(a, 2 * a, 0.5), 1.5 * a)


def test_stopped_training_goes_on_to_the_same_weights(workspace):
    straight, _events = trained(workspace, steps=8, validate_every=3)
    cut = workspace.new_run("image_vae.train", straight.config_values)
    config = ImageVaeConfig(**straight.config_values)
    events = image_vae.train(config, cut)
    for event in events:
        if isinstance(event, Metric) and event.step == 5:
            break
    events.close()
    list(image_vae.train(config, cut))
    one, two = (read_model(run.checkpoint("last"))[1] for run in (straight, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_held_out_pictures_copying_says_so(workspace):
    run, events = trained(workspace, steps=2, validation=0.0)
    assert run_metrics(events) == []
    config = image_vae.ReconstructConfig(run=run.id, checkpoint="last", device="cpu")
    with pytest.raises(UserError, match="held-out"):
        list(image_vae.reconstruct(config, run))


def test_the_plan_counts_the_weights_that_are_trained(workspace):
    dataset = shapes(workspace)
    made = plan({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert made.preset == "cpu32" and made.problems == [] and made.seconds > 0
    trainee = image_vae.VaeTrainee(ImageVaeConfig(**made.values), dataset, torch.device("cpu"))
    assert made.parameters == sum(p.numel() for module in trainee.modules.values() for p in module.parameters())


@pytest.mark.parametrize("preset", vae_setup.PRESETS)
def test_every_preset_is_a_valid_configuration(preset):
    config = ImageVaeConfig(dataset="x", **preset.values)
    assert all(width % 8 == 0 for width in vae_setup.widths_of(config))
