"""What holds for every page: it builds, shows, closes, leaves nothing running, and everybody can use it."""

import gc
import pkgutil
import weakref
from dataclasses import replace

import pytest
from PySide6.QtCore import QThread, QTimer
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QWidget

from aigc_desktop.ui import pages
from aigc_desktop.ui.widgets.empty_state import EmptyState
from tests.fakes import FakeJobCenter
from tests.ui import walks
from tests.ui.conftest import Open

PLACES = sorted(module.name for module in pkgutil.iter_modules(pages.__path__) if not module.name.startswith("_"))
every_page = pytest.mark.parametrize("place", PLACES)


def settle(qtbot) -> None:
    """Let what was posted or started beside the window arrive."""
    from tests.ui.conftest import settle as wait

    wait(qtbot)


@every_page
def test_page_is_titled_placed_and_has_an_icon(place: str, make_window: Open):
    page = make_window().places[place]
    assert page.title and page.icon and page.order > 0 and page.section in ("work", "more")


@every_page
def test_page_opens_and_leaves_no_timer_or_thread_when_it_goes(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    page = window.pages[place]
    assert window.shell.stack.currentWidget() is window.shell.areas[place]
    timers = [weakref.ref(timer) for timer in page.findChildren(QTimer)]
    threads = page.findChildren(QThread)
    window.rebuild()
    settle(qtbot)
    assert window.pages[place] is not page
    gc.collect()
    running = [timer for timer in (ref() for ref in timers) if timer is not None and _alive(timer) and timer.isActive()]
    assert not running and not [thread for thread in threads if _alive(thread) and thread.isRunning()]


def _alive(thing: object) -> bool:
    from shiboken6 import isValid

    return isValid(thing)


@every_page
def test_page_opens_again_without_arguments_and_in_an_empty_workspace(place: str, make_window: Open, workspace, qtbot):
    window = make_window()
    for folder in ("runs", "datasets"):
        for path in (workspace.folder / folder).iterdir():
            workspace.trash(path)
    window.navigate(place)
    settle(qtbot)
    window.navigate(PLACES[0])
    window.navigate(place)
    settle(qtbot)
    assert not walks.clipped(window.pages[place])


@every_page
def test_every_control_has_a_name_and_a_tooltip(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    assert not walks.without_name(window.pages[place])
    assert not walks.without_tooltip(window.pages[place])


@every_page
def test_every_control_is_reached_with_the_tab_key(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    assert not walks.out_of_keyboard_reach(window.pages[place])


@every_page
def test_no_key_has_two_meanings_on_a_page(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    own = [shortcut.key().toString() for shortcut in window.pages[place].findChildren(QShortcut)]
    live = [keys.toString() for action in window.actions() if action.isEnabled() for keys in action.shortcuts()]
    assert not set(own) & set(live)
    window.navigate("runs" if place != "runs" else "start")
    assert all(action.isEnabled() for action in window.actions())


@every_page
def test_no_label_reads_names_as_html(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    assert not walks.foreign_texts_read_as_html(window.pages[place])


@every_page
@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("scale", [100, 125, 200])
def test_nothing_is_clipped_in_the_smallest_window(place: str, language: str, scale: int, make_window: Open, qtbot):
    window = make_window(language=language, scale=scale)
    window.resize(1280, 720)
    window.navigate(place)
    settle(qtbot)
    assert (window.width(), window.height()) == (1280, 720)
    assert not walks.clipped(window)
    rail = window.shell.rail
    assert all(made.visibleRegion().boundingRect() == made.rect() for made in rail.buttons.values())


@every_page
@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("scale", [100, 150, 200])
def test_page_fits_the_width_of_the_smallest_window(place: str, language: str, scale: int, make_window: Open, qtbot):
    window = make_window(language=language, scale=scale)
    window.resize(1280, 720)
    window.navigate(place)
    settle(qtbot)
    assert window.shell.areas[place].horizontalScrollBar().maximum() == 0


@every_page
@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_an_empty_page_shows_its_one_button_without_scrolling(
    place: str, language: str, make_window: Open, workspace, qtbot
):
    window = make_window(language=language, scale=200)
    for folder in ("runs", "datasets", "models"):
        for path in (workspace.folder / folder).iterdir():
            workspace.trash(path)
    window.resize(1280, 720)
    window.navigate(place)
    settle(qtbot)
    for empty in window.pages[place].findChildren(EmptyState):
        if empty.isVisible() and hasattr(empty, "button"):
            assert empty.button.visibleRegion().boundingRect() == empty.button.rect()


@every_page
def test_page_lives_through_a_change_of_language_theme_and_scale(
    place: str, make_window: Open, jobs: FakeJobCenter, qtbot
):
    window = make_window()
    window.navigate(place)
    for change in ({"language": "zh_CN"}, {"theme": "dark"}, {"scale": 150}, {"language": "en", "scale": 100}):
        window.change_preferences(replace(window.services.preferences, **change))
        settle(qtbot)
        assert window.place == place and isinstance(window.pages[place], QWidget)
