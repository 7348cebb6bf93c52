"""How a diffusion model lies in memory: whole on the card, part by part, or layer by layer, by what is free there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

from aigc_desktop.core.errors import UserError, readable_size
from aigc_desktop.core.i18n import N_, _

Mode = Literal["whole", "parts", "layers"]
MODES: tuple[Mode, ...] = ("whole", "parts", "layers")
LABELS = {
    "auto": N_("Automatic"), "whole": N_("whole model on the card"), "parts": N_("one part on the card at a time"),
    "layers": N_("layer by layer: slow, least memory"),
}  # fmt: skip
WORKING = 1.5e9  # bytes of intermediate numbers of a picture of one megapixel
_USABLE = 0.9


@dataclass(frozen=True)
class Placement:
    """Where a model computes: the device, the type of its numbers, and how much of it lies on a card at a time."""

    device: torch.device
    dtype: torch.dtype
    mode: Mode = "whole"

    def smaller(self) -> Placement | None:
        """Return a placement that takes less memory of the card, None when there is none."""
        if self.device.type != "cuda" or self.mode == "layers":
            return None
        return Placement(self.device, self.dtype, MODES[MODES.index(self.mode) + 1])


def place(sizes: Mapping[str, int], device: torch.device, wish: str, title: str) -> Placement:
    """Return the placement for parts with so many weights; UserError when the memory does not suffice in any way."""
    weights = sum(sizes.values())
    if device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        free = _USABLE * torch.cuda.mem_get_info(device)[0]
        _need_memory(2 * weights, title)
        return Placement(device, dtype, _mode(sizes, free, wish))
    free = _USABLE * psutil.virtual_memory().available
    if device.type == "mps":
        _need_memory(2 * weights, title)
        return Placement(device, torch.float16)
    if 4 * weights > free:  # slower on a processor, but it may fit
        _need_memory(2 * weights, title)
        return Placement(device, torch.bfloat16)
    return Placement(device, torch.float32)


def _mode(sizes: Mapping[str, int], free: float, wish: str) -> Mode:
    """Return the wish, or the fastest mode that fits into `free` bytes of a card."""
    for mode in MODES:
        if wish == mode:
            return mode
    if 2 * sum(sizes.values()) + WORKING <= free:
        return "whole"
    return "parts" if 2 * max(sizes.values()) + WORKING <= free else "layers"


def _need_memory(size: int, title: str) -> None:
    free = psutil.virtual_memory().available
    if size > free:
        raise UserError(
            _("“{title}” needs about {needed} of memory, {missing} more than is free.").format(
                title=title, needed=readable_size(size), missing=readable_size(size - free)
            ),
            _("Close other programs, or choose a smaller model."), kind="OutOfMemory",
        )  # fmt: skip
