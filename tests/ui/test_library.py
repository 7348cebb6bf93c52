"""The Library page: found, judged, edited, deleted with undo, exported, and smooth with 100,000 works."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from aigc_desktop.core.library import Library, Query
from aigc_desktop.export.export import label_of
from aigc_desktop.export.piece import Piece
from aigc_desktop.export.results import keep
from aigc_desktop.ui.colours import contrast
from aigc_desktop.ui.pages.library import PAGE
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog
from tests.ui.conftest import settle


@pytest.fixture
def library(services):
    library = Library(services.workspace.folder)
    for i in range(6):
        origin = {"task": "image_gan.generate", "model": "run1", "model_title": "Cups", "checkpoint": "000100",
                  "seed": i, "settings": {"wildness": 0.5}, "dataset": "cups"}  # fmt: skip
        keep(library, Piece("image", f"茶杯 cup {i}", np.full((16, 16, 3), 40 * i, np.uint8), origin=origin), ("mug",))
    keep(library, Piece("text", "A poem", text="A poem\nabout tea", origin={"model": "run2", "seed": 1}))
    yield library
    library.close()


@pytest.fixture
def page(qtbot, services, library):
    page = PAGE(services)
    page.resize(1200, 760)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    page.show()
    settle(qtbot)
    qtbot.waitUntil(lambda: page.library is not None)
    yield page
    settle(qtbot)
    page.library.close()


def _titles(page):
    return [page.shelf.card(row).title for row in range(page.grid.count)]


def test_an_empty_library_says_what_to_do(qtbot, services, record):
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    settle(qtbot)
    assert page.stack.currentWidget() is page.empty
    page.empty.button.click()
    assert record.places == [("create", {})]


def test_newest_first_and_found_by_words_kind_tag_model_and_star(qtbot, page):
    assert _titles(page) == ["A poem", *(f"茶杯 cup {i}" for i in (5, 4, 3, 2, 1, 0))]
    with qtbot.waitSignal(page.filters.changed):
        page.filters.search.setText("茶杯")
    assert page.grid.count == 6
    page.filters.clear()
    page.filters.kinds.buttons["text"].click()
    assert _titles(page) == ["A poem"]
    page.filters.clear()
    page.filters.tags.setCurrentIndex(page.filters.tags.findData("mug"))
    page.filters.tags.activated.emit(1)
    assert page.grid.count == 6
    page.grid.select_rows([2])
    page.star()
    page.filters.starred.setChecked(True)
    assert _titles(page) == ["茶杯 cup 3"]
    assert "1 work" in page.filters.found.text()


def test_the_side_shows_origin_and_settings(page):
    page.grid.select_rows([1])
    assert page.panel.title.text() == "茶杯 cup 5"
    root = page.panel.tree.topLevelItem(0)
    assert root.text(0) == "Data: cups"
    assert root.child(0).text(0) == "Model: Cups"
    assert root.child(0).child(0).text(0) == "Version: step 100"
    shown = [page.panel.facts.itemAt(i).widget().text() for i in range(page.panel.facts.count())]
    assert "16 × 16" in shown
    assert "0.5" in shown


def test_settings_are_told_in_the_words_of_the_form(page, library):
    origin = {"task": "image_gan.train", "model": "run1", "seed": 9, "settings": {"mode": "large", "flip": False}}
    keep(library, Piece("image", "made", np.zeros((8, 8, 3), np.uint8), origin=origin))
    page.refresh()
    page.grid.select_rows([0])
    shown = [page.panel.facts.itemAt(i).widget().text() for i in range(page.panel.facts.count())]
    assert shown[shown.index("Size", shown.index("Seed")) + 1] == "Large"
    assert shown[shown.index("Mirror pictures") + 1] == "off"


def test_all_signs_of_the_menu_can_be_seen_on_it(page):
    page.grid.select_rows([1])
    theme = page.services.theme
    actions = page.panel.menu([1]).actions()
    assert "Generate like this" in actions[0].text()
    for action in actions:
        image = action.icon().pixmap(16, 16).toImage()
        pixels = [image.pixelColor(x, y) for x in range(16) for y in range(16)]
        inks = {pixel.name() for pixel in pixels if pixel.alpha() > 250}
        assert all(contrast(ink, theme.colours.raised) > 3 for ink in inks), action.text()


def test_the_menu_offers_what_the_side_offers(page):
    page.grid.select_rows([0])  # a text
    texts = [action.text() for action in page.panel.menu([0]).actions()]
    assert texts == ["Generate like this", "Export…", "Copy", "Show in folder", "Delete"]


def test_rename_tag_and_star_are_saved(qtbot, page, services):
    page.grid.select_rows([0])
    page.panel.title.setText("新 title")
    qtbot.keyClick(page.panel.title, Qt.Key.Key_Return)
    page.panel.tags.setText("tea, 茶，tea")
    qtbot.keyClick(page.panel.tags, Qt.Key.Key_Return)
    page.grid.setFocus()
    qtbot.keyClick(page.grid, Qt.Key.Key_S)
    card = Library(services.workspace.folder).search(Query(kind="text"))[0]
    assert (card.title, card.tags, card.starred) == ("新 title", ("tea", "茶"), True)
    assert page.panel.card.id == card.id
    assert page.panel.star.isChecked()


def test_delete_moves_to_the_trash_and_undo_brings_back(qtbot, page, record):
    page.grid.select_rows([1, 2])
    page.grid.setFocus()
    qtbot.keyClick(page.grid, Qt.Key.Key_Delete)
    assert page.grid.count == 5
    text, undo = record.notes[-1]
    assert "2 works moved to the trash" in text
    undo()
    assert page.grid.count == 7
    assert _titles(page)[1] == "茶杯 cup 5"


def test_the_trash_gives_back_or_is_emptied(page, library, record):
    page.filters.trash.click()
    assert record.notes[-1][0] == "The trash is empty."
    page.grid.select_rows([0, 1])
    page.delete()
    for answer, count, trashed in (("restore", 7, 0), ("purge", 5, 0)):
        if answer == "purge":
            page.grid.select_rows([0, 1])
            page.delete()
        page.filters.trash.click()
        dialog = page.findChildren(ChoiceDialog)[-1]
        dialog.buttons[answer].click()
        assert (library.count(), len(library.trashed())) == (count, trashed)
        assert page.grid.count == count


def test_generate_like_this_gives_all_that_is_needed(page, record):
    page.grid.select_rows([3])
    page.panel.buttons["like"].click()
    place, arguments = record.places[-1]
    assert place == "create"
    assert arguments == {
        "run": "run1", "checkpoint": "000100", "task": "image_gan.generate", "seed": 3, "label": "", "count": 1,
        "settings": {"wildness": 0.5},
    }  # fmt: skip


def test_the_export_of_a_film_says_so(qtbot, services):
    dialog = ExportDialog(services, "image", [lambda: None] * 24, to="gif")
    qtbot.addWidget(dialog)
    assert dialog.title.text() == "Export a film of 24 pictures"
    dialog.format_box.setCurrentIndex(dialog.format_box.findData("png"))
    assert dialog.title.text() == "Export 24 pictures"


def test_several_works_are_exported_dragged_and_copied(qtbot, page, tmp_path):
    page.filters.kinds.buttons["image"].click()
    page.grid.selectAll()
    assert "6 works chosen" in page.panel.many.text()
    page.panel.buttons["export"].click()
    [dialog] = page.findChildren(ExportDialog)
    dialog.folder_line.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(dialog.exported) as exported:
        dialog.go_button.click()
    assert len(exported.args[0]) == 6
    assert all(label_of(file) for file in exported.args[0])
    model = page.grid.grid_model
    files = [Path(url.toLocalFile()) for url in model.mimeData([model.index(row) for row in range(6)]).urls()]
    assert files[0].name == "茶杯 cup 5.png"
    assert all(label_of(file) for file in files)
    page.grid.select_rows([0])
    page._asked("copy")
    assert QGuiApplication.clipboard().image().pixelColor(0, 0).red() == 200


def test_the_menu_does_what_the_buttons_do(page, record):
    page.grid.select_rows([3])
    menu = page.grid.menu_of([3])
    next(action for action in menu.actions() if "like this" in action.text()).trigger()
    assert record.places[-1][1]["seed"] == 3
    page.grid.select_rows([1, 2])
    assert [action.text() for action in page.grid.menu_of([1, 2]).actions()] == ["Edit…", "Export…", "Delete"]


def test_a_close_look_steps_through_the_pictures(qtbot, page):
    page.grid.select_rows([1])
    page.look(1)
    assert page.middle.currentWidget() is page.viewer
    qtbot.keyClick(page.viewer.canvas, Qt.Key.Key_Right)
    assert page.panel.card.title == "茶杯 cup 4"
    qtbot.keyClick(page.viewer.canvas, Qt.Key.Key_Escape)
    assert page.middle.currentWidget() is page.grid


def test_relatives_open_even_when_the_filters_hide_them(page, library):
    parent = library.search(Query(text="cup 1"))[0]
    child = library.add("text", b"child", "child", parents=(parent.id,))
    page.filters.kinds.choose("text")
    page.shown(item=child.id)
    assert page.panel.card.id == child.id
    page.panel.opened.emit(parent.id)
    assert page.panel.card.id == parent.id


def test_what_was_kept_meanwhile_is_there_when_the_page_is_shown(page, library):
    library.add("text", b"new", "new")
    page.shown()
    assert _titles(page)[0] == "new"


def test_works_whose_folder_is_gone_are_not_shown_any_more(qtbot, page, library):
    moved = library.folder.rename(library.folder.with_name("elsewhere"))
    page.shown()
    assert page.stack.currentWidget() is page.opening and "moved or deleted" in page.opening.text()
    moved.rename(library.folder)
    page.shown()
    assert page.grid.isVisible() and page.grid.count == 7


@pytest.mark.slow
def test_a_hundred_thousand_works_never_hold_the_window(qtbot, page, library, capsys):
    base = library.search(Query(kind="text"))[0]
    library.close()
    page.library.close()
    dice = random.Random(0)
    for i in range(100_000):
        item = f"{dice.getrandbits(128):032x}"
        card = replace(
            base, id=item, file=item + ".txt", title=f"{dice.choice(['茶杯', 'cup', 'horse'])} {i}", run=f"run{i % 40}",
            created=f"2026-01-{i % 28 + 1:02d}T00:00:{i % 60:02d}.{i:06d}+00:00", fingerprint=item, tags=("common",),
        )  # fmt: skip
        folder = library.items / item[:2]
        folder.mkdir(exist_ok=True)
        (folder / card.file).write_bytes(b"x")
        (folder / f"{item}.json").write_text(json.dumps(vars(card)), encoding="utf-8")
    page.library = Library(library.folder.parent)
    times = {}

    def timed(name, action):
        start = time.perf_counter()
        action()
        page.grab()
        times[name] = (time.perf_counter() - start) * 1000

    timed("refresh", page.refresh)
    timed("again", page.refresh)
    timed("end", lambda: page.grid.verticalScrollBar().setValue(page.grid.verticalScrollBar().maximum()))
    timed("middle", lambda: page.grid.verticalScrollBar().setValue(page.grid.verticalScrollBar().maximum() // 2))
    timed("search", lambda: (page.filters.search.setText("茶杯"), page.refresh()))
    timed("choose", lambda: page.grid.select_rows([5]))
    with capsys.disabled():
        print("", *(f"{name:24}{value:9.1f} ms" for name, value in times.items()), sep="\n")
    assert page.grid.count > 30_000
    assert max(times.values()) < 400
