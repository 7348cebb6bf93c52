"""Figures of the running training: metric means gathered on the device, and times without the pauses."""

from __future__ import annotations

import time

import torch
from torch import Tensor


class MetricMeans:
    """Means of metrics since the last report; numbers stay on the device until they are read."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._columns: dict[str, int] = {}
        self._table: Tensor | None = None  # sums and counts (2, N), a column for each metric
        self._places: dict[tuple[str, ...], Tensor] = {}  # columns (M,) of metrics that come together

    def add(self, values: dict[str, Tensor]) -> None:
        """Add one step's scalars; NaN and Inf are left out of the mean."""
        if not values:
            return
        together = torch.stack([value.detach().float() for value in values.values()])
        finite = together.isfinite()
        pairs = torch.stack([together.masked_fill(~finite, 0.0), finite.float()])
        names = tuple(values)
        if names not in self._places:
            self._places[names] = self._columns_of(names, pairs)
        assert self._table is not None
        self._table.index_add_(1, self._places[names], pairs)

    def _columns_of(self, names: tuple[str, ...], like: Tensor) -> Tensor:
        """Return the columns of metrics; those that are new get one."""
        for name in names:
            self._columns.setdefault(name, len(self._columns))
        old, table = self._table, like.new_zeros(2, len(self._columns))
        if old is not None:
            table[:, : old.shape[1]] = old
        self._table = table
        return torch.tensor([self._columns[name] for name in names], device=like.device)

    def take(self) -> dict[str, float]:
        """Return the means and begin anew; a metric without one finite value is left out."""
        if self._table is None:
            return {}
        table, names = self._table.T.tolist(), list(self._columns)  # one wait for the device
        self._clear()
        return {name: total / count for name, (total, count) in zip(names, table, strict=True) if count}

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps: sum and count (2,) of each metric."""
        return {} if self._table is None else dict(zip(self._columns, self._table.T, strict=True))

    def load(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Go on from a checkpoint."""
        self._clear()
        if tensors:
            self._columns = {name: column for column, name in enumerate(tensors)}
            self._table = torch.stack([tensor.to(device) for tensor in tensors.values()], 1)


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

    def step(self, number: int, seconds: float, now: float, count: int = 1) -> None:
        """Note that `count` steps up to `number` (from 1) took `seconds` and ended at `now` on the stopwatch."""
        kept = 0.95**count if self._per_step else 0.0
        self._per_step = kept * self._per_step + (1 - kept) * seconds / count
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
