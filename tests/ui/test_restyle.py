"""A change of the theme: each page looks as if the program had been started with it, whenever it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from aigc_desktop.core.events import Finished
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui import restyle
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import label, set_role
from tests.core.test_report import REPORT
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Open, settle
from tests.ui.test_evaluate_page import add_evaluation

BOTH = pytest.mark.parametrize(("before", "after"), [("light", "dark"), ("dark", "light")])


@pytest.fixture(autouse=True)
def long_ago(filled_workspace: Workspace) -> None:
    """Let all runs be of another month: “just now” would change between two pictures."""
    for run in filled_workspace.runs():
        run.update(created="2026-10-01T10:00:00+00:00")


def pictures(window: MainWindow, jobs: FakeJobCenter, qtbot) -> dict[str, QImage]:
    """Return how each page looks, with the rail: without running jobs, blinking cursors and the figures below."""
    found = {}
    for place in window.places:
        window.navigate(place)
        found[place] = still(window, jobs, qtbot)
    return found


def still(window: MainWindow, jobs: FakeJobCenter, qtbot) -> QImage:
    """Return a picture of the window once it looks the same twice: short timers of a busy machine end late."""
    seen = QImage()
    for _look in range(20):
        settle(qtbot)
        for handle in list(jobs.handles):
            handle.feed(Finished())
        if (focused := window.focusWidget()) is not None:
            focused.clearFocus()
        settle(qtbot)
        now = window.grab(window.rect().adjusted(0, 0, 0, -window.shell.status.height())).toImage()
        if now == seen:
            return now
        seen = now
        qtbot.wait(20)
    raise AssertionError("the window does not come to rest")


def differing(one: dict[str, QImage], other: dict[str, QImage]) -> list[str]:
    return [place for place in one if one[place] != other[place]]


@BOTH
def test_each_page_looks_after_a_change_as_if_the_program_was_started_so(
    services, make_window: Open, jobs: FakeJobCenter, qtbot, before: str, after: str
):
    add_evaluation(services, REPORT)
    window = make_window(theme=before)
    first = pictures(window, jobs, qtbot)
    page = window.pages["settings"]
    page.form.set_values({"theme": after})
    page.apply()
    settle(qtbot)
    changed = pictures(window, jobs, qtbot)
    window.hide()
    fresh = pictures(make_window(theme=after), jobs, qtbot)
    assert differing(changed, fresh) == []
    assert differing(changed, first) == list(window.places)


def test_a_page_that_is_shown_before_its_turn_is_styled_first(
    make_window: Open, jobs: FakeJobCenter, qtbot, monkeypatch: pytest.MonkeyPatch
):
    window = make_window(theme="light")
    pictures(window, jobs, qtbot)
    window.navigate("start")
    settle(qtbot)
    with monkeypatch.context() as patch:
        patch.setattr(restyle, "Slices", lambda _steps, _parent: None)
        window.change_preferences(replace(window.services.preferences, theme="dark"))
        changed = pictures(window, jobs, qtbot)
    window.hide()
    fresh = pictures(make_window(theme="dark"), jobs, qtbot)
    assert [place for place in differing(changed, fresh) if place != "settings"] == []  # it shows the choice


def test_what_the_sheet_replaced_is_not_forgotten(qapp, qtbot, theme: Theme):
    """A label whose role changes after the theme takes the new theme's colours, wherever it was meanwhile."""
    box = QWidget()
    qtbot.addWidget(box)
    rows = QVBoxLayout(box)
    seen, hidden, own = label("seen", "secondary"), label("hidden", "secondary"), QLineEdit("wrong")
    for each in (seen, hidden, own):
        rows.addWidget(each)
    set_role(own, wrong=True)
    box.show()
    hidden.hide()
    for choice in ("dark", "light", "dark"):
        theme.apply(Preferences(language="en", theme=choice))
        settle(qtbot)
    for each in (seen, hidden):
        assert each.palette().color(each.foregroundRole()).name() == theme.colours.secondary
        set_role(each, role="")
        assert each.palette().color(each.foregroundRole()).name() == theme.colours.text
    set_role(own, wrong=False)
    fresh = QLineEdit("wrong")
    rows.addWidget(fresh)
    fresh.show()
    own.clearFocus()
    assert own.palette() == fresh.palette()


def test_two_changes_in_a_row_end_with_the_last(qapp, qtbot, theme: Theme):
    box = QWidget()
    qtbot.addWidget(box)
    rows = QVBoxLayout(box)
    labels = [QLabel(str(number)) for number in range(40)]
    for each in labels:
        rows.addWidget(each)
    box.show()
    box.hide()
    theme.apply(Preferences(language="en", theme="dark"))
    theme.apply(Preferences(language="en", theme="light"))
    labels[3].deleteLater()
    settle(qtbot)
    assert {each.palette().color(each.foregroundRole()).name() for each in labels if each is not labels[3]} == {
        theme.colours.text
    }
