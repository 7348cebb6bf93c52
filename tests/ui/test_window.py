"""The window: places and keys, queue, closing, files from outside, language, theme, geometry."""

import gettext
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
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

from aigc_desktop.core import settings as core_settings
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Finished, Progress, Stopped
from aigc_desktop.core.paths import config_dir
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import Preferences, load_preferences
from aigc_desktop.ui import closing, geometry, recent
from aigc_desktop.ui.commands import KeyList
from aigc_desktop.ui.help import HelpDialog, find, topics
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.second_start import SecondStart
from aigc_desktop.ui.single_instance import SingleInstance
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.widgets.controls import icon_button
from aigc_desktop.ui.widgets.failure import FailureDialog
from tests.fakes import FakeJobCenter
from tests.ui import walks
from tests.ui.conftest import settle

Open = Callable[..., MainWindow]
pytestmark = pytest.mark.qt_log_ignore("does not support raise", "systemTrayWindowChanged", extend=True)


def press(window: MainWindow, keys: str) -> None:
    """Trigger the action that has these keys, as Qt would."""
    wanted = QKeySequence(keys)
    action = next(action for action in window.actions() if wanted in action.shortcuts())
    action.trigger()


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


# closing


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


def test_files_given_at_the_start_go_to_the_data_page(
    make_window: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    window = make_window()
    seen: list[tuple[str, object]] = []
    monkeypatch.setattr(window, "navigate", lambda place, **arguments: seen.append((place, arguments)))
    window.open_paths([])
    window.open_paths([tmp_path])
    assert seen == [("data", {"paths": [tmp_path]})]


def test_files_and_folders_can_be_dropped_anywhere(make_window: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    window = make_window()
    seen: list[object] = []
    monkeypatch.setattr(window, "open_paths", seen.append)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "a b.png")), QUrl("https://example.org/x.png")])
    action, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), action, mime, buttons, keys)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    window.dropEvent(QDropEvent(QPointF(5, 5), action, mime, buttons, keys))
    assert seen == [[tmp_path / "a b.png"]]
    web = QMimeData()
    web.setUrls([QUrl("https://example.org/x.png")])
    refused = QDragEnterEvent(QPoint(5, 5), action, web, buttons, keys)
    refused.ignore()
    window.dragEnterEvent(refused)
    assert not refused.isAccepted()


def test_a_second_start_hands_its_files_to_the_first(tmp_path: Path, qtbot):
    first = SingleInstance(tmp_path)
    assert first.first
    second = SingleInstance(tmp_path)
    assert not second.first
    with qtbot.waitSignal(first.asked, timeout=5000) as signal:
        second.forward([tmp_path / "图 1.png"])
    assert signal.args == [[tmp_path / "图 1.png"], None]
    with qtbot.waitSignal(first.asked, timeout=5000) as signal:
        second.forward([], tmp_path / "另一个")
    assert signal.args == [[], tmp_path / "另一个"]
    with qtbot.waitSignal(first.asked, timeout=5000) as signal:
        (tmp_path / "open" / "1.json").write_text("[3]", encoding="utf-8")
    assert signal.args == [[], None]
    assert not list((tmp_path / "open").glob("*.json"))
    first.release()
    third = SingleInstance(tmp_path)
    assert third.first
    third.release()


def test_a_second_start_shows_a_hidden_window(make_window: Open):
    window = make_window()
    window.hide()
    SecondStart(window).answer([], None)
    assert window.isVisible()


def test_a_second_start_for_another_workspace_asks_and_brings_its_files_there(make_window: Open, tmp_path: Path, qtbot):
    window = make_window(workspace=str(tmp_path / "B"))  # what the preferences say; the command named the one shown
    here, second = window.services.workspace.folder, SecondStart(window)
    second.answer([], here / ".." / here.name)
    assert second.dialog is None
    second.answer([tmp_path / "a.png"], tmp_path / "C")
    second.answer([tmp_path / "a.png"], tmp_path / "B")
    words = " ".join(each.text() for each in second.dialog.findChildren(QLabel))
    assert str(tmp_path / "B") in words and str(here) in words
    with qtbot.waitSignal(window.rebuilt):
        second.dialog.buttons["open"].click()
    assert window.services.workspace.folder == tmp_path / "B" and not (tmp_path / "C").exists()
    assert window.place == "data" and second.dialog is None


