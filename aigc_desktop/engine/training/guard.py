"""Keep NaN and Inf out of the weights: skip a bad step, and tell when to roll back to the last good state."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim import Optimizer

ROW = 3  # bad steps in a row before a roll-back
MOST_ROLLBACKS = 3


class Guard:
    """Counts bad steps. On a processor a bad step is left out at once.

    On a graphics card the host does not wait for the verdict: the optimizer is told on the device to leave the
    weights alone, and the count is read with the metrics. There Muon goes on by its momentum for that step.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rollbacks = 0
        self.lr_scale = 1.0
        self._streak = torch.zeros((), device=device)
        self._longest = torch.zeros((), device=device)
        self._step_is_bad = torch.zeros((), device=device)

    def apply(self, optimizer: Optimizer, norm: Tensor) -> None:
        """Take the optimizer's step unless `norm`, the norm of its gradients, is NaN or Inf."""
        if self.device.type == "cpu":
            if math.isfinite(norm.item()):
                optimizer.step()
            else:
                self._step_is_bad.fill_(1)
            return
        bad = (~norm.isfinite()).float()
        self._step_is_bad.copy_(torch.maximum(self._step_is_bad, bad))  # in place: the step may be recorded
        if optimizer.defaults.get("fused"):
            optimizer.grad_scale, optimizer.found_inf = None, bad  # type: ignore[attr-defined]
        else:
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.masked_fill_(bad.bool(), 0.0)
        optimizer.step()

    def end_step(self) -> None:
        """Count the step that ended."""
        self._streak.add_(self._step_is_bad).mul_(self._step_is_bad)
        self._longest.copy_(torch.maximum(self._longest, self._streak))
        self._step_is_bad.zero_()

    def bad_in_row(self) -> int:
        """Return the longest row of bad steps since the last call; waits for the device."""
        longest = int(self._longest.item())
        self._longest.zero_()
        return longest

    def roll_back(self) -> bool:
        """Halve the learning rate for a roll-back; False when there were too many already."""
        self.rollbacks += 1
        self.lr_scale *= 0.5
        for count in (self._streak, self._longest, self._step_is_bad):
            count.zero_()
        return self.rollbacks <= MOST_ROLLBACKS

    def numbers(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"rollbacks": self.rollbacks, "lr_scale": self.lr_scale, "streak": float(self._streak.item())}

    def load(self, numbers: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.rollbacks, self.lr_scale = int(numbers["rollbacks"]), numbers["lr_scale"]
        self._streak.fill_(numbers["streak"])
