"""The window: places and keys, help, messages and failures, the status line, the focus."""

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSlider,
    QSpinBox,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.events import Failed, Finished, Progress
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui.commands import KeyList
from aigc_desktop.ui.help import HelpDialog, find, topics
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import icon_button
from aigc_desktop.ui.widgets.failure import FailureDialog
from tests.fakes import FakeJobCenter
from tests.ui import walks
from tests.ui.conftest import Open, press, settle


def test_pages_are_built_on_their_first_visit(make_window: Open):
    window = make_window()
    assert list(window.pages) == [window.place] == ["start"]
    window.navigate("runs")
    assert list(window.pages) == ["start", "runs"]


def test_places_come_in_the_order_of_the_work_and_have_numbers(make_window: Open):
    window = make_window()
    work = [place for place, page in window.places.items() if page.section == "work"]
    assert work == [place for place in ("start", "data", "train", "create", "explore", "library") if place in work]
    *numbered, last = window.places
    assert last == "settings", "it has a key of its own, there is no tenth digit"
    for number, place in enumerate(numbered, 1):
        press(window, f"Ctrl+{number}")
        assert window.place == place
        assert window.shell.rail.buttons[place].isChecked()


def test_every_key_has_one_action_and_stands_in_the_list(make_window: Open):
    window = make_window()
    keys = [sequence.toString() for action in window.actions() for sequence in action.shortcuts()]
    assert len(keys) == len(set(keys))
    for wanted in ("Ctrl+N", "Ctrl+O", "Ctrl+Return", "Esc", "Ctrl+,", "F1", "Ctrl+/", "Ctrl+Z"):
        assert QKeySequence(wanted).toString() in keys
    press(window, "Ctrl+/")
    dialog = window.findChild(KeyList)
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert all(any(key in text for text in texts) for key in keys)


@pytest.mark.parametrize("keys", ["Ctrl+/", "F1"])
def test_dialogs_are_no_larger_than_the_window_at_any_size_of_the_text(keys: str, make_window: Open):
    window = make_window(scale=200)
    window.resize(1280, 720)
    press(window, keys)
    dialog = window.findChild(KeyList if keys == "Ctrl+/" else HelpDialog)
    assert dialog.width() < window.width() and dialog.height() < window.height()


def test_f1_opens_the_help_at_the_page(make_window: Open):
    window = make_window()
    window.navigate("runs")
    press(window, "F1")
    dialog = window.findChild(HelpDialog)
    assert "Compare" in dialog.text.toPlainText()
    dialog.search.setText("checkpoint step")
    assert [dialog.list.item(i).text() for i in range(dialog.list.count())] == ["Words"]
    dialog.search.setText("qwertz")
    assert dialog.list.count() == 0 and "No topic" in dialog.text.toPlainText()


def test_help_is_the_same_in_both_languages_and_knows_the_places(make_window: Open):
    english, chinese = topics("en"), topics("zh_CN")
    assert [topic.name for topic in english] == [topic.name for topic in chinese]
    assert set(make_window().places) <= {topic.name for topic in english}
    assert find(chinese, "学习率")


def test_ctrl_enter_presses_the_primary_button(make_window: Open, jobs: FakeJobCenter):
    window = make_window()
    press(window, "Ctrl+Return")
    assert [request.task for request in jobs.requests] == ["data.scan"]  # the tour's first job


def test_the_shell_can_be_used_by_everybody(make_window: Open, jobs: FakeJobCenter, qtbot):
    window = make_window()
    jobs.run(JobRequest("image_gan.train")).feed(Progress(1, 10, "Training"))
    settle(qtbot)
    assert not walks.without_name(window.shell)
    assert not walks.without_tooltip(window.shell)
    assert not walks.out_of_keyboard_reach(window)


# the queue


# closing


# messages and failures


def test_a_message_with_undo_is_taken_back_once(make_window: Open):
    window = make_window()
    done = []
    window.notify("3 pictures <b>deleted</b>.", lambda: done.append(1))
    toast = window.shell.toast
    assert toast.isVisible() and toast.text.text() == "3 pictures <b>deleted</b>."
    toast.undo_button.click()
    toast.undo()
    assert done == [1] and not toast.isVisible()
    window.notify("Copied.")
    assert not toast.undo_button.isVisible()


