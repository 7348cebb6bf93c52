"""Exceptions of slots and threads are logged and shown, on the main thread."""

import logging
import threading

import pytest
from PySide6.QtCore import QObject, QThread

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed
from aigc_desktop.ui.crash import Border, crash_failure


@pytest.fixture
def border(qapp):
    shown: list[tuple[Failed, bool]] = []
    made = Border(lambda failed: shown.append((failed, threading.current_thread() is threading.main_thread())))
    made.shown = shown
    made.install()
    yield made
    made.uninstall()


def test_an_error_of_a_thread_is_shown_on_the_main_thread(border, qtbot, caplog):
    class Broken(QThread):
        def run(self) -> None:
            raise UserError("The disk is gone.", "Plug it in.")

    with caplog.at_level(logging.ERROR):
        thread = Broken()
        thread.start()
        thread.wait()
        worker = threading.Thread(target=lambda: 1 / 0)
        worker.start()
        worker.join()
        qtbot.waitUntil(lambda: len(border.shown) == 2)
    assert {(failed.kind, main) for failed, main in border.shown} == {("UserError", True), ("ZeroDivisionError", True)}
    assert "The disk is gone." in caplog.text


def test_an_error_of_a_slot_is_shown_with_its_way_out(border, qapp):
    def fail() -> None:
        raise UserError("No such folder.", "Choose another.")

    source = QObject()
    source.objectNameChanged.connect(fail)
    source.setObjectName("x")
    qapp.processEvents()
    assert border.shown[-1][0].hint == "Choose another."


def test_the_crash_of_last_time_becomes_a_message_with_details():
    failed = crash_failure("Fatal Python error: Segmentation fault")
    assert "unexpectedly" in failed.message and failed.hint and "Segmentation" in failed.details
