"""A curve that grows: preallocated arrays, a running average, and a min/max pyramid to draw a million points.

Level k of the pyramid holds the minimum and maximum of each `FANOUT ** k` neighbouring values, so a visible range
of any length is drawn from about as many values as the screen has columns, and no extreme is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FANOUT = 4
FIRST_CAPACITY = 1024
FORGOTTEN = 1e-9
"""Weight below which a past value no longer counts in the running average."""

Floats = npt.NDArray[np.floating[Any]]


class Growing:
    """A one-dimensional array that doubles when it is full."""

    def __init__(self, dtype: type[np.floating[Any]]) -> None:
        self.store: Floats = np.empty(FIRST_CAPACITY, dtype)
        self.count = 0

    @property
    def values(self) -> Floats:
        """Return a view of what is there."""
        return self.store[: self.count]

    def extend(self, values: Floats) -> None:
        """Put values at the end."""
        self.write(self.count, values)

    def write(self, start: int, values: Floats) -> None:
        """Put values at `start` <= count; the array ends with them."""
        end = start + len(values)
        if end > len(self.store):
            grown = np.empty(max(end, 2 * len(self.store)), self.store.dtype)
            grown[:start] = self.store[:start]
            self.store = grown
        self.store[start:end] = values
        self.count = end


class Pyramid:
    """Minima and maxima over blocks of FANOUT, FANOUT ** 2, ... values, kept up to date as values come."""

    def __init__(self) -> None:
        self.levels: list[tuple[Growing, Growing]] = []

    def update(self, values: Floats, first: int) -> None:
        """Take note that `values` (all of them) are new or different from index `first` on."""
        low = high = values
        level = 0
        while len(low) > FANOUT:
            if level == len(self.levels):
                self.levels.append((Growing(np.float32), Growing(np.float32)))
            lows, highs = self.levels[level]
            first = min(first // FANOUT, lows.count)  # a level that has just come is filled from its start
            starts = np.arange(0, len(low) - first * FANOUT, FANOUT)
            lows.write(first, np.minimum.reduceat(low[first * FANOUT :], starts))
            highs.write(first, np.maximum.reduceat(high[first * FANOUT :], starts))
            low, high = lows.values, highs.values
            level += 1
        del self.levels[level:]

    def reduce(self, values: Floats, start: int, end: int, limit: int) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        """Return (index, minimum, maximum) of at most about `limit` blocks that cover values[start:end].

        The first and last block may reach beyond the range, where the screen clips them.
        """
        level, width = 0, 1
        while (end - start) // width > limit and level < len(self.levels):
            level, width = level + 1, width * FANOUT
        first, last = start // width, -(-end // width)
        index = np.arange(first, last, dtype=np.int64) * width
        if level == 0:
            same = values[first:last]
            return index, same, same
        low, high = self.levels[level - 1]
        return index, low.values[first:last], high.values[first:last]


class Series:
    """Values of one metric over steps and seconds; steps ascend, and only finite values are kept.

    A step that is not after the last one means that training went back to a saved state: what came after is dropped.
    """

    def __init__(self, weight: float = 0.0) -> None:
        self.steps = Growing(np.float64)
        self.times = Growing(np.float64)
        self.raw = Growing(np.float32)
        self.smooth = Growing(np.float32)
        self.raw_pyramid, self.smooth_pyramid = Pyramid(), Pyramid()
        self.weight = weight
        self._average = 0.0  # running average before debiasing
        self._known = 0  # values that are in the pyramids

    def __len__(self) -> int:
        return self.raw.count

    def extend(self, steps: Floats, values: Floats, times: Floats) -> None:
        """Put values at the end; those that are not finite are left out."""
        finite = np.isfinite(values)
        steps, values, times = steps[finite], values[finite], times[finite]
        if not len(steps):
            return
        self._go_back_to(float(steps[0]))
        back = np.flatnonzero(np.diff(steps) <= 0)
        if len(back):  # a history on disk that went back
            cut = int(back[0]) + 1
            self.extend(steps[:cut], values[:cut], times[:cut])
            self.extend(steps[cut:], values[cut:], times[cut:])
            return
        self.steps.extend(steps)
        self.times.extend(times)
        self.raw.extend(values.astype(np.float32))
        self._smooth_from(self.smooth.count)

    def set_weight(self, weight: float) -> None:
        """Smooth with another weight of the past, 0 (not at all) to below 1."""
        if weight != self.weight:
            self.weight = weight
            self.smooth.count = 0
            self._smooth_from(0)

    def refresh(self) -> None:
        """Bring the pyramids up to date; drawing calls this, so nothing is paid for what is not shown."""
        if self._known < len(self):
            self.raw_pyramid.update(self.raw.values, self._known)
            self.smooth_pyramid.update(self.smooth.values, self._known)
            self._known = len(self)

    def axis(self, by_time: bool) -> Floats:
        """Return where the values lie: steps or seconds."""
        return self.times.values if by_time else self.steps.values

    def nearest(self, x: float, by_time: bool) -> int:
        """Return the index of the value nearest to `x`; there must be one."""
        axis = self.axis(by_time)
        index = int(np.clip(np.searchsorted(axis, x), 1, max(1, len(axis) - 1)))
        return index - 1 if len(axis) == 1 or x - axis[index - 1] <= axis[index] - x else index

    def _go_back_to(self, step: float) -> None:
        if not len(self) or step > self.steps.values[-1]:
            return
        keep = int(np.searchsorted(self.steps.values, step))
        for column in (self.steps, self.times, self.raw, self.smooth):
            column.count = keep
        self._known = min(self._known, max(0, keep - 1))
        self.smooth.count = 0
        self._smooth_from(0)

    def _smooth_from(self, start: int) -> None:
        if start == 0:
            self._average = 0.0
        if start == len(self):
            return
        smoothed = running_average(self.raw.values[start:].astype(np.float64), self.weight, self._average)
        self._average = float(smoothed[-1])
        young = max(0, min(len(self), memory_of(self.weight)) - start)  # the average still lacks a past here
        smoothed[:young] /= 1.0 - self.weight ** np.arange(start + 1, start + young + 1, dtype=np.float64)
        self.smooth.write(start, smoothed.astype(np.float32))
        self._known = min(self._known, start)


def running_average(values: Floats, weight: float, before: float = 0.0) -> Floats:
    """Return s_t = weight * s_(t-1) + (1 - weight) * values_t with s_(-1) = `before`, in log2(n) array passes.

    The sum over the past of length 2m is that of length m plus the one m earlier times weight ** m.
    """
    if weight <= 0:
        return values.copy()
    memory = memory_of(weight)
    total = (1.0 - weight) * values
    span = 1
    while span < min(len(values), memory):
        shifted = total[:-span] * weight**span
        total[span:] += shifted
        span *= 2
    near = min(len(values), memory)
    total[:near] += before * weight ** np.arange(1, near + 1, dtype=np.float64)
    return total


def memory_of(weight: float) -> int:
    """Return after how many values a past value no longer counts in an average of this weight."""
    return int(np.log(FORGOTTEN) / np.log(weight)) + 1 if weight > 0 else 0