def test_a_failure_shows_sentence_and_way_out_and_resumes(make_window: Open, tmp_path: Path):
    window = make_window()
    resumed = []
    details = f"Traceback\n  {Path.home()}/work/x.py\nMemoryError"
    failed = Failed("OutOfMemory", "Not enough <memory>.", "Choose a smaller size.", details)
    window.show_failure(failed, lambda: resumed.append(1))
    dialog = window.findChild(FailureDialog)
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert "Not enough <memory>." in texts and "Choose a smaller size." in texts
    assert not dialog.details.isVisible()
    dialog.details_button.click()
    assert dialog.details.isVisible() and str(Path.home()) not in dialog.details.toPlainText()
    dialog.copy_button.click()
    assert "Choose a smaller size." in QApplication.clipboard().text()
    assert not walks.without_name(dialog) and not walks.without_tooltip(dialog)
    dialog.resume_button.click()
    assert resumed == [1]


def test_a_failure_without_resume_offers_none(make_window: Open):
    window = make_window()
    window.show_failure(Failed("X", "Something.", ""))
    dialog = window.findChild(FailureDialog)
    assert not dialog.resume_button.isVisible() and not dialog.details_button.isEnabled()


# files from outside


# language, theme, scale


# geometry


# safety


def test_calls_into_qt_lose_no_reference_to_none(make_window: Open):
    window = make_window()
    title, bar = window.shell.title, window.shell.status
    for _warm in range(50):
        title.setText("warm")
    before = sys.getrefcount(None)
    for number in range(2000):
        title.setText(str(number))
        title.update()
        bar.setToolTip("")
    QApplication.processEvents()
    assert sys.getrefcount(None) > before - 1000


def test_the_status_line_tells_device_memory_disk_engine_and_connections(
    make_window: Open, jobs: FakeJobCenter, qtbot
):
    tasks, jobs.catalogue = jobs.catalogue, {}
    status = make_window().shell.status
    qtbot.waitUntil(lambda: status.process is not None)
    assert status.lamp_text.text() == "Offline · 0 connections since start"
    assert status.device.text() == "processor, 2 cores" and status.engine.text() == "engine starting…"
    assert status.memory.text().endswith((" MB", " GB")) and status.disk.text().endswith(" free")
    jobs.catalogue = tasks
    jobs.ready.emit()
    assert status.engine.text() == "engine ready"
    handle = jobs.run(JobRequest("gpt.train"))
    assert status.engine.text() == "engine working"
    handle.feed(Finished())
    jobs.engine_failed.emit(Failed("EngineDied", "The engine did not start."))
    assert status.engine.text() == "engine did not start"


def test_an_attempt_to_connect_is_refused_and_counted_by_the_lamp(make_window: Open):
    program = (
        "from aigc_desktop.core import offline; offline.go_offline(); import socket\n"
        "try: socket.create_connection(('192.0.2.1', 9), 1)\n"
        "except PermissionError: print(offline.connection_count())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(found.stdout) >= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_can_be_seen_on_every_kind_of_control(theme: str, qapp: QApplication, qtbot):
    look = Theme(qapp, Preferences(theme=theme))
    kinds = [QPushButton("text"), QCheckBox("text"), QRadioButton("text"), QComboBox(), QSpinBox(), QLineEdit(),
             QPlainTextEdit(), QSlider(), icon_button(look, "play", "Play"), QTableWidget(2, 2)]  # fmt: skip
    rail = icon_button(look, "start", "Start")
    rail.setProperty("rail", True)
    primary = QPushButton("text")
    primary.setProperty("kind", "primary")
    root = QWidget()
    qtbot.addWidget(root)
    box = QVBoxLayout(root)
    for widget in (*kinds, rail, primary):
        box.addWidget(widget)
    with qtbot.waitActive(root):
        root.show()
        root.activateWindow()
    for widget in (*kinds, rail, primary):
        widget.setFocus()
        other = kinds[0] if widget is not kinds[0] else kinds[1]
        focused = widget.grab().toImage()
        other.setFocus()
        assert widget.grab().toImage() != focused, type(widget).__name__


def test_a_workspace_that_is_pulled_out_is_told_in_the_status_line_as_long_as_it_lasts(make_window: Open, qtbot):
    window = make_window()
    folder = window.services.workspace.folder
    gone = folder.rename(folder.with_name("gone"))
    window.shell.status.update_facts()
    assert window.shell.status.disk.text() == "the workspace is not there"
    gone.rename(folder)
    window.shell.status.update_facts()
    assert window.shell.status.disk.text().endswith("free")
