"""The engine process: it loads the models, waits for a job on its input and writes the job's events out.

It is the same program started with `--worker`. It ends when its input ends, so a killed window leaves no
orphan; a job that runs then is stopped in good order first.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.machine import engine_threads
from aigc_desktop.core.offline import cut_network, go_offline
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.wire import read_frame, write_frame

PROGRESS_INTERVAL_S = 0.03
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 1


def main() -> int:
    """Serve jobs until the input ends."""
    go_offline()
    cut_off = cut_network()  # before the first thread exists
    faulthandler.enable()
    frames_in, frames_out = _take_pipes()
    _be_modest()
    control = Control()
    threading.Thread(target=control.read, args=(frames_in,), daemon=True).start()

    from aigc_desktop.engine.catalog import describe_catalogue
    from aigc_desktop.engine.device import describe_machine

    with contextlib.suppress(BrokenPipeError):
        ready = {"is": "ready", "catalogue": describe_catalogue(), "machine": describe_machine(), "cut_off": cut_off}
        _send(frames_out, ready)
        while (request := control.jobs.get()) is not None:
            with awake():
                _serve(request, control, frames_out)
    return 0


class Control:
    """What the host has asked for; a thread of its own reads it, the job's thread looks between two events."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[JobRequest | None] = queue.SimpleQueue()
        self.wishes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.go_on = threading.Event()
        self.running_job = 0
        self.stopped_job = 0
        self.closed = False

    def read(self, pipe: BinaryIO) -> None:
        """Take frames until the pipe ends; then stop what runs and leave."""
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                self._take(read_frame(pipe))
        self.closed = True
        self.go_on.set()
        self.jobs.put(None)

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["do"]:
            case "run":
                self.running_job = frame["job"]
                self.go_on.set()
                self.jobs.put(JobRequest(**frame["request"]))
            case "pause":
                self.go_on.clear()
            case "resume":
                self.go_on.set()
            case "stop":
                self.stopped_job = frame["job"]  # may come before its "run"
                self.go_on.set()
            case "exit":
                raise EOFError
            case wish:
                self.wishes.put(wish)

    def should_stop(self) -> bool:
        """Return whether the running job is to end; waits while paused."""
        self.go_on.wait()
        return self.closed or self.stopped_job == self.running_job

    def next_wish(self) -> str | None:
        """Return the oldest request to the job ("save", "sample"), or None; waits while paused."""
        self.go_on.wait()
        with contextlib.suppress(queue.Empty):
            return self.wishes.get_nowait()
        return None


def _serve(request: JobRequest, control: Control, out: BinaryIO) -> None:
    from aigc_desktop.engine.host import execute

    told = False

    def should_stop() -> bool:
        nonlocal told
        stop = control.should_stop()
        if stop and not told:
            told = True
            with contextlib.suppress(OSError):
                _send(out, {"is": "stopping"})
        return stop

    events = execute(request, should_stop, control.next_wish)
    try:
        for event in _thinned(events):
            _send(out, event)
    finally:
        close = getattr(events, "close", None)  # a window that is gone must not cost the last save
        if close is not None:
            close()


def _send(out: BinaryIO, value: Any) -> None:
    """Write a frame; BrokenPipeError when the host is gone, which Windows calls an invalid argument."""
    try:
        write_frame(out, value)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise BrokenPipeError(*error.args) from error
        raise


def _thinned(events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events, but Progress at most every PROGRESS_INTERVAL_S: more cannot be seen."""
    last = 0.0
    for event in events:
        if isinstance(event, Progress):
            now = time.monotonic()
            if now - last < PROGRESS_INTERVAL_S and event.step != event.total:
                continue
            last = now
        yield event


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep Windows, which sleeps when nobody touches it, awake for the work of this thread; the screen may go dark."""
    if sys.platform != "win32":
        yield
        return
    import ctypes

    ctypes.windll.kernel32.SetThreadExecutionState(_CONTINUOUS | _SYSTEM_REQUIRED)
    try:
        yield
    finally:
        ctypes.windll.kernel32.SetThreadExecutionState(_CONTINUOUS)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the two pipes; standard output becomes the log, so that no library's print breaks a frame."""
    frames_in = os.fdopen(os.dup(0), "rb")
    frames_out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames_in, frames_out


def _be_modest() -> None:
    """Leave the window its core and its turn; both are read before torch starts its threads."""
    os.environ.setdefault("OMP_NUM_THREADS", str(engine_threads()))
    if sys.platform != "win32":
        os.nice(5)


if __name__ == "__main__":
    sys.exit(main())
