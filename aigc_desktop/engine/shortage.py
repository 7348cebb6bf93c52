"""What is done where memory is short: free what can be freed, and do the same again, all at once or in halves."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from aigc_desktop.core.errors import is_out_of_memory
from aigc_desktop.engine.device import free_memory

T = TypeVar("T")


def make_room(device: torch.device) -> None:
    """Give back all memory of which nothing is used; call it when the error is dealt with, which holds tensors."""
    gc.collect()
    free_memory(device)


def again_when_short(work: Callable[[], T], device: torch.device) -> T:
    """Return what `work` returns; where memory is short, of a second try with all the room there is."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    make_room(device)
    return work()


def in_halves(work: Callable[[Any], NDArray[Any]], items: Sequence[Any] | NDArray[Any], device: torch.device) -> Any:
    """Return the rows that `work` gives for items; where memory is short in halves, down to one item at a time."""
    try:
        return work(items)
    except (RuntimeError, MemoryError) as error:
        if len(items) < 2 or not is_out_of_memory(error):
            raise
    make_room(device)
    half = len(items) // 2
    return np.concatenate([in_halves(work, part, device) for part in (items[:half], items[half:])])
