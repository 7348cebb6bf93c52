"""Enlarge twofold or fourfold: by the network that was trained for it, or by Lanczos."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.i18n import N_
from aigc_desktop.editing.operation import Doubler, Operation, Pixels, need_room, resample


class UpscaleConfig(TaskConfig):
    """How much larger, and how."""

    factor: Literal["2", "4"] = param(
        "2", N_("How much larger"), N_("Both sides get so many times as many pixels."), labels={"2": "2 ×", "4": "4 ×"}
    )
    method: Literal["network", "lanczos"] = param(
        "network", N_("Method"),
        N_("The network keeps edges of drawings sharp; Lanczos is smooth and faster, also for photographs."),
        labels={"network": N_("Sharp (small network)"), "lanczos": N_("Smooth (Lanczos)")},
    )  # fmt: skip


def upscale(pixels: Pixels, config: UpscaleConfig, double: Doubler) -> Pixels:
    """Return the picture enlarged; the network sees colours only, alpha is enlarged by Lanczos."""
    height, width = pixels.shape[:2]
    factor = int(config.factor)
    need_room(factor * width, factor * height)
    smooth = resample(pixels, factor * width, factor * height)
    if config.method == "lanczos":
        return smooth
    colours = spread_colours(pixels)
    while colours.shape[0] < factor * height:
        colours = double(colours)
    return np.concatenate([colours, smooth[..., 3:]], axis=2)


def spread_colours(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return the colours (H, W, 3), those of invisible pixels taken from the visible ones around.

    What lies under transparency is anything; without this it would bleed into the edges. Pixels are averaged into
    ever smaller pictures until none is empty (the pull of a pull-push pyramid), and the empty ones read there.
    """
    colours, seen = pixels[..., :3], pixels[..., 3] > 0
    if seen.all() or not seen.any():
        return colours
    filled = colours.copy()
    even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)))
    parts = [even[top::2, left::2] for top in (0, 1) for left in (0, 1)]
    weight = sum((part[..., 3:] > 0).astype(np.uint16) for part in parts)
    total = sum(part[..., :3].astype(np.uint16) * (part[..., 3:] > 0) for part in parts)
    half = np.concatenate([total // np.maximum(weight, 1), 255 * (weight > 0)], axis=2).astype(np.uint8)
    below = spread_colours(half)
    rows, columns = np.nonzero(~seen)
    filled[rows, columns] = below[rows // 2, columns // 2]
    return filled


OPERATION = Operation(
    "upscale", N_("Enlarge"), N_("Twice or four times as many pixels a side, with sharp edges."), "zoom-in",
    UpscaleConfig, upscale, 30,
)  # fmt: skip
