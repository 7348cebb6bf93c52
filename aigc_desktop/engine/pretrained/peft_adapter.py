"""Read an adapter in PEFT's file format and work it into a network: LoRA, rsLoRA, DoRA, and weights kept whole.

    W' = W + s B A                    s = alpha / R (arXiv:2106.09685), with rsLoRA alpha / sqrt(R) (arXiv:2312.03732)
    W' = m (W + s B A) / |W + s B A|  DoRA: the norm of each row is learned apart (arXiv:2402.09353)

What is worked in is exact and costs no time afterwards. What would need another network is refused by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import read_table
from aigc_desktop.engine.nn.lora import CONFIG, WEIGHTS
from aigc_desktop.engine.weights import read_tensors

_KEY = re.compile(
    r"base_model\.model\.(?P<module>[\w.]+?)\."
    r"(?:lora_(?:embedding_)?(?P<side>[AB])(?P<linear>\.weight)?|lora_(?P<norm>magnitude_vector)(?:\.weight)?"
    r"|(?P<under>base_layer\.)?(?P<whole>weight|bias))"
)
_PLAIN_PATTERN = re.compile(r"\^?[\w.]+")
_HARMLESS = {
    "peft_type", "peft_version", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "lora_dropout",
    "megatron_core", "qalora_group_size", "eva_config", "r", "lora_alpha", "use_rslora", "use_dora", "bias",
    "rank_pattern", "alpha_pattern", "ensure_weight_tying", "init_lora_weights",
}  # fmt: skip
"""Settings that are followed here or say nothing of what the adapter computes; any other that is set is refused."""
_KEEPS_THE_BASE = (None, True, False, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base as it is; the others change it, and what was learned belongs to the changed one."""


