"""One training step as a family sees it: micro-batches, autocast, backward, and the optimizers' steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc_desktop.engine import device as devices
from aigc_desktop.engine.training.data import Indices
from aigc_desktop.engine.training.guard import Guard


class Step:
    """What `Trainee.train_step` gets. `number` counts from 0, `progress` goes from 0 to 1 over the run.

    `indices` are the items: Indices, or a tensor (B,) on the device in a step that is recorded (training/recording.py).

        for indices in step.micro_batches():
            with step.autocast():
                loss = ...
            step.backward(loss)
        step.optimize(self.optimizers["model"])

    A trainer with several optimizers repeats this for each; `micro_batches` gives the same items again.
    """

    def __init__(
        self, number: int, steps: int, indices: Indices, accumulation: int, precision: str, clip: float, guard: Guard
    ) -> None:
        self.number, self.progress = number, number / max(1, steps)
        self.indices: Any = indices
        self.accumulation = accumulation
        self.functions: list[Callable[[float], float]] = []
        self.numbers: list[Tensor] = []
        self.precision, self.clip, self.guard = precision, clip, guard
        self._weight = 1.0

    def along(self, function: Callable[[float], float]) -> float | Tensor:
        """Return `function(progress)`: a number that changes from step to step, also in steps that are repeated."""
        self.functions.append(function)
        return self.numbers[len(self.functions) - 1] if self.numbers else function(self.progress)

    def micro_batches(self) -> Iterator[Any]:
        """Yield the items of this step, in pieces when memory is short; `backward` weighs each piece."""
        size = -(-len(self.indices) // self.accumulation)
        for start in range(0, len(self.indices), size):
            piece = self.indices[start : start + size]
            self._weight = len(piece) / len(self.indices)
            yield piece
        self._weight = 1.0

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of the forward pass."""
        return devices.autocast(self.precision, self.guard.device)

    def backward(self, loss: Tensor, retain_graph: bool = False) -> None:
        """Add the gradients of `loss`, a mean over the current piece."""
        torch.autograd.backward(loss if self._weight == 1.0 else loss * self._weight, retain_graph=retain_graph)

    def mean(self, total: Tensor | None, value: Tensor) -> Tensor:
        """Return the running mean of a metric over the pieces: `total = step.mean(total, loss)`."""
        share = value.detach() if self._weight == 1.0 else value.detach() * self._weight
        return share if total is None else total + share

    def optimize(self, optimizer: Optimizer) -> Tensor:
        """Clip the gradients, take the step unless they are NaN or Inf, clear them; return their norm."""
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if self.clip > 0:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
        self.guard.apply(optimizer, norm)
        optimizer.zero_grad(set_to_none=True)
        return norm
