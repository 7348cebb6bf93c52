"""LoRA adapters in PEFT's file format: which model of the workspace one belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.model import Model
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, Tensors, find_model
from aigc_desktop.engine.pretrained.peft_adapter import sorted_tensors

Sizes = Mapping[str, tuple[int, ...]]
_EMBEDDING, _OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def base_of(adapter: FoundModel, workspace: Workspace) -> str:
    """Return the id of the imported model that an adapter fits, best the one it names; BadInput when none does."""
    sizes = sizes_of(adapter)
    named = str(adapter.config.get("base_model_name_or_path") or "")
    fitting = [model.id for model, tensors in _language_models(workspace) if matching(sizes, tensors) == len(sizes)]
    if fitting:
        return next((name for name in fitting if name in named), fitting[0])
    raise no_base(adapter, workspace)


def no_base(adapter: FoundModel, workspace: Workspace) -> BadInput:
    """Return the error for an adapter whose model is not there, with the best count of fitting parts."""
    sizes = sizes_of(adapter)
    models = list(_language_models(workspace))
    counts = [(matching(sizes, tensors), model.info.title) for model, tensors in models]
    if not counts:
        return BadInput(
            adapter.folder.name, _("an adapter needs the model it was made for, and none is imported"),
            _("Import that model first."),
        )  # fmt: skip
    count, title = max(counts, key=lambda pair: pair[0])
    same = {name: size for name, size in sizes.items() if name not in (_EMBEDDING, _OUTPUT)}
    if same and count < len(sizes) and any(matching(same, tensors) == len(same) for _model, tensors in models):
        return BadInput(
            adapter.folder.name, _("the adapter changes how many words its model knows, which cannot be done here"),
            _("Merge it into its model with the program that made it, and import the whole model."),
        )  # fmt: skip
    reason = ngettext(
        "the adapter was made for another model: {count} of its {all} parts fits “{title}”",
        "the adapter was made for another model: {count} of its {all} parts fit “{title}”", count,
    )  # fmt: skip
    if count == len(sizes):
        reason = _("the adapter was made for other weights than those of “{title}”, although all {all} parts fit")
    return BadInput(
        adapter.folder.name, reason.format(count=count, all=len(sizes), title=title),
        _("Import the model it was made for first."),
    )  # fmt: skip


def _language_models(workspace: Workspace) -> Iterator[tuple[Model, Tensors]]:
    """Yield the models that can be read with the sizes of their tensors; a damaged one is told where it is used."""
    for model in workspace.models():
        try:
            found = find_model(model.folder)
            if isinstance(found, FoundModel) and found.kind in ("language", "encoder") and model.info:
                yield model, found.tensors
        except UserError:
            continue


def matching(sizes: Sizes, tensors: Tensors) -> int:
    """Return how many of an adapter's parameters, name -> size, the model has in that size."""
    return sum(_size_in(tensors, name) == size for name, size in sizes.items())


def _size_in(tensors: Tensors, name: str) -> tuple[int, ...] | None:
    """Return the size of a model's parameter; the output of many is the embedding once more."""
    names = (name, name.removeprefix("model."), *((_EMBEDDING,) if name == _OUTPUT else ()))
    return next((tensors[known] for known in names if known in tensors), None)


def sizes_of(adapter: FoundModel) -> Sizes:
    """Return the size of each parameter an adapter changes; BadInput for half a pair and what is no LoRA."""
    empty = {name: torch.empty(size, device="meta") for name, size in adapter.tensors.items()}
    return sorted_tensors(empty, adapter.folder.name).sizes
