"""The Create page: works stream in, are judged by keys, kept, exported, and made again from any picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication

from aigc_desktop.core.events import Failed, Finished, Note, Progress, Sample, Stopped, Text
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.library import Library
from aigc_desktop.core.rating import Rating
from aigc_desktop.data.recorder import record as record_run
from aigc_desktop.engine.host import execute
from aigc_desktop.export.export import label_of, read_settings
from aigc_desktop.ui.pages.create import PAGE
from aigc_desktop.ui.widgets.edit.edit_dialog import EditDialog
from aigc_desktop.ui.widgets.works.export_dialog import ExportDialog
from tests.ui.conftest import settle

SEED = FieldSpec("seed", FieldKind.INT, 0, "Seed", "Number.", "", 0, 2**53)
COMMON = [
    FieldSpec("run", FieldKind.RUN, None, "Model", "The model.", required=True),
    FieldSpec("checkpoint", FieldKind.CHECKPOINT, "best", "Version", "Which."),
    FieldSpec("count", FieldKind.INT, 16, "How many", "Pictures.", "", 1, 10_000),
    SEED,
]
GAN = TaskSpec(
    "image_gan.generate", "Make pictures", "create", "image_gan", "Picture GAN", "image", "",
    [*COMMON, FieldSpec("wildness", FieldKind.FLOAT, 1.0, "Safe … wild", "Bold.", "", 0.0, 2.0),
     FieldSpec("label", FieldKind.TEXT, "", "Class", "Name."),
     FieldSpec("good", FieldKind.BOOL, False, "Only good ones", "Rejects.")],
)  # fmt: skip
BLEND = TaskSpec("image_gan.interpolate", "Blend two", "create", "image_gan", "Picture GAN", "image", "", COMMON)
GPT = TaskSpec(
    "gpt.generate", "Write texts", "create", "gpt", "Text model", "text", "",
    [*COMMON, FieldSpec("temperature", FieldKind.FLOAT, 0.8, "Temperature", "Daring.", "", 0.0, 5.0),
     FieldSpec("prompt", FieldKind.TEXT, "", "Beginning", "Words.", multiline=True)],
)  # fmt: skip


BOLD = TaskSpec(
    "gpt.bolder", "Write boldly", "create", "gpt", "Text model", "text", "",
    [*COMMON, FieldSpec("temperature", FieldKind.FLOAT, 0.8, "Temperature", "Daring.", "", 0.0, 5.0),
     FieldSpec("wildness", FieldKind.FLOAT, 1.0, "Safe … wild", "Bold.", "", 0.0, 2.0)],
)  # fmt: skip


@pytest.fixture
def page(qtbot, services, jobs):
    jobs.catalogue |= {task.key: task for task in (GAN, BLEND, GPT)}
    page = PAGE(services)
    page.resize(1200, 700)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    page.show()
    yield page
    settle(qtbot)


def _run_id(services, word):
    return next(run.id for run in services.workspace.runs() if word in run.info.title)


def _images(count, first=0):
    return np.stack([np.full((8, 8, 3), 10 * (first + i) % 256, np.uint8) for i in range(count)])


def _made(page, jobs, count=4):
    """Generate `count` pictures and end the job."""
    page.generate()
    handle = jobs.handles[-1]
    seeds = tuple(range(100, 100 + count))
    handle.feed(Progress(count, count), Sample(0, _images(count), seeds, ("cup",) * count), Finished())
    page.view.grid.setFocus()
    return handle


def test_without_a_model_the_page_says_what_to_do(qtbot, workspace, services, record):
    services.workspace = type(workspace).open(workspace.folder / "empty")
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    assert page.stack.currentWidget() is page.empty
    page.empty.button.click()
    assert record.places == [("train", {})]


def test_the_slider_is_for_wildness_where_there_is_a_temperature_too(page, services, jobs):
    jobs.catalogue[BOLD.key] = BOLD
    page.shown(run=_run_id(services, "poem"), task=BOLD.key)
    assert page.panel.wild.spec.name == "wildness"
    assert "temperature" in page.panel.form.rows and "wildness" not in page.panel.form.rows


def test_generate_asks_for_what_is_chosen_and_names_the_version(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    page.panel.seed.show_seed(7, locked=True)
    page.panel.wild.slider.setValue(0)
    page.panel.form.set_values({"count": 4, "label": "杯"})
    page.generate()
    [request] = jobs.requests
    assert request.task == "image_gan.generate"
    assert request.values == {
        "run": _run_id(services, "cups"), "checkpoint": "000200", "seed": 7, "count": 4, "wildness": 0.0, "label": "杯",
        "good": False,
    }  # fmt: skip
    assert Path(request.run).parent == services.workspace.folder / "results"
    assert not page.panel.button.isVisible()


def test_an_unlocked_seed_changes_each_time_and_a_locked_one_stays(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    seeds = []
    for locked in (False, False, True, True):
        page.panel.seed.lock.setChecked(locked)
        page.generate()
        seeds.append(jobs.requests[-1].values["seed"])
        jobs.handles[-1].feed(Finished())
    assert seeds[0] != seeds[1]
    assert seeds[1] == seeds[2] == seeds[3]


def test_wrong_entries_start_nothing_and_say_why(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    page.panel.seed.lock.setChecked(True)
    page.panel.seed.line.setText("many")
    page.generate()
    assert jobs.requests == []
    assert "whole number" in page.panel.problem.text()


def test_the_button_says_what_is_done(page, services, jobs):
    generate = jobs.catalogue["image_gan.generate"]
    jobs.catalogue["image_gan.copy"] = replace(generate, key="image_gan.copy", title="Copy held-out pictures")
    page.shown(run=_run_id(services, "cups"))
    assert page.panel.button.text() == "Generate"
    assert page.panel.choose(_run_id(services, "cups"), task="image_gan.copy")
    assert page.panel.button.text() == page.panel.button.accessibleName() == "Copy held-out pictures"
    assert page.panel.button.toolTip() == "Copy held-out pictures (Ctrl+Enter)"


def test_pictures_stream_in_and_stay_after_a_stop(page, services, jobs, record):
    page.shown(run=_run_id(services, "cups"))
    page.generate()
    handle = jobs.handles[-1]
    handle.feed(Progress(1, 9), Sample(0, _images(2), (1, 2)))
    assert page.view.grid.count == 2
    handle.feed(Sample(0, _images(3, 2), (3, 4, 5)))
    assert page.view.grid.count == 5
    handle.feed(Stopped())
    assert page.view.grid.count == 5
    assert "5 finished works" in record.notes[-1][0]
    assert page.panel.button.isVisible()


def test_texts_grow_while_they_are_written(page, services, jobs):
    page.shown(run=_run_id(services, "poems"))
    page.generate()
    handle = jobs.handles[-1]
    handle.feed(Text(0, ("A be", "T"), (1, 2), partial=True))
    assert page.view.grid.count == 2
    assert page.view.reader.toPlainText() == "A be"
    handle.feed(Text(0, ("A better end", "The other"), (1, 2)))
    assert page.view.reader.toPlainText() == "A better end"
    handle.feed(Text(0, ("Third",), (3,), partial=True), Stopped())
    assert [work.text for work in page.batch.works] == ["A better end", "The other", "Third"]
    assert not any(work.partial for work in page.batch.works)


def test_a_failure_is_shown_and_finished_works_stay(page, services, jobs, record):
    page.shown(run=_run_id(services, "cups"))
    page.generate()
    jobs.handles[-1].feed(Sample(0, _images(1), (1,)), Failed("OutOfMemory", "Not enough memory.", "Smaller."))
    assert record.failures
    assert page.view.grid.count == 1


def test_keys_keep_reject_and_compare(qtbot, page, services, jobs, record):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    qtbot.keyClick(page.view.grid, Qt.Key.Key_Space)
    settle(qtbot)
    qtbot.keyClick(page.view.grid, Qt.Key.Key_X)
    assert page.batch.marks == {0: "kept", 1: "rejected"}
    assert page.view.grid.current() == 2
    library = Library(services.workspace.folder)
    [card] = library.search()
    assert (card.seed, card.label, card.checkpoint) == (100, "cup", "000200")
    assert label_of(library.path(card)) is not None
    qtbot.keyClick(page.view.grid, Qt.Key.Key_C)
    assert page.view.viewer.canvas.comparing
    page.view.viewer.closed.emit()
    _text, undo = next(note for note in record.notes if note[1])
    undo()
    settle(qtbot)
    assert Library(services.workspace.folder).count() == 0
    assert 0 not in page.batch.marks


def test_rejected_works_can_be_hidden_and_taken_back(qtbot, page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    qtbot.keyClick(page.view.grid, Qt.Key.Key_X)
    page.view.shown.hide_box.setChecked(True)
    assert page.view.rows == [1, 2, 3]
    page.view.shown.hide_box.setChecked(False)
    page.view.grid.select_rows([0])
    qtbot.keyClick(page.view.grid, Qt.Key.Key_X)
    assert page.batch.marks == {}


def test_generate_like_this_asks_for_the_same_seed_and_settings(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    page.panel.wild.set_value(0.35)
    _made(page, jobs)
    page.view.grid.select_rows([2])
    page.panel.wild.set_value(1.9)
    page.view.actions_by_key["like"].trigger()
    first, again = jobs.requests
    assert again.values == {**first.values, "seed": 102, "count": 1}
    assert page.panel.seed.lock.isChecked()


def test_a_preview_elsewhere_leads_to_the_very_same_picture(page, services, jobs):
    page.shown(run=_run_id(services, "cups"), checkpoint="000100", seed=42, label="杯")
    [request] = jobs.requests
    assert request.values["checkpoint"] == "000100"
    assert (request.values["seed"], request.values["count"], request.values["label"]) == (42, 1, "杯")


def test_a_wish_that_comes_before_the_engine_waits_for_it(qtbot, services, jobs):
    catalogue, jobs.catalogue = {task.key: task for task in (GAN,)}, {}
    page = PAGE(services)
    qtbot.addWidget(page)
    page.build()
    page.shown(run=_run_id(services, "cups"), seed=5, label="cup", settings={"wildness": 0.5})
    assert jobs.requests == []
    jobs.catalogue = catalogue
    jobs.ready.emit()
    [request] = jobs.requests
    assert {name: request.values[name] for name in ("seed", "count", "label", "wildness")} == {
        "seed": 5, "count": 1, "label": "cup", "wildness": 0.5
    }  # fmt: skip


def test_results_of_earlier_jobs_are_listed_and_opened(qtbot, page, services, jobs):
    run = _run_id(services, "cups")
    config = {"run": run, "checkpoint": "000200", "count": 3, "seed": 1}
    result = services.workspace.new_run("image_gan.generate", config, "cups", parent="results")
    list(record_run(result, [Sample(0, _images(3), (1, 2, 3)), Finished()]))
    page.shown()
    assert page.history.count() == 1
    assert "cups" in page.history.itemText(0)
    page.history.setCurrentIndex(0)
    page.history.activated.emit(0)
    assert [work.seed for work in page.batch.works] == [1, 2, 3]
    assert np.array_equal(page.batch.works[1].picture(), _images(3)[1])


def test_a_page_built_anew_finds_the_running_job(qtbot, page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    page.generate()
    stream = record_run(page.batch.result, iter([Sample(0, _images(2), (1, 2)), Finished()]))
    next(stream)
    again = PAGE(services)
    qtbot.addWidget(again)
    again.build()
    again.shown()
    assert again.handle is jobs.handles[0]
    assert [work.seed for work in again.batch.works] == [1, 2]
    next(stream)
    jobs.handles[0].feed(Finished())
    assert again.handle is None
    stream.close()


def test_dropping_a_picture_made_here_recalls_its_settings(page, services, jobs, record, tmp_path):
    page.shown(run=_run_id(services, "cups"))
    page.panel.wild.set_value(0.25)
    _made(page, jobs)
    from aigc_desktop.export.export import export_pieces, format_named

    [file] = export_pieces([page.batch.works[3].piece()], tmp_path, format_named("webp", "image"))
    page.shown(run=_run_id(services, "poems"))
    _drop(page, file)
    assert page.panel.run_input.value() == _run_id(services, "cups")
    assert (page.panel.seed.value(), page.panel.wild.value()) == (103, 0.25)
    assert len(jobs.requests) == 1
    foreign = tmp_path / "foreign.png"
    foreign.write_bytes(b"no picture")
    _drop(page, foreign)
    assert "holds no settings" in record.notes[-1][0]


def _drop(page, path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    none = Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, none)
    assert page.gate.eventFilter(page, event)


def test_export_dialog_writes_labelled_files_beside_the_window(qtbot, page, services, jobs, record, tmp_path):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.grid.selectAll()
    page.view.actions_by_key["export"].trigger()
    [dialog] = page.findChildren(ExportDialog)
    dialog.folder_line.setText(str(tmp_path / "out"))
    dialog.pattern_line.setText("cup {seed}")
    dialog.format_box.setCurrentIndex(1)
    with qtbot.waitSignal(dialog.exported) as exported:
        dialog.go_button.click()
    files = exported.args[0]
    assert [file.name for file in files] == [f"cup {seed}.jpg" for seed in (100, 101, 102, 103)]
    assert all(label_of(file) and read_settings(file)["seed"] == 100 + i for i, file in enumerate(files))
    assert "4 files" in record.notes[-1][0]


def test_the_visible_label_is_chosen_in_the_export_dialog_and_remembered(qtbot, page, services, jobs, record, tmp_path):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.grid.selectAll()
    written = {}
    for code in ("en", "none"):
        page.view.actions_by_key["export"].trigger()
        dialog = page.findChildren(ExportDialog)[-1]
        dialog.folder_line.setText(str(tmp_path / code))
        dialog.label_box.setCurrentIndex(dialog.label_box.findData(code))
        dialog.label_box.activated.emit(dialog.label_box.currentIndex())
        with qtbot.waitSignal(dialog.exported) as exported:
            dialog.go_button.click()
        written[code] = np.asarray(Image.open(exported.args[0][0]))
        assert record.preferences[-1].picture_label == code
    changed = np.abs(written["en"].astype(int) - written["none"]).max(axis=-1) > 0
    assert changed.any() and not changed[: len(changed) // 2].any()


def test_export_dialog_says_what_is_wrong_and_stays(qtbot, page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.actions_by_key["export"].trigger()
    [dialog] = page.findChildren(ExportDialog)
    dialog.pattern_line.setText("{nonsense}")
    dialog.go_button.click()
    qtbot.waitUntil(lambda: dialog.problem.text() != "")
    assert "cannot be used" in dialog.problem.text()
    assert dialog.go_button.isEnabled()
    dialog.reject()


def test_copy_and_drag_out(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.copy()
    assert QGuiApplication.clipboard().image().pixelColor(0, 0).red() == 0
    model = page.view.grid.grid_model
    [url] = model.mimeData([model.index(1)]).urls()
    assert read_settings(Path(url.toLocalFile()))["seed"] == 101


def test_the_viewer_zooms_pans_and_steps(qtbot, page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.look(0)
    canvas = page.view.viewer.canvas
    fitted = canvas.scale
    qtbot.keyClick(canvas, Qt.Key.Key_1)
    assert canvas.scale == 1
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.scale == pytest.approx(1.25)
    qtbot.keyClick(canvas, Qt.Key.Key_F)
    assert canvas.scale == fitted
    place = QPointF(canvas.target().left() + 10, canvas.target().top() + 10)
    before = canvas._to_picture(place)
    canvas.zoom_by(2, place)
    after = canvas._to_picture(place)
    assert (after - before).manhattanLength() < 1e-6  # the point under the pointer stays
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert page.view.grid.current() == 1
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert page.view.stack.currentIndex() == 0


def test_the_divider_is_dragged(qtbot, page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _made(page, jobs)
    page.view.grid.select_rows([0, 3])
    page.view.compare()
    canvas = page.view.viewer.canvas
    half = canvas.rect().center()
    left = canvas.rect().center() - canvas.rect().center() / 2
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=half)
    qtbot.mouseMove(canvas, left)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=left)
    assert canvas.divider == pytest.approx(0.25, abs=0.05)
    shot = canvas.grab().toImage()
    inside = canvas.target()
    y = round(inside.center().y()) + 30
    assert shot.pixelColor(round(inside.left()) + 3, y).red() != shot.pixelColor(round(inside.right()) - 3, y).red()


def test_tasks_of_a_model_can_be_chosen(page, services, jobs):
    page.shown(run=_run_id(services, "cups"), task="image_gan.interpolate")
    assert page.panel.task().key == "image_gan.interpolate"
    assert page.panel.rows["task"].isVisible()
    page.generate()
    assert jobs.requests[0].task == "image_gan.interpolate"


def _rating(services, score, *reasons):
    cups = next(each for each in services.workspace.datasets() if each.info.kind == "image")
    return Rating(score, reasons, cups.id, 2, 0.4)


def _rated(page, services, jobs):
    """Make three good pictures, and one that did not pass."""
    page.generate()
    good = tuple(_rating(services, score) for score in (20.0, 90.0, 50.0))
    failed = (_rating(services, 3.0, "blurred", "copy"),)
    jobs.handles[-1].feed(
        Sample(0, _images(3), (100, 101, 102), ratings=good),
        Sample(4, _images(1, 9), (103,), role="rejected", ratings=failed),
        Note("Only 3 of 12.", "warning"), Finished(),
    )  # fmt: skip


def test_what_did_not_pass_is_shown_on_demand_with_its_reasons(page, services, jobs, record):
    page.shown(run=_run_id(services, "cups"))
    _rated(page, services, jobs)
    view = page.view
    assert view.rows == [0, 1, 2] and view.state.text().startswith("3 works")
    assert view.shown.failed.text() == "Did not pass: 1" and "blurred 1" in view.shown.failed.toolTip()
    assert ("Only 3 of 12.", None) in record.notes
    view.shown.failed.click()
    assert view.rows == [3]
    assert view.grid.grid_model.caption(0) == "blurred, a near copy of a training picture"
    view.shown.failed.click()
    assert view.rows == [0, 1, 2]


def test_the_quality_of_a_picture_lies_beside_it_with_the_nearest_training_picture(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _rated(page, services, jobs)
    view = page.view
    view.shown.order.setCurrentIndex(1)
    assert view.rows == [1, 2, 0]
    view.look(0)
    panel = view.quality
    assert panel.isVisible() and panel.score.text() == "Quality 90 of 100"
    assert panel.reasons.text() == "Nothing against it."
    panel.show_rating(Rating(2.0))
    assert "at their edge" in panel.reasons.text()
    view.look(0)
    assert panel.nearest.pixelColor(0, 0).red() == 120  # the picture of the data set
    panel.button.click()
    assert view.viewer.canvas.comparing
    view.shown.failed.click()
    view.look(0)
    assert panel.reasons.text() == "Blurred, a near copy of a training picture"
    view.show_batch(type(page.batch)(page.batch.result))  # of which the stand-in has recorded nothing
    assert not view.shown.failed.isVisible()


def test_generate_like_this_brings_a_failed_one_back(page, services, jobs):
    page.shown(run=_run_id(services, "cups"))
    _rated(page, services, jobs)
    origin = {**page.batch.works[3].origin, "settings": {"good": True, "count": 12}}
    assert page.recall(origin) and origin["rating"]["reasons"] == ["blurred", "copy"]
    _task, values = page.panel.chosen()
    assert (values["seed"], values["count"], values.get("good")) == (103, 1, False)


def test_made_pictures_are_edited_into_the_library(qtbot, page, services, jobs, record, tmp_path):
    for task in ("edit.look", "edit.apply"):
        jobs.scripts[task] = lambda request: list(execute(request))
    _made(page, jobs)
    for place, work in enumerate(page.batch.works):  # as the recorder leaves them
        Image.fromarray(work.pixels).save(tmp_path / f"{place}.png")
        page.batch.works[place] = replace(work, file=tmp_path / f"{place}.png", pixels=None)
    page.view.grid.select_rows([1, 2])
    qtbot.keyClick(page.view.grid, Qt.Key.Key_E)
    qtbot.waitUntil(lambda: page.findChild(EditDialog) is not None)
    dialog = page.findChild(EditDialog)
    dialog.steps.add("upscale")
    with qtbot.waitSignal(dialog.kept, timeout=10_000):
        dialog.keep()
    settle(qtbot)
    library = Library(services.workspace.folder)
    cards = library.search()
    library.close()
    assert [(card.seed, card.width, card.label) for card in cards] == [(102, 16, "cup"), (101, 16, "cup")]
    assert all(card.edits[0]["operation"] == "upscale" and card.run == page.batch.origin.model for card in cards)


def test_originals_beside_their_copies_are_no_works(page, services, jobs, record):
    page.shown(run=_run_id(services, "cups"))
    page.generate()
    images = Sample(0, _images(4), role="reconstruction")
    jobs.handles[-1].feed(Progress(4, 4), images, Finished())
    assert [page.view._caption(row) == "Original" for row in range(4)] == [True, False, True, False]
    assert page.view.state.text().startswith("2 works")
    page._asked("keep", [0])
    page._asked("export", [2])
    assert [text for text, _undo in record.notes] == ["This is your own picture; its copy stands beside it."] * 2
    assert not page.batch.marks and not page.findChildren(ExportDialog)
    page._asked("reject", [0, 1, 2, 3])
    assert page.batch.marks == {1: "rejected", 3: "rejected"}
    model = page.view.grid.grid_model
    assert len(model.mimeData([model.index(row) for row in range(4)]).urls()) == 2
