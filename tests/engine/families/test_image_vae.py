import math

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Metric, Sample
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_vae
from aigc_desktop.engine.metrics.features import feature_network
from aigc_desktop.engine.nn.density import LatentDensity
from aigc_desktop.engine.pictures import vae_setup
from aigc_desktop.engine.pictures.feature_maps import FeatureMaps, feature_distance
from aigc_desktop.engine.pictures.latent import decoded, with_class
from aigc_desktop.engine.pictures.vae_model import first_of_each_class, load_model
from aigc_desktop.engine.pictures.vae_setup import ImageVaeConfig, plan
from aigc_desktop.engine.training.checkpoint import MANIFEST, read_card, read_model, write_manifest
from aigc_desktop.engine.training.data import to_model
from tests.engine.families.shapes import shapes
from tests.engine.toy import image_dataset

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


def made(run, count=1, seed=0, **values) -> np.ndarray:
    config = image_vae.GenerateConfig(run=run.id, checkpoint="last", count=count, seed=seed, device="cpu", **values)
    return pictures(image_vae.generate(config, run))


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
    model = load_model(*read_model(run.checkpoint("last")), torch.device("cpu"))
    prior = LatentDensity(4, 2)
    source = image_vae.ResizedSource(workspace.datasets()[0], "train", torch.device("cpu"), 32)
    labels = source.labels(np.arange(len(source)))
    with torch.no_grad():
        codes, _logvar = model.encoder(source.images(np.arange(len(source))), model.shares_of(labels))
    for label in (0, 1):
        own = codes[labels == label]
        assert model.density.log_density(own, label).mean() > prior.log_density(own).mean()
        assert model.density.log_density(own, label).mean() > model.density.log_density(own, 1 - label).mean() - 1


def test_a_class_can_be_asked_for_by_name(story):
    _workspace, run, events = story
    sample = next(e for e in events if isinstance(e, Sample) and e.role == "samples")
    assert set(sample.labels) == {"disc", "square"}
    for cell in (0, 17, 31):
        assert np.array_equal(made(run, seed=sample.seeds[cell])[0], sample.images[cell])
        named = made(run, seed=sample.seeds[cell], label=sample.labels[cell])
        assert np.array_equal(named[0], sample.images[cell])
    disc, square = (made(run, count=4, label=name) for name in ("disc", "square"))
    assert not np.array_equal(disc, square)


def test_an_unknown_class_is_said_with_the_known_ones(story):
    _workspace, run, _events = story
    with pytest.raises(UserError, match="star") as caught:
        made(run, label="star")
    assert "disc, square" in caught.value.hint


def test_its_latent_space_has_the_classes(story):
    workspace, run, _events = story
    model = image_vae.latents(run.checkpoint("last"), "cpu")
    assert model.classes == ("disc", "square") and len(model.centre) == model.length == 6
    square = model.draw(3, 1, 1.0)
    assert model.label_at(square) == "square"
    assert np.array_equal(decoded(model, square[None])[0], made(run, seed=3, label="square")[0])
    picture = to_model(torch.from_numpy(workspace.datasets()[0].images("train")[:1].copy()))
    found = model.encode(picture)
    errors = [(model.decode(with_class(found[:4], label, 2)[None], 0) - picture).square().mean() for label in (0, 1)]
    assert model.label_at(found) == model.classes[int(np.argmin(errors))]


def test_a_class_with_a_single_picture_is_made_too(workspace):
    dataset = image_dataset(workspace, count=20, held_out=0, every=20)
    run, _events = trained(workspace, steps=3)
    assert dataset.info.class_counts == [19, 1]
    pictures_of_it = made(run, count=3, label=dataset.info.classes[1])
    assert len({picture.tobytes() for picture in pictures_of_it}) == 3


def test_without_labels_it_asks_for_no_class(workspace):
    run, events = trained(workspace, steps=2, use_labels=False)
    assert all(not event.labels for event in events if isinstance(event, Sample))
    assert image_vae.latents(run.checkpoint("last"), "cpu").classes == ()
    with pytest.raises(UserError, match="disc") as caught:
        made(run, label="disc")
    assert "without labels" in caught.value.hint


def forget_classes(run) -> None:
    """Make the cards of a run such as earlier releases wrote, which knew no classes."""
    for name in run.checkpoints():
        folder = run.checkpoint(name)
        card = read_json(folder / "model.json")
        del card["extra"]["classes"], card["extra"]["shares"], card["config"]["use_labels"]
        write_json(folder / "model.json", card)
        (folder / MANIFEST).unlink()
        write_manifest(folder, {})


