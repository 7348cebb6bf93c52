"""Load what was fine-tuned, here or elsewhere: the base it belongs to, its change, and the form it learned."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import Model, ModelInfo, weights_hash
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, find_model
from aigc_desktop.engine.pretrained.adapters import base_of, matching, no_base, sizes_of
from aigc_desktop.engine.pretrained.llama import Llama
from aigc_desktop.engine.pretrained.load import (
    Change,
    LanguageModel,
    load_language_model,
    need_memory,
    open_language_model,
)
from aigc_desktop.engine.pretrained.numbers import Numbers
from aigc_desktop.engine.pretrained.peft_adapter import read_adapter, work_in
from aigc_desktop.engine.training.checkpoint import Card, read_card, verify
from aigc_desktop.engine.tuning.lessons import Form


def form_of(card: Card) -> Form:
    """Return the form of the texts that a checkpoint learned."""
    return Form(str(card.extra["prompt"]), bool(card.extra["chat"]))


def load_tuned(
    run: Run, checkpoint: str, device: torch.device, numbers: Numbers
) -> Generator[Event, None, LanguageModel]:
    """Return the model of a run ready to write; yields Progress. UserError when its base is not there any more."""
    folder = run.checkpoint(checkpoint)
    verify(folder)
    card, title = read_card(folder), run.info.title
    if card.config["method"] == "lora":
        base = base_of_run(folder, card, Workspace(run.workspace))
        loaded = yield from load_language_model(base, device, numbers, adapter_of(folder, numbers))
    else:
        size = (folder / "model.safetensors").stat().st_size
        info = ModelInfo(title, "language", "", "", "", parameters=size // 4, bytes=size)
        need_memory(info, numbers, device)
        loaded = yield from open_language_model(Model(folder), title, device, numbers)
    return form_of(card).teach(replace(loaded, title=title))


def load_adapter(
    model: Model, workspace: Workspace, device: torch.device, numbers: Numbers
) -> Generator[Event, None, LanguageModel]:
    """Return the base of an imported adapter with its change, ready to write."""
    base = yield from base_of_adapter(model, workspace)
    loaded = yield from load_language_model(base, device, numbers, adapter_of(model.folder, numbers))
    return replace(loaded, title=model.info.title)


def base_of_run(folder: Path, card: Card, workspace: Workspace) -> Model:
    """Return the model that a checkpoint was trained on, under whatever name it is imported now."""
    for model in workspace.models():
        try:
            info = model.info
        except UserError:  # a damaged record is told on the Models page
            continue
        if info.kind == "language" and weights_hash(info) == card.extra["base_hash"]:
            return model
    if card.config["method"] != "lora":
        raise UserError(
            _("The model that was fine-tuned is not there any more: {name}.").format(name=card.extra["base"]),
            _("Import the same model again."),
        )
    error = no_base(_adapter(folder), workspace)
    raise BadInput(str(card.extra["base"]), error.reason, error.hint)


def base_of_adapter(model: Model, workspace: Workspace) -> Generator[Event, None, Model]:
    """Return the model that an imported adapter belongs to; a Note tells when it is another than at its import."""
    adapter, info = _adapter(model.folder), model.info
    sizes = sizes_of(adapter)
    try:
        base = workspace.model(info.base)
        found = find_model(base.folder)
    except UserError:
        found = None
    if isinstance(found, FoundModel) and matching(sizes, found.tensors) == len(sizes):
        return base
    base = workspace.model(base_of(adapter, workspace))
    text = _("“{title}” was imported for “{before}”, which is gone; it now changes “{now}”.")
    yield Note(text.format(title=info.title, before=info.base, now=base.info.title), "warning")
    return base


def adapter_of(folder: Path, numbers: Numbers | None = None) -> Change:
    """Return what puts the adapter in a folder into a network; in float32 where it will compute so."""

    def change(network: Llama) -> None:
        if numbers == "float32":
            network.float()
        try:
            work_in(network, read_adapter(folder))
        except ValueError as error:
            raise BadInput(
                folder.name, _("the adapter does not fit the model"), _("Import the model it was made for first.")
            ) from error
        tied = network.lm_head.weight is network.model.embed_tokens.weight
        network.shape = replace(network.shape, tied=tied)

    return change


def _adapter(folder: Path) -> FoundModel:
    found = find_model(folder)
    if not isinstance(found, FoundModel) or found.kind != "adapter":
        raise BadInput(folder.name, _("there is no adapter in this folder"), _("Choose another version."))
    return found
