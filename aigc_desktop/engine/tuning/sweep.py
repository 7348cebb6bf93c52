"""Choose the learning rate: a few steps with each on a small part of the training, and the held-out loss after them.

What was tried is kept in the run's `tuning.json`, so that a training that was interrupted does not try it again.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError, is_out_of_memory
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import free_memory
from aigc_desktop.engine.training.guard import Guard
from aigc_desktop.engine.training.schedule import lr_factor
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.trainee import TuneTrainee

_SHARE, _LEAST_STEPS, _MOST_STEPS = 0.05, 4, 30
_CHECKED = 8  # held-out batches


def steps_of(config: TuneConfig) -> int:
    """Return how many steps are taken with each learning rate; 0 when there is nothing to choose."""
    if len(config.rates) == 1:
        return 0
    return min(config.steps, max(_LEAST_STEPS, min(_MOST_STEPS, round(config.steps * _SHARE))))


def choose_rate(config: TuneConfig, run: Run, trainee: TuneTrainee) -> Generator[Event, str | None, float]:
    """Return the learning rate to train with; the trainee is as it was, but for its optimizer."""
    path = run.folder / "tuning.json"
    kept = read_table(path)
    tried: dict[str, Any] = kept.setdefault("losses", {})
    steps = steps_of(config)
    if not steps:
        return config.rates[0]
    if len(tried) < len(config.rates):
        learned = [p for module in trainee.modules.values() for p in module.parameters() if p.requires_grad]
        before = [p.detach().clone() for p in learned]
        for number, rate in enumerate(config.rates):
            if f"{rate:g}" not in tried:
                loss = yield from _try(config, trainee, rate, number * steps)
                tried[f"{rate:g}"] = loss if math.isfinite(loss) else None
                _put_back(learned, before)
                write_json(path, kept)
    finite = {name: loss for name, loss in tried.items() if loss is not None}
    if not finite:
        raise UserError(
            _("No learning rate gave finite numbers."),
            _("Choose precision float32, or look for odd texts in the data."), kind="NotFinite",
        )  # fmt: skip
    best = min(finite, key=lambda name: finite[name])
    shown = ", ".join(f"{name}: {'–' if loss is None else f'{loss:.4f}'}" for name, loss in tried.items())
    text = _("Learning rates tried for {steps} steps, with the held-out loss of each: {losses}. {best} is taken.")
    yield Note(text.format(steps=steps, losses=shown, best=best))
    return float(best)


def _try(config: TuneConfig, trainee: TuneTrainee, rate: float, done: int) -> Generator[Event, str | None, float]:
    """Return the held-out loss after a few steps with a learning rate."""
    steps, total = steps_of(config), steps_of(config) * len(config.rates)
    phase = _("Trying the learning rate {rate}").format(rate=f"{rate:g}")
    trainee.set_rate(rate)
    trainee.sampler.position = (0, 0)
    torch.manual_seed(config.seed)
    guard = Guard(trainee.device)
    accumulation = 1
    for number in range(steps):
        factor = lr_factor("cosine", number, steps, max(1, steps // 10))
        for group in trainee.optimizer.param_groups:
            group["lr"] = rate * factor
        accumulation = _step(config, trainee, number, guard, accumulation)
        yield Progress(done + number, total, phase)
    for module in trainee.modules.values():
        module.eval()
    measuring = trainee.measure(trainee.modules, trainee.held_out.epoch()[:_CHECKED])
    while True:
        try:
            next(measuring)
        except StopIteration as end:
            nats, count, _size = end.value
            break
        yield Progress(done + steps, total, phase)
    for module in trainee.modules.values():
        module.train()
    return nats / max(1, count)


def _step(config: TuneConfig, trainee: TuneTrainee, number: int, guard: Guard, accumulation: int) -> int:
    """Take a step, in smaller pieces when memory is short; return into how many."""
    position = trainee.sampler.position
    while True:
        try:
            trainee.train_step(Step(
                number, config.steps, trainee.sampler.next(), accumulation, trainee.base.precision, config.grad_clip,
                guard,
            ))  # fmt: skip
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or accumulation >= config.batch_size:
                raise
        else:
            return accumulation
        trainee.sampler.position = position
        accumulation = min(2 * accumulation, config.batch_size)
        trainee.optimizer.zero_grad(set_to_none=True)
        free_memory(trainee.device)


@torch.no_grad()
def _put_back(parameters: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, before, strict=True):
        parameter.copy_(value)
