"""Tab goes through each page in the order of reading, reaches everything and gets out again."""

import pkgutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QWidget

from aigc_desktop.ui import pages
from aigc_desktop.ui.focus_order import inputs_of
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.widgets.side_by_side import Scrolled
from tests.ui.conftest import Open, settle

PLACES = sorted(module.name for module in pkgutil.iter_modules(pages.__path__) if not module.name.startswith("_"))


def pressed(window: MainWindow, key: Qt.Key, times: int) -> list[QWidget]:
    found = []
    for _press in range(times):
        QTest.keyClick(QApplication.focusWidget(), key)
        found.append(QApplication.focusWidget())
    return found


@pytest.mark.parametrize("place", PLACES)
def test_tab_goes_once_through_all_and_back(place: str, make_window: Open, qtbot):
    window = make_window()
    window.navigate(place)
    settle(qtbot)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    inputs = [each for each in inputs_of(window.shell) if each.isEnabled()]
    assert inputs[0] is window.shell.rail.buttons[place]  # of the places Tab stops at the open one, arrows go on
    inputs[0].setFocus()
    assert pressed(window, Qt.Key.Key_Tab, len(inputs)) == [*inputs[1:], inputs[0]]
    assert pressed(window, Qt.Key.Key_Backtab, len(inputs)) == inputs[::-1]


def test_a_passing_message_can_be_answered_with_keys(make_window: Open, qtbot):
    window = make_window()
    window.notify("Moved to the trash.", lambda: None)
    settle(qtbot)
    buttons = [each for each in window.shell.toast.findChildren(QPushButton) if not each.isHidden()]
    assert buttons and set(buttons) <= set(inputs_of(window.shell))


def test_a_form_that_is_made_anew_stays_before_the_button_below_it(make_window: Open, qtbot):
    window = make_window()
    window.navigate("create")
    settle(qtbot)
    panel = window.pages["create"].panel
    run = panel.run_input
    run.box.setCurrentIndex(1 - run.box.currentIndex())
    run.edited.emit()
    settle(qtbot)
    inputs = list(inputs_of(panel))
    count = panel.form.rows["count"].input.control
    assert inputs.index(panel.version_input.box) < inputs.index(count) < inputs.index(panel.button)


def test_an_area_takes_the_focus_only_while_it_scrolls(theme, qtbot):
    text = QLabel("line\n" * 40)
    area = Scrolled(text)
    qtbot.addWidget(area)
    area.resize(200, 100)
    area.show()
    qtbot.waitUntil(lambda: area.focusPolicy() == Qt.FocusPolicy.TabFocus)
    before = area.grab().toImage()
    area.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(lambda: area.hasFocus() and area.grab().toImage() != before)
    text.setText("one line")
    qtbot.waitUntil(lambda: area.focusPolicy() == Qt.FocusPolicy.NoFocus)


def test_what_gets_the_focus_comes_into_view(make_window: Open, qtbot):
    window = make_window(scale=200)
    window.resize(1280, 720)
    window.navigate("settings")
    settle(qtbot)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    area: QScrollArea = window.shell.areas["settings"]
    last = [each for each in inputs_of(window.pages["settings"]) if each.isEnabled()][-1]
    assert isinstance(last, QPushButton) and last.visibleRegion().isEmpty()
    window.shell.rail.setFocus()
    inputs = [each for each in inputs_of(window.shell) if each.isEnabled()]
    inputs[inputs.index(last) - 1].setFocus()
    pressed(window, Qt.Key.Key_Tab, 1)
    assert QApplication.focusWidget() is last and not last.visibleRegion().isEmpty() and area.isVisible()
