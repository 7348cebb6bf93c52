"""What a page owns dies on the main thread, even if a thread was the last to work with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QThreadPool
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from aigc_desktop.ui.background import Background
from aigc_desktop.ui.held import let_go
from aigc_desktop.ui.widgets.pictures.thumbnails import ThumbnailLoader
from tests.ui.conftest import flush_deleted


class Mortal:
    """Tells on which thread it dies; in its place a timer would crash the program."""

    def __init__(self, died: list[str], go: threading.Event) -> None:
        self.died, self.go = died, go
        self.entered = threading.Event()

    def __del__(self) -> None:
        self.died.append(threading.current_thread().name)

    def work(self, _row: int = 0) -> QImage:
        self.entered.set()
        self.go.wait(10)
        return QImage(4, 4, QImage.Format.Format_RGB888)


def wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_what_background_work_belongs_to_dies_on_the_main_thread(qapp):
    died: list[str] = []
    go = threading.Event()

    class Page(QWidget):
        def __init__(self) -> None:
            super().__init__()
            self.owned = Mortal(died, go)
            Background(self, self.owned.work, self.done, self.done)

        def done(self, *_outcome: object) -> None:
            raise AssertionError("nothing is called after the owner has gone")

    page = Page()
    wait(page.owned.entered.is_set)
    thread = next(thread for thread in threading.enumerate() if thread.name == "background")
    page.deleteLater()
    del page
    flush_deleted()
    assert died == []
    go.set()
    wait(lambda: not thread.is_alive())
    let_go()
    assert died == [threading.main_thread().name]


def test_what_thumbnails_are_made_from_dies_on_the_main_thread(qapp):
    died: list[str] = []
    go = threading.Event()
    owner = QWidget()
    loader, source = ThumbnailLoader(owner), Mortal(died, go)
    loader.set_load(source.work)
    loader.get(0)
    loader.get(1)
    wait(source.entered.is_set)
    owner.deleteLater()
    del owner, loader, source
    flush_deleted()
    assert died == []
    go.set()
    assert QThreadPool.globalInstance().waitForDone(10_000)
    let_go()
    assert died == [threading.main_thread().name]
