"""The grid shows what it is given, makes only what is visible, and stays quick with 100,000 rows."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QItemSelectionModel, QPoint, QSize, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMenu

from aigc_desktop.ui.widgets.pictures.thumbnail_grid import BADGE_ROLE, ThumbnailGrid
from aigc_desktop.ui.widgets.pictures.thumbnails import fit, to_image


def _picture(row: int) -> np.ndarray:
    return np.full((8, 8, 3), row % 256, np.uint8)


@pytest.fixture
def grid(qtbot):
    grid = ThumbnailGrid(None)
    qtbot.addWidget(grid)
    grid.resize(600, 500)
    grid.show()
    return grid


def _settled(qtbot, grid):
    grid.grab()  # painting asks for what is visible
    qtbot.waitUntil(lambda: grid.grid_model.loader.idle)


def test_the_model_keeps_the_rules_of_qt(grid, qtmodeltester):
    grid.set_source(5, _picture, str)
    qtmodeltester.check(grid.grid_model, force_py=True)


def test_visible_rows_get_their_pictures_and_others_are_never_asked_for(qtbot, grid):
    asked = []
    grid.set_source(100_000, lambda row: asked.append(row) or _picture(row), str)
    _settled(qtbot, grid)
    assert set(asked) == set(grid.visible_rows())
    image = grid.thumbnail(2).pixmap.toImage()
    assert image.pixelColor(3, 3).red() == 2
    assert image.width() == 160  # whole factor: 20 screen pixels for each of 8


def test_pixels_paths_and_texts_are_all_sources(qtbot, grid, tmp_path):
    path = tmp_path / "红 picture.png"
    to_image(np.full((400, 200, 3), (255, 0, 0), np.uint8)).save(str(path))
    blank = QImage(10, 10, QImage.Format.Format_RGB32)
    sources = [_picture(7), path, "some words 文字", tmp_path / "missing.png", blank]
    grid.set_source(5, sources.__getitem__, str)
    _settled(qtbot, grid)
    made = [grid.thumbnail(row) for row in range(5)]
    assert made[0].pixmap is not None
    assert made[1].pixmap.size() == QSize(80, 160)
    assert made[1].pixmap.toImage().pixelColor(5, 5).name() == "#ff0000"
    assert made[2].text == "some words 文字"
    assert made[3].problem
    assert made[4].pixmap is not None


def test_a_failing_source_shows_a_problem_and_the_next_row_still_works(qtbot, grid):
    def load(row: int) -> np.ndarray:
        if row == 0:
            raise OSError("gone")
        return _picture(row)

    grid.set_source(2, load, str)
    _settled(qtbot, grid)
    assert grid.thumbnail(0).problem == "gone"
    assert grid.thumbnail(1).pixmap is not None


def test_wishes_of_rows_that_left_the_viewport_are_dropped(qtbot, grid):
    gate, asked = threading.Event(), []

    def load(row: int) -> np.ndarray:
        asked.append(row)
        gate.wait(10)
        return _picture(row)

    grid.set_source(100_000, load, str)
    grid.grab()
    first = set(grid.visible_rows())
    grid.verticalScrollBar().setValue(grid.verticalScrollBar().maximum())
    grid.grab()
    gate.set()
    _settled(qtbot, grid)
    assert len(first & set(asked)) <= 2  # those that were being made when the view moved
    assert set(grid.visible_rows()) <= set(asked)


def test_the_cache_keeps_its_limit(qtbot, grid):
    loader = grid.grid_model.loader
    loader.cache_bytes = 20 * 160 * 160 * 4
    grid.set_source(1000, _picture, str)
    for value in range(0, grid.verticalScrollBar().maximum(), 400):
        grid.verticalScrollBar().setValue(value)
        _settled(qtbot, grid)
    assert loader.loaded_count > 100
    assert loader._cached_bytes <= loader.cache_bytes


def test_a_growing_source_keeps_selection_and_pictures(qtbot, grid):
    grid.set_source(2, _picture, str)
    _settled(qtbot, grid)
    grid.select_rows([1])
    grid.set_count(50)
    assert grid.count == 50
    assert grid.selected() == [1]
    assert grid.thumbnail(0) is not None


def test_keys_move_select_and_activate(qtbot, grid):
    grid.set_source(100, _picture, str)
    grid.select_rows([0])
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert grid.current() == 1
    qtbot.keyClick(grid, Qt.Key.Key_Down)
    assert grid.current() == 1 + grid.columns
    qtbot.keyClick(grid, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert grid.selected() == [grid.columns, grid.columns + 1]
    qtbot.keyClick(grid, Qt.Key.Key_End)
    assert grid.current() == 99
    with qtbot.waitSignal(grid.row_activated) as activated:
        qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert activated.args == [99]


def test_mouse_selects_one_a_range_and_toggles(qtbot, grid):
    grid.set_source(100, _picture, str)

    def click(row, modifier=Qt.KeyboardModifier.NoModifier):
        place = grid.visualRect(grid.grid_model.index(row)).center()
        qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, modifier, place)

    click(1)
    assert grid.selected() == [1]
    click(4, Qt.KeyboardModifier.ShiftModifier)
    assert grid.selected() == [1, 2, 3, 4]
    click(2, Qt.KeyboardModifier.ControlModifier)
    assert grid.selected() == [1, 3, 4]


def test_a_dragged_band_selects_the_cells_it_touches(qtbot, grid):
    grid.set_source(grid.columns + 1, _picture, str)  # an empty cell at the end of the second line to start from
    viewport, columns = grid.viewport(), grid.columns
    start = QPoint(grid.viewport().width() - 10, grid.cell.height() + 50)
    end = QPoint(grid.viewport().width() - 40, 20)
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(viewport, (start + end) / 2)
    qtbot.mouseMove(viewport, end)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)
    assert grid.selected() == [columns - 1]


def test_badge_caption_and_accessible_text(grid):
    grid.set_source(3, _picture, "cup {}".format, lambda row: "★" if row == 1 else "")
    index = grid.grid_model.index(1)
    assert index.data() == "cup 1"
    assert index.data(BADGE_ROLE) == "★"
    assert "cup 1" in index.data(Qt.ItemDataRole.AccessibleTextRole)


def test_the_menu_is_asked_for_with_the_chosen_rows(qtbot, grid):
    seen = []
    grid.set_menu(lambda rows: seen.append(rows) or QMenu(grid))
    grid.set_source(10, _picture, str)
    grid.customContextMenuRequested.emit(QPoint(5, 5))
    assert seen == []
    grid.select_rows([2, 3])
    grid.customContextMenuRequested.emit(QPoint(5, 5))
    assert seen == [[2, 3]]


def test_rows_are_dragged_out_as_files(grid, tmp_path):
    grid.set_drag_files(lambda rows: [tmp_path / f"{row}.png" for row in rows])
    grid.set_source(5, _picture, str)
    mime = grid.grid_model.mimeData([grid.grid_model.index(3), grid.grid_model.index(1)])
    assert [Path(url.toLocalFile()).name for url in mime.urls()] == ["1.png", "3.png"]


def test_a_very_wide_picture_still_has_a_height():
    assert fit(QImage(4000, 1, QImage.Format.Format_RGB32), 100).height() == 1


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3), (3, 5, 4)])
def test_arrays_become_pictures(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = to_image(pixels)
    assert (image.width(), image.height()) == (5, 3)
    grey = len(shape) == 2 or shape[2] == 1
    assert image.pixelColor(4, 2).red() == (pixels[2, 4] if len(shape) == 2 else pixels[2, 4, 0])
    assert image.isGrayscale() == grey


@pytest.mark.slow
def test_a_hundred_thousand_rows_never_hold_the_window(qtbot, grid):
    grid.set_source(100_000, _picture, str)
    _settled(qtbot, grid)
    times = {}

    def timed(name, action):
        start = time.perf_counter()
        action()
        grid.grab()
        times[name] = time.perf_counter() - start

    timed("jump", lambda: grid.verticalScrollBar().setValue(1_000_000))
    timed("end", lambda: grid.scrollTo(grid.grid_model.index(99_999)))
    timed("resize", lambda: grid.resize(900, 700))
    timed("all", grid.selectAll)
    toggle = QItemSelectionModel.SelectionFlag.Toggle
    timed("row", lambda: grid.selectionModel().select(grid.grid_model.index(5), toggle))
    assert len(grid.selected()) == 99_999
    assert max(times.values()) < 0.25, times
