"""Dropout with four draws from each random number: on a processor the draws take longer than all else of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 1 << 16  # of a draw


class QuickDropout(nn.Dropout):
    """The layer of `dropout`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Return the input with a share of its numbers set to zero, the others scaled up; in evaluation as it is."""
        return dropout(input, self.p, self.training)


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Return x with a share of its numbers set to zero, the others scaled up; in evaluation as it is.

    The share is met to 1 in 65,536 on a processor; elsewhere this is torch's own.
    """
    if not training or share == 0 or x.device.type != "cpu":
        return F.dropout(x, share, training)
    count, dropped = x.numel(), round(share * _LEVELS)
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)
    kept = (drawn[:count] >= dropped - _LEVELS // 2).view(x.shape)
    return x * kept.to(x.dtype).mul_(_LEVELS / max(1, _LEVELS - dropped))
