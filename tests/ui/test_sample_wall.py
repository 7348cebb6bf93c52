"""The wall is walked with the arrow keys, keeps its place while rows come, and never grows without bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtTest import QTest

from aigc_desktop.core.events import Sample, Text
from aigc_desktop.ui.widgets.wall.sample_wall import SampleOrigin, SampleWall
from aigc_desktop.ui.widgets.wall.wall_rows import WallRow, WallRows


def _pictures(step: int, count: int = 4, size: int = 8) -> Sample:
    images = np.full((count, size, size, 3), step % 256, np.uint8)
    return Sample(step, images, tuple(range(100, 100 + count)), tuple("abcdefgh"[:count]))


@pytest.fixture
def wall(qtbot, theme):
    wall = SampleWall(theme)
    qtbot.addWidget(wall)
    wall.resize(700, 320)
    wall.canvas.edge = 32
    wall.show()
    wall.clear("run 1")
    return wall


def _press(wall, *keys):
    for key in keys:
        QTest.keyClick(wall.canvas, key)


def test_it_says_what_will_be_here_while_there_is_nothing(wall):
    assert wall.stack.currentWidget() is wall.empty
    wall.add_events([_pictures(0)])
    assert wall.stack.currentWidget() is wall.canvas


def test_the_newest_row_is_on_top_under_the_real_data(wall):
    wall.add_events([Sample(0, np.zeros((4, 8, 8, 3), np.uint8), role="real"), _pictures(0), _pictures(250)])
    tops = {}
    for cell in wall.canvas.cells():
        tops.setdefault(cell.row, cell.rect.top())
    assert tops[-1] < tops[1] < tops[0]


def test_real_pictures_keep_their_shape_before_the_first_sample(wall):
    wall.add_events([Sample(0, np.zeros((4, 8, 16, 3), np.uint8), role="real")])
    sizes = {(cell.rect.width(), cell.rect.height()) for cell in wall.canvas.cells()}
    assert len(sizes) == 1
    width, height = sizes.pop()
    assert width == 2 * height


def test_arrow_keys_go_through_samples_and_steps(wall):
    wall.add_events([_pictures(step) for step in (0, 10, 20)])
    assert wall.origin() == SampleOrigin("run 1", 20, 100, "a")
    _press(wall, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down)
    assert wall.origin() == SampleOrigin("run 1", 10, 102, "c")
    _press(wall, Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Up)
    assert wall.origin() == SampleOrigin("run 1", 20, 101, "b")
    _press(wall, Qt.Key.Key_Home)
    assert wall.origin().step == 0
    _press(wall, *[Qt.Key.Key_Right] * 9)
    assert wall.origin().seed == 103


def test_what_a_sample_was_asked_for_stands_below_and_goes_along(wall):
    sample = _pictures(10)
    wall.add_events([replace(sample, captions=("a red hat", "a cup", "a dog", "")), _pictures(20)])
    assert not wall.caption.isVisible()
    _press(wall, Qt.Key.Key_Down)
    assert wall.caption.isVisible() and wall.caption.text() == "a red hat"
    _press(wall, Qt.Key.Key_Right)
    assert wall.caption.text() == "a cup" and wall.origin().caption == "a cup"
    assert wall.canvas.accessibleDescription().endswith("a cup")


def test_the_slider_scrubs_and_follows(wall):
    wall.add_events([_pictures(step) for step in (0, 10, 20)])
    wall.slider.setValue(0)
    assert wall.origin().step == 0
    _press(wall, Qt.Key.Key_Up)
    assert wall.slider.value() == 1


def test_new_rows_are_followed_until_the_user_looks_back(wall):
    wall.add_events([_pictures(0), _pictures(10)])
    wall.add_events([_pictures(20)])
    assert wall.origin().step == 20
    _press(wall, Qt.Key.Key_Down)
    wall.add_events([_pictures(30)])
    assert wall.origin().step == 10
    _press(wall, Qt.Key.Key_End)
    wall.add_events([_pictures(40)])
    assert wall.origin().step == 40


def test_play_shows_the_film_and_ends_at_the_last_step(qtbot, wall):
    wall.add_events([_pictures(step) for step in range(4)])
    wall._player.setInterval(1)
    _press(wall, Qt.Key.Key_Space)
    assert wall.canvas.mode == "step"
    assert wall.origin().step == 0
    qtbot.waitUntil(lambda: not wall._player.isActive())
    assert wall.origin().step == 3


def test_enter_enlarges_one_cell_by_whole_pixels_and_escape_goes_back(wall):
    wall.add_events([_pictures(0), _pictures(10)])
    _press(wall, Qt.Key.Key_Return)
    (cell,) = wall.canvas.cells()
    assert cell.rect.width() > 100
    assert cell.rect.width() % 8 == 0
    _press(wall, Qt.Key.Key_Down)
    assert wall.origin().step == 0
    _press(wall, Qt.Key.Key_Escape)
    assert wall.canvas.mode == "wall"


def test_escape_stays_with_the_wall_only_while_it_leads_back(qtbot, wall):
    pressed = []
    shortcut = QShortcut(QKeySequence(Qt.Key.Key_Escape), wall)
    shortcut.activated.connect(lambda: pressed.append(1))
    wall.add_events([_pictures(0)])
    wall.activateWindow()
    wall.canvas.setFocus()
    wall.canvas.set_mode("cell")
    _press(wall, Qt.Key.Key_Escape)
    assert (wall.canvas.mode, pressed) == ("wall", [])
    _press(wall, Qt.Key.Key_Escape)
    assert pressed == [1]


def test_small_pictures_are_painted_with_hard_edges(wall):
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, 0, 0] = 255
    wall.add_events([Sample(0, image, (1,))])
    wall.canvas.set_mode("cell")
    (cell,) = wall.canvas.cells()
    grabbed = wall.canvas.viewport().grab().toImage()
    middle = cell.rect.center()
    assert grabbed.pixelColor(middle.x() - 2, middle.y() - 2).value() == 255
    assert grabbed.pixelColor(middle.x() + 2, middle.y() + 2).value() == 0


def test_generate_like_this_tells_run_step_seed_and_label(qtbot, wall):
    wall.add_events([_pictures(0), _pictures(10)])
    _press(wall, Qt.Key.Key_Right)
    with qtbot.waitSignal(wall.generate_like_this) as told:
        wall.like.click()
    assert told.args == [SampleOrigin("run 1", 10, 101, "b")]


def test_rows_without_seeds_cannot_be_made_again(wall):
    wall.add_events([Sample(0, np.zeros((2, 4, 4, 3), np.uint8))])
    assert not wall.like.isEnabled()


def test_reconstructions_have_a_wall_of_their_own(wall):
    reconstruction = Sample(5, np.zeros((2, 4, 4, 3), np.uint8), role="reconstruction")
    wall.add_events([_pictures(0), reconstruction])
    assert wall.roles.isVisible()
    wall.roles.buttons["reconstruction"].click()
    assert wall.canvas.current().step == 5
    assert not wall.like.isEnabled()


def test_texts_are_shown_and_copied(wall):
    wall.add_events([Text(0, ("床前明月光", "second"), (1, 2)), Text(1, ("unfinished",), partial=True)])
    assert len(wall.rows) == 1
    _press(wall, Qt.Key.Key_Right)
    wall.copy()
    assert QGuiApplication.clipboard().text() == "second"
    wall.canvas.set_mode("step")
    assert len(list(wall.canvas.cells())) == 2
    wall.grab()


def test_grey_and_transparent_pictures_are_painted(wall):
    for channels in (1, 3, 4):
        wall.clear("run")
        wall.add_events([Sample(0, np.full((2, 5, 7, channels), 90, np.uint8), (1, 2))])
        wall.grab()


def test_a_row_of_the_same_step_replaces_the_old_one():
    rows = WallRows()
    rows.add(WallRow(5, texts=("old",)))
    rows.add(WallRow(5, texts=("new",)))
    assert [row.texts for row in rows.rows] == [("new",)]


def test_memory_is_bounded_and_the_film_still_spans_the_training():
    rows = WallRows(budget=100_000)
    for step in range(500):
        rows.add(WallRow(step, np.zeros((4, 16, 16, 3), np.uint8)))
    assert rows.cost <= 100_000
    assert rows.cost == sum(row.cost for row in rows.rows)
    assert rows[0].step == 0
    assert rows[len(rows) - 1].step == 499
