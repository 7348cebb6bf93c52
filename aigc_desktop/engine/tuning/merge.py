"""Make a model of its own of what was fine-tuned: base and change become one imported model."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Result
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.files import atomic_folder, need_space, write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.model import Model
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, find_model
from aigc_desktop.engine.pretrained.importing import ImportModelConfig, finish_import, import_model
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.training.checkpoint import read_card, verify
from aigc_desktop.engine.tuning.loading import adapter_of, base_of_adapter, base_of_run
from aigc_desktop.engine.weights import write_tensors


class MergeConfig(TaskConfig):
    """What becomes a model of its own, and what it is called."""

    run: str = param("", N_("Fine-tuned model"), N_("The training whose model is taken."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version of it; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    model: str = param("", N_("Adapter"), N_("The imported adapter that is taken."), kind=FieldKind.ADAPTER)
    title: str = param("", N_("Name"), N_("What the new model is called; empty takes the name of what is merged."))


def merge(config: MergeConfig, run: Run) -> EventStream:
    """Write base and change as one model into the workspace; ends with one Result "model" {"id"}."""
    if bool(config.model) == bool(config.run):
        raise UserError(_("Choose a model first."), _("Take one that was fine-tuned, or an imported adapter."))
    workspace = Workspace(run.workspace)
    if config.model:
        adapter = workspace.model(config.model)
        title = config.title.strip() or adapter.info.title
        base = yield from base_of_adapter(adapter, workspace)
        made = yield from _merged(base, adapter.folder, title, workspace)
    else:
        trained = workspace.run(config.run)
        folder = trained.checkpoint(config.checkpoint)
        verify(folder)
        card = read_card(folder)
        title = config.title.strip() or trained.info.title
        if card.config["method"] == "lora":
            made = yield from _merged(base_of_run(folder, card, workspace), folder, title, workspace)
        else:
            made = yield from _imported(folder, title, run)
    text = _("“{title}” is now a model of its own: it lies among the imported models.")
    yield Note(text.format(title=workspace.model(made).info.title))
    yield Result("model", {"id": made})


def _merged(base: Model, adapter: Path, title: str, workspace: Workspace) -> Generator[Event, str | None, str]:
    """Write a new model in the numbers of the base's files and return its id."""
    need_space(workspace.folder, base.info.bytes)
    loaded = yield from load_language_model(base, torch.device("cpu"), None, adapter_of(adapter), "bfloat16")
    network = loaded.network
    tensors = network.state_dict()
    if network.shape.tied:
        tensors.pop("lm_head.weight")
    found = find_model(base.folder)
    assert isinstance(found, FoundModel)  # it was just loaded
    folder = workspace.new_model_folder(title)
    with atomic_folder(folder) as partial:
        yield Progress(0, 0, _("Writing the model"))
        write_tensors(partial / "model.safetensors", tensors)
        for path in found.beside:
            (partial / path.name).write_bytes(path.read_bytes())
        write_json(partial / "config.json", {**found.config, "tie_word_embeddings": network.shape.tied})
        yield from finish_import(partial, find_model(partial), title, adapter, workspace, base.info.licence)
    return folder.name


def _imported(folder: Path, title: str, run: Run) -> Generator[Event, str | None, str]:
    """Import a folder that holds a whole model and return its id."""
    made = ""
    for event in import_model(ImportModelConfig(source=folder, title=title), run):
        if isinstance(event, Result):
            made = str(event.data["id"])
        else:
            yield event
    return made
