"""Drive a job: the engine writes a generator, the host asks for its events.

Stopping closes the generator, so its `finally` and `with` blocks run and save; pausing is not asking for the
next event; a request ("save", "sample") is sent in as the value of the job's `yield`. A job therefore has no
flag, no callback and no queue.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Event, EventStream, Finished, Stopped

Job = Callable[[Any, Any], EventStream]


def run_job(
    job: Job,
    config: Any,
    run: Any,
    should_stop: Callable[[], bool] = lambda: False,
    next_request: Callable[[], str | None] = lambda: None,
) -> Generator[Event, None, None]:
    """Yield the job's events, then exactly one of Finished, Stopped or Failed.

    `should_stop` and `next_request` are asked after each event. Every exception of the job, also one raised
    while it closes, becomes `Failed`: this is the one border where the exceptions of jobs are caught. Closing
    the returned generator closes the job.
    """
    try:
        with closing(job(config, run)) as steps:
            event = next(steps, None)
            while event is not None:
                yield event
                if should_stop():
                    steps.close()
                    yield Stopped()
                    return
                try:
                    event = steps.send(next_request())
                except StopIteration:
                    break
        yield Finished()
    except Exception as error:  # noqa: BLE001 - the border of all jobs
        yield failure_of(error, getattr(run, "workspace", ""))
