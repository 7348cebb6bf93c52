"""Enlarge pictures with the network we ship, tile by tile, so that memory does not grow with the picture.

Tiles overlap by what a pixel can see, so they join without a seam: the outcome is that of the whole picture at once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.machine import engine_threads
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.nn.super_resolution import SuperResolution
from aigc_desktop.engine.weights import read_tensors

WEIGHTS = "upscale_2x.safetensors"
TILE = 192
"""Pixels of a tile's side before it is enlarged: about 60 MB at work."""


@functools.lru_cache(maxsize=1)
def upscaler() -> SuperResolution:
    """Return the network with the shipped weights, in evaluation mode; loaded once."""
    path = resources() / "models" / WEIGHTS
    if not path.is_file():
        raise UserError(
            _("Enlarging with a network needs the file {path}, which is missing.").format(path=path),
            _("Install the program again, or enlarge with Lanczos."),
        )
    network = SuperResolution()
    network.load_state_dict({name: tensor.float() for name, tensor in read_tensors(path).items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def double(pixels: NDArray[np.uint8], network: SuperResolution | None = None, tile: int = TILE) -> NDArray[np.uint8]:
    """Return colours uint8 (H, W, 3) with twice as many pixels a side; (H, W) is taken as grey."""
    network = network or upscaler()
    torch.set_num_threads(engine_threads())
    grey = pixels.ndim == 2
    colours = np.repeat(pixels[..., None], 3, axis=2) if grey else pixels
    height, width = colours.shape[:2]
    out = np.empty((2 * height, 2 * width, 3), np.uint8)
    margin = network.reach
    padded = np.pad(colours, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    for top, left in _corners(height, width, tile):
        piece = padded[top : top + tile + 2 * margin, left : left + tile + 2 * margin]
        large = _enlarge(network, piece)[2 * margin : -2 * margin, 2 * margin : -2 * margin]
        out[2 * top : 2 * top + large.shape[0], 2 * left : 2 * left + large.shape[1]] = large
    return out.mean(axis=2).round().astype(np.uint8) if grey else out


def _corners(height: int, width: int, tile: int) -> Iterator[tuple[int, int]]:
    return ((top, left) for top in range(0, height, tile) for left in range(0, width, tile))


@torch.inference_mode()
def _enlarge(network: SuperResolution, piece: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x = torch.from_numpy(piece.astype(np.float32) / 255).permute(2, 0, 1)[None]
    x = x.contiguous(memory_format=torch.channels_last)
    large: NDArray[np.uint8] = (network(x)[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return large
