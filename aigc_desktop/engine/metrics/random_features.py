"""Image features of a random convolutional network: a second view beside the trained one.

Distances in features of untrained networks order generators sensibly (arXiv:2002.09797), and no generator was ever
trained in these. A projected GAN learns in the very features that the kernel distance is measured in elsewhere, so its
figures there are better than its pictures.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

INPUT_SIZE = 64  # pixels
BATCH = 64
_SEED = 0
_LAYERS = ((3, 32, 5), (32, 64, 3), (64, 128, 3))  # channels in and out, kernel; each halves the picture
FEATURES = 2 * sum(out for _in, out, _kernel in _LAYERS)


def iter_random_features(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Yield the features (B, 448) of pictures (N, H, W, 3), batch by batch: means and spreads after each layer."""
    for start in range(0, len(images), BATCH):
        yield _of_batch(images[start : start + BATCH])


def random_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features (N, 448) of uint8 pictures (N, H, W, 3); the same input gives the same numbers."""
    return np.concatenate([np.empty((0, FEATURES), np.float32), *iter_random_features(images)])


def standardised(
    reference: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both (N, D) in units of the spread of `reference` around its mean, as a kernel of fixed width needs."""
    mean, spread = reference.mean(0), reference.std(0) + 1e-6
    return (reference - mean) / spread, (other - mean) / spread


@functools.cache
def _weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(_SEED)
    return [
        torch.randn(out, channels, kernel, kernel, generator=generator) * (2 / (channels * kernel**2)) ** 0.5
        for channels, out, kernel in _LAYERS
    ]


@torch.inference_mode()
def _of_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    x = F.interpolate(x, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True, align_corners=False)
    parts = []
    for weight in _weights():
        x = F.relu(F.conv2d(x, weight, stride=2, padding=weight.shape[2] // 2))
        parts += [x.mean((2, 3)), x.std((2, 3))]
    features: NDArray[np.float32] = torch.cat(parts, 1).numpy()
    return features
