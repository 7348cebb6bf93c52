"""Published language models from the disk: they write as they are, or learn from the user's texts (LoRA, or whole)."""

from __future__ import annotations

from collections.abc import Generator

import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.pretrained.kept import Kept, keep, take
from aigc_desktop.engine.pretrained.load import LanguageModel, load_language_model
from aigc_desktop.engine.pretrained.numbers import Numbers, choose_numbers
from aigc_desktop.engine.text.language_writing import BLOCK, WritingConfig, write_texts
from aigc_desktop.engine.tuning.compare import CompareConfig, compare
from aigc_desktop.engine.tuning.loading import load_adapter, load_tuned
from aigc_desktop.engine.tuning.merge import MergeConfig, merge
from aigc_desktop.engine.tuning.plan import plan
from aigc_desktop.engine.tuning.sampler import likelihood, sampler
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.train import train

_TASKS = ("language_model.generate",)


class GenerateConfig(WritingConfig):
    """Settings for writing with an imported model or adapter, or with one that was fine-tuned here."""

    model: str = param("", N_("Model"), N_("The imported model or adapter that writes."), kind=FieldKind.MODEL)
    run: str = param("", N_("Fine-tuned model"), N_("The training whose model writes."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version of it; the best one by default."), kind=FieldKind.CHECKPOINT
    )


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write variants of an answer or of a continuation."""
    kept = yield from _kept(config, Workspace(run.workspace))
    sound = False
    try:
        yield from write_texts(config, kept.model, kept.prompts)
        sound = True
    except (GeneratorExit, UserError):
        sound = True
        raise
    finally:
        if sound:
            keep(kept)


def _kept(config: GenerateConfig, workspace: Workspace) -> Generator[Event, None, Kept]:
    """Return the chosen model ready to write, from memory when it wrote last."""
    if bool(config.model) == bool(config.run):
        raise UserError(_("Choose a model first."), _("Take an imported model, or one that was fine-tuned."))
    device = choose_device(config.device)
    set_up(device, config.seed)
    numbers = choose_numbers(config.numbers, device, min(config.count, BLOCK))
    if config.run:
        folder = workspace.run(config.run).checkpoint(config.checkpoint)
    else:
        folder = workspace.model(config.model).folder
    models = tuple(sorted(model.id for model in workspace.models()))  # the base of an adapter is among them
    key = (str(folder), (folder / "model.json").stat().st_mtime_ns, numbers, str(device), models)
    return take(key) or Kept(_TASKS, key, (yield from _load(config, workspace, device, numbers)))


def _load(
    config: GenerateConfig, workspace: Workspace, device: torch.device, numbers: Numbers
) -> Generator[Event, None, LanguageModel]:
    if config.run:
        return (yield from load_tuned(workspace.run(config.run), config.checkpoint, device, numbers))
    model = workspace.model(config.model)
    if model.info.kind == "adapter":
        return (yield from load_adapter(model, workspace, device, numbers))
    return (yield from load_language_model(model, device, numbers))


FAMILY = Family(
    "language_model",
    N_("Local language model"),
    N_("A published model from your disk learns from your texts: it answers requests and goes on with texts."),
    "text",
    (
        Task("train", N_("Fine-tune a language model"), TuneConfig, train, "train", plan),
        Task("generate", N_("Write with the model"), GenerateConfig, generate),
        Task("compare", N_("Compare before and after"), CompareConfig, compare),
        Task("merge", N_("Make a model of its own"), MergeConfig, merge),
    ),
    sampler,
    tempered=True,
    likelihood=likelihood,
)
