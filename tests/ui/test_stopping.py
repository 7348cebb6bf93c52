"""Stopping jobs and closing the window: the queue, the questions, what is saved first, the tray."""


import pytest
from PySide6.QtWidgets import (
    QApplication,
)

from aigc_desktop.core.events import Finished, Progress, Stopped
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui import closing
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Open, press


def test_the_queue_shows_phase_percent_and_time_left(make_window: Open, jobs: FakeJobCenter, services):
    window = make_window()
    assert not window.shell.dock.isVisible()
    run = services.workspace.runs()[0]
    handle = jobs.run(JobRequest("image_gan.train", run=str(run.folder)))
    row = window.shell.dock.rows[handle]
    assert window.shell.dock.isVisible() and row.state.text() == "Starting…"
    assert run.info.title in row.name.text()
    handle.feed(Progress(5, 100, "Training"))
    assert "estimating" in row.state.text()
    handle.feed(Progress(63, 100, "Training", 10, "images", 240))
    assert row.state.text() == "Training · 63 % · 4 min left"
    assert (row.bar.value(), row.bar.maximum()) == (63, 100)
    handle.feed(Finished())
    assert not window.shell.dock.isVisible() and not window.shell.dock.rows


def test_pause_and_resume_from_the_queue(make_window: Open, jobs: FakeJobCenter):
    window = make_window()
    handle = jobs.run(JobRequest("gpt.train"))
    row = window.shell.dock.rows[handle]
    assert not row.pause.isEnabled()
    handle.feed(Progress(1, 10))
    row.pause.click()
    assert handle.status == "paused" and row.pause.toolTip() == "Resume"
    row.pause.click()
    assert handle.status == "running"


def test_stop_asks_and_the_button_shows_that_it_stops(make_window: Open, jobs: FakeJobCenter, services, qtbot):
    jobs.stops_at_once = False
    window = make_window()
    run = services.workspace.runs()[0]
    handle = jobs.run(JobRequest("image_gan.train", run=str(run.folder)))
    handle.feed(Progress(1, 10))
    press(window, "Esc")
    dialog = window.findChild(ChoiceDialog)
    assert handle.status == "running" and set(dialog.buttons) == {"save", "discard", "go on"}
    dialog.buttons["save"].click()
    row = window.shell.dock.rows[handle]
    assert handle.status == "stopping" and "Stopping" in row.state.text()
    assert row.stop.isEnabled() == handle.can_end
    handle.feed(Stopped())
    assert run.folder.is_dir()


def test_stop_and_discard_can_be_undone(make_window: Open, jobs: FakeJobCenter, services, qtbot):
    window = make_window()
    run = services.workspace.runs()[0]
    handle = jobs.run(JobRequest("image_gan.train", run=str(run.folder)))
    press(window, "Esc")
    window.findChild(ChoiceDialog).buttons["discard"].click()
    qtbot.waitUntil(lambda: handle.status == "ended")
    assert not run.folder.exists()
    press(window, "Ctrl+Z")
    assert run.info.title
    press(window, "Ctrl+Z")  # a second time there is nothing to take back
    assert run.folder.is_dir()


def test_closing_an_idle_window_ends_the_jobs_and_closes(make_window: Open, jobs: FakeJobCenter):
    window = make_window()
    assert window.close()
    assert jobs.was_shut_down and not window.isVisible()


def test_closing_while_a_job_runs_asks(make_window: Open, jobs: FakeJobCenter):
    window = make_window()
    jobs.run(JobRequest("gpt.train")).feed(Progress(1, 10))
    assert not window.close()
    assert window.isVisible() and set(window.closing.dialog.buttons) == {"stop", "cancel"}  # no tray offscreen
    window.close()
    assert len(window.findChildren(ChoiceDialog)) == 1
    window.closing.dialog.buttons["cancel"].click()
    assert window.isVisible() and not jobs.was_shut_down and window.closing.dialog is None


def test_stop_and_save_closes_when_the_job_has_saved(make_window: Open, jobs: FakeJobCenter, qtbot):
    jobs.stops_at_once = False
    window = make_window()
    handle = jobs.run(JobRequest("gpt.train"))
    handle.feed(Progress(1, 10))
    window.close()
    window.closing.dialog.buttons["stop"].click()
    assert window.isVisible() and handle.status == "stopping"
    handle.feed(Stopped())
    qtbot.waitUntil(lambda: not window.isVisible())
    assert jobs.was_shut_down


def test_the_tray_keeps_the_job_and_brings_the_window_back(
    make_window: Open, jobs: FakeJobCenter, monkeypatch: pytest.MonkeyPatch
):
    class Tray(closing.QSystemTrayIcon):
        isSystemTrayAvailable = staticmethod(lambda: True)

    monkeypatch.setattr(closing, "QSystemTrayIcon", Tray)
    window = make_window()
    handle = jobs.run(JobRequest("gpt.train"))
    handle.feed(Progress(1, 10))
    window.close()
    window.closing.dialog.buttons["tray"].click()
    assert not window.isVisible() and handle.status == "running" and not QApplication.quitOnLastWindowClosed()
    window.closing.come_back()
    assert window.isVisible() and QApplication.quitOnLastWindowClosed()
