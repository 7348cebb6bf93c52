"""Training steps recorded as CUDA graphs: a graphics card repeats them without waiting for the processor.

A step of a small network is hundreds of short computations, and telling the card of each takes the processor longer
than the card takes for it. A step that does the same each time, but for its items and a few numbers, is therefore told
once and then repeated as a whole (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc_desktop.core.errors import is_out_of_memory
from aigc_desktop.engine.training.data import on_device
from aigc_desktop.engine.training.step import Step

WARM_STEPS = 3  # of a kind that run as usual before one is recorded: they make what is made once only

Work = Callable[[Step], dict[str, Tensor]]


class Recorder:
    """Takes steps by their kind: the first ones as usual, then one is recorded, and from then on repeated.

    `trouble` says why the card cannot record steps, once it was tried; then all steps run as usual.
    """

    def __init__(self, device: torch.device, optimizers: Iterable[Optimizer]) -> None:
        self.device, self.optimizers, self.trouble = device, list(optimizers), ""
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()  # one for all: they never run at the same time
        self.recordings: dict[object, Recording] = {}

    def take(self, kind: str, step: Step, work: Work) -> dict[str, Tensor]:
        """Return what `work(step)` returns; `kind` is what `Trainee.recordable` says of the step."""
        if not kind or self.trouble:
            return work(step)
        self._keep_rates()
        key = (kind, step.accumulation, len(step.indices))
        if key not in self.recordings:
            self.recordings[key] = Recording(self.device, self.stream, self.pool)
        recording = self.recordings[key]
        if not recording.ready:
            try:
                return recording.prepare(step, work)
            except RuntimeError as error:
                if is_out_of_memory(error) or recording.warm <= WARM_STEPS:
                    raise
                self.forget()
                for optimizer in self.optimizers:
                    optimizer.zero_grad(set_to_none=True)  # of a step that was not taken
                self.trouble = str(error) or type(error).__name__
                return work(step)
        return recording.repeat(step)

    def _keep_rates(self) -> None:
        """Turn learning rates into tensors: numbers would be recorded as they are now."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                if not isinstance(group["lr"], Tensor):
                    group["lr"] = torch.tensor(group["lr"], device=self.device)

    def forget(self) -> None:
        """Drop what was recorded, with its memory: the tensors it works on were replaced, or memory is short."""
        self.recordings.clear()
        self.pool = torch.cuda.graph_pool_handle()


class Recording:
    """One kind of step."""

    def __init__(self, device: torch.device, stream: torch.cuda.Stream, pool: Any) -> None:
        self.device, self.stream, self.pool = device, stream, pool
        self.warm, self.ready = 0, False
        self.graph = torch.cuda.CUDAGraph()
        self.functions: list[Callable[[float], float]] = []

    def prepare(self, step: Step, work: Work) -> dict[str, Tensor]:
        """Take a step as usual, or record it and then take it."""
        self.warm += 1
        if self.warm <= WARM_STEPS:
            self.functions = step.functions = []
            with self._beside():
                return work(step)
        self.items = torch.empty(len(step.indices), dtype=torch.int64, device=self.device)
        self.numbers = torch.empty(len(self.functions), device=self.device)
        recorded = copy.copy(step)
        recorded.indices, recorded.numbers = self.items, list(self.numbers)
        self.record(recorded, work)
        self.ready = True
        return self.repeat(step)

    def record(self, step: Step, work: Work) -> None:
        """Record the step without taking it."""
        # other threads of the process may use the card meanwhile
        with torch.cuda.graph(self.graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            self.values = work(step)

    def repeat(self, step: Step) -> dict[str, Tensor]:
        """Take a step as it was recorded, with the items and numbers of this one."""
        self.items.copy_(on_device(step.indices, self.device))
        if self.functions:
            told = torch.tensor([function(step.progress) for function in self.functions])
            self.numbers.copy_(told, non_blocking=True)
        self.graph.replay()
        return self.values

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Compute on the stream that will be recorded, in order with what comes before and after."""
        now = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(now)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            now.wait_stream(self.stream)
