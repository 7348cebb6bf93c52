"""Teaching tiny diffusion models of every line: what is predicted, learned, written, and what goes wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Sample
from aigc_desktop.core.job import run_job
from aigc_desktop.engine.device import describe_machine
from aigc_desktop.engine.diffusion import memory
from aigc_desktop.engine.diffusion import trainee as trainees
from aigc_desktop.engine.diffusion.learning import Noiser, read_captions, to_latents
from aigc_desktop.engine.diffusion.libraries import class_of, quiet
from aigc_desktop.engine.diffusion.material import captions_of
from aigc_desktop.engine.diffusion.tiny import add_tiny_diffusion
from aigc_desktop.engine.diffusion.train_setup import LoraTrainConfig
from aigc_desktop.engine.families.diffusion import FAMILY
from aigc_desktop.engine.labels.adapting import value_of
from tests.engine.diffusion.conftest import NAMES, loaded, made, use
from tests.engine.diffusion.test_import import bring
from tests.engine.toy import image_dataset, write_dataset

SMALL = {
    "steps": 3, "batch_size": 2, "threads": 1, "device": "cpu", "precision": "float32", "log_every": 1, "warmup": 0,
    "validate_every": 0, "checkpoint_every": 0, "sample_every": 0, "rank": 4, "alpha": 8.0, "trigger": "ohwx",
}  # fmt: skip


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Samples of tiny models need no thirty steps."""
    for module in ("trainee", "create"):
        monkeypatch.setattr(f"aigc_desktop.engine.diffusion.{module}.steps_of", lambda _model: 2)


@pytest.fixture(scope="session")
def dataset(studio) -> Dataset:
    return image_dataset(studio, 12, held_out=4)


def teach(studio, dataset, line="sd", **values):
    config = check(LoraTrainConfig, {"dataset": dataset.id, "base": line, **SMALL, **values})
    run = studio.new_run("diffusion.train", config.model_dump(mode="json"))
    return run, list(run_job(FAMILY.task("train").job, config, run))


def losses(events, name="loss"):
    return [event.values[name] for event in events if isinstance(event, Metric) and name in event.values]


# what is predicted


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_noise_and_targets_are_those_of_the_library(studio, prediction):
    name = add_tiny_diffusion(studio, "sd", prediction, prediction_type=prediction)
    model = loaded(studio, name)
    with quiet():
        theirs = class_of("DDPMScheduler").from_config(model.parts["scheduler"].config)
    noiser, times = Noiser(model, (32, 32), 5.0), torch.tensor([3, 500, 990])
    latents, noise = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    noisy = noiser.at(latents, times, noise)
    assert torch.allclose(noisy.latents, theirs.add_noise(latents, noise, times), atol=1e-5)
    wanted = {"epsilon": noise, "v_prediction": theirs.get_velocity(latents, noise, times), "sample": latents}
    assert torch.allclose(noisy.target, wanted[prediction], atol=1e-5)
    assert (noisy.weights > 0).all() and (Noiser(model, (32, 32), 0.0).at(latents, times, noise).weights == 1).all()


@pytest.mark.parametrize("line", ["sd3", "flux"])
def test_flow_models_learn_the_straight_way(studio, line):
    model = loaded(studio, line)
    noiser, share = Noiser(model, (32, 32), 5.0), torch.tensor([0.25, 0.75])
    latents, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    noisy = noiser.at(latents, share, noise)
    assert torch.allclose(noisy.latents - share.view(-1, 1, 1, 1) * noisy.target, latents, atol=1e-5)
    drawn = noiser.draw(latents.repeat(500, 1, 1, 1)).times
    assert drawn.min() > 0 and drawn.max() < 1 and drawn.mean() > 0.6  # shifted towards noise


@pytest.mark.parametrize("line", NAMES)
def test_latents_come_back_as_the_picture(studio, line):
    """What the VAE makes of the latents is what the pipeline would show."""
    model = loaded(studio, line)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, spread = to_latents(model, images)
    vae = model.parts["vae"]
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mean
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    assert torch.allclose(mean / vae.config.scaling_factor + shift, latents, atol=1e-5) and (spread > 0).all()


