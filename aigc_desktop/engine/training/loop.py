"""The shared training core: the settings all trainings have, and the loop that a family's Trainee plugs into.

A family's training job is

    def train(config: MyConfig, run: Run) -> EventStream:
        device = begin(config)                                   # threads, seeds, device; before modules are built
        dataset = open_dataset(run, config.dataset, "image")     # engine/training/data.py
        yield from fit(config, run, MyTrainee(config, dataset, device))

and a Trainee gives the parts: modules, optimizers, a sampler, `train_step(step)`, `validate(models)`,
`preview(step, models)`. The loop owns the rest: resuming, schedule, autocast, clipping, NaN guard, averages,
metrics, validation, early stopping, checkpoints, memory shortage, disk shortage, and the requests of the host.

Resuming is exact on a processor: same losses and weights to the bit as a run that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeVar

import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError, is_out_of_memory
from aigc_desktop.core.events import Event, EventStream, Metric, Note
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.run import Run
from aigc_desktop.engine.device import rng_state, set_rng_state
from aigc_desktop.engine.shortage import again_when_short, make_room
from aigc_desktop.engine.training.checkpoint import read_state
from aigc_desktop.engine.training.guard import ROW
from aigc_desktop.engine.training.optim import forget_begun_moments
from aigc_desktop.engine.training.saving import resume, roll_back, save, save_due, save_patiently
from aigc_desktop.engine.training.schedule import lr_factor
from aigc_desktop.engine.training.snapshot import unpack_models
from aigc_desktop.engine.training.state import TrainingState
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.training.trainee import TrainConfig, Trainee, begin

__all__ = ["Loop", "TrainConfig", "Trainee", "begin", "fit"]

T = TypeVar("T")


def fit(config: TrainConfig, run: Run, trainee: Trainee) -> EventStream:
    """Train until the steps are done, validation stops improving, or the host closes the stream.

    Continues from the newest good checkpoint of `run`. A checkpoint is written however the stream ends. Requests of
    the host: "save" writes a checkpoint, "sample" shows a preview, both after the current step.
    """
    loop = Loop(config, run, trainee)
    with closing(loop.events()) as events:
        for event in events:
            loop.stopwatch.pause()
            request = yield event
            loop.stopwatch.go_on()
            if request:
                loop.requests.add(request)


class Loop(TrainingState):
    """One training: its steps, and what is due after each."""

    def events(self) -> Generator[Event, None, None]:
        """Yield the events of the whole training."""
        yield from resume(self)
        try:
            yield from self._duties()
            while not self.done:
                yield from self._train_step()
                yield from self._duties()
                yield self.progress()
            yield from self._conclude()
        finally:
            if self.between_steps and self.saved_step < self.step:
                save(self)

    @property
    def done(self) -> bool:
        """Return whether training is over: all steps taken, no gain in validation for too long, or an alarm."""
        impatient = self.trainee.may_end and 0 < self.config.patience <= self.without_gain
        return self.step >= self.config.steps or impatient or bool(self.trainee.alarm)

    # one step

    def _train_step(self) -> Iterator[Event]:
        """Take one step; when memory is short, take it again in smaller pieces with the same effective batch."""
        while True:
            position, random = self.trainee.sampler.position, rng_state(self.device)
            self.between_steps = False
            try:
                self._attempt()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.trainee.sampler.position = position
                set_rng_state(random, self.device)
                self.between_steps = True
                note = self._smaller_pieces(error)
            else:
                self.between_steps = True
                return
            yield note

    def _attempt(self) -> None:
        started = self.stopwatch.seconds
        self.trainee.begin_step(self.step)
        self._set_rates()
        step = Step(
            self.step, self.config.steps, self.trainee.sampler.next(), self.accumulation, self.precision,
            self.config.grad_clip, self.guard,
        )  # fmt: skip
        values = self._work(step) if self.recorder is None else self.recorder.take(
            self.trainee.recordable(self.step), step, self._work
        )  # fmt: skip
        self.averages.update(self.step + 1)
        self.means.add(values)
        self.step += 1
        self.computed, self.unpaced = self.computed + self.stopwatch.seconds - started, self.unpaced + 1
        if self.device.type == "cpu":
            self._pace()

    def _work(self, step: Step) -> dict[str, Tensor]:
        values = self.trainee.train_step(step)
        self.guard.end_step()
        return values

    def _set_rates(self) -> None:
        factor = lr_factor(self.config.schedule, self.step, self.config.steps, self.config.warmup)
        for name, optimizer in self.trainee.optimizers.items():
            own = self.trainee.rate_factor(name, self.step)
            for group in optimizer.param_groups:
                rate = group["initial_lr"] * factor * self.guard.lr_scale * own
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)  # its place may be recorded
                else:
                    group["lr"] = rate

    def _pace(self) -> None:
        """Tell the pace of the steps since the last time; a graphics card must have done them."""
        if self.unpaced:
            self.pace.step(self.step, self.computed, self.stopwatch.seconds, self.unpaced)
            self.computed, self.unpaced = 0.0, 0

    def _smaller_pieces(self, error: BaseException) -> Note:
        """Halve the pieces of a batch after a shortage of memory; UserError when they cannot be smaller."""
        if self.accumulation >= self.config.batch_size:
            raise UserError(
                _("Not enough memory: not even a batch of one item fits."),
                _("Choose a smaller model or smaller pictures, or close other programs."), kind="OutOfMemory",
            ) from error  # fmt: skip
        self.accumulation = min(2 * self.accumulation, self.config.batch_size)
        for optimizer in self.trainee.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
            forget_begun_moments(optimizer)
        if self.recorder is not None:
            self.recorder.forget()
        make_room(self.device)
        count = -(-self.config.batch_size // self.accumulation)
        text = ngettext(
            "Memory is short: batches are now computed {count} item at a time.",
            "Memory is short: batches are now computed {count} items at a time.", count,
        )  # fmt: skip
        return Note(text.format(count=count), "warning", self.step)

    # what is due after a step; each duty can be done again after resuming without doing it twice

    def _duties(self) -> Iterator[Event]:
        yield from self._report()
        yield from self._validate()
        yield from self._preview()
        if save_due(self):
            yield from save_patiently(self)

    def _report(self) -> Iterator[Event]:
        if not (self.due(self.config.log_every) or self.step == 1 or self.device.type == "cpu"):
            return
        started = self.stopwatch.seconds
        bad = self.guard.bad_in_row()
        self.computed += self.stopwatch.seconds - started
        self._pace()
        if self.recorder is not None and self.recorder.trouble:
            yield Note(
                _("This graphics card cannot repeat steps by itself, so they take longer: {reason}").format(
                    reason=self.recorder.trouble.splitlines()[0]
                ), step=self.step,
            )  # fmt: skip
            self.recorder = None
        if bad >= ROW:
            yield roll_back(self)
        elif bad:
            yield Note(
                _("No finite numbers at step {step}: the update was left out.").format(step=self.step), "warning",
                self.step,
            )  # fmt: skip
        if self.due(self.config.log_every) or self.step == 1:
            values = self.means.take()
            if values:
                yield Metric(self.step, values)

    def _validate(self) -> Iterator[Event]:
        if not self.due(self.config.validate_every) or self.validated_step == self.step:
            return
        short = Note(_("Memory is too short to check on held-out items while training."), "warning", self.step)
        values = yield from _unless_short(self._validation(), self.device, short)
        self.validated_step = self.step
        if not values:
            return
        name, value = next(iter(values.items()))
        if name != next(iter(self.metrics), name):  # what is minimised now cannot be compared with what was
            self.best_value = math.inf
        self.metrics = values
        better = value < self.best_value and not self.trainee.alarm
        if better:
            self.best_value, self.best_step, self.without_gain = value, self.step, 0
        else:
            self.without_gain += 1
        yield Metric(self.step, {name: number for name, number in values.items() if math.isfinite(number)})
        if better:
            yield from save_patiently(self)

    def _validation(self) -> Generator[Event, None, dict[str, float]]:
        values: dict[str, float] = {}

        def steps() -> Iterator[None]:
            nonlocal values
            values = yield from self.trainee.validate(self.averages.models)

        with closing(self._undisturbed(steps())) as batches:
            for _batch in batches:
                yield self.progress(_("Checking on held-out items"))
        return values

    def _preview(self) -> Iterator[Event]:
        if self.due(self.config.sample_every) or "sample" in self.requests:
            self.requests.discard("sample")
            yield from self._shown(self.step)
            self.requests.add("save")  # what was shown can be made again

    def _shown(self, step: int) -> Iterator[Event]:
        short = Note(_("Memory is too short for samples while training."), "warning", self.step)
        shown = self._undisturbed(self.trainee.preview(step, self.averages.models))
        yield from _unless_short(shown, self.device, short)

    def _undisturbed(self, items: Iterable[T]) -> Generator[T, None, None]:
        """Pass on `items` with the models in evaluation mode; random generators are put back afterwards."""
        state = rng_state(self.device)
        for model in self.averages.models.values():
            model.eval()
        try:
            yield from items
        finally:
            for module in self.trainee.modules.values():
                module.train()
            set_rng_state(state, self.device)

    def _conclude(self) -> Iterator[Event]:
        """Save the last state; when an earlier one was better, take its weights and show what they make."""
        if self.saved_step < self.step:
            yield from save_patiently(self)
        if self.best_step < 0 or self.best_step == self.step:
            return
        reason = self.trainee.alarm
        if not reason and self.step < self.config.steps:
            reason = _("Training ended early, as validation stopped improving.")
        if reason := reason or self.trainee.verdict(self.best_step):
            best = _("The best version is of step {best}.").format(best=self.best_step)
            yield Note(f"{reason} {best}", "warning" if self.trainee.alarm else "info", self.step)
        models = again_when_short(lambda: read_state(self.run.checkpoint("best")), self.device)
        unpack_models(self, models)
        yield from self._shown(self.best_step)
        yield self.progress()  # the preview told where the best version was


def _unless_short(
    events: Generator[Event, None, T], device: torch.device, note: Note
) -> Generator[Event, None, T | None]:
    """Pass on `events` and what they return; the note when the memory does not suffice, as training can go on."""
    try:
        return (yield from events)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    make_room(device)
    yield note
    return None
