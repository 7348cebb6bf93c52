"""What the command line shows: events as lines and a progress bar on a terminal, or as JSON lines."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from aigc_desktop.core.errors import UserError, failure_of, readable_size
from aigc_desktop.core.events import (
    Checkpoint,
    Event,
    Failed,
    Finished,
    Metric,
    Note,
    Progress,
    Result,
    Stopped,
    Text,
)
from aigc_desktop.core.family import Plan
from aigc_desktop.core.i18n import _, language
from aigc_desktop.core.metric_words import words_for
from aigc_desktop.core.model import Model
from aigc_desktop.core.request import JobRequest, left_of
from aigc_desktop.core.run import Run

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
BAR_WIDTH = 24
RecordedT = TypeVar("RecordedT", Run, Model)
KEEPS_NOTHING = {"data.scan", "data.freeze", "models.import", "evaluate.run"}
"""Jobs of which a stop leaves nothing, here on the command line."""


class Shell:
    """Show events on a terminal or as JSON lines, and stop in good order on Ctrl+C."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.code = DONE
        self.interrupted = False
        self.bar = not as_json and sys.stderr.isatty() and _knows_codes()

    def drive(self, request: JobRequest) -> int:
        """Run a job to its end, show its events and return the exit code."""
        self.run(request)
        return self.code

    def run(self, request: JobRequest, more: bool = False) -> dict[str, Any] | None:
        """Run a job, show its events and return the data of its last Result, if it had one.

        With `more` the command goes on after it: that it finished is not shown, as one end is told of each command.
        """
        result = None
        for event in self._interruptible(dataclasses.replace(request, language=language())):
            if isinstance(event, Stopped) and _keeps_nothing(request):
                self.show(event, _("Stopped; nothing was kept."))
            elif not (more and isinstance(event, Finished)):
                self.show(event)
            match event:
                case Result(data=data):
                    result = data
                case Finished():
                    self.code = DONE
                case Stopped():
                    self.code = INTERRUPTED
                case Failed():
                    self.code = FAILED
        return result

    def _interruptible(self, request: JobRequest) -> Iterator[Event]:
        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self.interrupted = True

        numbers = [signal.SIGINT, signal.SIGTERM]
        before = [signal.signal(number, interrupt) for number in numbers]
        try:
            from aigc_desktop.engine.host import execute  # takes seconds, and a stop is heard meanwhile

            yield from execute(request, lambda: self.interrupted)
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def show(self, event: Event, words: str = "") -> None:
        """Show one event, for people in these words instead of its usual ones if there are any."""
        if self.as_json:
            print(json.dumps(_plain(event), ensure_ascii=False), flush=True)
            return
        if isinstance(event, Progress):
            if self.bar:
                sys.stderr.write("\r\x1b[K" + progress_line(event))
                sys.stderr.flush()
            return
        if self.bar:
            sys.stderr.write("\r\x1b[K")
        line = words or event_line(event)
        if line:
            print(line, file=sys.stderr if isinstance(event, Failed) else sys.stdout, flush=True)

    def say(self, line: str) -> None:
        """Print a line for people; silent with --json."""
        if not self.as_json:
            print(line, flush=True)

    def row(self, values: dict[str, Any], line: str) -> None:
        """Print a result: values as JSON, or the line for people."""
        print(json.dumps(values, ensure_ascii=False) if self.as_json else line, flush=True)

    def complain(self, message: str, hint: str) -> None:
        """Print what is wrong and the way out on standard error."""
        if self.as_json:
            print(json.dumps({"error": message, "hint": hint}, ensure_ascii=False), flush=True)
        else:
            print(f"{message}\n{hint}".strip(), file=sys.stderr, flush=True)

    def readable(self, recorded: Iterable[RecordedT]) -> Iterator[tuple[RecordedT, Any]]:
        """Yield runs or models with their records; those whose record cannot be read are told, and hide no other."""
        for each in recorded:
            try:
                info = each.info
            except (OSError, UserError) as error:
                self.regret(error)
                continue
            yield each, info

    def regret(self, *errors: Exception) -> None:
        """Say what could not be listed; the command goes on, and fails in the end."""
        for failed in map(failure_of, errors):
            self.complain(failed.message, failed.hint)
            self.code = FAILED

    def refuse(self, problems: dict[str, str]) -> int:
        """Say what is wrong with each setting, by its flag, and return the exit code for that."""
        for name, text in problems.items():
            flag = f"--{name.replace('_', '-')}: " if name else ""
            self.complain(f"{flag}{text}", "")
        return WRONG

    def card(self, plan: Plan) -> None:
        """Print what will happen: the card before the start."""
        if self.as_json:
            print(json.dumps(_plain(plan), ensure_ascii=False), flush=True)
            return
        print(_("Parameters: {count}").format(count=f"{plan.parameters:,}"))
        print(_("Training items: {count}").format(count=f"{plan.items:,}"))
        print(_("Steps: {count}").format(count=f"{plan.steps:,}"))
        if plan.seconds is not None:
            print(_("Estimated time: {time}").format(time=readable_time(plan.seconds)))
        if plan.good_after_s:
            print(_("A good result takes about {time}.").format(time=readable_time(plan.good_after_s)))
        print(_("Memory: {size}").format(size=readable_size(plan.memory_mb * 1e6)))
        for note in plan.notes:
            print(note)


