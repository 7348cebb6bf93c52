"""Differentiable augmentation inside the discriminator's input (DiffAugment, arXiv:2006.10738).

Every operation is applied to real and generated pictures alike and lets gradients through, so a discriminator that sees
few pictures cannot learn them by heart, and the generator is still judged on what it made.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def diff_augment(images: Tensor, probability: float | Tensor = 1.0) -> Tensor:
    """Return (B, C, H, W) after colour, translation and cutout, each drawn per picture with this probability.

    Pictures with four channels are premultiplied and stay so: what is clear has no colour, and holes are clear.
    """
    ground = 1.0 if images.shape[1] == 4 else 0.0  # below what is moved or cut: clear, or mid-grey
    images = _colour(images, probability) + ground
    return _cutout(_translation(images, probability), probability) - ground


def _colour(images: Tensor, probability: float | Tensor) -> Tensor:
    """Shift brightness by ±0.5, scale saturation by 0 … 2 and contrast by 0.5 … 1.5."""
    chosen = _chosen(images, probability)
    light, cover = images[:, :3] + 1, (images[:, 3:] + 1) / 2  # black is 0, times cover where there is any
    covered = cover if cover.shape[1] else torch.ones_like(light[:, :1])
    light = light + _uniform(images, 0.5) * chosen * covered
    grey = light.mean(1, keepdim=True)
    light = grey + (light - grey) * (1 + _uniform(images, 1.0) * chosen)
    level = light.mean((1, 2, 3), keepdim=True) / covered.mean((1, 2, 3), keepdim=True).clamp(min=1e-3) * covered
    light = level + (light - level) * (1 + _uniform(images, 0.5) * chosen)
    return torch.cat([light - 1, images[:, 3:]], 1)


def shift(images: Tensor, offsets: Tensor, reach: int, mode: str = "constant") -> Tensor:
    """Return (B, C, H, W) moved by whole `offsets` (B, 2) in ±reach; `mode` of F.pad says what comes in."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (reach, reach, reach, reach), mode=mode)
    rows = torch.arange(height, device=images.device) + offsets[:, :1] + reach  # (B, H)
    columns = torch.arange(width, device=images.device) + offsets[:, 1:] + reach  # (B, W)
    item = torch.arange(batch, device=images.device)[:, None, None]
    return padded[item, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def moved(images: Tensor, reach: int) -> Tensor:
    """Return pictures (B, C, H, W) moved by up to `reach` pixels, each in its own way, their borders drawn out."""
    if not reach:
        return images
    offsets = torch.randint(-reach, reach + 1, (len(images), 2), device=images.device)
    return shift(images, offsets, reach, "replicate")


def _translation(images: Tensor, probability: float | Tensor) -> Tensor:
    """Move each picture by up to 1/8 of its height; what comes in is 0, so a shift can be told from content."""
    reach = images.shape[2] // 8
    chosen = _chosen(images, probability).view(-1, 1).long()
    return shift(images, torch.randint(-reach, reach + 1, (len(images), 2), device=images.device) * chosen, reach)


def _cutout(images: Tensor, probability: float | Tensor) -> Tensor:
    """Replace a square of half the height, anywhere and partly outside too, by 0."""
    batch, _, height, width = images.shape
    half = height // 4
    centre = torch.rand(batch, 2, device=images.device)
    inside_rows = (torch.arange(height, device=images.device) - height * centre[:, :1]).abs() <= half  # (B, H)
    inside_columns = (torch.arange(width, device=images.device) - width * centre[:, 1:]).abs() <= half  # (B, W)
    hole = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return images * ~(hole & (_chosen(images, probability) > 0))


def _chosen(images: Tensor, probability: float | Tensor) -> Tensor:
    """Return 1 for the pictures an operation applies to and 0 for the others, (B, 1, 1, 1)."""
    return (torch.rand(len(images), 1, 1, 1, device=images.device) < probability).to(images.dtype)


def _uniform(images: Tensor, reach: float) -> Tensor:
    """Return one number in ±reach per picture, (B, 1, 1, 1)."""
    drawn: Tensor = (torch.rand(len(images), 1, 1, 1, device=images.device) * 2 - 1) * reach
    return drawn.to(images.dtype)
