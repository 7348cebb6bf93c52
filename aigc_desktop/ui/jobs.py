"""Jobs of the window: each is driven by a QThread, its events reach the main thread in batches.

No Qt signal crosses threads: a JobThread puts events into a queue that a timer on the main thread empties, and
all signals here are emitted by that timer.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, QThread, QTimer, Signal

from aigc_desktop.core.engine_process import STOP_PATIENCE_S, EngineFacts, EngineProcess
from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Progress, Stopped
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.i18n import language
from aigc_desktop.core.machine import Machine, inspect_machine
from aigc_desktop.core.request import JobRequest

BATCH_INTERVAL_MS = 33
BATCH_BUDGET_S = 0.012
"""Time one round of the timer may take from the window; what is left waits for the next round."""
STACK_BYTES = 16 << 20  # macOS gives new threads 512 KiB, too little for BLAS

PATIENT = math.inf
"""The patience of a stop after which all is to be saved."""


class Engine(Protocol):
    """Where a job runs: an engine process, or this process for debugging."""

    def begin(self) -> None:
        """Make ready for the next job; a stop from here on counts for it."""
        ...

    def wait_ready(self) -> EngineFacts:
        """Return what the engine tells once its models are loaded."""
        ...

    def events(self, request: JobRequest) -> Iterator[Event]:
        """Run a job and yield its events, the last of which is its ending."""
        ...

    def control(self, word: str) -> None:
        """Send "pause", "resume", "save" or "sample"."""
        ...

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> None:
        """Stop the running job; what does not notice within `patience_s` is ended."""
        ...

    def close(self) -> None:
        """End the idle engine in good order."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...

    @property
    def alive(self) -> bool:
        """Return whether it can take a job."""
        ...

    @property
    def pid(self) -> int:
        """Return the system's number of its process, 0 for this one."""
        ...


class JobThread(QThread):
    """Drive one job on an engine and queue its events; with no request it only makes the engine ready."""

    def __init__(self, pool: EnginePool, request: JobRequest | None) -> None:
        super().__init__()
        self.setStackSize(STACK_BYTES)
        self.pool = pool
        self.request = request
        self.inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.engine: Engine | None = None
        self.stop_asked = False

    def run(self) -> None:
        """Run on the thread: take an engine, pass its events on, give it back."""
        try:
            engine = self.pool.take()
            engine.begin()
            self.engine = engine
            self.pool.facts = engine.wait_ready()
            if self.request is not None and not self.stop_asked:
                for event in engine.events(self.request):
                    self.inbox.put(event)
            elif self.request is not None:
                self.inbox.put(Stopped())
            self.pool.give_back(engine)
        except Exception as error:  # noqa: BLE001 - the border of this thread: the window shows it
            self.inbox.put(failure_of(error))


class EnginePool:
    """The engine processes: one stays warm, more are started when several jobs run at once."""

    def __init__(self, start: Callable[[], Engine]) -> None:
        self.start = start
        self.idle: queue.LifoQueue[Engine] = queue.LifoQueue()
        self.all: list[Engine] = []
        self.facts: EngineFacts | None = None

    def take(self) -> Engine:
        """Return a warm engine, or start one."""
        while True:
            try:
                engine = self.idle.get_nowait()
            except queue.Empty:
                engine = self.start()
                self.all.append(engine)
                return engine
            if engine.alive:
                return engine

    def give_back(self, engine: Engine) -> None:
        """Keep one engine warm; another one ends, which frees its memory."""
        if engine.alive and self.idle.qsize() == 0:
            self.idle.put(engine)
        else:
            engine.close()
        self.all = [e for e in self.all if e.alive]

    def shut_down(self) -> None:
        """End all engines in good order."""
        for engine in self.all:
            engine.close()


class JobHandle(QObject):
    """A running job as pages see it."""

    events = Signal(object)
    """A list of events, on the main thread, at most 30 times a second."""
    ended = Signal(object)
    """Finished, Stopped or Failed: once, after the last events."""
    status_changed = Signal()

    def __init__(self, request: JobRequest, thread: JobThread, parent: QObject) -> None:
        super().__init__(parent)
        self.request = request
        self.thread_ = thread
        self.status = "starting"
        self.patience_s = PATIENT
        self.progress: Progress | None = None
        self.ending: Finished | Stopped | Failed | None = None
        self.started = time.monotonic()

    @property
    def run_folder(self) -> Path | None:
        """Return the folder of the job's run, if it has one."""
        return Path(self.request.run) if self.request.run else None

    def pause(self) -> None:
        """Let the job wait before its next event; memory stays, computing ends."""
        if self.status == "running":
            self._control("pause")
            self._set_status("paused")

    def resume(self) -> None:
        """Let a paused job go on."""
        if self.status == "paused":
            self._control("resume")
            self._set_status("running")

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> None:
        """Stop; takes effect within two seconds at any moment.

        With PATIENT a long step comes to its end first, so that all is saved; a second stop may have less patience.
        """
        if self.status == "ended" or (self.status == "stopping" and patience_s >= self.patience_s):
            return
        self.patience_s = patience_s
        self.thread_.stop_asked = True
        if self.thread_.engine is not None:
            self.thread_.engine.stop(patience_s)
        self._set_status("stopping")

    @property
    def can_end(self) -> bool:
        """Return whether it is stopping with patience, which may be lost."""
        return self.status == "stopping" and self.patience_s == PATIENT

    def ask(self, wish: str) -> None:
        """Ask the job for something at its next step: "save" or "sample"."""
        self._control(wish)

    def deliver(self) -> bool:
        """Emit what has come in and return whether the job is over; JobCenter calls this, and `end` when it is."""
        batch = _take(self.thread_.inbox)
        progress = [event for event in batch if isinstance(event, Progress)]
        if progress:
            self.progress = progress[-1]
        if batch and self.status == "starting":
            self._set_status("running")
        endings = [event for event in batch if isinstance(event, Finished | Stopped | Failed)]
        if batch:
            self.events.emit(batch)
        if endings:
            self.ending = endings[-1]
        return bool(endings)

    def end(self) -> None:
        """Tell that the job is over, and how it ended."""
        self._set_status("ended")
        self.ended.emit(self.ending)

    def _control(self, word: str) -> None:
        if self.thread_.engine is not None:
            self.thread_.engine.control(word)

    def _set_status(self, status: str) -> None:
        self.status = status
        self.status_changed.emit()


