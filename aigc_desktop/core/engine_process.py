"""The engine in a process of its own, seen from its host: a job goes in, its events come out.

    host -> engine   {"do": "run", "job": n, "request": {...}} · {"do": "stop", "job": n}
                     {"do": "pause" | "resume" | "save" | "sample" | "exit"}
    engine -> host   {"is": "ready", "catalogue": [TaskSpec], "machine": Machine, "cut_off": bool}
                     {"is": "stopping"} · an Event

A native crash, an out-of-memory kill or a stuck kernel ends this process and nothing else.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from aigc_desktop.core.events import Event, Failed, Finished, Stopped
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.i18n import _
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.request import JobRequest, left_of
from aigc_desktop.core.wire import read_frame, write_frame

HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Flags of processes that nobody is to see: Windows would open a console for them."""
STOP_PATIENCE_S = 1.5
"""How long the engine may take to notice a usual stop before its process is ended; saving comes after that."""

_CRASHES = 1 << 31


@dataclass(frozen=True)
class EngineFacts:
    """What an engine process tells when it is ready."""

    catalogue: dict[str, TaskSpec]
    machine: Machine
    cut_off: bool


class EngineProcess:
    """One engine process. `events` blocks and belongs to one thread; the control calls may come from any."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with _appended(log) as errors:
            self._log_start = errors.tell()
            self.process = subprocess.Popen(
                [*command, "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"},
                # Ctrl+C in the terminal is for the host, which then stops the engine in good order
                start_new_session=os.name == "posix",
                creationflags=HIDDEN | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            )
        self.facts: EngineFacts | None = None
        self._write_lock = threading.Lock()
        self._stopping = threading.Event()
        self._stop_timer: threading.Timer | None = None
        self._stop_asked = False
        self._job = 0
        self._open = False

    @property
    def pid(self) -> int:
        """Return the system's number of the process."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self.process.poll() is None

    def wait_ready(self) -> EngineFacts:
        """Return what the engine tells once its models are loaded; EOFError if it ended before."""
        if self.facts is None:
            frame = self._read()
            tasks: list[TaskSpec] = frame["catalogue"]
            self.facts = EngineFacts({task.key: task for task in tasks}, frame["machine"], bool(frame["cut_off"]))
        return self.facts

    def begin(self) -> None:
        """Make ready for the next job; a stop from here on counts for it, even before `events` is called."""
        self._job += 1
        self._open = True
        self._stopping.clear()
        self._stop_asked = False

    def events(self, request: JobRequest) -> Iterator[Event]:
        """Run a job and yield its events, the last of which is its ending, also when the process dies."""
        try:
            self.wait_ready()
            self._write({"do": "run", "job": self._job, "request": asdict(request)})
            while True:
                frame = self._read()
                if isinstance(frame, dict):
                    self._stopping.set()
                    continue
                yield frame
                if isinstance(frame, Finished | Stopped | Failed):
                    return
        except (EOFError, OSError, ValueError):
            self.kill()
            yield Stopped(forced=True) if self._stop_asked else self._death(request)
        finally:
            self._open = False
            if self._stop_timer is not None:
                self._stop_timer.cancel()

    def control(self, word: str) -> None:
        """Send "pause", "resume", "save" or "sample" to the running job; a dead engine is no error here."""
        with contextlib.suppress(OSError, ValueError):
            self._write({"do": word, "job": self._job})

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> None:
        """Stop the running job; an engine that does not notice within `patience_s` is ended, for infinity never.

        A long step, or what comes between two, ends before a stop is noticed: what is to be saved needs patience. A
        second stop may have less of it.
        """
        self._stop_asked = True
        self.control("stop")
        if math.isfinite(patience_s):
            self._stop_timer = threading.Timer(patience_s, self._end_if_stuck, (self._job,))
            self._stop_timer.daemon = True
            self._stop_timer.start()

    def close(self) -> None:
        """End an idle engine in good order: it leaves when its input ends."""
        self.control("exit")
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()

    def kill(self) -> None:
        """End the process now, reap it and close its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _end_if_stuck(self, job: int) -> None:
        # a stop may come when its job is just over: the one that began since then has nothing to do with it
        if self._open and job == self._job and not self._stopping.is_set():
            self.process.kill()

    def _write(self, frame: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with self._write_lock:
            write_frame(self.process.stdin, frame)  # type: ignore[arg-type]

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return read_frame(self.process.stdout)  # type: ignore[arg-type]

    def _death(self, request: JobRequest) -> Failed:
        """Return what the end of the process means for its job, in words, with the last of its log as details."""
        code = self.process.wait()
        if code == -signal.SIGKILL if os.name == "posix" else code == 1:
            reason = _("The engine process was ended by the system, perhaps for lack of memory.")
        elif code < 0:
            reason = _("The engine process crashed (signal {number}).").format(number=-code)
        else:
            number = code if code < _CRASHES else f"{code:#x}"  # as Windows and its manuals write such codes
            reason = _("The engine process ended unexpectedly (code {number}).").format(number=number)
        return Failed("EngineDied", reason, _way_on(request), self._log_tail())

    def _log_tail(self, limit: int = 20_000) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as f:
            f.seek(max(self._log_start, self.log.stat().st_size - limit))
            return f.read(limit).decode("utf-8", "replace")
        return ""


def _way_on(request: JobRequest) -> str:
    """Return what is left of a job whose engine died, and how to go on."""
    match left_of(request):
        case "versions":
            return _(
                "Your work up to the last save is kept: continue from there, with a smaller size if it happens again."
            )
        case "works":
            return _("What was finished is kept: start again for the rest, with fewer at a time if it happens again.")
    return _("Nothing of this job was kept: start it again, and close other programs if it happens again.")


def _appended(log: Path) -> IO[bytes]:
    """Return the log open at its end; nowhere where it cannot be written, as the work does not need it."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError:
        return open(os.devnull, "ab")