def test_captions_are_read_as_the_pipeline_reads_them(studio):
    model = loaded(studio, "sdxl")
    told = value_of(read_captions(model, ["", "a cat", "a dog"]))
    with quiet():
        theirs = model.pipeline("StableDiffusionXLPipeline").encode_prompt("a cat", do_classifier_free_guidance=False)
    assert torch.equal(told.hidden[1], theirs[0][0]) and torch.equal(told.pooled[1], theirs[2][0])


# what is learned


@pytest.mark.parametrize("line", NAMES)
def test_held_out_pictures_are_predicted_better_after_some_steps(studio, dataset, line):
    _run, events = teach(studio, dataset, line, steps=16, validate_every=8, lr=0.02, batch_size=4, layers="all")
    assert isinstance(events[-1], Finished), events[-1]
    values = losses(events, "val_loss")
    assert values[-1] < values[0]
    assert any(isinstance(event, Sample) for event in events)


def test_what_a_sample_showed_is_made_again_to_the_bit(studio, dataset):
    run, events = teach(studio, dataset, lr=0.01, seed=5)
    (shown,) = [event for event in events if isinstance(event, Sample)]
    open_ = {"prompt": "", "walk_steps": None, "width": None, "height": None}  # as the sample has it
    works = made(use(studio, "generate", model="", run=run.id, seed=5, count=2, **open_))
    assert shown.seeds == (5, 6) and all(np.array_equal(works[s], p) for s, p in zip((5, 6), shown.images, strict=True))
    plain = made(use(studio, "generate", prompt="ohwx", seed=5))
    assert not np.array_equal(plain[5], works[5])


@pytest.mark.parametrize("line", NAMES)
def test_the_library_opens_what_was_trained(studio, dataset, line):
    pytest.importorskip("peft")
    run, _events = teach(studio, dataset, line, lr=0.02)
    pipeline = loaded(studio, line).pipeline(loaded(studio, line).line.make)
    with quiet():
        pipeline.load_lora_weights(str(run.checkpoint("last")), weight_name="pytorch_lora_weights.safetensors")
        theirs = pipeline("ohwx", num_inference_steps=2, generator=torch.Generator().manual_seed(0), width=32,
                          height=32, output_type="np", guidance_scale=3.0).images[0]  # fmt: skip
    values = {"prompt": "ohwx", "guidance": 3.0, "width": 32, "height": 32}
    ours = made(use(studio, "generate", model="", run=run.id, **values))[0]
    assert np.abs(ours - theirs * 255).max() < 2
    imported, events = bring(studio, run.checkpoint("last") / "pytorch_lora_weights.safetensors", title=f"{line} lora")
    assert imported is not None, events[-1]
    again = made(use(studio, "generate", model=line, lora=imported, **values))[0]
    assert np.abs(again.astype(int) - ours).max() <= 2


@pytest.mark.parametrize("line", NAMES)
def test_wide_pictures_are_learned_and_made_wide(studio, line):
    images = np.full((6, 24, 40, 4), 120, np.uint8)  # transparent ones too: what lies behind is white
    arrays = {"images": images, "labels": np.zeros(6, np.int32), "split": np.array([0, 0, 0, 0, 1, 1], np.uint8),
              "rows": np.arange(6)}  # fmt: skip
    info = {"kind": "image", "size": 32, "aspect": "16:9", "channels": 4, "classes": ["wide"], "class_counts": [6]}
    wide = write_dataset(studio, f"wide {line}", info, arrays)
    width, height = (pixels // 4 * 4 for pixels in wide.info.pixels)
    run, events = teach(studio, wide, line, validate_every=3)
    (shown,) = [event for event in events if isinstance(event, Sample)]
    assert isinstance(events[-1], Finished) and shown.images.shape[1:3] == (height, width) and width > height
    open_ = {"prompt": "", "walk_steps": None, "width": None, "height": None}
    works = made(use(studio, "generate", model="", run=run.id, **open_))
    assert np.array_equal(works[0], shown.images[0])


def test_saving_memory_changes_no_loss(studio, dataset):
    usual, saving = (losses(teach(studio, dataset, checkpointing=on)[1]) for on in (False, True))
    assert np.allclose(usual, saving, rtol=1e-4)


# what goes wrong


def test_when_memory_is_short_the_batch_is_halved_and_counts_the_same(monkeypatch, studio, dataset):
    inner, sizes = trainees.predict, []

    def predict(model, network, noisy, told):
        if len(noisy.times) > 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(noisy.times))
        return inner(model, network, noisy, told)

    monkeypatch.setattr(trainees, "predict", predict)
    _run, events = teach(studio, dataset, batch_size=8, steps=2)
    assert isinstance(events[-1], Finished), events[-1]
    notes = [event.message for event in events if isinstance(event, Note)]
    assert any("2 items at a time" in note for note in notes) and sizes.count(2) >= 8


