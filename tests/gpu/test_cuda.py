"""What only a graphics card can show; skipped without one.

Needs no Qt: `pytest -c /dev/null --rootdir . --noconftest -p no:pytest-qt tests/gpu`.
"""

import os
import warnings

import pytest
import torch

from aigc_desktop import selfcheck
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_flow, image_gan, image_tokens, image_vae
from aigc_desktop.engine.training.loop import Loop, begin

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card")]

SMALL = {"resolution": "64", "batch_size": 16, "device": "cuda", "log_every": 50, "validate_every": 0, "steps": 200}
TRAINEES = {
    "flow": (image_flow.ImageFlowConfig, image_flow.FlowTrainee, {"width": 16}),
    "flow that learns codes": (image_flow.ImageFlowConfig, image_flow.FlowTrainee,
                               {"width": 16, "codes": True, "code_width": 16, "code_share": 0.5}),
    "gan": (image_gan.ImageGanConfig, image_gan.GanTrainee, {"width": 16, "copy_share": 0.1, "penalty_every": 2}),
    "tokens": (image_tokens.ImageTokensConfig, image_tokens.TokensTrainee, {"width": 16, "feature_weight": 0.5}),
    "vae": (image_vae.ImageVaeConfig, image_vae.VaeTrainee, {"width": 16, "spatial": True, "latent": 64}),
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    os.environ["AIGC_DESKTOP_CONFIG"] = os.environ["AIGC_DESKTOP_CACHE"] = str(folder)
    return Workspace.open(folder / "workspace")


def test_every_family_trains_saves_and_generates_on_the_card(workspace):
    for title, check in selfcheck.checks(workspace.folder):
        if not title.startswith(("pages", "evaluation", "engine process")):  # these need Qt
            check()


def loop_of(workspace, family, records):
    config_class, trainee_class, own = TRAINEES[family]
    found = [dataset for dataset in workspace.datasets() if dataset.info.kind == "image"]
    dataset = found[0].id if found else selfcheck.import_samples(workspace, "image")
    config = config_class(**{**SMALL, **own, "dataset": dataset})
    run = workspace.new_run("x.train", config.model_dump(mode="json"))
    trainee = trainee_class(config, workspace.dataset(dataset), begin(config))
    loop = Loop(config, run, trainee)
    loop.recorder = loop.recorder if records else None
    loop.precision = "bfloat16"
    return loop


@pytest.mark.parametrize("family", TRAINEES)
def test_a_step_does_not_wait_for_the_card(family, workspace):
    loop = loop_of(workspace, family, records=False)
    while loop.step < 23:  # past the copying of the GAN, and past what is done once
        loop._attempt()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _step in range(4):
                loop._attempt()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not [f"{w.filename}:{w.lineno}" for w in seen if "synchronizing" in str(w.message)]


@pytest.mark.parametrize("family", TRAINEES)
def test_recorded_steps_learn_as_much_as_usual_ones(family, workspace):
    ends = []
    for records in (False, True):
        loop = loop_of(workspace, family, records)
        while loop.step < 150:
            loop._attempt()
            if loop.step == 100:
                loop.means.take()
        if records:
            assert not loop.recorder.trouble and all(one.ready for one in loop.recorder.recordings.values())
        ends.append(loop.means.take())
    first = "d_loss" if family == "gan" else next(iter(ends[0]))
    assert ends[1][first] == pytest.approx(ends[0][first], rel=0.25, abs=0.05)
