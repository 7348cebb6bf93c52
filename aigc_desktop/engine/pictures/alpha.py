"""Transparency of pictures: what models learn from is premultiplied, files hold it straight.

In a premultiplied picture each colour is multiplied by its cover (alpha), so what is clear has one value only and
averages over pixels are right (Porter and Duff, "Compositing digital images", 1984). Numbers are in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Pictures = npt.NDArray[np.uint8]
_CLEAR = 0.5 / 255  # cover below which a pixel has no colour


def premultiplied(images: Tensor) -> Tensor:
    """Return straight pictures (B, 4, H, W) with their colours multiplied by their cover."""
    colours, cover = images[:, :3], images[:, 3:]
    return torch.cat([(colours + 1) * (cover + 1) / 2 - 1, cover], 1)


def straight(images: Tensor) -> Tensor:
    """Return premultiplied pictures (B, 4, H, W) straight; those with other numbers of channels as they are.

    What is clear becomes white, and a colour brighter than its cover as bright as can be.
    """
    if images.shape[1] != 4:
        return images
    cover = ((images[:, 3:].float() + 1) / 2).clamp(0, 1)
    light = ((images[:, :3].float() + 1) / 2).clamp(min=0)
    colours = torch.where(cover > _CLEAR, (light / cover.clamp(min=_CLEAR)).clamp(max=1), 1.0)
    return torch.cat([colours, cover], 1) * 2 - 1


def on_colour(images: Tensor, colour: float | Tensor = 1.0) -> Tensor:
    """Return premultiplied pictures (B, 4, H, W) laid on a colour, white at first, as (B, 3, H, W).

    `colour` may be a Tensor (B, 3, 1, 1).
    """
    return images[:, :3] + (colour + 1) * (1 - images[:, 3:]) / 2


def opaque(pictures: Pictures) -> Pictures:
    """Return pictures (N, H, W, 1, 3 or 4) with three channels: grey repeated, what is transparent laid on white."""
    if pictures.shape[3] == 1:
        return np.repeat(pictures, 3, 3)
    if pictures.shape[3] == 3:
        return pictures
    cover = pictures[..., 3:].astype(np.float32) / 255
    laid: Pictures = np.rint(pictures[..., :3] * cover + 255 * (1 - cover)).astype(np.uint8)
    return laid
