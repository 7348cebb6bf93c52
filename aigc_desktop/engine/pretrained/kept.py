"""The published model that was used last, kept in the engine for the next job, with the prompts it has read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psutil
import torch
from torch import Tensor, nn

from aigc_desktop.engine.pretrained.llama import KeyValues

SHARE = 0.25  # of the memory that would be free without it, which a kept model may take
PROMPT_BYTES = 256_000_000  # of all remembered prompts together


@dataclass
class _Read:
    """Keys and values (1, K, T, D) of each layer after a prompt of T tokens, and the logits (1, V) after it."""

    keys: list[Tensor]
    values: list[Tensor]
    logits: Tensor

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values, self.logits))


class Prompts:
    """Prompts that were read, so that they are not read again for more variants.

    Only a whole prompt is recalled, never a part: what follows a part would round differently than without it, and the
    same seeds would not give the same texts.
    """

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[int, ...], _Read] = OrderedDict()

    def recall(self, prompt: tuple[int, ...], cache: KeyValues) -> Tensor | None:
        """Put a known prompt into an empty cache of one row and return the logits (1, V) after it; else None."""
        read = self._read.get(prompt)
        if read is None:
            return None
        self._read.move_to_end(prompt)
        for buffers, known in ((cache.keys, read.keys), (cache.values, read.values)):
            for buffer, tensor in zip(buffers, known, strict=True):
                buffer[:, :, : len(prompt)] = tensor
        return read.logits

    def remember(self, prompt: tuple[int, ...], cache: KeyValues, logits: Tensor) -> None:
        """Keep what a prompt left in the first columns of a cache of one row; the oldest prompts make room."""
        read = _Read(
            [keys[:, :, : len(prompt)].clone() for keys in cache.keys],
            [values[:, :, : len(prompt)].clone() for values in cache.values], logits.clone(),
        )  # fmt: skip
        self._read[prompt] = read
        while self._read and sum(each.bytes for each in self._read.values()) > PROMPT_BYTES:
            self._read.popitem(last=False)


class Loaded(Protocol):
    """A model that can be kept."""

    @property
    def modules(self) -> Sequence[nn.Module]:
        """Return all that has weights."""


@dataclass
class Kept:
    """A loaded model for some tasks; `key` says which model, in which numbers, and where."""

    tasks: tuple[str, ...]
    key: Hashable
    model: Any
    prompts: Prompts = field(default_factory=Prompts)


_kept: list[Kept] = []


def take(key: Hashable) -> Kept | None:
    """Return the kept model if it is that of `key`; it is kept no more, nor is another one."""
    found = next((kept for kept in _kept if kept.key == key), None)
    release()
    return found


def keep(kept: Kept, share: float | None = None) -> None:
    """Keep a model for the next job, unless it takes more than a share of the memory."""
    loaded: Loaded = kept.model
    tensors = [tensor for module in loaded.modules for tensor in (*module.parameters(), *module.buffers())]
    size, device = sum(tensor.nbytes for tensor in tensors), tensors[0].device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if size <= (share or SHARE) * (free + size):
        _kept[:] = [kept]


def release(task: str = "") -> None:
    """Keep nothing any more but what the task about to run has kept."""
    _kept[:] = [kept for kept in _kept if task in kept.tasks]
