"""The window: everything heavy waits until it is on the screen."""

from __future__ import annotations

import argparse
import builtins
import gc
import importlib
import locale
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

# shiboken wraps each later import in inspect.getsource: a second of start-up for `from __feature__ import ...`,
# which is not used here
_plain_import = builtins.__import__
from PySide6.QtCore import QThreadPool, QTimer
from PySide6.QtWidgets import QApplication

builtins.__import__ = _plain_import

from aigc_desktop import __version__
from aigc_desktop.core import paths
from aigc_desktop.core.engine_process import EngineFacts
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed
from aigc_desktop.core.logs import start_logging, stop_watching, watch_for_crashes
from aigc_desktop.core.offline import go_offline
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import Preferences, load_preferences, save_preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.crash import Border, crash_failure
from aigc_desktop.ui.jobs import Engine, JobCenter, process_engines
from aigc_desktop.ui.language import use_language
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.qt_types import make_types
from aigc_desktop.ui.second_start import SecondStart
from aigc_desktop.ui.single_instance import SingleInstance
from aigc_desktop.ui.slices import Slices
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.workspace_choice import choose_workspace

GARBAGE_INTERVAL_MS = 10_000
PATIENCE_S = 10.0
LIBRARIES = (
    "numpy", "psutil", "aigc_desktop.core.library", "aigc_desktop.core.presets", "aigc_desktop.data.preview",
    "aigc_desktop.data.samples",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Open the window, with the files or folders named, and return the exit code when it is closed."""
    go_offline()
    sys.setswitchinterval(0.0005)  # threads that hold the interpreter lock give way ten times as often
    gc.disable()  # a cyclic collection in a worker thread may destroy widgets there
    files = read_arguments(arguments)
    application = make_application(arguments)
    instance = SingleInstance()
    if not instance.first:
        instance.forward(files, paths.named_workspace())
        return 0
    trace = ""
    with suppress(OSError):  # a disk that is full or may not be written keeps no window shut
        start_logging()
        trace = watch_for_crashes()
    preferences = load_preferences()
    use_language(preferences.language)
    theme = Theme(application, preferences)
    opened = need_workspace(preferences, partial(choose_workspace, theme))
    if opened is None:
        stop_watching()
        instance.release()
        return 1
    workspace, problem, preferences = opened
    window = MainWindow(workspace, preferences, JobCenter(engine_starter(preferences)), theme)
    jobs = window.services.jobs
    Border(window.show_failure, window).install()
    instance.asked.connect(SecondStart(window).answer)
    window.painted.connect(jobs.warm_up)
    window.painted.connect(partial(prepare_pages, window))
    window.show()
    collector = QTimer(window)
    collector.timeout.connect(_collect_garbage)
    collector.start(GARBAGE_INTERVAL_MS)
    window.open_paths(files)
    for failed in [problem, crash_failure(trace) if trace else None]:
        if failed is not None:
            window.show_failure(failed)
    code = application.exec()
    stop_watching()
    instance.release()
    wait_for_threads(code)
    return code


def prepare_pages(window: MainWindow) -> None:
    """Load what the other pages use on a thread, then build them, so that a first visit is not felt."""
    Slices(make_types(), window)
    Background(window, load_libraries, lambda _nothing: window.build_ahead(), window.show_failure)
    Background(window, window.services.workspace.remove_leftovers, lambda _removed: None, window.show_failure)


def load_libraries() -> None:
    """Import what takes long and knows no Qt."""
    for name in LIBRARIES:
        importlib.import_module(name)


def wait_for_threads(code: int, patience_s: float = PATIENCE_S) -> None:
    """Let what reads and writes beside the window come to its end; after `patience_s` exit at once with `code`.

    When the interpreter ends, it tears daemon threads out of what they do; out of Qt, that aborts the program.
    """
    deadline = time.monotonic() + patience_s
    of_qt = threading._DummyThread  # stands for one of Qt's, which the pool waits for, and cannot be joined
    threads = [thread for thread in threading.enumerate() if thread.daemon and not isinstance(thread, of_qt)]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    pool = QThreadPool.globalInstance()
    pool.clear()
    idle = pool.waitForDone(max(0, round(1000 * (deadline - time.monotonic()))))
    if not idle or any(thread.is_alive() for thread in threads):
        logging.shutdown()
        os._exit(code)


def read_arguments(arguments: list[str]) -> list[Path]:
    """Return the files and folders to open; `--workspace FOLDER` goes before what the preferences say."""
    parser = argparse.ArgumentParser(paths.APP_NAME, add_help=False, allow_abbrev=False)
    parser.add_argument("--workspace", "--data-dir", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    options, _qt = parser.parse_known_args(arguments)
    if options.workspace is not None:
        os.environ["AIGC_DESKTOP_WORKSPACE"] = str(options.workspace.absolute())
    files: list[Path] = options.files
    return files


def open_workspace(preferences: Preferences) -> tuple[Workspace, Failed | None]:
    """Open the workspace of the preferences; when it cannot be used, the default one and what to tell."""
    folder = paths.chosen_workspace(preferences.workspace)
    try:
        return Workspace.open(folder), None
    except UserError as error:
        if folder == paths.default_workspace():
            raise
        return Workspace.open(paths.default_workspace()), failure_of(error)


def need_workspace(
    preferences: Preferences, choose: Callable[[UserError], Path | None]
) -> tuple[Workspace, Failed | None, Preferences] | None:
    """Open a workspace; when not even the default one can be used, the one the user chooses, or None to give up.

    The choice is remembered, unless the command or the environment named a folder: then it is for this time.
    """
    while True:
        try:
            return *open_workspace(preferences), preferences
        except UserError as error:
            logging.getLogger(__name__).warning("%s %s", error.message, error.hint)
            folder = choose(error)
        if folder is None:
            return None
        if os.environ.get("AIGC_DESKTOP_WORKSPACE"):
            os.environ["AIGC_DESKTOP_WORKSPACE"] = str(folder)
        else:
            preferences = replace(preferences, workspace=str(folder))
            with suppress(OSError):  # then it is asked again at the next start
                save_preferences(preferences)


def make_application(arguments: list[str]) -> QApplication:
    """Return the application object with its name, icon id and number format set."""
    choose_input_method(os.environ)
    application = QApplication([paths.APP_NAME, *arguments])
    application.setApplicationName("AIGC Desktop")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName(paths.APP_NAME)
    locale.setlocale(locale.LC_NUMERIC, "C")  # Qt has set the user's; C libraries then read 0,5 for 0.5
    return application


def choose_input_method(environment: MutableMapping[str, str]) -> None:
    """Let Chinese be typed under fcitx: Qt as it is shipped has no plugin for it, but fcitx also speaks ibus."""
    wanted = environment.get("QT_IM_MODULE", "") + environment.get("XMODIFIERS", "")
    if "fcitx" in wanted:
        environment["QT_IM_MODULE"] = "ibus"
        environment.pop("QT_IM_MODULES", None)


def engine_starter(preferences: Preferences) -> Callable[[], Engine]:
    """Return what starts an engine, by the user's choice: its own process, or this one for debugging."""
    if preferences.host == "thread":
        return ThreadEngine
    return process_engines(paths.command(), paths.cache_dir() / "logs" / "engine.log")


class ThreadEngine:
    """The engine inside the window's process: the fallback, and what debugging uses."""

    alive = True
    pid = 0

    def __init__(self) -> None:
        self.facts: EngineFacts | None = None
        self._stop = threading.Event()
        self._go_on = threading.Event()
        self._wishes: list[str] = []

    def begin(self) -> None:
        """Forget the stop of the job before."""
        self._stop.clear()
        self._go_on.set()

    def wait_ready(self) -> EngineFacts:
        """Import torch and the families, on the thread of the job."""
        from aigc_desktop.engine.catalog import describe_catalogue
        from aigc_desktop.engine.device import describe_machine

        if self.facts is None:
            tasks = {task.key: task for task in describe_catalogue()}
            self.facts = EngineFacts(tasks, describe_machine(), cut_off=False)
        return self.facts

    def events(self, request: JobRequest) -> Iterator[Event]:
        """Run the job on the calling thread."""
        from aigc_desktop.engine.host import execute

        yield from execute(request, self._should_stop, self._next_wish)

    def control(self, word: str) -> None:
        """Pause, resume, or pass a wish to the job."""
        match word:
            case "pause":
                self._go_on.clear()
            case "resume":
                self._go_on.set()
            case wish:
                self._wishes.append(wish)

    def stop(self, patience_s: float = 0.0) -> None:
        """Stop the job at its next event, whatever the patience: a thread cannot be ended by force."""
        self._stop.set()
        self._go_on.set()

    def close(self) -> None:
        """Nothing to end: the engine goes with the window."""

    def kill(self) -> None:
        """Stop what runs at its next event."""
        self.stop()

    def _should_stop(self) -> bool:
        self._go_on.wait()
        return self._stop.is_set()

    def _next_wish(self) -> str | None:
        self._go_on.wait()
        return self._wishes.pop(0) if self._wishes else None


def _collect_garbage() -> None:
    gc.collect()
    gc.freeze()  # what is alive now is not looked at again: a full collection costs 0.3 s with all modules loaded
