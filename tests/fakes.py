"""Stand-ins for what is slow or foreign in tests of the window: jobs that play a script of events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from aigc_desktop.core.engine_process import STOP_PATIENCE_S
from aigc_desktop.core.events import Event, Failed, Finished, Progress, Stopped
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import language
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.request import JobRequest

Script = Callable[[JobRequest], Iterable[Event]]


class FakeHandle(QObject):
    """A job that does what the test says: `feed` gives events, an ending among them ends it."""

    events = Signal(object)
    ended = Signal(object)
    status_changed = Signal()

    def __init__(self, request: JobRequest, center: FakeJobCenter) -> None:
        super().__init__(center)
        self.request, self.center = request, center
        self.status = "starting"
        self.patience_s = math.inf
        self.progress: Progress | None = None
        self.ending: Finished | Stopped | Failed | None = None
        self.wishes: list[str] = []
        self.started = time.monotonic()

    @property
    def run_folder(self) -> Path | None:
        return Path(self.request.run) if self.request.run else None

    def feed(self, *events: Event) -> None:
        batch = list(events)
        for event in batch:
            if isinstance(event, Progress):
                self.progress = event
        if self.status == "starting":
            self._set("running")
        self.events.emit(batch)
        endings = [event for event in batch if isinstance(event, Finished | Stopped | Failed)]
        if endings:
            self.ending = endings[-1]
            self.center.handles.remove(self)
            self._set("ended")
            self.ended.emit(self.ending)
            self.center.changed.emit()

    @property
    def can_end(self) -> bool:
        return self.status == "stopping" and math.isinf(self.patience_s)

    def pause(self) -> None:
        self._set("paused")

    def resume(self) -> None:
        self._set("running")

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._set("stopping")
        if self.center.stops_at_once:
            QTimer.singleShot(0, self, self._stopped)

    def ask(self, wish: str) -> None:
        self.wishes.append(wish)

    def _stopped(self) -> None:
        if self.status != "ended":
            self.feed(Stopped())

    def _set(self, status: str) -> None:
        self.status = status
        self.status_changed.emit()


class FakeJobCenter(QObject):
    """Takes requests; `scripts` maps "family.task" (":plan" added for plans) to the events a job plays by itself."""

    changed = Signal()
    ready = Signal()
    engine_failed = Signal(object)

    def __init__(self, catalogue: Iterable[TaskSpec] = (), parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.catalogue = {task.key: task for task in catalogue}
        self.machine = Machine(2, 8_000_000_000, "x86_64")
        self.handles: list[FakeHandle] = []
        self.requests: list[JobRequest] = []
        self.scripts: dict[str, Script] = {}
        self.stops_at_once = True
        self.was_shut_down = False

    def run(self, request: JobRequest, *, quiet: bool = False) -> FakeHandle:
        request = replace(request, language=language())
        handle = FakeHandle(request, self)
        self.requests.append(request)
        self.handles.append(handle)
        key = request.task + (":plan" if request.mode == "plan" else "")
        if key in self.scripts:
            events = list(self.scripts[key](request))
            QTimer.singleShot(0, handle, _Feeder(handle, events).feed)
        self.changed.emit()
        return handle

    def training(self) -> list[FakeHandle]:
        return [handle for handle in self.handles if handle.request.run and handle.request.task.endswith(".train")]

    def warm_up(self) -> None:
        self.ready.emit()

    def shut_down(self, patience_ms: int = 20_000) -> None:
        self.was_shut_down = True


class _Feeder(QObject):
    def __init__(self, handle: FakeHandle, events: list[Event]) -> None:
        super().__init__(handle)
        self.handle, self.events = handle, events

    def feed(self) -> None:
        self.handle.feed(*self.events)


def fake_catalogue() -> list[TaskSpec]:
    """Return tasks as an engine would tell them, with every kind of field."""
    train = [
        FieldSpec("dataset", FieldKind.DATASET, None, "Data set", "What the model learns from.", required=True),
        FieldSpec("steps", FieldKind.INT, 2000, "Steps", "More steps, better results.", "", 1, 1_000_000),
        FieldSpec("lr", FieldKind.FLOAT, 3e-4, "Learning rate", "Too high burns; 3e-4 is safe.", "", 1e-7, 1.0,
                  advanced=True),
        FieldSpec("seed", FieldKind.INT, None, "Seed", "The same seed gives the same model.", advanced=True),
        FieldSpec("flip", FieldKind.BOOL, True, "Mirror pictures", "Doubles the data; not for lettering."),
        FieldSpec("mode", FieldKind.CHOICE, "small", "Size", "Small is fast.",
                  choices=(("small", "Small"), ("large", "Large"))),
    ]  # fmt: skip
    create = [
        FieldSpec("run", FieldKind.RUN, None, "Model", "The model that works.", required=True),
        FieldSpec("checkpoint", FieldKind.CHECKPOINT, "best", "Version", "Which saved version.", advanced=True),
        FieldSpec("count", FieldKind.INT, 8, "Count", "How many.", "", 1, 256),
        FieldSpec("prompt", FieldKind.TEXT, "", "Beginning", "The first words.", multiline=True),
        FieldSpec("folder", FieldKind.PATH, None, "Folder", "Where to."),
    ]
    return [
        TaskSpec("image_gan.train", "Train", "train", "image_gan", "Picture GAN", "image", "Sharp.", train),
        TaskSpec("image_gan.generate", "Generate", "create", "image_gan", "Picture GAN", "image", "", create),
        TaskSpec("gpt.train", "Train", "train", "gpt", "Text model", "text", "Texts like yours.", train),
        TaskSpec("gpt.generate", "Generate", "create", "gpt", "Text model", "text", "", create),
    ]  # fmt: skip
