"""What the window remembers: its place on the screens, the open page, settings, also where they cannot be kept."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QRect

from aigc_desktop.core import settings as core_settings
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.paths import config_dir
from aigc_desktop.core.settings import load_preferences
from aigc_desktop.ui import geometry, recent
from aigc_desktop.ui.widgets.failure import FailureDialog
from tests.ui.conftest import Open


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