@dataclass
class Part:
    """The change of one matrix: `down` (R, in), `up` (out, R), the strength s, and with DoRA the norms (out,).

    `turned` marks an embedding, whose table is (in, out).
    """

    down: Tensor | None = None
    up: Tensor | None = None
    strength: float = 1.0
    norms: Tensor | None = None
    turned: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Return the size of the parameter that is changed."""
        assert self.down is not None and self.up is not None
        size = (self.up.shape[0], self.down.shape[1])
        return size[::-1] if self.turned else size

    def changed(self, weight: Tensor) -> Tensor:
        """Return the parameter with the change, computed in float32, in the numbers it had."""
        assert self.down is not None and self.up is not None
        plain = weight.float().T if self.turned else weight.float()
        made = plain + self.strength * (self.up.float() @ self.down.float())
        if self.norms is not None:
            made = made * (self.norms.float() / torch.linalg.vector_norm(made, dim=1))[:, None]
        return (made.T.contiguous() if self.turned else made).to(weight.dtype)


@dataclass
class Adapter:
    """Changes by the name of their module, and parameters kept whole; `under` replaces what the changes begin with.

    `tied` says that parameters which are one in the base stay one.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    whole: dict[str, Tensor] = field(default_factory=dict)
    under: dict[str, Tensor] = field(default_factory=dict)
    tied: bool = False

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Return the size of every parameter that is changed or replaced, by its name."""
        sizes = {name: tuple(tensor.shape) for name, tensor in (self.under | self.whole).items()}
        return sizes | {f"{module}.weight": part.size for module, part in self.parts.items()}


def read_adapter(folder: Path) -> Adapter:
    """Return the adapter in a folder; BadInput when it is damaged or does what is not done here."""
    settings = read_table(folder / CONFIG)
    _check_kind(settings, folder.name)
    adapter = sorted_tensors(read_tensors(folder / WEIGHTS), folder.name)
    adapter.tied = bool(settings.get("ensure_weight_tying"))
    for module, part in adapter.parts.items():
        assert part.down is not None
        if bool(settings.get("use_dora")) != (part.norms is not None):
            raise _damaged(folder.name)
        rank, alpha = (
            _told(settings, f"{name}_pattern", module, value, folder.name)
            for name, value in (("rank", settings.get("r")), ("alpha", settings.get("lora_alpha")))
        )
        if rank != part.down.shape[0]:
            raise _damaged(folder.name)
        part.strength = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    return adapter


def sorted_tensors(tensors: Mapping[str, Tensor], name: str) -> Adapter:
    """Return the adapter that tensors make, all of strength 1; BadInput on `name` for half a pair and for odd names.

    Tensors on the device "meta" will do: only names and sizes are looked at.
    """
    adapter = Adapter()
    for key, tensor in tensors.items():
        found = _KEY.fullmatch(key)
        if found is None or (found["side"] and tensor.dim() != 2):
            raise BadInput(name, _("“{name}” belongs to no LoRA adapter").format(name=key[:80]), _another())
        if found["whole"]:
            place = adapter.under if found["under"] else adapter.whole
            place[f"{found['module']}.{found['whole']}"] = tensor
            continue
        part = adapter.parts.setdefault(found["module"], Part())
        if found["norm"]:
            part.norms = tensor
        elif found["side"] == "A":
            part.down, part.turned = tensor, not found["linear"]
        else:
            part.up = tensor
    for module, part in adapter.parts.items():
        if part.down is None or part.up is None or part.down.shape[0] != part.up.shape[1]:
            raise BadInput(
                name, _("half of the model is missing: {names}").format(names=module),
                _("Copy the whole folder again from where it came."),
            )  # fmt: skip
        if part.norms is not None and part.norms.shape != part.up.shape[:1]:
            raise _damaged(name)
    if not adapter.sizes:
        raise BadInput(name, _("its weights are empty"), _("Copy the model again from where it came."))
    return adapter


@torch.no_grad()
def work_in(network: nn.Module, adapter: Adapter) -> None:
    """Give `network` the parameters that the adapter makes of its own; ValueError, before that, if one does not fit.

    A parameter with several names, as a tied output, is parted where only one of the names is changed.
    """
    known = dict(network.named_parameters(remove_duplicate=False))
    odd = [name for name, size in adapter.sizes.items() if name not in known or known[name].shape != size]
    if odd:
        raise ValueError(f"the adapter does not fit: {odd[:3]}")

    def place(name: str, tensor: Tensor, together: bool) -> None:
        before = known[name]
        new = nn.Parameter(tensor.to(before), requires_grad=False)
        for other in [name for name, one in known.items() if one is before] if together else [name]:
            owner, _dot, last = other.rpartition(".")
            setattr(network.get_submodule(owner), last, new)
            known[other] = new

    for name, tensor in adapter.under.items():
        place(name, tensor, together=True)
    for name, tensor in adapter.whole.items():
        place(name, tensor, adapter.tied)
    for module, part in adapter.parts.items():
        place(f"{module}.weight", part.changed(known[f"{module}.weight"]), adapter.tied)


def _check_kind(settings: dict[str, Any], name: str) -> None:
    if settings.get("peft_type") != "LORA":
        raise BadInput(name, _("only LoRA adapters are known here"), _another())
    odd = sorted(key for key, value in settings.items() if value and key not in _HARMLESS)
    begin = settings.get("init_lora_weights")
    if begin not in _KEEPS_THE_BASE:
        odd.append(f"init_lora_weights {begin}")
    if odd:
        raise BadInput(
            name, _("the adapter does what cannot be done here: {what}").format(what=", ".join(odd)[:80]), _merged()
        )


def _told(settings: dict[str, Any], pattern: str, module: str, value: Any, name: str) -> float:
    """Return a number that a table may tell for single modules by the ends of their names."""
    table = settings.get(pattern) or {}
    if not isinstance(table, dict) or not all(_PLAIN_PATTERN.fullmatch(key) for key in table):
        raise BadInput(
            name, _("the adapter does what cannot be done here: {what}").format(what=pattern), _merged()
        )
    for key, told in table.items():
        if module == key.removeprefix("^") or (key[0] != "^" and module.endswith(f".{key}")):
            value = told
            break
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < abs(value) < 1e9:
        raise _damaged(name)
    return value


def _damaged(name: str) -> BadInput:
    return BadInput(name, _("its settings are damaged"), _another())


def _another() -> str:
    return _("Choose another adapter, or train one here.")


def _merged() -> str:
    return _("Merge it into its model with the program that made it, and import the whole model.")
