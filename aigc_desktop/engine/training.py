"""The shared training core: the settings all trainings have, and the loop that a family's Trainee plugs into.

A family's training job is

    def train(config: MyConfig, run: Run) -> EventStream:
        device = begin(config)                                   # threads, seeds, device; before modules are built
        dataset = open_dataset(run, config.dataset, "image")     # engine/data.py
        yield from fit(config, run, MyTrainee(config, dataset, device))

and a Trainee gives the parts: modules, optimizers, a sampler, `train_step(step)`, `validate(models)`,
`preview(step, models)`. The loop owns the rest: resuming, schedule, autocast, clipping, NaN guard, averages,
metrics, validation, early stopping, checkpoints, memory shortage, disk shortage, and the requests of the host.

Resuming is exact on a processor: same losses and weights to the bit as a run that was never interrupted.
"""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeVar

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.events import Checkpoint, Event, EventStream, Metric, Note, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.checkpoint import (
    newest_good,
    prune,
    read_state,
    remove_partial,
    set_aside,
    state_size,
    versions,
    write_checkpoint,
)
from aigc_desktop.engine.device import choose_precision, free_memory, is_out_of_memory, rng_state, set_rng_state
from aigc_desktop.engine.ema import Averages
from aigc_desktop.engine.guard import MOST_ROLLBACKS, ROW, Guard
from aigc_desktop.engine.meters import MetricMeans, Pace, Stopwatch
from aigc_desktop.engine.schedule import lr_factor
from aigc_desktop.engine.snapshot import pack, unpack, unpack_models
from aigc_desktop.engine.step import Step
from aigc_desktop.engine.trainee import TrainConfig, Trainee, begin

__all__ = ["Loop", "TrainConfig", "Trainee", "begin", "fit"]

T = TypeVar("T")
SPACE_PATIENCE_S = 60.0  # how long a training with a full disk waits for space before it gives up


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


