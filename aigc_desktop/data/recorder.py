"""Write a run's stream to its folder as it passes, so that what was shown is also what is kept.

run.json status, step and seconds · metrics.jsonl · samples/ · report.json · failure.txt; a run in `results` also gets
each picture it makes as its own file the moment it arrives, so that a cancelled batch keeps what was finished.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO, Any

from aigc_desktop.core.claim import claim
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import (
    Checkpoint,
    Event,
    Failed,
    Finished,
    Metric,
    Progress,
    Result,
    Sample,
    Stopped,
    Text,
)
from aigc_desktop.core.files import atomic_file, remove, write_json, write_text
from aigc_desktop.core.lines import LONGEST, drop_cut_line, parse_line
from aigc_desktop.core.report import FILE as REPORT
from aigc_desktop.core.run import Run, Status
from aigc_desktop.data.samples import PICTURES, MadePicture, encode_png, made_picture_line, write_sheet, write_texts

_UPDATE_S = 5.0
_STATUS: dict[type[Any], Status] = {Finished: "finished", Stopped: "stopped", Failed: "failed"}


def record(run: Run, events: Iterable[Event]) -> Generator[Event, str | None, None]:
    """Yield the events of a hosted job, ending included, after each was written to the run's folder.

    Requests that are sent in reach the inner stream. When the folder cannot be written, the job is closed, which
    lets it save, and the stream ends with Failed. Closing this generator closes the job and marks it stopped. A run
    that somebody else is working on is left alone.
    """
    try:
        with claim(run.folder):
            yield from _record(run, events)
    except (OSError, UserError) as error:  # of the claim
        _close(events)
        yield failure_of(error, run.workspace)


def _record(run: Run, events: Iterable[Event]) -> Generator[Event, str | None, None]:
    recorder = _Recorder(run)
    steps = iter(events)
    request: str | None = None
    try:
        try:
            recorder.begin()
            while True:
                began = time.monotonic()
                event = _next(steps, request)
                recorder.seconds += time.monotonic() - began
                if event is None:
                    return
                recorder.write(event)
                request = yield event
        except GeneratorExit:
            _close(steps)
            recorder.end("stopped")
            raise
        except (OSError, UserError) as error:
            _close(steps)
            failed = failure_of(error, run.workspace)
            with contextlib.suppress(OSError, UserError):  # the disk that failed may refuse this as well
                recorder.write(failed)
            yield failed
    finally:
        _close(steps)
        recorder.close()


def _next(steps: Any, request: str | None) -> Event | None:
    """Return the next event or None at the end; only generators take requests."""
    try:
        event: Event = steps.send(request) if request is not None and hasattr(steps, "send") else next(steps)
    except StopIteration:
        return None
    return event


def _close(steps: Any) -> None:
    """Close the job; when its last save fails as well, the first failure is the one to tell."""
    if hasattr(steps, "close"):
        # a host that wants to tell of that failure "ignores" the closing, which Python reports as RuntimeError
        with contextlib.suppress(OSError, UserError, RuntimeError):
            steps.close()


class _Recorder:
    """The open files and counters of one recording."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.makes_results = run.folder.parent.name == "results"
        self.seconds = 0.0
        self.step = 0
        self.total = 0
        self.updated = 0.0
        self.ended = False
        self.first_metric = True
        self.metrics: IO[str] | None = None
        self.names: Counter[str] = Counter()
        self.partial_text: Text | None = None
        self.made = 0
        self.origin: dict[str, Any] = {}

    def begin(self) -> None:
        info = self.run.info
        self.seconds, self.step, self.total = info.seconds, info.step, info.total
        self.run.samples_dir.mkdir(exist_ok=True)
        names = [name for name in self.run.checkpoints() if name.isdecimal()]
        drop_rows(self.run.metrics_file, int(names[-1]) if names else -1)
        self.metrics = self.run.metrics_file.open("a", encoding="utf-8", newline="\n")
        if self.makes_results:
            (self.run.folder / "pictures").mkdir(exist_ok=True)
            drop_cut_line(self.run.folder / PICTURES)
            self.made = len(list((self.run.folder / "pictures").glob("*.png")))
            config = self.run.config_values
            self.origin = {"task": info.task, "run": self.run.id, "model": config.get("run", ""),
                           "checkpoint": config.get("checkpoint", ""), "settings": config}  # fmt: skip
        remove(self.run.folder / "failure.txt")
        self._update(status="running")

    def write(self, event: Event) -> None:
        """Write one event; OSError when the disk refuses."""
        match event:
            case Progress():
                self.step, self.total = max(event.step, 0), event.total
                if time.monotonic() - self.updated > _UPDATE_S:
                    self._update()
            case Metric():
                self.step = max(self.step, event.step)  # a stop may come before the step's Progress
                self._write_metric(event)
            case Sample():
                self._write_sample(event)
            case Text():
                self._write_text(event)
            case Result(kind="evaluation"):
                write_json(self.run.folder / REPORT, event.data)
            case Checkpoint():
                self.step = event.step
                self._update(**({"best": event.name} if event.best else {}))
            case Finished() | Stopped():
                self.end(_STATUS[type(event)])
            case Failed():
                text = f"{event.message}\n{event.hint}\n\n{event.details}".strip() + "\n"
                write_text(self.run.folder / "failure.txt", text)
                self.end("failed")

    def end(self, status: Status) -> None:
        """Write what is still held back and the status, once."""
        if self.ended:
            return
        self.ended = True
        if self.partial_text is not None:
            self._write_text(self.partial_text, final=True)
        self._update(status=status)

    def close(self) -> None:
        if self.metrics is not None:
            with contextlib.suppress(OSError):  # each row was flushed already
                self.metrics.close()
            self.metrics = None

    def _update(self, **changes: Any) -> None:
        self.updated = time.monotonic()
        self.run.update(step=self.step, total=self.total, seconds=round(self.seconds, 3), **changes)

    def _write_metric(self, metric: Metric) -> None:
        assert self.metrics is not None
        if self.first_metric:
            self.first_metric = False
            self.metrics.close()
            drop_rows(self.run.metrics_file, metric.step, metric.values)  # an older checkpoint may be resumed
            self.metrics = self.run.metrics_file.open("a", encoding="utf-8", newline="\n")
        finite = {name: value for name, value in metric.values.items() if math.isfinite(value)}
        self.metrics.write(json.dumps({"step": metric.step, "seconds": round(self.seconds, 2), **finite}) + "\n")
        self.metrics.flush()

    def _write_sample(self, sample: Sample) -> None:
        if not len(sample.images):
            return
        if self.makes_results and sample.role != "real":
            for index in range(len(sample.images)):
                self._write_picture(sample, index)
            return
        write_sheet(self.run.samples_dir, self._name(sample.step, sample.role), sample)

    def _write_text(self, text: Text, final: bool = False) -> None:
        if text.partial and not final:
            self.partial_text = text
            return
        self.partial_text = None
        write_texts(self.run.samples_dir, self._name(text.step, text.role), text)

    def _write_picture(self, sample: Sample, index: int) -> None:
        seed = sample.seeds[index] if sample.seeds else None
        label = sample.labels[index] if sample.labels else ""
        file = self.run.folder / "pictures" / f"{self.made:06d}.png"
        rating = sample.ratings[index] if sample.ratings else None
        metadata = {**self.origin, "seed": seed, "label": label, "role": sample.role, "index": self.made}
        if rating is not None:
            metadata["rating"] = rating.plain()
        with atomic_file(file) as f:
            f.write(encode_png(sample.images[index], metadata))
        with (self.run.folder / PICTURES).open("a", encoding="utf-8", newline="\n") as listing:
            made = MadePicture(file, self.made, seed, label, sample.step, sample.role, rating)
            listing.write(made_picture_line(made))
        self.made += 1

    def _name(self, step: int, role: str) -> str:
        """Return the file name of a sample; a second one of the same step and role gets a number."""
        name = f"{step:06d}_{role}"
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}_{self.names[name]}"


def drop_rows(path: Path, step: int, replaced: Iterable[str] = ()) -> None:
    """Remove rows after `step`, rows of `step` that hold a `replaced` name, and a last row cut off by a crash."""
    if not path.is_file() or not path.stat().st_size:
        return
    names = set(replaced)
    last = _row(_last_line(path))
    if last is not None and (last["step"] < step or (last["step"] == step and not names & last.keys())):
        return  # steps only grow, so nothing before is later
    with atomic_file(path) as out, path.open("rb") as f:
        for line in f:
            row = _row(line)
            if row is not None and (row["step"] < step or (row["step"] == step and not names & row.keys())):
                out.write(line)


def _last_line(path: Path) -> bytes:
    with path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - LONGEST))
        return f.read().splitlines(keepends=True)[-1]


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a row, or None for one that a crash cut off."""
    row = parse_line(line)
    return row if row is not None and isinstance(row.get("step"), int) else None
