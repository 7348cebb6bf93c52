"""How far apart two pictures are in the feature maps of the shipped EfficientNet-Lite0: a stand-in for LPIPS.

As there (arXiv:1801.03924) the features of each place have length 1; all channels count alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.metrics.features import EfficientNetLite0, feature_network

FEATURE_SIZE = 64  # pixels; half of that of the metrics is four times as quick
FEATURE_BLOCKS = (0, 2, 4)  # whose outputs are compared: 16, 24 and 40 channels


class FeatureMaps(nn.Module):
    """The first blocks of a network, which look at pictures enlarged or reduced to `size` pixels."""

    def __init__(self, network: EfficientNetLite0, size: int = FEATURE_SIZE) -> None:
        super().__init__()
        self.size, self.stem = size, network.stem
        self.blocks = nn.Sequential(*list(network.blocks)[: FEATURE_BLOCKS[-1] + 1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of FEATURE_BLOCKS for images (B, 3, H, W) in [-1, 1], each place of length 1, float32."""
        x = F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)
        x = F.relu6(self.stem(x))
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in FEATURE_BLOCKS:
                maps.append(F.normalize(x.float(), dim=1))
        return maps

    def example(self) -> tuple[Tensor]:
        """Return inputs for one picture."""
        return (torch.zeros(1, 3, self.size, self.size),)


def eyes_of(weight: float, size: int, device: torch.device) -> FeatureMaps | None:
    """Return a network that compares pictures of `size` pixels, no part of any model; None where it has no weight."""
    return FeatureMaps(feature_network(str(device)), max(FEATURE_SIZE, size)) if weight else None


def feature_distance(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """Return the mean squared distance of maps, 0 (the same) to 4."""
    return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(first, second, strict=True)]).mean()
