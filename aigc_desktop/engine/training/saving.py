"""When and how a training is saved, resumed and rolled back; what a checkpoint holds is in snapshot.py."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.events import Checkpoint, Event, Note
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.device import choose_precision
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

if TYPE_CHECKING:
    from aigc_desktop.engine.training.loop import Loop

SPACE_PATIENCE_S = 60.0  # how long a training with a full disk waits for space before it gives up


def resume(loop: Loop) -> Iterator[Event]:
    """Go on from the newest good checkpoint; without one write the first, so that a crash loses nothing."""
    remove_partial(loop.run)
    state, damaged = newest_good(loop.run)
    if damaged:
        set_aside(loop.run, damaged)
        yield Note(
            _("The saved version of step {lost} is damaged; training goes on from step {step}.").format(
                lost=int(damaged[0]), step=state.card.step if state else 0
            ), "warning",
        )  # fmt: skip
    loop.run.update(device=loop.device.type, total=loop.config.steps, versions=versions())
    if state is None:
        size = sum(p.numel() for module in loop.trainee.modules.values() for p in module.parameters())
        loop.precision = choose_precision(loop.config.precision, loop.device, size)
        yield from save_patiently(loop)
        return
    identical = unpack(loop, state)
    loop.saved_step, loop.saved_at = loop.step, loop.stopwatch.seconds
    yield Note(_("Training goes on from step {step}.").format(step=loop.step), step=loop.step)
    before = state.numbers["computed_by"][0]
    if before != loop.device.type == "cpu":
        yield Note(
            _("The graphics card of this training is not there: it goes on with the processor and takes longer."),
            "warning", loop.step,
        )  # fmt: skip
    elif not identical:
        yield Note(
            _("The device or its software changed: the result will be as good, but not the same to the last bit."),
            step=loop.step,
        )  # fmt: skip


def save_due(loop: Loop) -> bool:
    """Return whether a checkpoint is wanted now: by the steps, the clock, or the user."""
    late = loop.stopwatch.seconds - loop.saved_at > loop.config.autosave_s
    return loop.due(loop.config.checkpoint_every) or late or "save" in loop.requests


def save_patiently(loop: Loop) -> Iterator[Event]:
    """Save; while the disk is full keep everything in memory and wait for space, then give up."""
    loop.requests.discard("save")
    deadline = math.inf
    while loop.saved_step != loop.step:
        try:
            saved = save(loop)
        except OutOfSpace as full:
            if time.monotonic() > deadline:
                loop.between_steps = False  # it would fail again
                raise
            message = full.message
        else:
            if saved is not None:
                yield saved
            return
        if deadline == math.inf:
            deadline = time.monotonic() + SPACE_PATIENCE_S
            yield Note(
                message + " " + _("Training waits; free some space and it goes on."), "warning", loop.step
            )  # fmt: skip
        yield loop.progress(_("Waiting for space on the disk"))
        time.sleep(0.1)


def save(loop: Loop) -> Checkpoint | None:
    """Write a checkpoint of the last step and remove old ones; None when the weights are not finite."""
    state = pack(loop)
    if not all(tensor.isfinite().all() for tensor in state.model.values() if tensor.is_floating_point()):
        return None
    size = state_size(state)
    free = shutil.disk_usage(loop.run.folder).free
    if free < size:
        raise OutOfSpace(size, free, str(loop.run.workspace))
    name = write_checkpoint(loop.run, state, loop.trainee.write_files).name
    loop.saved_step, loop.saved_at = loop.step, loop.stopwatch.seconds
    best = loop.step == loop.best_step
    if best:
        loop.run.update(best=name)
    prune(loop.run, loop.config.keep, loop.run.info.best)
    return Checkpoint(loop.step, name, best)


def roll_back(loop: Loop) -> Note:
    """Go back to the last saved state with half the learning rate; UserError when that was done too often."""
    bad_step = loop.step
    if not loop.guard.roll_back():
        loop.between_steps = False  # what is on the disk is better than this
        raise UserError(
            _("Training stays unstable: no finite numbers at step {step}, after {count} new starts.").format(
                step=bad_step, count=MOST_ROLLBACKS
            ),
            _("Choose a smaller learning rate, or precision float32, and look for odd items in the data."),
            kind="NotFinite",
        )
    state, damaged = newest_good(loop.run)
    set_aside(loop.run, damaged)
    if state is None:
        loop.between_steps = False
        raise UserError(
            _("The numbers are no longer finite and there is no good saved version to go back to."),
            _("Start the training again with a smaller learning rate."), kind="NotFinite",
        )  # fmt: skip
    unpack(loop, state, keep_guard=True)
    loop.saved_step = loop.step
    return Note(
        _("No finite numbers at step {step}: going back to step {good} with half the learning rate.").format(
            step=bad_step, good=loop.step
        ), "warning", loop.step,
    )  # fmt: skip