@pytest.mark.parametrize("undo", [None, lambda: None])
def test_a_message_outlasts_new_widgets_unless_it_could_undo_on_old_ones(make_window: Open, qtbot, undo):
    window = make_window()
    window.notify("The workspace is now elsewhere.", undo)
    with qtbot.waitSignal(window.rebuilt):
        window.rebuild()
    assert window.shell.toast.told() == ("" if undo else "The workspace is now elsewhere.")
    assert window.shell.toast.isHidden() == bool(undo)


def test_a_second_start_for_another_workspace_changes_nothing_when_told_to_stay(
    make_window: Open, jobs: FakeJobCenter, tmp_path: Path
):
    window = make_window()
    here, second = window.services.workspace.folder, SecondStart(window)
    second.answer([], tmp_path / "B")
    second.dialog.buttons["stay"].click()
    assert window.services.workspace.folder == here and not (tmp_path / "B").exists()
    jobs.run(JobRequest("gpt.train"))
    second.answer([], tmp_path / "B")
    second.dialog.buttons["open"].click()
    assert window.services.workspace.folder == here and "running" in window.shell.toast.text.text()


# language, theme, scale


def test_language_switches_all_texts_at_once(make_window: Open, qtbot, monkeypatch: pytest.MonkeyPatch):
    class Marked(gettext.NullTranslations):
        """A language that can be told from English, whatever the catalogues hold."""

        def gettext(self, message: str) -> str:
            return f"‹{message}›"

    window = make_window()
    window.navigate("settings")
    assert (window.shell.title.text(), window.shell.rail.buttons["runs"].text()) == ("Settings", "Runs")
    monkeypatch.setattr(gettext, "translation", lambda *arguments, **options: Marked())
    window.change_preferences(replace(window.services.preferences, language="zh_CN"))
    settle(qtbot)
    assert (window.shell.title.text(), window.shell.rail.buttons["runs"].text()) == ("‹Settings›", "‹Runs›")
    labels = window.pages["settings"].findChildren(QLabel)
    texts = [label.text() for label in labels if label.property("role") == "card"]
    assert texts and all(text.startswith("‹") for text in texts)
    assert QApplication.translate("QPlatformTheme", "Cancel") == "取消"
    assert load_preferences().language == "zh_CN"


def test_theme_switches_without_building_pages_again(make_window: Open):
    window = make_window()
    page = window.pages["start"]
    before = window.grab().toImage().pixelColor(200, 700)
    window.change_preferences(replace(window.services.preferences, theme="dark"))
    assert window.pages["start"] is page
    assert window.grab().toImage().pixelColor(200, 700).lightness() < before.lightness()


def test_a_job_goes_on_when_the_language_changes(make_window: Open, jobs: FakeJobCenter, qtbot):
    window = make_window()
    handle = jobs.run(JobRequest("gpt.train"))
    handle.feed(Progress(1, 10, "Training"))
    window.change_preferences(replace(window.services.preferences, language="zh_CN"))
    settle(qtbot)
    assert handle in window.shell.dock.rows
    handle.feed(Progress(5, 10, "Training"))
    assert "50 %" in window.shell.dock.rows[handle].state.text()


def test_pages_are_built_ahead_in_slices_and_a_visit_finishes_what_is_begun(make_window: Open, qtbot):
    window = make_window()
    window.build_ahead()
    qtbot.waitUntil(lambda: "data" in window._builders)
    half_built = window.shell.areas["data"].widget()
    window.navigate("data")
    assert window.pages["data"] is half_built and window.shell.stack.currentWidget() is window.shell.areas["data"]
    qtbot.waitUntil(lambda: window.pages.keys() == window.places.keys())
    assert window.place == "data" and window.shell.stack.currentWidget() is window.shell.areas["data"]
    assert len(window.shell.areas) == len(window.places) == window.shell.stack.count() - 1


