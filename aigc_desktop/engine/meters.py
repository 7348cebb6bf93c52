"""Figures of the running training: metric means gathered on the device, and times without the pauses."""

from __future__ import annotations

import time

import torch
from torch import Tensor


class MetricMeans:
    """Means of metrics since the last report; numbers stay on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Add one step's scalars; NaN and Inf are left out of the mean."""
        for name, value in values.items():
            value = value.detach().float()
            finite = value.isfinite()
            pair = torch.stack([torch.where(finite, value, torch.zeros_like(value)), finite.float()])
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def take(self) -> dict[str, float]:
        """Return the means and begin anew; a metric without one finite value is left out."""
        names = list(self._sums)
        if not names:
            return {}
        table = torch.stack([self._sums[name] for name in names]).tolist()  # one wait for the device
        self._sums = {}
        return {name: total / count for name, (total, count) in zip(names, table, strict=True) if count}

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return dict(self._sums)

    def load(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Go on from a checkpoint."""
        self._sums = {name: tensor.to(device) for name, tensor in tensors.items()}


class Stopwatch:
    """Seconds of computing by a monotonic clock; the time the reader of the events takes does not count."""

    def __init__(self) -> None:
        self._total, self._since = 0.0, time.perf_counter()
        self._running = True

    @property
    def seconds(self) -> float:
        """Return the seconds since the start without the pauses."""
        return self._total + (time.perf_counter() - self._since if self._running else 0.0)

    def pause(self) -> None:
        """Stop counting."""
        self._total, self._running = self.seconds, False

    def go_on(self) -> None:
        """Count again."""
        self._since, self._running = time.perf_counter(), True


class Pace:
    """Rate of the steps and time left, from what the steps took so far."""

    def __init__(self) -> None:
        self._per_step = 0.0
        self._begin: tuple[int, float] | None = None

    def step(self, number: int, seconds: float, now: float) -> None:
        """Note that step `number` (from 1) took `seconds` and ended at `now` on the stopwatch."""
        self._per_step = seconds if not self._per_step else 0.95 * self._per_step + 0.05 * seconds
        if self._begin is None:
            self._begin = (number, now)

    @property
    def steps_per_second(self) -> float:
        """Return the recent rate of training steps alone."""
        return 1 / self._per_step if self._per_step else 0.0

    def eta(self, number: int, total: int, now: float) -> float | None:
        """Return the seconds left, by the mean since the training began or went on; None before the second step."""
        if self._begin is None or number <= self._begin[0]:
            return None
        return (now - self._begin[1]) / (number - self._begin[0]) * (total - number)
