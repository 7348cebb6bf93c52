"""What a picture generator has to beat: a Gaussian fitted to principal components, and blurred real pictures."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


class PcaGaussian:
    """A Gaussian over the first principal components of uint8 pictures (N, H, W, 3): the simplest generator."""

    def __init__(self, images: NDArray[np.uint8], components: int = 64) -> None:
        if len(images) < 2:
            raise ValueError("fitting a Gaussian needs at least 2 pictures")
        pixels = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
        components = min(components, len(images) - 1, pixels.shape[1])
        self.shape = images.shape[1:]
        self.mean = pixels.mean(0)
        _, singular, directions = torch.linalg.svd(pixels - self.mean, full_matrices=False)
        scale = singular[:components, None] / math.sqrt(len(images) - 1)
        self.basis = directions[:components] * scale  # (components, H * W * 3): one standard deviation a row

    def sample(self, count: int, seed: int = 0) -> NDArray[np.uint8]:
        """Return `count` new pictures (count, H, W, 3); the same seed gives the same pictures."""
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, len(self.basis), generator=generator)
        pixels = (self.mean + latents @ self.basis).clamp(0, 1).mul(255).round()
        return pixels.to(torch.uint8).numpy().reshape(count, *self.shape)


def gaussian_blur(images: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Return pictures (N, H, W, 3) blurred with standard deviation `sigma` in pixels; edges are mirrored."""
    radius = min(math.ceil(4 * sigma), min(images.shape[1:3]) - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    blurred = []
    for start in range(0, len(images), 256):
        x = torch.from_numpy(np.array(images[start : start + 256])).permute(0, 3, 1, 2).float()
        batch, channels, height, width = x.shape
        x = F.pad(x.reshape(batch * channels, 1, height, width), [radius] * 4, mode="reflect")
        x = F.conv2d(F.conv2d(x, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
        x = x.reshape(batch, channels, height, width).permute(0, 2, 3, 1)
        blurred.append(x.round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(blurred)
