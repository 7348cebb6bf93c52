"""The U-Net of a flow (arXiv:1505.04597, 2105.05233): residual blocks told the time, attention at coarse stages.

Blocks of pixels are folded into channels at the finest stage, so that the costly layers see a fourth of the places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attend import attend
from aigc_desktop.engine.nn.dropout import dropout
from aigc_desktop.engine.nn.resnet import GROUPS, GroupNorm

HEAD = 32  # channels of an attention head
_FREQUENCIES = 64
_LEAST_LEFT = 0.05  # of the way; a smaller part would make errors of the picture explode in the velocity


@dataclass(frozen=True)
class UnetShape:
    """Size of a network for pictures of `size` pixels on a side.

    widths      channels of each stage, fine to coarse; each halves the side
    fold        pixels on a side of a block that becomes channels: 1, 2 or 4
    attend      stages with this many places on a side or fewer have attention
    classes     how many classes it can be told; 0 for none
    hints       how many numbers tell of an augmentation
    predicts    what the last layer gives: the velocity, or the picture at the end of the way (arXiv:2511.13720), from
                which the velocity follows; a picture has far fewer dimensions than noise, so a small network learns it
                sooner and leaves less noise behind
    """

    size: int
    widths: tuple[int, ...]
    blocks: int
    fold: int = 2
    attend: int = 8
    classes: int = 0
    hints: int = 0
    dropout: float = 0.0
    channels: int = 3
    predicts: Literal["velocity", "picture"] = "velocity"


class Unet(nn.Module):
    """From pictures (B, C, S, S), times (B,) in [0, 1], classes (B,) and hints (B, K) to pictures (B, C, S, S)."""

    def __init__(self, shape: UnetShape) -> None:
        super().__init__()
        self.shape = shape
        widths, told = shape.widths, 4 * shape.widths[0]
        self.told = _Told(shape, told)
        self.enter = nn.Conv2d(shape.channels * shape.fold**2, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, width, side = [widths[0]], widths[0], shape.size // shape.fold
        for stage, wider in enumerate(widths):
            if stage:
                self.down.append(_Smaller(width))
                side //= 2
                kept.append(width)
            for _block in range(shape.blocks):
                self.down.append(_Block(width, wider, told, side <= shape.attend, shape.dropout))
                width = wider
                kept.append(width)
        self.middle = nn.ModuleList(
            [_Block(width, width, told, True, shape.dropout), _Block(width, width, told, False, shape.dropout)]
        )
        for stage, narrower in reversed(list(enumerate(widths))):
            for _block in range(shape.blocks + 1):
                self.up.append(_Block(width + kept.pop(), narrower, told, side <= shape.attend, shape.dropout))
                width = narrower
            if stage:
                self.up.append(_Larger(width))
                side *= 2
        last = _zero(nn.Conv2d(width, shape.channels * shape.fold**2, 3, padding=1))
        self.leave = nn.Sequential(GroupNorm(GROUPS, width), nn.SiLU(), last)

    def forward(
        self, images: Tensor, times: Tensor, classes: Tensor | None = None, hints: Tensor | None = None
    ) -> Tensor:
        """Return the velocity; a class equal to `shape.classes`, or none at all, stands for any.

        `classes` are numbers (B,), or shares of the classes (B, K) as floats.
        """
        told = self.told(times, classes, hints)
        x = self.enter(F.pixel_unshuffle(images, self.shape.fold))
        kept = [x]
        for layer in self.down:
            x = layer(x, told)
            kept.append(x)
        for layer in self.middle:
            x = layer(x, told)
        for layer in self.up:
            x = layer(x if isinstance(layer, _Larger) else torch.cat((x, kept.pop()), 1), told)
        out: Tensor = F.pixel_shuffle(self.leave(x), self.shape.fold)
        if self.shape.predicts == "velocity":
            return out
        left = (1 - times).clamp(min=_LEAST_LEFT)[:, None, None, None]
        return (out.float() - images) / left

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one picture."""
        return torch.zeros(1, self.shape.channels, self.shape.size, self.shape.size), torch.zeros(1)


class _Told(nn.Module):
    """What the blocks are told of time, class and augmentation, (B, D)."""

    frequencies: Tensor

    def __init__(self, shape: UnetShape, width: int) -> None:
        super().__init__()
        self.classes = shape.classes
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * torch.arange(_FREQUENCIES) / _FREQUENCIES))
        self.first, self.second = nn.Linear(2 * _FREQUENCIES, width), nn.Linear(width, width)
        if shape.classes:
            self.class_vectors = nn.Embedding(shape.classes + 1, width)
            nn.init.normal_(self.class_vectors.weight, std=0.02)
        if shape.hints:
            self.hint_vectors = nn.Linear(shape.hints, width, bias=False)

    def forward(self, times: Tensor, classes: Tensor | None, hints: Tensor | None) -> Tensor:
        angles = 1000.0 * times[:, None] * self.frequencies
        told = self.second(F.silu(self.first(torch.cat((angles.cos(), angles.sin()), 1))))
        if self.classes:
            any_class = torch.full((len(times),), self.classes, device=times.device)
            chosen = any_class if classes is None else classes
            shared = chosen.is_floating_point()
            told = told + (chosen @ self.class_vectors.weight[:-1] if shared else self.class_vectors(chosen))
        if hints is not None:
            told = told + self.hint_vectors(hints)
        return F.silu(told)


class _Block(nn.Module):
    """Two 3×3 convolutions around what is told, then attention where the stage has it; the input is added."""

    def __init__(self, before: int, width: int, told: int, attention: bool, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(GROUPS, before), nn.Conv2d(before, width, 3, padding=1)
        self.told = nn.Linear(told, 2 * width)
        self.norm2, self.conv2 = GroupNorm(GROUPS, width), _zero(nn.Conv2d(width, width, 3, padding=1))
        self.dropout = dropout
        self.skip = nn.Conv2d(before, width, 1) if before != width else nn.Identity()
        self.attention = _Attention(width) if attention else None

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Return (B, width, H, W)."""
        y = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        y = F.silu(torch.addcmul(shift, self.norm2(y), 1 + scale))
        y = dropout(y, self.dropout, self.training)
        y = self.skip(x) + self.conv2(y)
        return y if self.attention is None else self.attention(y)


class _Attention(nn.Module):
    """Every place looks at every place of its picture; the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD)
        self.norm, self.qkv = GroupNorm(GROUPS, width), nn.Conv2d(width, 3 * width, 1)
        self.out = _zero(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, across = x.shape
        # (B, 3C, H, W) -> 3 × (B, heads, H W, D)
        q, k, v = self.qkv(self.norm(x)).view(batch, 3, self.heads, -1, height * across).transpose(3, 4).unbind(1)
        y = attend(q, k, v).transpose(2, 3).reshape(batch, width, height, across)
        out: Tensor = x + self.out(y)
        return out


class _Smaller(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, _told: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _Larger(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, _told: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the layer with an output of zero until it is trained."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
