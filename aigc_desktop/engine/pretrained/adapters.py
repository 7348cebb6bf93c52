"""LoRA adapters in PEFT's file format: which model of the workspace one belongs to."""

from __future__ import annotations

import re

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel, Tensors, find_model

_KEY = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<part>[AB])\.weight")


def base_of(adapter: FoundModel, workspace: Workspace) -> str:
    """Return the id of the imported model that an adapter fits; BadInput with the best count when none does."""
    best, best_title, pairs = 0, "", _pairs(adapter)
    for model in workspace.models():
        try:
            info = model.info
            found = find_model(model.folder)
        except UserError:  # a damaged model is told where it is used
            continue
        if not isinstance(found, FoundModel) or found.kind == "adapter":
            continue
        count = matching(pairs, found.tensors)
        if count == len(pairs):
            return model.id
        if count >= best:
            best, best_title = count, info.title
    if not best_title:
        raise BadInput(
            adapter.folder.name, _("an adapter needs the model it was made for, and none is imported"),
            _("Import that model first."),
        )  # fmt: skip
    raise BadInput(
        adapter.folder.name,
        _("the adapter was made for another model: {count} of its {all} parts fit “{title}”").format(
            count=best, all=len(pairs), title=best_title
        ),
        _("Import the model it was made for first."),
    )


def matching(pairs: dict[str, tuple[int, int]], tensors: Tensors) -> int:
    """Return how many of an adapter's parts, module -> (outputs, inputs), have a matrix of that size in the model."""
    return sum(
        any(tensors.get(name) == size for name in (f"{module}.weight", f"{module.removeprefix('model.')}.weight"))
        for module, size in pairs.items()
    )


def _pairs(adapter: FoundModel) -> dict[str, tuple[int, int]]:
    """Return outputs and inputs of each changed matrix by the name of its module; BadInput for half a pair."""
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, size in adapter.tensors.items():
        key = _KEY.fullmatch(name)
        if key is None or len(size) != 2:
            raise BadInput(adapter.folder.name, _("“{name}” belongs to no plain LoRA adapter").format(name=name[:80]))
        sides.setdefault(key["module"], {})[key["part"]] = size
    pairs: dict[str, tuple[int, int]] = {}
    for module, parts in sides.items():
        if set(parts) != {"A", "B"} or parts["A"][0] != parts["B"][1]:
            raise BadInput(adapter.folder.name, _("half of the model is missing: {names}").format(names=module))
        pairs[module] = (parts["B"][0], parts["A"][1])
    if not pairs:
        raise BadInput(adapter.folder.name, _("its weights are empty"), _("Copy the model again from where it came."))
    return pairs
