"""When and how a training is saved, resumed and rolled back; what a checkpoint holds is in snapshot.py."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.events import Checkpoint, Event, Note
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.device import choose_precision
from aigc_desktop.engine.shortage import again_when_short
from aigc_desktop.engine.training.checkpoint import (
    newest_good,
    prune,
    remove_partial,
    set_aside,
    state_size,
    versions,
    write_checkpoint,
)
from aigc_desktop.engine.training.guard import MOST_ROLLBACKS
from aigc_desktop.engine.training.snapshot import pack, unpack
from aigc_desktop.engine.training.state import TrainingState

SPACE_PATIENCE_S = 60.0  # how long a training with a full disk waits for space before it gives up


def resume(training: TrainingState) -> Iterator[Event]:
    """Go on from the newest good checkpoint; without one write the first, so that a crash loses nothing."""
    remove_partial(training.run)
    state, damaged = newest_good(training.run)
    if damaged:
        set_aside(training.run, damaged)
        yield Note(
            _("The saved version of step {lost} is damaged; training goes on from step {step}.").format(
                lost=int(damaged[0]), step=state.card.step if state else 0
            ), "warning",
        )  # fmt: skip
    training.run.update(device=training.device.type, total=training.config.steps, versions=versions())
    if state is None:
        size = sum(p.numel() for module in training.trainee.modules.values() for p in module.parameters())
        training.precision = choose_precision(training.config.precision, training.device, size)
        yield from save_patiently(training)
        return
    identical = unpack(training, state)
    training.saved_step, training.saved_at = training.step, training.stopwatch.seconds
    yield Note(_("Training goes on from step {step}.").format(step=training.step), step=training.step)
    before = state.numbers["computed_by"][0]
    if before != training.device.type == "cpu":
        yield Note(
            _("The graphics card of this training is not there: it goes on with the processor and takes longer."),
            "warning", training.step,
        )  # fmt: skip
    elif not identical:
        yield Note(
            _("The device or its software changed: the result will be as good, but not the same to the last bit."),
            step=training.step,
        )  # fmt: skip


def save_due(training: TrainingState) -> bool:
    """Return whether a checkpoint is wanted now: by the steps, the clock, or the user."""
    late = training.stopwatch.seconds - training.saved_at > training.config.autosave_s
    return training.due(training.config.checkpoint_every) or late or "save" in training.requests


def save_patiently(training: TrainingState) -> Iterator[Event]:
    """Save; while the disk is full keep everything in memory and wait for space, then give up."""
    training.requests.discard("save")
    deadline = math.inf
    while training.saved_step != training.step:
        try:
            saved = again_when_short(lambda: save(training), training.device)
        except OutOfSpace as full:
            if time.monotonic() > deadline:
                training.between_steps = False  # it would fail again
                raise
            message = full.message
        else:
            if saved is not None:
                yield saved
            return
        if deadline == math.inf:
            deadline = time.monotonic() + SPACE_PATIENCE_S
            yield Note(
                message + " " + _("Training waits; free some space and it goes on."), "warning", training.step
            )  # fmt: skip
        yield training.progress(_("Waiting for space on the disk"))
        time.sleep(0.1)


def save(training: TrainingState) -> Checkpoint | None:
    """Write a checkpoint of the last step and remove old ones; None when the weights are not finite."""
    state = pack(training)
    if not all(tensor.isfinite().all() for tensor in state.model.values() if tensor.is_floating_point()):
        return None
    size = state_size(state)
    free = shutil.disk_usage(training.run.folder).free
    if free < size:
        raise OutOfSpace(size, free, str(training.run.workspace))
    name = write_checkpoint(training.run, state, training.trainee.write_files).name
    training.saved_step, training.saved_at = training.step, training.stopwatch.seconds
    best = training.step == training.best_step
    if best:
        training.run.update(best=name)
    prune(training.run, training.config.keep, training.run.info.best)
    return Checkpoint(training.step, name, best)


def roll_back(training: TrainingState) -> Note:
    """Go back to the last saved state with half the learning rate; UserError when that was done too often."""
    bad_step = training.step
    if not training.guard.roll_back():
        training.between_steps = False  # what is on the disk is better than this
        raise UserError(
            _("Training stays unstable: no finite numbers at step {step}, after {count} new starts.").format(
                step=bad_step, count=MOST_ROLLBACKS
            ),
            _("Choose a smaller learning rate, or precision float32, and look for odd items in the data."),
            kind="NotFinite",
        )
    state, damaged = newest_good(training.run)
    set_aside(training.run, damaged)
    if state is None:
        training.between_steps = False
        raise UserError(
            _("The numbers are no longer finite and there is no good saved version to go back to."),
            _("Start the training again with a smaller learning rate."), kind="NotFinite",
        )  # fmt: skip
    unpack(training, state, keep_guard=True)
    training.saved_step = training.step
    return Note(
        _("No finite numbers at step {step}: going back to step {good} with half the learning rate.").format(
            step=bad_step, good=training.step
        ), "warning", training.step,
    )  # fmt: skip
