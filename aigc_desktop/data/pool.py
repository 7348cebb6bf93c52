"""Work on many items with a few threads, in order and with bounded memory.

Pillow decodes and resizes without the interpreter's lock, so threads use all cores and share the file cache.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from aigc_desktop.core.events import Progress
from aigc_desktop.core.machine import engine_threads

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 8  # items in flight per thread
_TICK_S = 0.2


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int = 0) -> Iterator[R | None]:
    """Yield function(item) in the order of the items, and None whenever 0.2 s pass without a result.

    At most 8 items per thread are in flight. Closing the generator cancels what has not begun.
    """
    threads = threads or engine_threads()
    executor = ThreadPoolExecutor(threads, "decode")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) >= threads * _AHEAD:
                yield from _next_result(waiting)
        while waiting:
            yield from _next_result(waiting)
    finally:
        executor.shutdown(cancel_futures=True)


def _next_result(waiting: deque[Future[R]]) -> Iterator[R | None]:
    first = waiting.popleft()
    while not first.done() and not wait([first], _TICK_S).done:
        yield None
    yield first.result()


class Pace:
    """Progress with rate and time left, at most ten times a second."""

    def __init__(self, phase: str, total: int, unit: str) -> None:
        self.phase, self.total, self.unit = phase, total, unit
        self.began = time.monotonic()
        self.last = 0.0

    def due(self) -> bool:
        """Return whether it is time to tell again."""
        return time.monotonic() - self.last >= 0.1

    def progress(self, done: int) -> Progress:
        """Return where the work is after `done` units."""
        self.last = time.monotonic()
        rate = done / max(self.last - self.began, 1e-6)
        left = (self.total - done) / rate if self.total and rate else None
        return Progress(done, self.total, self.phase, rate, self.unit, left if left is None else max(left, 0.0))
