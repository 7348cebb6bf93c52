"""The tasks of a diffusion model: pictures from a prompt, variants of a picture, a part of one painted anew."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.model import Model
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.diffusion.given import fitted, open_mask_for, open_whole, size_for
from aigc_desktop.engine.diffusion.loading import Diffusion, load_diffusion, placement_for
from aigc_desktop.engine.diffusion.lora import add_lora_file
from aigc_desktop.engine.diffusion.painting import (
    Painter,
    Wish,
    guidance_of,
    need_line,
    set_scheduler,
    steps_of,
    too_long,
)
from aigc_desktop.engine.diffusion.setup import DiffusionConfig, FillConfig, GenerateConfig, SizedConfig, VaryConfig
from aigc_desktop.engine.diffusion.trained import load_trained
from aigc_desktop.engine.pictures.making import TRIES, stream_steps
from aigc_desktop.engine.pretrained.kept import Kept, keep, take

TASKS = ("diffusion.generate", "diffusion.vary", "diffusion.fill")
KEPT_SHARE = 0.5  # of the memory that would be free without the model


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Make pictures of a prompt; the seed of each decides it alone."""
    yield from _paint(config, run, "make")


def vary(config: VaryConfig, run: Run) -> EventStream:
    """Make variants of a picture: it is mixed with noise, which is taken away again under the prompt."""
    yield from _paint(config, run, "vary")


def fill(config: FillConfig, run: Run) -> EventStream:
    """Paint a part of a picture anew; the rest stays as it is, to the bit."""
    yield from _paint(config, run, "fill")


def _paint(config: SizedConfig, run: Run, task: str) -> EventStream:
    yield Progress(0, 0, _("Loading the model"))
    kept = yield from _kept(config, Workspace(run.workspace))
    sound = False
    try:
        yield from _paint_with(kept.model, config, run, task)
        sound = True
    except (GeneratorExit, UserError):
        sound = True
        raise
    finally:
        if sound:
            keep(kept, KEPT_SHARE)


def _paint_with(model: Diffusion, config: SizedConfig, run: Run, task: str) -> Iterator[Event]:
    set_scheduler(model, config.scheduler)
    need_line(model, task)
    if (long := too_long(model, config.prompt)) is not None:
        yield long
    painter = Painter(model, task, _wish(config, model), config.count * (TRIES if config.good else 1))
    yield from stream_steps(painter.make, config, run, 1)
    if painter.withheld:
        text = ngettext(
            "{count} picture is black: the model's own safety check withheld it.",
            "{count} pictures are black: the model's own safety check withheld them.", painter.withheld,
        )  # fmt: skip
        yield Note(text.format(count=painter.withheld), "warning")


def _kept(config: DiffusionConfig, workspace: Workspace) -> Generator[Event, None, Kept]:
    """Return the chosen model with its LoRAs, from memory when it was used last."""
    if bool(config.model) == bool(config.run):
        raise UserError(_("Choose a model first."), _("Import a diffusion model on the Models page."))
    device = choose_device(config.device)
    set_up(device, 0)
    if config.run:
        folder = workspace.run(config.run).checkpoint(config.checkpoint)
    else:
        folder = workspace.model(config.model).folder
    loras = [
        (workspace.model(name), weight)
        for name, weight in ((config.lora, config.lora_weight), (config.second_lora, config.second_weight)) if name
    ]  # fmt: skip
    places = [(place, (place / "model.json").stat().st_mtime_ns) for place in (folder, *(m.folder for m, _w in loras))]
    key = (tuple(places), tuple(weight for _model, weight in loras), str(device), config.memory)
    return take(key) or Kept(TASKS, key, (yield from _load(config, workspace, device, loras)))


def _load(
    config: DiffusionConfig, workspace: Workspace, device: torch.device, loras: list[tuple[Model, float]]
) -> Generator[Event, None, Diffusion]:
    if config.run:
        model = yield from load_trained(workspace.run(config.run), config.checkpoint, device, config.memory)
    else:
        chosen = workspace.model(config.model)
        model = yield from load_diffusion(chosen, placement_for(chosen, device, config.memory))
    for lora, weight in loras:
        yield Progress(0, 0, _("Adding the LoRA"))
        add_lora_file(model, lora, weight)
    return model


def _wish(config: SizedConfig, model: Diffusion) -> Wish:
    """Return what the pictures are to be, with sizes that the model can make.

    What is left open is as the samples of a model that was trained here: their prompt, their size.
    """
    prompt, side = config.prompt.strip(), model.side
    wished = (config.width or 0, config.height or 0)
    if model.card is not None:
        own = tuple(model.card.extra["size"])
        prompt, side = prompt or str(model.card.extra["prompt"]), round(math.prod(own) ** 0.5)
        wished = own if wished == (0, 0) and isinstance(config, GenerateConfig) else wished
    picture = open_whole(config.picture) if isinstance(config, VaryConfig | FillConfig) else None
    width, height = size_for(picture, *wished, side, model.multiple)
    mask = None
    if isinstance(config, FillConfig) and picture is not None:
        mask = open_mask_for(config.mask, picture, width, height)
    return Wish(
        prompt, config.negative.strip(), width, height, config.walk_steps or steps_of(model),
        guidance_of(model) if config.guidance is None else config.guidance,
        None if picture is None else fitted(picture, width, height), mask,
        config.strength if isinstance(config, VaryConfig | FillConfig) else 1.0,
    )  # fmt: skip
