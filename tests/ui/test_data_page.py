"""The Data page from an empty workspace to a frozen data set, and what it says when something is wrong."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QGuiApplication, QImage

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Progress, Result, Stopped
from aigc_desktop.core.family import task_spec
from aigc_desktop.core.job import run_job
from aigc_desktop.core.run import Run
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import JOBS
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.data import DataPage
from aigc_desktop.ui.widgets.data.import_panel import bundled_samples, take_mime
from aigc_desktop.ui.widgets.forms.inputs import dataset_choices, run_choices
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image
from tests.ui.conftest import settle


@pytest.fixture
def empty_services(workspace, jobs, theme, record):
    jobs.catalogue.update({spec.key: spec for spec in (task_spec(JOBS, task) for task in JOBS.tasks)})
    return Services(
        workspace, Preferences(language="en", theme="light"), jobs, theme, record.navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip


@pytest.fixture
def page(qtbot, empty_services):
    page = DataPage(empty_services)
    page.build()
    qtbot.addWidget(page)
    page.resize(1190, 600)
    page.show()
    page.shown()
    return page


def _pictures(folder: Path, count: int = 6) -> Path:
    for i in range(count):
        sub = folder / ("cups 杯" if i % 2 else "bowls")
        sub.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        to_image(pixels).save(str(sub / f"{i}.png"))
    (folder / "broken.png").write_bytes((folder / "bowls" / "0.png").read_bytes()[:60])
    return folder


def _do(workspace: Workspace, name: str, **values: object) -> list[object]:
    """Run a data job to its end, as the engine would."""
    task = JOBS.task(name)
    return list(run_job(task.job, check(task.config, values), Run(workspace.folder, workspace.folder)))


def _real_jobs(jobs, workspace):
    """Let the fake centre play what the real jobs tell."""
    for name in ("scan", "freeze"):
        jobs.scripts[f"data.{name}"] = lambda request, name=name: _do(workspace, name, **request.values)


def _settled(qtbot, page):
    qtbot.waitUntil(lambda: page.panel.view._work is None)


def test_an_empty_workspace_is_one_place_to_drop_things(page):
    assert page.stack.currentIndex() == 0
    assert page.side.isHidden()
    assert bundled_samples()[0][0].startswith("Emoji")
    assert len(bundled_samples()) == 4


def test_columns_are_asked_for_where_there_may_be_tables(qtbot, page, tmp_path):
    def shown():
        settle(qtbot)
        return [name for name in ("label_column", "attribute_columns") if not page.importing.form.rows[name].isHidden()]

    page.shown(paths=[_pictures(tmp_path / "cups")])
    assert shown() == []
    page.importing.form.set_advanced(True)
    assert len(shown()) == 2
    page.importing.form.set_advanced(False)
    (tmp_path / "cups" / "inside").mkdir()
    (tmp_path / "cups" / "inside" / "poems.CSV").write_text("text,label\na,b\n")
    for path in (tmp_path / "cups", tmp_path / "cups.zip"):
        page.shown(paths=[path])
        assert len(shown()) == 2


def test_from_a_folder_to_a_frozen_data_set_and_on_to_training(qtbot, page, jobs, workspace, record, tmp_path):
    _real_jobs(jobs, workspace)
    page.shown(paths=[_pictures(tmp_path / "my 杯子")])
    assert page.importing.form.values()["labels"] == "folders"
    page.importing.start_button.click()
    qtbot.waitUntil(lambda: page.stack.currentIndex() == 2)
    _settled(qtbot, page)
    assert page.panel.name.text() == "my 杯子"
    assert page.panel.view.grid.count == 7
    assert page.panel.view.count.text() == "7 of 7"
    assert page.panel.health.findChildren(type(page.panel.name))  # the card has lines
    page.panel.freezing.form.set_values({"size": "32"})
    page.panel.freezing.go_button.click()
    qtbot.waitUntil(lambda: bool(record.places))
    (info,) = [dataset.info for dataset in workspace.datasets()]
    assert info.frozen
    assert info.size == 32
    assert record.places == [("train", {"dataset": info.id})]
    assert page.panel.freezing.go_button.text() == "Train on this"
    page.panel.freezing.go_button.click()
    assert record.places[-1] == ("train", {"dataset": info.id})


def test_classes_that_differ_by_case_only_are_told_on_the_card(page, workspace, record, tmp_path):
    (tmp_path / "news.csv").write_text("text,label\none,Sport\ntwo,sport\nthree,home\n", encoding="utf-8")
    _do(workspace, "scan", source=str(tmp_path / "news.csv"), labels="column", label_column="label")
    card = page.panel.health
    card.show_info(workspace.datasets()[0].info)
    told = [line.text() for line in card.lines.findChildren(type(page.panel.name)) if "differ by case" in line.text()]
    assert len(told) == 1 and "“Sport” / “sport”" in told[0] and "home" not in told[0]


def test_a_damaged_data_set_is_told_and_hides_no_other(page, workspace, record, tmp_path):
    for name in ("good", "bad"):
        _do(workspace, "scan", source=str(_pictures(tmp_path / name)), title=name)
        _do(workspace, "freeze", dataset=name, size="32")
    (workspace.folder / "datasets" / "bad" / "dataset.json").write_text("{")
    page.refresh()
    assert page.list.count() == 1 and page.selected.id == "good"
    assert "bad" in record.failures[-1].message
    run = workspace.new_run("gpt.train", {}, "good")
    checkpoint = run.checkpoints_dir / "000010"
    checkpoint.mkdir(parents=True)
    (checkpoint / "MANIFEST.json").write_text("{}")
    shutil.copytree(run.folder, run.folder.with_name("bad"))
    (run.folder.with_name("bad") / "run.json").write_text("{")
    assert dataset_choices(workspace) == [("good", "good")] and run_choices(workspace) == [(run.id, "good")]


def test_problems_and_labels_are_filters(qtbot, page, workspace, tmp_path):
    _do(workspace, "scan", source=str(_pictures(tmp_path / "set")), labels="folders")
    page.refresh()
    _settled(qtbot, page)
    page.panel.view.show_problem("truncated")
    _settled(qtbot, page)
    assert page.panel.view.grid.count == 1
    assert page.panel.view._badge(0) == "cut off"
    page.panel.view.show_label("cups 杯")
    _settled(qtbot, page)
    assert page.panel.view.grid.count == 3
    page.panel.view.label.setCurrentIndex(0)
    page.panel.view.search.setText("no such name")
    qtbot.waitUntil(lambda: page.panel.view.stack.currentWidget() is page.panel.view.nothing)


def test_thumbnails_are_made_of_the_files(qtbot, page, workspace, tmp_path):
    _do(workspace, "scan", source=str(_pictures(tmp_path / "set")))
    page.refresh()
    _settled(qtbot, page)
    page.panel.view.show_problem("")
    _settled(qtbot, page)
    page.panel.view.grid.grab()
    qtbot.waitUntil(lambda: page.panel.view.grid.grid_model.loader.idle)
    assert page.panel.view.grid.thumbnail(0).pixmap is not None
    assert page.panel.view._files([0])[0].is_file()


def test_texts_are_shown_as_a_table(qtbot, page, workspace, tmp_path):
    lines = "\n".join(f"第 {i} line of words" for i in range(50))
    (tmp_path / "poem.txt").write_text(lines, encoding="utf-16")
    _do(workspace, "scan", source=str(tmp_path / "poem.txt"), text_item="line")
    page.refresh()
    _settled(qtbot, page)
    model = page.panel.view.table.text_model
    assert model.rowCount() == 50
    assert model.index(3, 0).data() == "第 3 line of words"
    assert page.panel.view.table.isColumnHidden(1)
    page.panel.view.search.setText("第 4")
    qtbot.waitUntil(lambda: model.rowCount() == 11)


def test_table_model_keeps_the_rules_of_qt(page, qtmodeltester):
    model = page.panel.view.table.text_model
    model.reset(3, lambda row: page.panel.view._text(row))
    qtmodeltester.check(model, force_py=True)
    model.reset(0, None)


def test_progress_and_stop(page, jobs, tmp_path):
    page.shown(paths=[_pictures(tmp_path / "set")])
    page.importing.start()
    (handle,) = jobs.handles
    jobs.stops_at_once = False
    handle.feed(Progress(30, 120, "Looking at pictures", 10.0, "pictures", 9.0))
    progress = page.importing.progress
    assert progress.phase.text() == "Looking at pictures"
    assert "30 of 120 pictures" in progress.detail.text()
    assert "9 s left" in progress.detail.text()
    progress.stop_button.click()
    assert progress.stop_button.text() == "Stopping…"
    assert not progress.stop_button.isEnabled()
    handle.feed(Stopped())
    assert page.stack.currentIndex() == 0


def test_bad_input_is_a_sentence_and_a_way_out(page, jobs, tmp_path, record):
    page.shown(paths=[tmp_path])
    page.importing.start()
    jobs.handles[0].feed(Failed("UserError", "“x” is empty.", "Choose a folder that holds pictures or texts.", "Trace"))
    assert page.importing.failure.isVisible()
    assert page.importing.failure.message.text() == "“x” is empty."
    assert not page.importing.failure.details.isVisible()
    assert record.failures == []
    assert page.importing.start_button.isVisible()


def test_an_import_that_runs_is_found_again_by_a_new_page(qtbot, page, jobs, empty_services, tmp_path, workspace):
    page.shown(paths=[_pictures(tmp_path / "set")])
    page.importing.start()
    again = DataPage(empty_services)
    again.build()
    qtbot.addWidget(again)
    assert again.stack.currentIndex() == 1
    assert again.importing.busy
    events = _do(workspace, "scan", source=str(tmp_path / "set"))
    jobs.handles[0].feed(*[event for event in events if isinstance(event, Result)], Finished())
    assert again.stack.currentIndex() == 2


def test_rename_delete_and_undo(qtbot, page, workspace, record, tmp_path):
    _do(workspace, "scan", source=str(_pictures(tmp_path / "set")))
    page.refresh()
    page.panel.rename_to("Teacups 茶杯")
    assert page.panel.name.text() == "Teacups 茶杯"
    folder = page.selected.folder
    page.delete()
    assert not folder.exists()
    assert page.stack.currentIndex() == 0
    text, undo = record.notes[-1]
    assert "Teacups 茶杯" in text
    undo()
    assert folder.exists()
    assert page.panel.name.text() == "Teacups 茶杯"


def test_data_in_use_is_not_deleted(page, workspace, jobs, record, tmp_path):
    from aigc_desktop.core.request import JobRequest

    _do(workspace, "scan", source=str(_pictures(tmp_path / "set")))
    page.refresh()
    jobs.run(JobRequest("image_gan.train", {"dataset": page.selected.id}, "", "run"))
    page.delete()
    assert page.selected.folder.exists()
    assert "in use" in record.notes[-1][0]


def test_pasted_pictures_and_dropped_files_are_taken(page, workspace, tmp_path):
    mime = QMimeData()
    image = QImage(30, 20, QImage.Format.Format_RGB32)
    image.fill(0xFF336699)
    mime.setImageData(image)
    (path,) = take_mime(mime, workspace.folder)
    assert QImage(str(path)).pixelColor(3, 3).name() == "#336699"
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(tmp_path)), QUrl("https://example.org/a.png")])
    assert take_mime(files, workspace.folder) == [tmp_path]
    QGuiApplication.clipboard().setText("春眠不觉晓")
    page.paste()
    page.paste()
    assert len(page.importing.paths) == 2
    assert page.importing.paths[0].read_text(encoding="utf-8") == "春眠不觉晓"


def test_a_hundred_thousand_items_open_and_filter_quickly(qtbot, page, workspace):
    from dataclasses import asdict

    from aigc_desktop.core.dataset import DatasetInfo, ItemRecord, write_info
    from aigc_desktop.data.items import encode_item

    folder = workspace.new_dataset_folder("large")
    folder.mkdir()
    count = 100_000
    with (folder / "items.jsonl").open("wb") as f:
        for i in range(count):
            problem = "corrupt" if i % 1000 == 0 else ""
            f.write(encode_item(ItemRecord(f"{i}.png", f"/nowhere/{i}.png", "0" * 64, 64, 64, 0, "", problem)))
    info = DatasetInfo("large", "large", "image", "/nowhere", "2026-11-20T10:00:00+00:00", count, count - 100,
                       {"corrupt": 100})  # fmt: skip
    write_info(folder, info)
    assert asdict(info)
    page.refresh()
    _settled(qtbot, page)
    assert page.panel.view.grid.count == count
    started = time.perf_counter()
    page.panel.view.grid.verticalScrollBar().setValue(page.panel.view.grid.verticalScrollBar().maximum() // 2)
    page.panel.view.grid.grab()
    assert time.perf_counter() - started < 1.0  # some 20 ms on a quiet machine
    page.panel.view.show_problem("corrupt")
    _settled(qtbot, page)
    assert page.panel.view.grid.count == 100
