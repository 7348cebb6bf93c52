"""The edit dialog: a chain with undo, a look before and after, all chosen pictures kept or exported, originals stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from aigc_desktop.core.events import Failed, Stopped
from aigc_desktop.core.library import Library, Query
from aigc_desktop.engine.host import execute
from aigc_desktop.export.export import label_of
from aigc_desktop.export.piece import Piece
from aigc_desktop.export.results import keep
from aigc_desktop.ui.pages.library import PAGE
from aigc_desktop.ui.widgets.edit.edit_dialog import EditDialog
from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog
from tests.ui.conftest import settle

PICTURES = Query(kind="image")


@pytest.fixture
def library(services, jobs):
    library = Library(services.workspace.folder)
    for i in range(3):
        origin = {"task": "image_gan.generate", "model": "run1", "checkpoint": "000100", "seed": i, "settings": {}}
        pixels = np.random.default_rng(i).integers(256, size=(16, 24, 3), dtype=np.uint8)
        keep(library, Piece("image", f"cup {i}", pixels, origin=origin))
    keep(library, Piece("text", "A poem", text="tea", origin={"model": "run2", "seed": 1}))
    for task in ("edit.look", "edit.apply"):
        jobs.scripts[task] = lambda request: list(execute(request))
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


def open_dialog(qtbot, page, rows) -> EditDialog:
    page.grid.select_rows(rows)
    qtbot.mouseClick(page.panel.buttons["edit"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.findChild(EditDialog) is not None)
    return page.findChild(EditDialog)


def looked(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.asker.waiting("look"), timeout=5000)


def row_titles(dialog):
    return [dialog.steps.list.item(row).text() for row in range(dialog.steps.list.count())]


def test_two_pictures_are_edited_kept_beside_their_originals_and_taken_back(qtbot, page, record, library):
    before = [library.path(card).read_bytes() for card in library.search(PICTURES)]
    dialog = open_dialog(qtbot, page, [1, 2])
    looked(qtbot, dialog)
    assert dialog.windowTitle() == "Edit 2 pictures" and not dialog.keep_button.isEnabled()
    assert dialog.name.text() == "1 / 2 · cup 2"
    dialog.steps.add("crop")
    looked(qtbot, dialog)
    sizes = dialog.view.before.text(), dialog.view.after.text()
    assert sizes == ("Before: 24\u00a0×\u00a016", "After: 16\u00a0×\u00a016")
    assert dialog.view.canvas.comparing
    assert (dialog.view.canvas.second.width(), dialog.view.canvas.second.height()) == (16, 16)
    dialog.turning[1].click()
    looked(qtbot, dialog)
    assert dialog.name.text() == "2 / 2 · cup 1"
    with qtbot.waitSignal(dialog.kept, timeout=5000) as caught:
        dialog.keep_button.click()
    settle(qtbot)
    [cards] = caught.args
    assert [card.title for card in cards] == ["cup 2 · Crop", "cup 1 · Crop"]
    assert all((card.width, card.height) == (16, 16) for card in cards)
    assert page.grid.count == 6 and page.panel.card.id == cards[0].id
    qtbot.waitUntil(lambda: "Crop" in _facts(page))
    originals = [library.get(card.parents[0]) for card in cards]
    assert [card.title for card in originals] == ["cup 2", "cup 1"]
    assert [library.path(card).read_bytes() for card in library.search(PICTURES)[2:]] == before
    assert not list(library.folder.glob("edits *")), "nothing half-finished is left behind"
    text, undo = record.notes[-1]
    assert "2 edited pictures kept" in text
    undo()
    assert library.count(PICTURES) == 3


def test_what_is_kept_already_is_not_taken_away_by_undo(qtbot, page, record, library):
    for _count in range(2):
        dialog = open_dialog(qtbot, page, [page.grid.count - 1])  # the oldest picture stays last
        dialog.steps.add("crop")
        with qtbot.waitSignal(dialog.kept, timeout=5000):
            dialog.keep()
        settle(qtbot)
    text, undo = record.notes[-1]
    assert "Kept in the Library already." in text and undo is None
    assert library.count(PICTURES) == 4


def _facts(page):
    return [page.panel.facts.itemAt(i).widget().text() for i in range(page.panel.facts.count())]


def test_the_chain_is_changed_reordered_and_taken_back(qtbot, page):
    dialog = open_dialog(qtbot, page, [1])
    steps = dialog.steps
    steps.add("crop")
    steps.add("upscale")
    assert row_titles(dialog) == ["Crop", "Enlarge"]
    steps.up.click()
    assert row_titles(dialog) == ["Enlarge", "Crop"] and steps.list.currentRow() == 0
    steps.form.rows["factor"].show_value("4")
    steps.form.rows["factor"].edited.emit()
    qtbot.waitUntil(lambda: steps.chain.steps[0]["factor"] == "4")
    for titles in (["Enlarge", "Crop"], ["Crop", "Enlarge"], ["Crop"], []):
        steps.undo.click()
        assert row_titles(dialog) == titles
    assert not steps.undo.isEnabled() and steps.form is None
    for _count in range(4):
        steps.redo.click()
    assert steps.chain.steps[0]["factor"] == "4" and steps.form.values()["factor"] == "4"
    steps.list.setFocus()
    qtbot.keyClick(steps.list, Qt.Key.Key_Delete)
    assert row_titles(dialog) == ["Crop"]
    looked(qtbot, dialog)
    dialog.reject()


def test_wrong_settings_are_marked_and_nothing_can_be_kept_until_they_are_right(qtbot, page):
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("recolour")
    row = dialog.steps.form.rows["colours"]
    assert not dialog.keep_button.isEnabled() and not row.problem.isVisible(), "still to be chosen is no mistake"
    qtbot.keyClicks(row.input.control, "blue")
    qtbot.waitUntil(row.problem.isVisible)
    assert "“blue” is no colour" in row.problem.text() and not dialog.keep_button.isEnabled()
    row.input.control.clear()
    qtbot.keyClicks(row.input.control, "#1F5FD0")
    qtbot.waitUntil(dialog.keep_button.isEnabled)
    assert not row.problem.isVisible()
    strength = dialog.steps.form.rows["strength"]
    strength.input.control.clear()
    qtbot.keyClicks(strength.input.control, "much")
    qtbot.waitUntil(lambda: not dialog.keep_button.isEnabled())
    assert "must be a number" in strength.problem.text()
    strength.input.control.clear()
    qtbot.keyClicks(strength.input.control, "0.5")
    qtbot.waitUntil(dialog.keep_button.isEnabled)
    looked(qtbot, dialog)
    dialog.view.flow.itemAt(0).widget().click()
    assert QGuiApplication.clipboard().text().startswith("#")
    dialog.reject()


def test_a_chain_is_saved_under_a_name_and_used_again(qtbot, page, services, record, tmp_path):
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("crop")
    dialog.steps.add("upscale")
    dialog.steps.presets.save_asked.emit("Wide 宽")
    looked(qtbot, dialog)
    dialog.reject()
    settle(qtbot)
    dialog = open_dialog(qtbot, page, [2])
    [preset] = dialog.steps.presets.presets.of_task("edit.apply")
    assert preset.title == "Wide 宽"
    dialog.steps.presets.chosen.emit(preset)
    assert row_titles(dialog) == ["Crop", "Enlarge"]
    dialog.steps.presets.chosen.emit(replace(preset, values={"steps": [{"operation": "of tomorrow"}]}))
    assert "of tomorrow" in record.failures[-1].message and row_titles(dialog) == ["Crop", "Enlarge"]
    looked(qtbot, dialog)
    dialog.reject()


def test_what_a_picture_does_not_allow_is_said_below_it(qtbot, page, library):
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("background")
    looked(qtbot, dialog)
    assert "not plain" in dialog.problem.text() and dialog.problem.isVisible()
    dialog.keep()
    qtbot.waitUntil(lambda: dialog.folder is None)
    assert "not plain" in dialog.problem.text() and dialog.keep_button.isEnabled()
    assert library.count(PICTURES) == 3 and not list(library.folder.glob("edits *"))
    dialog.steps.remove.click()
    looked(qtbot, dialog)
    assert not dialog.problem.isVisible()
    dialog.reject()


def test_edited_pictures_are_exported_labelled_at_their_size(qtbot, page, tmp_path, library):
    dialog = open_dialog(qtbot, page, [1, 2])
    dialog.steps.add("upscale")
    dialog.export()
    qtbot.waitUntil(lambda: dialog.findChild(ExportDialog) is not None)
    export = dialog.findChild(ExportDialog)
    export.folder_line.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(export.exported, timeout=5000) as caught:
        export.go_button.click()
    settle(qtbot)
    [files] = caught.args
    assert [file.name for file in files] == ["cup 2.png", "cup 1.png"] and label_of(files[0])["Label"] == "1"
    assert not list(library.folder.glob("edits *")) and library.count(PICTURES) == 3
    dialog.reject()


def test_a_stop_keeps_what_is_finished_and_closing_cleans_up(qtbot, page, jobs, library):
    finished = {}

    def half(request):
        events = list(execute(replace(request, values={**request.values})))
        finished.update(request.values)
        return [*events[:2], Stopped()]

    jobs.scripts["edit.apply"] = half
    dialog = open_dialog(qtbot, page, [1, 2])
    dialog.steps.add("crop")
    with qtbot.waitSignal(dialog.kept, timeout=5000):
        dialog.keep()
    assert library.count(PICTURES) == 5
    del jobs.scripts["edit.apply"]
    settle(qtbot)
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("crop")
    dialog.keep()
    assert not dialog.steps.isEnabled() and not dialog.keep_button.isEnabled()
    dialog.reject()
    assert jobs.handles[-1].status == "stopping"
    settle(qtbot)
    assert library.count(PICTURES) == 5 and not list(library.folder.glob("edits *"))


def test_a_failure_of_the_engine_leaves_the_dialog_as_it_was(qtbot, page, jobs):
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("crop")
    jobs.scripts["edit.apply"] = lambda request: [Failed("EngineDied", "The engine stopped.", "Try again.")]
    dialog.keep()
    qtbot.waitUntil(lambda: dialog.problem.isVisible())
    assert "The engine stopped." in dialog.problem.text() and dialog.keep_button.isEnabled()
    looked(qtbot, dialog)
    dialog.reject()


def test_texts_are_not_edited(qtbot, page, record):
    page.grid.select_rows([0])
    assert not page.panel.buttons["edit"].isEnabled()
    page.grid.setFocus()
    qtbot.keyClick(page.grid, Qt.Key.Key_E)
    assert "Only pictures" in record.notes[-1][0]


def test_the_real_engine_enlarges_with_its_network(qtbot, services, library, center):
    real = replace(services, jobs=center)
    page = PAGE(real)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    page.show()
    settle(qtbot)
    center.warm_up()
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("upscale")
    qtbot.waitUntil(lambda: dialog.view.after.text() == "After: 48\u00a0×\u00a032", timeout=60_000)
    assert center.handles == [], "a look does not stand in the queue"
    with qtbot.waitSignal(dialog.kept, timeout=60_000) as caught:
        dialog.keep_button.click()
    [[card]] = caught.args
    assert (card.width, card.height, card.edits[0]["method"]) == (48, 32, "network")
    settle(qtbot)
    page.library.close()


def test_a_rectangle_is_drawn_with_the_mouse_and_keeps_the_ratio(qtbot, page):
    dialog = open_dialog(qtbot, page, [1])
    dialog.steps.add("crop")
    looked(qtbot, dialog)
    dialog.steps.draw_button.click()
    qtbot.waitUntil(lambda: dialog.stack.currentWidget() is dialog.picker, timeout=5000)
    room = dialog.picker._room()
    corner, far = room.topLeft().toPoint(), (room.topLeft() + (room.center() - room.topLeft()) * 1.5).toPoint()
    qtbot.mousePress(dialog.picker, Qt.MouseButton.LeftButton, pos=corner)
    qtbot.mouseMove(dialog.picker, far)
    qtbot.mouseRelease(dialog.picker, Qt.MouseButton.LeftButton, pos=far)
    step = dialog.steps.chain.steps[0]
    assert (step["left"], step["top"]) == (0, 0) and step["width"] == step["height"] > 8
    assert dialog.stack.currentWidget() is dialog.view
    looked(qtbot, dialog)
    assert dialog.view.after.text() == f"After: {step['width']}\u00a0×\u00a0{step['width']}"
    dialog.steps.draw_button.click()
    qtbot.waitUntil(lambda: dialog.stack.currentWidget() is dialog.picker, timeout=5000)
    qtbot.keyClick(dialog.picker, Qt.Key.Key_Escape)
    assert dialog.stack.currentWidget() is dialog.view and dialog.isVisible()
    looked(qtbot, dialog)
    dialog.reject()
