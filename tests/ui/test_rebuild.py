"""Pages built ahead, and built again for another language, theme or workspace."""

import gettext
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
)

from aigc_desktop.core.events import Progress
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import load_preferences
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Open, settle


@pytest.mark.parametrize("undo", [None, lambda: None])
def test_a_message_outlasts_new_widgets_unless_it_could_undo_on_old_ones(make_window: Open, qtbot, undo):
    window = make_window()
    window.notify("The workspace is now elsewhere.", undo)
    with qtbot.waitSignal(window.rebuilt):
        window.rebuild()
    assert window.shell.toast.told() == ("" if undo else "The workspace is now elsewhere.")
    assert window.shell.toast.isHidden() == bool(undo)


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
