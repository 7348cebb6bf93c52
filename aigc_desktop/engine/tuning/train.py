"""Fine-tune a published language model on the texts of a data set."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from aigc_desktop.core.events import Event, EventStream, Note, Progress
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import Model, weights_hash
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, find_model
from aigc_desktop.engine.device import choose_precision
from aigc_desktop.engine.nn.four_bit import need_four_bits, put_packed
from aigc_desktop.engine.pretrained.llama import Llama
from aigc_desktop.engine.pretrained.load import Place, check_language_model, load_language_model, need_bytes
from aigc_desktop.engine.training.data import open_dataset
from aigc_desktop.engine.training.loop import begin, fit
from aigc_desktop.engine.tuning.lessons import Form, make_lessons, requests_of
from aigc_desktop.engine.tuning.memory import Need, frozen_of, is_packed, unpacked_of, usable
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.sweep import choose_rate
from aigc_desktop.engine.tuning.trainee import PREVIEW_TEXTS, Base, TuneTrainee


def train(config: TuneConfig, run: Run) -> EventStream:
    """Choose a learning rate, then train; ends early when held-out texts get no better."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    limit = usable(device)  # before the model lies in it
    base = yield from load_base(config, run, device)
    if base.packed and config.base_numbers == "auto":
        yield Note(_("Memory is short, so the frozen model lies in 4 bits."))
    context = min(config.context, base.loaded.network.shape.context)
    lessons = yield from make_lessons(run, dataset, base.loaded, base.form, context)
    requests = requests_of(dataset, lessons[1], base.form, PREVIEW_TEXTS) or [""] * PREVIEW_TEXTS
    trainee = TuneTrainee(config, base, lessons, requests, device)
    need = Need.of(config, trainee.shape, base.precision == "bfloat16", base.packed)
    if config.checkpointing == "on" or (config.checkpointing == "auto" and need.bytes > limit):
        trainee.network.model.checkpointing = True
    rate = yield from choose_rate(config, run, trainee)
    trainee.set_rate(rate)
    trainee.sampler.position = (0, 0)
    torch.manual_seed(config.seed)
    yield from fit(config, run, trainee)


def load_base(config: TuneConfig, run: Run, device: torch.device) -> Generator[Event, None, Base]:
    """Return the model that is fine-tuned, in the numbers that the run began with."""
    model = Workspace(run.workspace).model(config.base)
    info = model.info
    kept = run.folder / "tuning.json"
    if not kept.is_file():  # frozen weights lie in these numbers, so that resuming must not choose anew
        precision = choose_precision(config.precision, device, info.parameters)
        write_json(kept, {"precision": precision, "packed": _packs(config, model, precision, device)})
    numbers = read_table(kept)
    precision, packed = str(numbers["precision"]), bool(numbers.get("packed"))
    half = config.method == "lora" and precision == "bfloat16"
    place = None
    if packed:
        need_four_bits(device)  # a training may go on elsewhere
        place = _packing(model, device, half)
    loaded = yield from load_language_model(model, device, kept_in="bfloat16" if half else "float32", place=place)
    form = Form(config.prompt.strip(), bool(config.prompt.strip() and config.chat and loaded.template))
    if config.prompt.strip() and config.chat and not loaded.template:
        text = _("“{title}” has no form for conversations, so requests are learned as plain lines.")
        yield Note(text.format(title=info.title))
    found = cast(FoundModel, find_model(Path(model.folder)))
    return Base(model.id, weights_hash(info), found, form.teach(loaded), form, precision, packed)


def _packs(config: TuneConfig, model: Model, precision: str, device: torch.device) -> bool:
    """Return whether the base will lie in 4 bits."""
    found = find_model(model.folder)
    if config.base_numbers == "whole" or not isinstance(found, FoundModel) or found.kind != "language":
        return False  # what is no language model is refused where it is loaded
    return is_packed(config, check_language_model(found), precision == "bfloat16", usable(device), device)


def _packing(model: Model, device: torch.device, half: bool) -> Place:
    """Return what packs a model while it is read; UserError when there is too little memory even so."""
    shape = check_language_model(cast(FoundModel, find_model(model.folder)))
    need_bytes(model.info.title, round(frozen_of(shape, half, True) + unpacked_of(shape, half)), device)

    def place(network: Llama, name: str, tensor: Tensor) -> None:
        put_packed(network, name, tensor.clone(), device, torch.bfloat16 if half else torch.float32)

    return place
