"""Files from outside and a second start: they come to the window that is open."""

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QLabel,
)

from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.second_start import SecondStart
from aigc_desktop.ui.single_instance import SingleInstance
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Open


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
