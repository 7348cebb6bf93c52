"""Teach a diffusion model a style or a thing: read pictures and captions once, then learn a LoRA."""

from __future__ import annotations

from collections.abc import Generator

import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import weights_hash
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_precision, free_memory
from aigc_desktop.engine.diffusion.loading import Diffusion, find_pipeline_of, load_diffusion, sizes_of
from aigc_desktop.engine.diffusion.material import captions_of, make_material, need_words, size_of
from aigc_desktop.engine.diffusion.memory import Placement
from aigc_desktop.engine.diffusion.painting import INPAINTING_CHANNELS
from aigc_desktop.engine.diffusion.train_setup import LoraTrainConfig
from aigc_desktop.engine.diffusion.trainee import Base, LoraTrainee
from aigc_desktop.engine.training.data import open_dataset
from aigc_desktop.engine.training.loop import begin, fit


def train(config: LoraTrainConfig, run: Run) -> EventStream:
    """Train a LoRA on the pictures of a data set and their captions."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "image")
    need_words(dataset, config.trigger.strip())
    model, base, precision = yield from _load(config, run, device)
    size = size_of(config, dataset, model.side, model.multiple)
    material = yield from make_material(config, dataset, model, size)
    first = captions_of(dataset, "train", config.trigger.strip())[0]
    torch.manual_seed(config.seed)
    trainee = LoraTrainee(config, model, material, base, size, precision, first)
    free_memory(device)
    yield from fit(config, run, trainee)


def need_learner(model: Diffusion) -> None:
    """Raise UserError when a model cannot learn here: those that need a picture to begin with, and some lines."""
    if not model.line.learns or getattr(model.denoiser.config, "in_channels", 0) == INPAINTING_CHANNELS:
        raise UserError(
            _("“{title}” cannot learn here.").format(title=model.title),
            _("Choose Stable Diffusion, Stable Diffusion XL or 3, or FLUX."),
        )


def _load(
    config: LoraTrainConfig, run: Run, device: torch.device
) -> Generator[Event, None, tuple[Diffusion, Base, str]]:
    """Return the model in the numbers that the run began with."""
    model = Workspace(run.workspace).model(config.base)
    found = find_pipeline_of(model)
    kept = run.folder / "lora.json"
    if not kept.is_file():  # frozen weights lie in these numbers, so that resuming must not choose anew
        write_json(kept, {"precision": choose_precision(config.precision, device, max(sizes_of(found).values()))})
    precision = str(read_table(kept)["precision"])
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    loaded = yield from load_diffusion(model, Placement(device, dtype))
    need_learner(loaded)
    return loaded, Base(model.id, weights_hash(model.info)), precision