def test_a_version_of_an_earlier_release_gives_the_same_pictures_and_goes_on(workspace):
    run, _events = trained(workspace, steps=3, use_labels=False)
    before = made(run, count=4)
    weights = read_model(run.checkpoint("last"))[1]
    forget_classes(run)
    assert np.array_equal(made(run, count=4), before)
    values = {name: value for name, value in run.config_values.items() if name != "use_labels"}
    list(image_vae.train(ImageVaeConfig(**{**values, "steps": 5}), run))
    assert read_card(run.checkpoint("last")).step == 5
    assert {name: tensor.shape for name, tensor in read_model(run.checkpoint("last"))[1].items()} == {
        name: tensor.shape for name, tensor in weights.items()
    }


def test_rare_classes_are_all_among_the_coded():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 20, np.int32)
    chosen = labels[first_of_each_class(labels, 23)]
    assert np.bincount(chosen).tolist() == [10, 3, 10]


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


@pytest.mark.parametrize("feature_weight", [0.0, 1.0])
def test_stopped_training_goes_on_to_the_same_weights(workspace, feature_weight):
    straight, events = trained(workspace, steps=8, validate_every=3, feature_weight=feature_weight)
    assert bool(feature_distances(events)) == bool(feature_weight)
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


def feature_distances(events):
    return [e.values["feature_distance"] for e in events if isinstance(e, Metric) and "feature_distance" in e.values]


def test_the_feature_loss_brings_copies_nearer_in_features(workspace):
    eyes, apart = FeatureMaps(feature_network()), []
    for weight in (0.0, 1.0):
        run, events = trained(workspace, steps=40, lr=0.01, feature_weight=weight)
        config = image_vae.ReconstructConfig(run=run.id, checkpoint="last", count=16, device="cpu")
        pairs = to_model(torch.from_numpy(pictures(image_vae.reconstruct(config, run))))
        apart.append(float(feature_distance(eyes(pairs[::2]), eyes(pairs[1::2]))))
    told = feature_distances(events)
    assert len(told) == 40 and told[-1] < 0.6 * told[0]
    assert apart[1] < 0.9 * apart[0]


def test_the_bits_leave_the_feature_loss_out(workspace):
    bits = []
    for weight in (0.0, 10.0):
        _run, events = trained(workspace, steps=1, lr=1e-7, feature_weight=weight)
        bits += [row["validation_bits"] for row in run_metrics(events)]
    assert math.isclose(*bits, rel_tol=1e-4)


def test_the_plan_knows_that_the_feature_loss_costs_time_and_memory(workspace):
    dataset = shapes(workspace)
    without, with_it = (
        plan({"dataset": dataset.id, "feature_weight": weight}, "cpu32", dataset, LAPTOP) for weight in (0.0, 1.0)
    )
    assert with_it.parameters == without.parameters
    assert with_it.seconds > without.seconds and with_it.memory_mb > without.memory_mb
    presets = {preset.name: preset.values.get("feature_weight", 0.0) for preset in vae_setup.PRESETS}
    assert presets == {name: 0.0 if name == "cpu32" else 1.0 for name in presets} and len(presets) == 7


def test_without_held_out_pictures_copying_says_so(workspace):
    run, events = trained(workspace, steps=2, validation=0.0)
    assert run_metrics(events) == []
    config = image_vae.ReconstructConfig(run=run.id, checkpoint="last", device="cpu")
    with pytest.raises(UserError, match="held-out"):
        list(image_vae.reconstruct(config, run))


@pytest.mark.parametrize(("wished", "chosen"), [("auto", "cpu32"), ("grid64", "grid64")])
def test_the_plan_counts_the_weights_that_are_trained(workspace, wished, chosen):
    dataset = shapes(workspace)
    made = plan({"dataset": dataset.id}, wished, dataset, LAPTOP)
    assert made.preset == chosen and made.problems == [] and made.seconds > 0
    trainee = image_vae.VaeTrainee(ImageVaeConfig(**made.values), dataset, torch.device("cpu"))
    assert made.parameters == sum(p.numel() for module in trainee.modules.values() for p in module.parameters())


@pytest.mark.parametrize("preset", vae_setup.PRESETS)
def test_every_preset_is_a_valid_configuration(preset):
    config = ImageVaeConfig(dataset="x", **preset.values)
    assert all(width % 8 == 0 for width in vae_setup.widths_of(config))
