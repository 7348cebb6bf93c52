"""LoRA adapters in PEFT's file format: which model of the workspace one belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.model import Model
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, Tensors, find_model

_KEY = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<part>[AB])\.weight")


def base_of(adapter: FoundModel, workspace: Workspace) -> str:
    """Return the id of the imported model that an adapter fits, best the one it names; BadInput when none does."""
    pairs = pairs_of(adapter)
    named = str(adapter.config.get("base_model_name_or_path") or "")
    fitting = [model.id for model, tensors in _language_models(workspace) if matching(pairs, tensors) == len(pairs)]
    if fitting:
        return next((name for name in fitting if name in named), fitting[0])
    raise no_base(adapter, workspace)


def no_base(adapter: FoundModel, workspace: Workspace) -> BadInput:
    """Return the error for an adapter whose model is not there, with the best count of fitting parts."""
    pairs = pairs_of(adapter)
    counts = [(matching(pairs, tensors), model.info.title) for model, tensors in _language_models(workspace)]
    if not counts:
        return BadInput(
            adapter.folder.name, _("an adapter needs the model it was made for, and none is imported"),
            _("Import that model first."),
        )  # fmt: skip
    count, title = max(counts, key=lambda pair: pair[0])
    reason = ngettext(
        "the adapter was made for another model: {count} of its {all} parts fits “{title}”",
        "the adapter was made for another model: {count} of its {all} parts fit “{title}”", count,
    )  # fmt: skip
    if count == len(pairs):
        reason = _("the adapter was made for other weights than those of “{title}”, although all {all} parts fit")
    return BadInput(
        adapter.folder.name, reason.format(count=count, all=len(pairs), title=title),
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


def matching(pairs: dict[str, tuple[int, int]], tensors: Tensors) -> int:
    """Return how many of an adapter's parts, module -> (outputs, inputs), have a matrix of that size in the model."""
    return sum(
        any(tensors.get(name) == size for name in (f"{module}.weight", f"{module.removeprefix('model.')}.weight"))
        for module, size in pairs.items()
    )


def pairs_of(adapter: FoundModel) -> dict[str, tuple[int, int]]:
    """Return outputs and inputs of each changed matrix by the name of its module; BadInput for half a pair."""
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, size in adapter.tensors.items():
        key = _KEY.fullmatch(name)
        if key is None or len(size) != 2:
            raise BadInput(
                adapter.folder.name, _("“{name}” belongs to no plain LoRA adapter").format(name=name[:80]),
                _("Choose another adapter, or train one here."),
            )  # fmt: skip
        sides.setdefault(key["module"], {})[key["part"]] = size
    pairs: dict[str, tuple[int, int]] = {}
    for module, parts in sides.items():
        if set(parts) != {"A", "B"} or parts["A"][0] != parts["B"][1]:
            raise BadInput(
                adapter.folder.name, _("half of the model is missing: {names}").format(names=module),
                _("Copy the whole folder again from where it came."),
            )  # fmt: skip
        pairs[module] = (parts["B"][0], parts["A"][1])
    if not pairs:
        raise BadInput(adapter.folder.name, _("its weights are empty"), _("Copy the model again from where it came."))
    return pairs
