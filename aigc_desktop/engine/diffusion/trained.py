"""A model with a LoRA that was trained here: found by the hash of its weights, and used as its samples were made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np
import torch

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import Model, weights_hash
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.diffusion.loading import Diffusion, load_diffusion, placement_for
from aigc_desktop.engine.diffusion.material import captions_of
from aigc_desktop.engine.diffusion.memory import Placement
from aigc_desktop.engine.diffusion.painting import Painter
from aigc_desktop.engine.diffusion.trainee import add_adapters, wish_of
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn.lora import load_lora
from aigc_desktop.engine.pictures.common import Pictures
from aigc_desktop.engine.training.checkpoint import Card, part, read_card, read_model


def load_trained(
    run: Run, checkpoint: str, device: torch.device, wish: str = "auto"
) -> Generator[Event, None, Diffusion]:
    """Return the model of a run with its LoRA in it; UserError when the model it belongs to is not there any more.

    The LoRA is not added to the weights: so pictures are the same, to the bit, as the samples while training.
    """
    folder = run.checkpoint(checkpoint)
    card, tensors = read_model(folder)
    base = base_of(card, Workspace(run.workspace))
    placement = placement_for(base, device, wish)
    if device.type == "cpu":
        dtype = torch.bfloat16 if card.extra["precision"] == "bfloat16" else torch.float32
        placement = Placement(device, dtype)
    model = yield from load_diffusion(base, placement)
    add_adapters(model, list(card.extra["layers"]), int(card.config["rank"]), float(card.config["alpha"]))
    load_lora(model.denoiser, part(tensors, "adapters"))
    model.card = card
    return model


def base_of(card: Card, workspace: Workspace) -> Model:
    """Return the imported model that a LoRA was trained on, under whatever name it is imported now."""
    fitting = []
    for model in workspace.models():
        with contextlib.suppress(UserError):  # a damaged record is told on the Models page
            info = model.info
            if info.kind == "diffusion" and weights_hash(info) == card.extra["base_hash"]:
                fitting.append(model)
    if fitting:  # the same weights may be there twice, with another scheduler
        return next((model for model in fitting if model.id == card.extra["base"]), fitting[0])
    raise UserError(
        _("The diffusion model this LoRA was trained on is not there any more: {name}.").format(
            name=card.extra["base"]
        ),
        _("Import the same model again."),
    )


def captions(folder: Path, dataset: Dataset, split: Split) -> list[str]:
    """Return the captions of a split as a LoRA has learned them, with its trigger word."""
    return captions_of(dataset, split, str(read_card(folder).config["trigger"]).strip())


def sampler(folder: Path, device_name: str) -> Callable[..., Pictures]:
    """Return a function (count, seed, captions=()) -> pictures of a checkpoint, for evaluation.

    Without captions they are as the samples of its training.
    """
    run = Run(folder.parents[1], folder.parents[3])
    device = choose_device(device_name)
    set_up(device, 0)
    model = value_of(load_trained(run, folder.name, device))
    extra = read_card(folder).extra
    usual, size = str(extra["prompt"]), tuple(extra["size"])

    def make(seeds: range, prompt: str) -> Pictures:
        painter = Painter(model, "make", wish_of(model, prompt, size), len(seeds))
        pictures, _labels = value_of(painter.make(seeds))
        return pictures

    def sample(count: int, seed: int, captions: Sequence[str] = ()) -> Pictures:
        seeds = range(seed, seed + count)
        if not captions:
            return make(seeds, usual)
        return np.concatenate([make(range(each, each + 1), captions[each % len(captions)]) for each in seeds])

    return sample
