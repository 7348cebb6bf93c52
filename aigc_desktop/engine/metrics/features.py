"""Image features for metrics: EfficientNet-Lite0 without its classifier, read from the safetensors we ship.

Architecture: EfficientNet (arXiv:1905.11946), Lite0 variant: no squeeze-and-excitation, ReLU6 instead of Swish.
Batch normalisation is folded into the convolutions of the shipped weights, so every layer is a convolution with a bias.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.shortage import in_halves

FEATURES = 1280
INPUT_SIZE = 128  # pixels; a third of the work of the 224 of its training. Values at other sizes do not compare
# depthwise layers wait for memory: activations of 16 pictures stay in the cache and run twice as fast as those of 64
BATCH_CPU, BATCH_GPU = 16, 256
WEIGHTS = "efficientnet_lite0.safetensors"

# kernel, stride of the first block, expansion, channels out, repeats; Table 1 of the paper
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)

TAPS = ((2, 24), (4, 40), (10, 112), (15, 320))
"""Blocks after which `maps` are taken and their channels: the last ones of strides 4, 8, 16 and 32."""


def image_features(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> NDArray[np.float32]:
    """Return the pooled features (N, 1280) of uint8 pictures (N, H, W, 3); the same input gives the same bits."""
    return np.concatenate([np.empty((0, FEATURES), np.float32), *iter_image_features(images, device)])


def iter_image_features(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> Iterator[NDArray[np.float32]]:
    """Yield the features (B, 1280) of one batch after the other, so that a job can report and stop in between."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"expected uint8 pictures (N, H, W, 3), got {images.dtype} {images.shape}")
    network = feature_network(str(device))
    batch = BATCH_CPU if torch.device(device).type == "cpu" else BATCH_GPU
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        yield in_halves(lambda some: _features_of_batch(network, some, device), part, torch.device(device))


@functools.lru_cache(maxsize=2)
def feature_network(device: str = "cpu") -> EfficientNetLite0:
    """Return the network with the shipped weights, frozen, in evaluation mode; loaded once per device."""
    network = load_network(resources() / "models" / WEIGHTS)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own overloads
    return network.to(device)


def load_network(path: Path) -> EfficientNetLite0:
    """Return the network with the weights in `path`; stored halves are computed with as float32."""
    if not path.is_file():
        raise UserError(
            _("The picture metrics need the file {path}, which is missing.").format(path=path),
            _("Install the program again."),
        )
    with torch.device("meta"):  # drawing weights that are replaced at once would use up random numbers of a training
        network = EfficientNetLite0()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, assign=True)
    return network.eval().requires_grad_(False)


def prepare(images: Tensor) -> Tensor:
    """Return network input (B, 3, 128, 128) for pictures (B, 3, H, W) in [0, 255]; the scale is the network's own."""
    x = F.interpolate(images.float(), size=(INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True)
    return (x.clamp(0, 255) - 127) / 128


class EfficientNetLite0(nn.Module):
    """The convolutional part of EfficientNet-Lite0: (B, 3, H, W) in [-1, 1] to pooled features (B, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, stride=2)
        blocks: list[nn.Module] = []
        channels = 32
        for kernel, stride, expansion, out, repeats in _STAGES:
            for index in range(repeats):
                blocks.append(InvertedResidual(channels, out, kernel, stride if index == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv2d(channels, FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over the last feature map."""
        x = F.relu6(self.stem(x))  # (B, 32, H/2, W/2)
        x = self.blocks(x)  # (B, 320, H/32, W/32)
        return F.relu6(self.head(x)).mean((2, 3))

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of TAPS, fine to coarse: (B, C, H/4, W/4) to (B, C, H/32, W/32)."""
        x = F.relu6(self.stem(x))
        found, wanted = [], {block for block, _channels in TAPS}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in wanted:
                found.append(x)
        return found

    def example(self) -> tuple[Tensor]:
        """Return inputs for one picture."""
        return (torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE),)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise kxk, project 1x1; the input is added where the shape allows (arXiv:1801.04381)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.expand = SameConv2d(channels, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = SameConv2d(hidden, out, 1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H/stride, W/stride)."""
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(hidden)))
        return x + out if self.residual else out


class SameConv2d(nn.Conv2d):
    """Convolution that pads as TensorFlow's SAME does, where the weights come from: the odd pixel goes last."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ceil(H / stride) by ceil(W / stride) outputs."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [pad // 2, pad - pad // 2]
        if any(pads):
            x = F.pad(x, pads)
        return super().forward(x)


@torch.inference_mode()
def _features_of_batch(
    network: EfficientNetLite0, images: NDArray[np.uint8], device: torch.device | str
) -> NDArray[np.float32]:
    x = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2)  # a copy: memory maps are read-only
    x = prepare(x).contiguous(memory_format=torch.channels_last)
    features: NDArray[np.float32] = network(x).cpu().numpy()
    return features
