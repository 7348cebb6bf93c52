"""Load a diffusion model of the workspace: our own reading decides what the library's classes load, part by part.

The library never sees model_index.json: parts are named and their classes chosen by data/pipeline_lines.py. Folders are
read again when they are loaded, as files may have changed since the import.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from aigc_desktop.core.errors import BadInput, UserError, is_out_of_memory
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import Model
from aigc_desktop.data.found_model import read_config
from aigc_desktop.data.model_files import FoundModel, find_model
from aigc_desktop.data.pipeline_files import config_name, has_weights, variant_of
from aigc_desktop.data.pipeline_lines import LIBRARIES, Line, line_of
from aigc_desktop.engine.device import free_memory
from aigc_desktop.engine.diffusion.libraries import class_of, library, quiet
from aigc_desktop.engine.diffusion.memory import Placement, place
from aigc_desktop.engine.diffusion.stepping import shown, stepwise
from aigc_desktop.engine.training.checkpoint import Card

T = TypeVar("T")
_WITHOUT_SCIPY = {"LMSDiscreteScheduler": "EulerDiscreteScheduler"}  # it takes the same settings


@dataclass
class Diffusion:
    """A loaded diffusion model: its `parts` by name; `flags` are settings of the pipeline itself.

    `card` is that of the LoRA in it, when it was trained here.
    """

    line: Line
    title: str
    parts: dict[str, Any]
    flags: dict[str, bool]
    placement: Placement
    read: dict[str, Any] = field(default_factory=dict)
    """What text encoders made of prompts; they are the same for each picture."""
    card: Card | None = None

    def __post_init__(self) -> None:
        self.scheduler: Any = self.parts.get("scheduler")  # its own, whichever is chosen

    @property
    def denoiser(self) -> Any:
        """Return the part that takes the noise away."""
        return self.parts[self.line.denoiser]

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """Return all that has weights."""
        return tuple(part for part in self.parts.values() if isinstance(part, torch.nn.Module))

    @property
    def compression(self) -> int:
        """Return how many pixels on a side are one number of the latents."""
        channels = getattr(self.parts["vae"].config, "block_out_channels", (0, 0, 0, 0))
        return int(2 ** (len(channels) - 1))

    @property
    def multiple(self) -> int:
        """Return what width and height must be a multiple of: transformers see patches of 2 by 2 numbers."""
        return self.compression * (2 if self.line.denoiser == "transformer" else 1)

    @property
    def side(self) -> int:
        """Return the side of the pictures, in pixels, that the model was made for."""
        size = getattr(self.denoiser.config, "sample_size", None)
        if isinstance(size, list | tuple):
            size = size[0]
        return int(size) * self.compression if size else 128 * self.compression

    def pipeline(self, kind: str) -> Any:
        """Return a pipeline of the class `kind`, named in the model's line, over the same parts."""
        made = getattr(library("diffusers"), kind)
        given: dict[str, Any] = {}
        for name, parameter in inspect.signature(made.__init__).parameters.items():
            if name in self.parts or parameter.default is inspect.Parameter.empty:
                given[name] = self.parts.get(name)
            elif name in ("requires_safety_checker", "add_watermarker"):
                given[name] = False
            elif name in self.flags:
                given[name] = self.flags[name]
        given.pop("self", None)
        with quiet():
            pipeline = made(**given)
        pipeline.set_progress_bar_config(disable=True)
        self._put(pipeline)
        return pipeline

    def move(self, placement: Placement) -> None:
        """Take another placement; pipelines made before are used no more."""
        for module in self.modules:
            module.to("cpu")
        self.read.clear()
        free_memory(placement.device)
        self.placement = placement

    def _put(self, pipeline: Any) -> None:
        device, mode = self.placement.device, self.placement.mode
        if device.type != "cuda" or mode == "whole":
            pipeline.to(device)
        elif mode == "parts":
            pipeline.enable_model_cpu_offload(device=device)
        else:
            pipeline.enable_sequential_cpu_offload(device=device)
        if device.type == "cuda" and mode != "whole" and hasattr(pipeline.vae, "enable_tiling"):
            pipeline.vae.enable_tiling()


def placement_for(model: Model, device: torch.device, wish: str = "auto") -> Placement:
    """Return where an imported model fits; UserError for another kind of model or too little memory."""
    return place(sizes_of(find_pipeline_of(model)), device, wish, model.info.title)


def load_diffusion(model: Model, placement: Placement) -> Generator[Event, None, Diffusion]:
    """Return an imported diffusion model; yields Progress. UserError for another kind of model."""
    found = find_pipeline_of(model)
    line = cast(Line, line_of(found.architecture))
    parts: dict[str, Any] = {}
    yield from _waiting(0, len(found.parts), lambda: library("diffusers"))
    for number, (part, kind) in enumerate(found.parts.items()):
        read = functools.partial(read_part, found.folder / part, kind, placement.dtype)
        parts[part] = yield from _waiting(number, len(found.parts), read)
    flags = {name: value for name, value in found.config.items() if isinstance(value, bool)}
    return Diffusion(line, model.info.title, parts, flags, placement)


def find_pipeline_of(model: Model) -> FoundModel:
    """Return what lies in the folder of an imported diffusion model; UserError for another kind of model."""
    if model.info.kind != "diffusion":
        raise UserError(
            _("“{title}” is not a diffusion model.").format(title=model.info.title), _("Choose a diffusion model.")
        )
    found = find_model(model.folder)
    assert isinstance(found, FoundModel)  # a folder of pieces, never one GGUF file
    return found


def sizes_of(found: FoundModel) -> dict[str, int]:
    """Return how many weights each part has."""
    sizes = {part: 0 for part, kind in found.parts.items() if has_weights(kind)}
    for name, size in found.tensors.items():
        sizes[name.partition("/")[0]] += math.prod(size)
    return sizes


def _waiting(number: int, count: int, call: Callable[[], T]) -> Generator[Event, None, T]:
    """Return what `call()` returns; yields Progress while it takes time, so that a stop is noticed."""
    return shown(stepwise(lambda _tell: call()), lambda _told: Progress(number, count, _("Loading the model")))


def read_part(folder: Path, kind: str, dtype: torch.dtype) -> Any:
    """Return a part from its folder, which was checked; BadInput when its weights are not those it describes."""
    name = config_name(kind)
    if kind.endswith("Scheduler"):
        return class_of(_WITHOUT_SCIPY.get(kind, kind)).from_config(read_config(folder / name))
    made = class_of(kind)
    try:
        if not has_weights(kind):
            part = made.from_pretrained(str(folder), local_files_only=True)
            if "Tokenizer" in kind:
                part("a")  # one whose files do not belong together fails only when it reads
            return part
        typed = {"torch_dtype": dtype} if LIBRARIES[kind] == "diffusers" else {"dtype": dtype}
        part, told = made.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, variant=variant_of(folder, kind) or None,
            output_loading_info=True, **typed,
        )  # fmt: skip
    except Exception as error:  # whatever a library finds wrong in foreign files
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0][:200]
        raise _unusable(folder, _("it cannot be loaded: {reason}").format(reason=reason)) from error
    missing = sorted(told["missing_keys"])
    if missing:
        raise _unusable(folder, _("weights are missing ({count}), “{name}” among them").format(
            count=len(missing), name=missing[0]
        ))  # fmt: skip
    part.eval().requires_grad_(False)
    return part


def _unusable(folder: Path, reason: str) -> BadInput:
    return BadInput(
        f"{folder.parent.name}/{folder.name}", reason, _("Copy the whole folder again from where it came.")
    )