def test_samples_that_do_not_fit_are_left_out_with_a_note(monkeypatch, studio, dataset):
    def call(_self, _seed, _tell):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("aigc_desktop.engine.diffusion.painting.Painter._call", call)
    def less(_self):
        pytest.fail("a model in training was to be moved off the card")

    monkeypatch.setattr(memory.Placement, "smaller", less)
    _run, events = teach(studio, dataset)
    assert isinstance(events[-1], Finished)
    assert any(isinstance(event, Note) and "samples" in event.message for event in events)


def test_without_captions_labels_or_trigger_it_is_refused(studio):
    images = np.zeros((6, 32, 32, 3), np.uint8)
    arrays = {"images": images, "labels": np.full(6, -1, np.int32), "split": np.zeros(6, np.uint8),
              "rows": np.arange(6)}  # fmt: skip
    bare = write_dataset(studio, "bare", {"kind": "image", "size": 32, "channels": 3}, arrays)
    _run, events = teach(studio, bare, trigger=" ")
    assert isinstance(events[-1], Failed) and "captions" in events[-1].message and "trigger" in events[-1].hint
    plan = FAMILY.task("train").plan({"dataset": bare.id, "base": "sd"}, "auto", bare, describe_machine())
    assert [problem.field for problem in plan.problems] == ["trigger"]
    assert set(captions_of(bare, "train", "ohwx")) == {"ohwx"}


def test_labels_stand_in_for_captions(studio, dataset):
    assert set(captions_of(dataset, "train", "ohwx")) == {f"ohwx, {name}" for name in dataset.info.classes}


def test_a_model_that_is_gone_is_named(studio, dataset):
    name = add_tiny_diffusion(studio, "sd", "short lived", prediction_type="v_prediction")
    path = studio.model(name).folder / "model.json"
    path.write_text(path.read_text().replace('"files": {', '"files": {"x.safetensors": "00", '))
    run, events = teach(studio, dataset, name)
    assert isinstance(events[-1], Finished), events[-1]
    studio.trash(studio.model(name).folder)
    events = use(studio, "generate", model="", run=run.id)
    assert isinstance(events[-1], Failed) and "short lived" in events[-1].message and events[-1].hint


def test_a_line_that_cannot_learn_here_is_told_before_and_at_the_start(studio, dataset):
    values = {"dataset": dataset.id, "base": "flux_fill", "trigger": "ohwx"}
    plan = FAMILY.task("train").plan(values, "auto", dataset, describe_machine())
    assert [problem.field for problem in plan.problems] == ["base"] and "cannot learn" in plan.problems[0].message
    _run, events = teach(studio, dataset, "flux_fill")
    assert isinstance(events[-1], Failed) and events[-1].message == plan.problems[0].message


def test_another_kind_of_model_is_refused(studio, dataset, tmp_path):
    _run, events = teach(studio, dataset, "nothing there")
    assert isinstance(events[-1], Failed) and "nothing there" in events[-1].message


# the plan


@pytest.mark.parametrize("line", NAMES)
def test_the_plan_counts_what_learns(studio, dataset, line):
    values = {"dataset": dataset.id, "base": line, "trigger": "ohwx", "rank": 4}
    plan = FAMILY.task("train").plan(values, "auto", dataset, describe_machine())
    assert not plan.problems and plan.seconds > 0 and plan.memory_mb > 0
    model = loaded(studio, line)
    layers = trainees.layers_of(model.denoiser, "attention")
    trainees.add_adapters(model, layers, 4, 1.0)
    learned = sum(p.numel() for p in model.denoiser.parameters() if p.requires_grad)
    assert any(f"{learned:,}" in note for note in plan.notes)
    larger = FAMILY.task("train").plan({**values, "batch_size": 64}, "auto", dataset, describe_machine())
    assert larger.memory_mb > plan.memory_mb and larger.seconds > plan.seconds
    saving = FAMILY.task("train").plan({**values, "batch_size": 64, "checkpointing": True}, "auto", dataset,
                                       describe_machine())  # fmt: skip
    assert saving.memory_mb < larger.memory_mb