class JobCenter(QObject):
    """All jobs of the window and the engine they run on."""

    changed = Signal()
    ready = Signal()
    """The engine has told its catalogue for the first time."""
    engine_failed = Signal(object)
    """A Failed: the engine did not start."""

    def __init__(self, start_engine: Callable[[], Engine], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.pool = EnginePool(start_engine)
        self.handles: list[JobHandle] = []
        """The jobs that run, for the queue; plans and quiet ones, which take a moment, are not among them."""
        self._quiet: list[JobHandle] = []
        self.catalogue: dict[str, TaskSpec] = {}
        self._machine: Machine | None = None
        self._warming: JobThread | None = None
        self._ended: list[JobThread] = []
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(BATCH_INTERVAL_MS)
        self._timer.timeout.connect(self._deliver)

    @property
    def machine(self) -> Machine:
        """Return the facts of this machine, with what the engine found once it is ready."""
        if self._machine is None:
            self._machine = inspect_machine()
        return self._machine

    def warm_up(self) -> None:
        """Start an engine so that the next job begins at once; call when the window is on screen."""
        if self._warming is None and not self._closed:
            self._warming = JobThread(self.pool, None)
            self._warming.start()
            self._timer.start()

    def run(self, request: JobRequest, *, quiet: bool = False) -> JobHandle:
        """Start a job at once and return its handle; texts come in the language of the window.

        A `quiet` one takes a moment: it is not in the queue, and nobody is asked when the window closes. Once it closes
        none begins any more: a page that asks again when it was stopped would leave a thread behind.
        """
        thread = JobThread(self.pool, replace(request, language=language()))
        handle = JobHandle(request, thread, self)
        (self._quiet if quiet or request.mode == "plan" else self.handles).append(handle)
        if self._closed:
            thread.inbox.put(Stopped())
        else:
            thread.start()
            self._timer.start()
        if not quiet:
            self.changed.emit()
        return handle

    def training(self) -> list[JobHandle]:
        """Return the jobs that train and are not over."""
        return [handle for handle in self.handles if handle.request.run and handle.request.task.endswith(".train")]

    def shut_down(self, patience_ms: int = 20_000) -> None:
        """Stop all jobs, wait for what they save, end the engines; the window closes after this."""
        self._closed = True
        running = [*self.handles, *self._quiet]
        for handle in running:
            handle.stop()
        threads = [*(handle.thread_ for handle in running), *self._ended]
        if self._warming is not None:
            threads.append(self._warming)
        if self._warming is not None:  # an engine that only starts has nothing to save
            self._warming.stop_asked = True
            if self._warming.engine is not None:
                self._warming.engine.kill()
        deadline = time.monotonic() + patience_ms / 1000
        for thread in threads:
            if not thread.wait(max(1, int(1000 * (deadline - time.monotonic())))):
                for engine in self.pool.all:
                    engine.kill()  # a thread that is still blocked reads the end of its pipe
                thread.wait()
        self._deliver()
        self._timer.stop()
        self.pool.shut_down()

    def _deliver(self) -> None:
        deadline = time.monotonic() + BATCH_BUDGET_S
        for handle in [*self.handles, *self._quiet]:
            if handle.deliver():
                quiet = handle in self._quiet
                (self._quiet if quiet else self.handles).remove(handle)  # who hears of the end must not follow it anew
                self._ended.append(handle.thread_)
                handle.end()
                if not quiet:
                    self.changed.emit()
                handle.deleteLater()
                if isinstance(handle.ending, Failed) and handle.ending.kind == "EngineDied":
                    self.warm_up()
            if time.monotonic() > deadline:
                break
        self._look_at_warm_up()
        self._ended = [thread for thread in self._ended if not thread.wait(0)]
        if not self.handles and not self._quiet and not self._ended and self._warming is None:
            self._timer.stop()

    def _look_at_warm_up(self) -> None:
        over = self._warming is not None and self._warming.wait(0)  # asked first: what it brought is then there
        if self.pool.facts is not None and not self.catalogue:
            self.catalogue = self.pool.facts.catalogue
            self._machine = self.pool.facts.machine
            self.ready.emit()
        if over and self._warming is not None:
            failures = [event for event in _take(self._warming.inbox) if isinstance(event, Failed)]
            self._warming = None
            if failures:
                self.engine_failed.emit(failures[-1])


def _take(inbox: queue.SimpleQueue[Event]) -> list[Event]:
    """Return what waits in the queue, no more than one batch can show."""
    return [inbox.get_nowait() for _count in range(min(inbox.qsize(), 2000))]


def process_engines(command: list[str], log: Path) -> Callable[[], Engine]:
    """Return the starter of engine processes."""

    def start() -> Engine:
        return EngineProcess(command, log)

    return start
