"""A training in two parts: its first steps learn what the others build on, which is frozen then."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aigc_desktop.engine.training.trainee import Trainee

LAST_RATE = 0.02  # of what the first part learns, before it is frozen


class TwoPartTrainee(Trainee):
    """A trainee whose first `first_steps` steps use the optimizer `first`, and the others the rest of them.

    The rate of the first part falls to its end, and that of the second rises over `warmup` steps. Patience does not end
    the first part.
    """

    first: str
    first_steps: int = 0
    warmup: int = 0
    taken: int = 0
    may_end = False

    def begin_step(self, number: int) -> None:
        """Count the steps."""
        self._count(number + 1)

    def _count(self, taken: int) -> None:
        """Note how many steps were taken, which says what is learned now."""
        self.taken, self.may_end = taken, taken > self.first_steps

    def rate_factor(self, optimizer: str, number: int) -> float:
        """Return the fall of the rate in the first part, along half a cosine, and the rise after it."""
        if not self.first_steps:
            return 1.0
        if optimizer == self.first:
            return max(LAST_RATE, 0.5 + 0.5 * math.cos(math.pi * min(1.0, number / self.first_steps)))
        return min(1.0, max(0, number - self.first_steps + 1) / (self.warmup + 1))

    def state(self) -> dict[str, Tensor]:
        """Return how many steps were taken."""
        return {"taken": torch.tensor(self.taken)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state` gave; flows that earlier releases began counted no steps, and had one part."""
        if "taken" in tensors:
            self._count(int(tensors["taken"]))
