"""One workspace with a tiny pipeline of every line, written once; tests copy what they spoil."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Sample
from aigc_desktop.core.job import run_job
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.pipeline_lines import LINES
from aigc_desktop.engine.diffusion.loading import load_diffusion
from aigc_desktop.engine.diffusion.memory import Placement
from aigc_desktop.engine.diffusion.tiny import add_tiny_diffusion
from aigc_desktop.engine.families.diffusion import FAMILY
from aigc_desktop.engine.labels.adapting import value_of

NAMES = [line.name for line in LINES if line.learns]
"""Lines that can do everything."""


@pytest.fixture(scope="session")
def studio(tmp_path_factory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("studio") / "工作区")
    for name in (line.name for line in LINES):
        assert add_tiny_diffusion(workspace, name, name) == name
    return workspace


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "图 picture.png"
    colours = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(colours).save(path)
    return path


@pytest.fixture(scope="session")
def mask(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "mask.png"
    white = np.zeros((32, 48), np.uint8)
    white[:, 24:] = 255
    Image.fromarray(white).save(path)
    return path


def loaded(workspace, name):
    """Return a model of the workspace on the processor."""
    return value_of(load_diffusion(workspace.model(name), Placement(torch.device("cpu"), torch.float32)))


def use(workspace, task, stop=lambda: False, **values):
    """Run a task of the family and return its events."""
    small = {"model": "sd", "prompt": "a cat", "count": 1, "walk_steps": 2, "device": "cpu"}
    if task == "generate":
        small |= {"width": 32, "height": 32}
    found = FAMILY.task(task)
    config = check(found.config, {**small, **values})
    run = workspace.new_run(f"diffusion.{task}", config.model_dump(mode="json"), parent="results")
    return list(run_job(found.job, config, run, stop))


def made(events):
    """Return the pictures by their seeds."""
    return {
        seed: picture
        for event in events if isinstance(event, Sample)
        for seed, picture in zip(event.seeds, event.images, strict=True)
    }  # fmt: skip