def _knows_codes() -> bool:
    """Return whether the terminal follows control codes; that of Windows only does when it is asked to."""
    if sys.platform != "win32":
        return True
    import ctypes
    import msvcrt

    console = msvcrt.get_osfhandle(sys.stderr.fileno())
    return bool(ctypes.windll.kernel32.SetConsoleMode(console, 7))  # output is processed and wrapped, with codes


def _keeps_nothing(request: JobRequest) -> bool:
    """Return whether a stop leaves nothing: by what the job is, or because a run has not saved anything yet."""
    return request.task in KEEPS_NOTHING or (bool(request.run) and left_of(request) == "nothing")


def progress_line(event: Progress) -> str:
    """Return the progress bar of a terminal: bar, percentage, rate, time left, phase."""
    parts = []
    if event.total:
        share = min(1.0, event.step / event.total)
        filled = int(share * BAR_WIDTH)
        parts.append(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {100 * share:3.0f}%")
    if event.rate:
        amount = readable_size(event.rate) if event.unit == "B" else f"{event.rate:.1f} {_(event.unit)}"
        parts.append(_("{amount}/s").format(amount=amount))
    if event.eta_s is not None:
        parts.append(_("{time} left").format(time=readable_time(event.eta_s)))
    if event.phase:
        parts.append(event.phase)
    return "  ".join(parts)


def event_line(event: Event) -> str:
    """Return an event as one line for people, empty when there is nothing to say."""
    match event:
        case Metric(step, values):
            told = (f"{words_for(name).title} {value:.4g}" for name, value in values.items())
            return f"{step:>7}  " + "  ".join(told)
        case Note(message):
            return message
        case Checkpoint(step, name, best):
            text = _("Saved version {name} (best so far)") if best else _("Saved version {name}")
            return text.format(name=name)
        case Text(items=items, partial=False, role=role) if role != "real":
            lines = "\n".join(f"  | {line}" for item in items for line in item.splitlines()[:8])
            return _("Likelihood model") + f":\n{lines}" if role == "baseline" else lines
        case Stopped():
            return _("Stopped; what was made is saved.")
        case Failed(message=message, hint=hint):
            return f"{message}\n{hint}".strip()
        case _:
            return ""


def readable_time(seconds: float) -> str:
    """Return a duration as people read it: 45 s, 3 min, 2.5 h."""
    if seconds < 0.5:
        return _("under 1 s")
    if seconds < 90:
        return _("{count} s").format(count=round(seconds))
    if seconds < 5400:
        return _("{count} min").format(count=round(seconds / 60))
    return _("{count} h").format(count=round(seconds / 3600, 1))


def _plain(value: Any) -> Any:
    """Return an event as JSON types; pictures become their shape."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"event": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
