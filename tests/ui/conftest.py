"""Fixtures for the window: offscreen, settings in a folder of their own, no engine."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThreadPool
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from aigc_desktop.core.dataset import DatasetInfo, ItemRecord, write_info
from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.settings import Preferences, check_preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.held import let_go
from aigc_desktop.ui.jobs import JobCenter, process_engines
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.page import Page, Services
from aigc_desktop.ui.pages.create import CreatePage
from aigc_desktop.ui.pages.start import StartPage
from aigc_desktop.ui.slices import Slices
from aigc_desktop.ui.theme import Theme
from tests.fakes import FakeJobCenter, fake_catalogue

Open = Callable[..., MainWindow]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Delete what waits for deletion, and fail a test that leaves a thread behind.

    Garbage is collected between tests only, when no thread works any more, as the application does it on its main
    thread: a collection in a worker thread may destroy widgets there.
    """
    before = set(threading.enumerate())
    gc.disable()
    yield
    for thread in threading.enumerate():
        if thread.name == "background":
            thread.join(10)
    QThreadPool.globalInstance().waitForDone(10_000)
    let_go()
    flush_deleted()
    gc.enable()
    left = [t.name for t in set(threading.enumerate()) - before if t.is_alive() and not t.daemon]
    assert not left, f"threads still run: {left}"


@pytest.fixture
def qtbot(qtbot: QtBot) -> Iterator[QtBot]:
    """Keep widgets until Qt has deleted them, as the window keeps its pages.

    Qtbot holds them weakly. A page that a test no longer names may be held by what one of its own children calls at
    the end; it would then be deleted within the deletion of that child, and the child twice.
    """
    kept: dict[int, QWidget] = {}
    add = qtbot.addWidget

    def add_and_keep(widget: QWidget, **options: object) -> None:
        kept[id(widget)] = widget
        widget.destroyed.connect(partial(kept.pop, id(widget), None))
        add(widget, **options)

    qtbot.addWidget = add_and_keep  # type: ignore[method-assign]
    yield qtbot
    flush_deleted()


def flush_deleted() -> None:
    """Delete what waits for it, as the event loop would."""
    application = QApplication.instance()
    if application is not None:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        application.processEvents()
    gc.collect()


def press(window: MainWindow, keys: str) -> None:
    """Trigger the action that has these keys, as Qt would."""
    wanted = QKeySequence(keys)
    action = next(action for action in window.actions() if wanted in action.shortcuts())
    action.trigger()


def _workers(top: QObject) -> list[QObject]:
    return [*top.findChildren(Background), *(work for work in top.findChildren(Slices) if work.active)]


def settle(qtbot: QtBot) -> None:
    """Wait until nothing works beside the window any more and what it brought is shown."""
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        application.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        busy = [w for top in (application, *application.topLevelWidgets()) for w in _workers(top)]
        if not busy:
            for _round in range(3):  # what was painted may begin something, whose result must be laid out
                application.processEvents()
            return
        # processEvents with a time limit spins, whatever its flags say, and a thread then waits for the interpreter
        # lock at every file it reads: 10 s to import pyqtgraph, which takes 0.2 s beside the idle window
        time.sleep(0.002)
    raise AssertionError("something still works beside the window after 10 s")


@pytest.fixture
def filled_workspace(workspace: Workspace) -> Workspace:
    """A workspace with a frozen picture set, a text set and three runs with metrics and versions."""
    add_dataset(workspace, "Cups", "image")
    add_dataset(workspace, "诗 Poems", "text")
    runs = [("cups", "finished"), ("<b>bold</b> 杯子", "stopped"), ("poems", "failed")]
    for number, (title, status) in enumerate(runs):
        add_run(workspace, title, status, number)
    return workspace


def add_dataset(workspace: Workspace, title: str, kind: str) -> None:
    """Put a frozen data set of four items into the workspace, with one file more that could not be used."""
    folder = workspace.new_dataset_folder(title)
    snapshot = folder / "snapshot"
    snapshot.mkdir(parents=True)
    texts = [f"句子 {number}".encode() for number in range(4)]
    if kind == "image":
        np.save(snapshot / "images.npy", np.full((4, 8, 8, 3), 120, np.uint8))
    else:
        (snapshot / "texts.bin").write_bytes(b"".join(texts))
        np.save(snapshot / "offsets.npy", np.cumsum([0, *map(len, texts)], dtype=np.int64))
    np.save(snapshot / "labels.npy", np.full(4, -1, np.int32))
    np.save(snapshot / "split.npy", np.array([0, 0, 0, 1], np.uint8))
    np.save(snapshot / "rows.npy", np.arange(4))
    files = {path.name: {"size": path.stat().st_size, "sha256": sha256_file(path)} for path in snapshot.iterdir()}
    write_json(snapshot / "manifest.json", {"format": 1, "files": files, "sha256": "0" * 64})
    items = [ItemRecord(f"item {n}", f"/somewhere/item {n}", width=8, height=8, length=5) for n in range(4)]
    items.append(ItemRecord("broken", "/somewhere/broken", problem="corrupt", detail="The file is cut off."))
    lines = [json.dumps(asdict(item)) for item in items]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    info = DatasetInfo(
        folder.name, title, "image" if kind == "image" else "text", "/somewhere", "2026-11-20T10:00:00+00:00",
        found=5, usable=4, problems={"corrupt": 1}, frozen=True, size=8, channels=3, train=3, validation=1,
    )  # fmt: skip
    write_info(folder, info)