def test_pages_built_ahead_are_built_again_in_another_language(make_window: Open, qtbot):
    window = make_window()
    window.build_ahead()
    settle(qtbot)
    before = dict(window.pages)
    window.change_preferences(replace(window.services.preferences, language="zh_CN"))
    settle(qtbot)
    assert window.pages.keys() == window.places.keys()
    assert not any(window.pages[place] is page for place, page in before.items())
    assert window.updatesEnabled() and window.pages["start"].isVisible()


def test_another_workspace_is_opened_and_remembered(make_window: Open, tmp_path: Path, qtbot):
    from aigc_desktop.ui.recent import recent_workspaces

    window = make_window()
    with qtbot.waitSignal(window.painted):
        pass
    old = window.services.workspace.folder
    window.change_preferences(replace(window.services.preferences, workspace=str(tmp_path / "neu")))
    settle(qtbot)
    assert window.services.workspace.folder == tmp_path / "neu"
    assert recent_workspaces() == [tmp_path / "neu", old]


# geometry


def test_size_position_and_place_come_back(make_window: Open):
    window = make_window()
    window.setGeometry(40, 60, 1400, 760)
    window.navigate("runs")
    window.close()
    again = make_window()
    assert again.geometry() == QRect(40, 60, 1400, 760) and again.place == "runs"


@pytest.mark.parametrize("corner", [(5000, 60), (-4000, -4000), (100, 2000), (-1250, 0)])
def test_a_window_off_the_screens_is_put_back(corner: tuple[int, int]):
    screens = [QRect(0, 0, 1920, 1080)]
    assert screens[0].contains(geometry.on_screen(QRect(*corner, 1300, 800), screens).topLeft())


def test_a_window_on_a_second_screen_stays_there():
    screens = [QRect(0, 0, 1920, 1080), QRect(1920, 0, 2560, 1440)]
    assert geometry.on_screen(QRect(2500, 100, 1300, 800), screens) == QRect(2500, 100, 1300, 800)


def test_a_small_or_damaged_record_gives_the_smallest_size(make_window: Open):
    from aigc_desktop.core.paths import config_dir

    config_dir().mkdir(parents=True, exist_ok=True)
    for text in ('{"box": [0, 0, 10, 10]}', '{"box": "x"}', "[", "[]", '{"box": [1e99, 0, 1, 1]}'):
        (config_dir() / "window.json").write_text(text)
        size = make_window().size()
        assert size.width() >= 1280 and size.height() >= 720, text


def test_records_that_may_not_be_read_keep_no_window_shut(make_window: Open, monkeypatch: pytest.MonkeyPatch):
    from aigc_desktop.core.files import read_json

    def refuse(path: Path):
        if path.name in ("window.json", "recent.json", "preferences.json"):
            raise PermissionError(13, "denied", str(path))
        return read_json(path)

    config_dir().mkdir(parents=True, exist_ok=True)
    for module, name in ((geometry, "window"), (recent, "recent"), (core_settings, "preferences")):
        (config_dir() / f"{name}.json").write_text("{}")
        monkeypatch.setattr(module, "read_json", refuse)
    assert make_window().size().width() >= 1280
    assert recent.recent_workspaces() == [] and core_settings.load_preferences() == core_settings.Preferences()


def test_settings_are_at_work_where_they_cannot_be_saved(make_window: Open, monkeypatch):
    def full(*_values):
        raise OSError(28, "No space left on device")

    window = make_window()
    before = window.services.preferences
    with pytest.raises(UserError):
        window.change_preferences(replace(before, workspace="/dev/null/none"))
    assert window.services.preferences == before and not load_preferences().workspace  # nothing is changed
    monkeypatch.setattr(core_settings, "write_json", full)
    window.change_preferences(replace(before, theme="dark"))
    assert window.services.preferences.theme == "dark" and window.services.theme.dark
    (told,) = window.findChildren(FailureDialog)
    assert told.failed.kind == "OutOfSpace"
    told.close()


def test_a_window_closes_in_good_order_where_its_place_cannot_be_kept(make_window: Open, monkeypatch):
    def full(*_values):
        raise OSError(28, "No space left on device")

    window = make_window()
    monkeypatch.setattr(geometry, "write_json", full)
    ended = []
    monkeypatch.setattr(window.services.jobs, "shut_down", lambda: ended.append(True))
    assert window.close() and ended


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