class Loop:
    """The state of one training between two steps, and what is due after each."""

    def __init__(self, config: TrainConfig, run: Run, trainee: Trainee) -> None:
        self.config, self.run, self.trainee = config, run, trainee
        self.device = trainee.device
        generating = {name: trainee.modules[name] for name in trainee.generates}
        self.averages = Averages(generating, config.ema * config.steps)
        self.guard = Guard(self.device)
        self.means, self.stopwatch, self.pace = MetricMeans(), Stopwatch(), Pace()
        self.precision = ""
        self.requests: set[str] = set()
        self.step = 0
        self.accumulation = 1
        self.validated_step = 0
        self.metrics: dict[str, float] = {}
        self.best_value, self.best_step, self.without_gain = math.inf, -1, 0
        self.saved_step, self.saved_at = -1, 0.0
        self.between_steps = True  # False while weights are half updated: then nothing is saved
        for optimizer in trainee.optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])

    def events(self) -> Generator[Event, None, None]:
        """Yield the events of the whole training."""
        yield from self._resume()
        try:
            yield from self._duties()
            while not self.done:
                yield from self._train_step()
                yield from self._duties()
                yield self._progress()
            yield from self._conclude()
        finally:
            if self.between_steps and self.saved_step < self.step:
                self._save()

    @property
    def done(self) -> bool:
        """Return whether training is over: all steps taken, or validation did not improve for too long."""
        impatient = 0 < self.config.patience <= self.without_gain
        return self.step >= self.config.steps or impatient

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
        factor = lr_factor(self.config.schedule, self.step, self.config.steps, self.config.warmup)
        for optimizer in self.trainee.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor * self.guard.lr_scale
        values = self.trainee.train_step(Step(
            self.step, self.config.steps, self.trainee.sampler.next(), self.accumulation, self.precision,
            self.config.grad_clip, self.guard,
        ))  # fmt: skip
        self.step += 1
        self.guard.end_step()
        self.averages.update(self.step)
        self.means.add(values)
        now = self.stopwatch.seconds
        self.pace.step(self.step, now - started, now)

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
        gc.collect()
        free_memory(self.device)
        count = -(-self.config.batch_size // self.accumulation)
        return Note(
            _("Memory is short: batches are now computed {count} items at a time.").format(count=count),
            "warning", self.step,
        )  # fmt: skip

    # what is due after a step; each duty can be done again after resuming without doing it twice

    def _duties(self) -> Iterator[Event]:
        yield from self._report()
        yield from self._validate()
        yield from self._preview()
        if self._save_due():
            yield from self._save_patiently()

    def _report(self) -> Iterator[Event]:
        if not (self._due(self.config.log_every) or self.step == 1 or self.device.type == "cpu"):
            return
        bad = self.guard.bad_in_row()
        if bad >= ROW:
            yield self._roll_back()
        elif bad:
            yield Note(
                _("No finite numbers at step {step}: the update was left out.").format(step=self.step), "warning",
                self.step,
            )  # fmt: skip
        if self._due(self.config.log_every) or self.step == 1:
            values = self.means.take()
            if values:
                yield Metric(self.step, values)

    def _validate(self) -> Iterator[Event]:
        if not self._due(self.config.validate_every) or self.validated_step == self.step:
            return
        values = yield from self._validation()
        self.validated_step = self.step
        if not values:
            return
        self.metrics = values
        value = next(iter(values.values()))
        better = value < self.best_value
        if better:
            self.best_value, self.best_step, self.without_gain = value, self.step, 0
        else:
            self.without_gain += 1
        yield Metric(self.step, {name: number for name, number in values.items() if math.isfinite(number)})
        if better:
            yield from self._save_patiently()

    def _validation(self) -> Generator[Event, None, dict[str, float]]:
        values: dict[str, float] = {}

        def steps() -> Iterator[None]:
            nonlocal values
            values = yield from self.trainee.validate(self.averages.models)

        for _batch in self._undisturbed(steps()):
            yield self._progress(_("Checking on held-out items"))
        return values

    def _preview(self) -> Iterator[Event]:
        if self._due(self.config.sample_every) or "sample" in self.requests:
            self.requests.discard("sample")
            yield from self._undisturbed(self.trainee.preview(self.step, self.averages.models))

    def _undisturbed(self, items: Iterable[T]) -> Iterator[T]:
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

    def _due(self, every: int) -> bool:
        """Return whether something is due after this step: every so many steps, and at the end."""
        if not every:
            return self.step >= self.config.steps
        return self.step > 0 and (self.step % every == 0 or self.step >= self.config.steps)

    def _progress(self, phase: str = "") -> Progress:
        return Progress(
            self.step, self.config.steps, phase, self.pace.steps_per_second * self.trainee.units_per_step,
            self.trainee.unit, self.pace.eta(self.step, self.config.steps, self.stopwatch.seconds),
        )  # fmt: skip

    def _conclude(self) -> Iterator[Event]:
        """Save the last state; when an earlier one was better, take its weights and show what they make."""
        if self.saved_step < self.step:
            yield from self._save_patiently()
        if self.best_step < 0 or self.best_step == self.step:
            return
        if self.step < self.config.steps:
            yield Note(
                _("Training ended early, as validation stopped improving. The best version is of step {best}.").format(
                    best=self.best_step
                ), step=self.step,
            )  # fmt: skip
        models = read_state(self.run.checkpoint("best"))
        unpack_models(self, models)
        yield from self._undisturbed(self.trainee.preview(self.best_step, self.averages.models))

    # checkpoints

    def _resume(self) -> Iterator[Event]:
        """Go on from the newest good checkpoint; without one write the first, so that a crash loses nothing."""
        remove_partial(self.run)
        state, damaged = newest_good(self.run)
        if damaged:
            set_aside(self.run, damaged)
            yield Note(
                _("The saved version of step {lost} is damaged; training goes on from step {step}.").format(
                    lost=int(damaged[0]), step=state.card.step if state else 0
                ), "warning",
            )  # fmt: skip
        self.run.update(device=self.device.type, total=self.config.steps, versions=versions())
        if state is None:
            self.precision = choose_precision(self.config.precision, self.device)
            yield from self._save_patiently()
            return
        identical = unpack(self, state)
        self.saved_step, self.saved_at = self.step, self.stopwatch.seconds
        yield Note(_("Training goes on from step {step}.").format(step=self.step), step=self.step)
        if not identical:
            yield Note(
                _("The device or its software changed: the result will be as good, but not the same to the last bit."),
                step=self.step,
            )  # fmt: skip

    def _save_due(self) -> bool:
        late = self.stopwatch.seconds - self.saved_at > self.config.autosave_s
        return self._due(self.config.checkpoint_every) or late or "save" in self.requests

    def _save_patiently(self) -> Iterator[Event]:
        """Save; while the disk is full keep everything in memory and wait for space, then give up."""
        self.requests.discard("save")
        deadline = math.inf
        while self.saved_step != self.step:
            try:
                saved = self._save()
            except OutOfSpace as full:
                if time.monotonic() > deadline:
                    self.between_steps = False  # it would fail again
                    raise
                message = full.message
            else:
                if saved is not None:
                    yield saved
                return
            if deadline == math.inf:
                deadline = time.monotonic() + SPACE_PATIENCE_S
                yield Note(
                    message + " " + _("Training waits; free some space and it goes on."), "warning", self.step
                )  # fmt: skip
            yield self._progress(_("Waiting for space on the disk"))
            time.sleep(0.1)

    def _save(self) -> Checkpoint | None:
        """Write a checkpoint of the last step and remove old ones; None when the weights are not finite."""
        state = pack(self)
        if not all(tensor.isfinite().all() for tensor in state.model.values() if tensor.is_floating_point()):
            return None
        size = state_size(state)
        free = shutil.disk_usage(self.run.folder).free
        if free < size:
            raise OutOfSpace(size, free, str(self.run.checkpoints_dir))
        name = write_checkpoint(self.run, state, self.trainee.write_files).name
        self.saved_step, self.saved_at = self.step, self.stopwatch.seconds
        best = self.step == self.best_step
        if best:
            self.run.update(best=name)
        prune(self.run, self.config.keep, self.run.info.best)
        return Checkpoint(self.step, name, best)

    def _roll_back(self) -> Note:
        """Go back to the last saved state with half the learning rate; UserError when that was done too often."""
        bad_step = self.step
        if not self.guard.roll_back():
            self.between_steps = False  # what is on the disk is better than this
            raise UserError(
                _("Training stays unstable: no finite numbers at step {step}, after {count} new starts.").format(
                    step=bad_step, count=MOST_ROLLBACKS
                ),
                _("Choose a smaller learning rate, or precision float32, and look for odd items in the data."),
                kind="NotFinite",
            )
        state, damaged = newest_good(self.run)
        set_aside(self.run, damaged)
        if state is None:
            self.between_steps = False
            raise UserError(
                _("The numbers are no longer finite and there is no good saved version to go back to."),
                _("Start the training again with a smaller learning rate."), kind="NotFinite",
            )  # fmt: skip
        unpack(self, state, keep_guard=True)
        self.saved_step = self.step
        return Note(
            _("No finite numbers at step {step}: going back to step {good} with half the learning rate.").format(
                step=bad_step, good=self.step
            ), "warning", self.step,
        )  # fmt: skip