def add_run(workspace: Workspace, title: str, status: str, number: int = 0) -> None:
    """Put a run with 50 metrics and two versions into the workspace."""
    task = "gpt.train" if "poem" in title else "image_gan.train"
    run = workspace.new_run(task, {"steps": 500 + number, "lr": 1e-3}, title)
    lines = [json.dumps({"step": i * 10, "loss": 2.0 / (i + 1) + number}) for i in range(50)]
    run.metrics_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for step in (100, 200):
        folder = run.checkpoints_dir / f"{step:06d}"
        folder.mkdir(parents=True)
        write_json(folder / "MANIFEST.json", {"files": {}})
    run.update(status=status, step=490, total=500, seconds=130.0 + number, device="cpu", best="000200")


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, Preferences(language="en", theme="light"))


@pytest.fixture
def jobs(qapp: QApplication) -> Iterator[FakeJobCenter]:
    center = FakeJobCenter(fake_catalogue())
    yield center
    center.deleteLater()


class Record:
    """Remembers what a page asked of the window."""

    def __init__(self) -> None:
        self.places: list[tuple[str, dict[str, object]]] = []
        self.notes: list[tuple[str, Callable[[], None] | None]] = []
        self.failures: list[object] = []
        self.preferences: list[Preferences] = []

    def navigate(self, place: str, **arguments: object) -> None:
        self.places.append((place, arguments))

    def notify(self, text: str, undo: Callable[[], None] | None = None) -> None:
        self.notes.append((text, undo))

    def show_failure(self, failed: object, on_resume: Callable[[], None] | None = None) -> None:
        self.failures.append(failed)

    def change_preferences(self, preferences: Preferences, move: bool = False) -> None:
        self.preferences.append(preferences)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def services(filled_workspace: Workspace, jobs: FakeJobCenter, theme: Theme, record: Record) -> Services:
    """Services for one page without a window; `record` holds what was asked."""
    return Services(
        filled_workspace, Preferences(language="en", theme="light"), jobs, theme,  # type: ignore[arg-type]
        record.navigate, record.notify, record.show_failure, record.change_preferences,
    )  # fmt: skip


@pytest.fixture
def first_pages(
    qtbot: QtBot, workspace: Workspace, center: JobCenter, theme: Theme, record: Record
) -> dict[str, Page]:
    """The first pages of an empty workspace, by name, which open each other; their jobs are real."""
    pages: dict[str, Page] = {}
    services = Services(
        workspace, Preferences(language="en", theme="light"), center, theme,
        lambda place, **arguments: pages[place].shown(**arguments), record.notify, record.show_failure,
        record.change_preferences,
    )  # fmt: skip
    for name, kind in (("start", StartPage), ("create", CreatePage)):
        pages[name] = page = kind(services)
        page.build()
        qtbot.addWidget(page)
        page.show()
        page.shown()
    center.warm_up()
    return pages


@pytest.fixture
def make_window(filled_workspace: Workspace, jobs: FakeJobCenter, qapp: QApplication) -> Iterator[Open]:
    """Return what opens the whole window with fake jobs; preferences by keyword."""
    windows: list[MainWindow] = []

    def open_window(**preferences: object) -> MainWindow:
        values = {"language": "en", "theme": "light", **preferences}
        chosen = check_preferences(values)
        set_language(chosen.language)
        window = MainWindow(filled_workspace, chosen, jobs, Theme(qapp, chosen))  # type: ignore[arg-type]
        window.show()
        windows.append(window)
        return window

    yield open_window
    jobs.handles.clear()
    for window in windows:
        window.close()
        window.deleteLater()
    flush_deleted()


@pytest.fixture
def center(qapp: QApplication, tmp_path: Path) -> Iterator[JobCenter]:
    """Jobs in real engine processes, which are all gone at the end."""
    start, engines = process_engines([sys.executable, "-m", "aigc_desktop"], tmp_path / "engine.log"), []

    def keep():
        engines.append(start())
        return engines[-1]

    center = JobCenter(keep)
    yield center
    center.shut_down()
    for engine in engines:
        engine.process.wait(30)  # an idle engine leaves by itself
        engine.kill()
    center.deleteLater()
