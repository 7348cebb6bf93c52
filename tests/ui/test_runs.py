"""The Runs page: rename, star, delete with undo, search, compare, continue."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStyledItemDelegate

from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.runs import RunsPage
from aigc_desktop.ui.widgets.run_words import loss_values, main_metric
from aigc_desktop.ui.widgets.train.run_compare import CompareDialog, different_settings
from aigc_desktop.ui.widgets.train.run_table import BEGUN, STAR, TITLE, RunFilter, RunTable
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Record, settle


@pytest.fixture
def page(services: Services, qtbot) -> RunsPage:
    made = RunsPage(services)
    qtbot.addWidget(made)
    made.resize(1200, 700)
    made.build()
    made.show()
    made.shown()
    settle(qtbot)
    return made


def choose(page: RunsPage, *titles: str) -> None:
    flags = page.table.selectionModel().SelectionFlag
    page.table.clearSelection()
    for row in range(page.filter.rowCount()):
        index = page.filter.index(row, TITLE)
        if index.data() in titles:
            page.table.selectionModel().select(index, flags.Select | flags.Rows)


def titles(page: RunsPage) -> set[str]:
    return {page.filter.index(row, TITLE).data() for row in range(page.filter.rowCount())}


def test_the_models_keep_the_rules_of_qt(page: RunsPage, qtmodeltester):
    qtmodeltester.check(page.model, force_py=True)
    qtmodeltester.check(page.filter, force_py=True)


def test_all_runs_are_shown_with_state_and_model(page: RunsPage):
    assert titles(page) == {"cups", "<b>bold</b> 杯子", "poems"}
    row = next(r for r in range(3) if page.filter.index(r, TITLE).data() == "poems")
    cells = [page.filter.index(row, column).data() for column in range(page.model.columnCount())]
    assert cells[2:6] == ["Text model", "failed", "490 / 500", "2 min"]


def test_a_new_title_is_written_to_the_run(page: RunsPage, services: Services, qtbot):
    choose(page, "cups")
    page.rename_button.click()
    editor = page.table.indexWidget(page.table.currentIndex()) or page.table.findChild(QStyledItemDelegate)
    index = page.table.selectionModel().selectedRows(TITLE)[0]
    assert editor is not None
    assert page.filter.setData(index, "  杯子 final ")
    assert not page.filter.setData(page.filter.index(0, TITLE), "   ")
    assert "杯子 final" in {run.info.title for run in services.workspace.runs()}


def test_a_click_on_the_star_is_kept(page: RunsPage, services: Services, qtbot):
    index = page.filter.index(0, STAR)
    spot = page.table.visualRect(index).center()
    qtbot.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert [run.info.starred for run in services.workspace.runs()].count(True) == 1


def test_deleting_goes_to_the_trash_and_undo_brings_it_back(page: RunsPage, services: Services, record: Record, qtbot):
    choose(page, "cups", "poems")
    page.delete_button.click()
    settle(qtbot)
    assert titles(page) == {"<b>bold</b> 杯子"}
    text, undo = record.notes[0]
    assert "2 runs" in text
    undo()
    settle(qtbot)
    assert len(titles(page)) == 3 and services.workspace.runs()[0].metrics()


def test_a_run_in_training_is_not_deleted_nor_continued(
    page: RunsPage, services: Services, jobs: FakeJobCenter, record: Record, qtbot
):
    run = next(run for run in services.workspace.runs() if run.info.title == "cups")
    jobs.run(JobRequest("image_gan.train", run=str(run.folder)))
    settle(qtbot)
    choose(page, "cups")
    assert not page.continue_button.isEnabled()
    page.delete_selected()
    assert run.folder.is_dir() and "Stop it first" in record.notes[0][0]


def test_continue_and_use_lead_to_their_pages(page: RunsPage, services: Services, record: Record):
    run = next(run for run in services.workspace.runs() if run.info.title == "cups")
    choose(page, "cups")
    page.continue_button.click()
    page.use_button.click()
    assert record.places == [("train", {"run": run.id, "resume": True}), ("create", {"run": run.id})]


def test_buttons_say_by_being_off_what_the_choice_does_not_allow(page: RunsPage):
    assert not any(b.isEnabled() for b in (page.continue_button, page.compare_button, page.delete_button))
    choose(page, "cups", "poems")
    assert page.compare_button.isEnabled() and page.delete_button.isEnabled() and not page.rename_button.isEnabled()


def test_the_search_leaves_runs_that_hold_all_words(page: RunsPage):
    page.search.setText("picture 杯子")
    assert titles(page) == {"<b>bold</b> 杯子"}
    page.search.setText("failed")
    assert titles(page) == {"poems"}
    page.search.clear()
    assert len(titles(page)) == 3


def test_the_table_sorts_by_what_is_meant_not_by_what_is_written(page: RunsPage, services: Services):
    page.table.sortByColumn(BEGUN, Qt.SortOrder.AscendingOrder)
    shown = [page.filter.index(row, TITLE).data() for row in range(3)]
    created = sorted(services.workspace.runs(), key=lambda run: run.info.created)
    assert {shown[0], shown[-1]} <= {run.info.title for run in created}


def test_comparing_shows_curves_values_and_only_the_settings_that_differ(page: RunsPage, services: Services, qtbot):
    choose(page, "cups", "<b>bold</b> 杯子")
    page.compare()
    dialog = page.findChild(CompareDialog)
    settle(qtbot)
    assert len(dialog.plot.listDataItems()) == 2 and dialog.metric_box.currentText() == "Loss"
    names = [dialog.table.verticalHeaderItem(row).text() for row in range(dialog.table.rowCount())]
    assert names == ["last value", "smallest value", "Steps"]
    assert different_settings(page.selected())[0][0] == "steps"
    services.theme.apply(Preferences(language="en", theme="dark"))
    settle(qtbot)
    assert len(dialog.plot.listDataItems()) == 2
    assert dialog.plot.backgroundBrush().color().name() == services.theme.colours.surface
    dialog.close()


def test_runs_of_different_models_are_compared_by_a_number_that_both_have(page: RunsPage, services: Services, qtbot):
    runs = {run.info.title: run for run in services.workspace.runs()}
    lines = '{"step": 1, "loss": 1.0, "d_loss": 3.0}\n{"step": 2, "psnr": 20.0}\n'
    runs["cups"].metrics_file.write_text(lines, "utf-8")
    runs["poems"].metrics_file.write_text('{"step": 1, "val_loss": 2.0, "psnr": 10.0}\n', "utf-8")
    choose(page, "cups", "poems")
    page.compare()
    dialog = page.findChild(CompareDialog)
    settle(qtbot)
    assert dialog.metric_box.currentText() == "Fidelity" and len(dialog.plot.listDataItems()) == 2
    assert all(curve.opts["symbol"] for curve in dialog.plot.listDataItems())  # a single value has a dot
    assert dialog.metric_box.width() >= dialog.metric_box.sizeHint().width()
    assert [dialog.metric_box.itemText(row) for row in range(dialog.metric_box.count())].count("Critic") == 1
    assert dialog.plot.getAxis("left").labelText == "Fidelity"
    dialog.close()


def test_a_damaged_run_does_not_hide_the_others(page: RunsPage, services: Services, qtbot):
    services.workspace.runs()[0].folder.joinpath("run.json").write_text("{", encoding="utf-8")
    page.refresh()
    settle(qtbot)
    assert len(titles(page)) == 2


def test_an_empty_workspace_says_what_will_be_here(services: Services, record: Record, tmp_path, qtbot):
    services.workspace = Workspace.open(tmp_path / "empty")
    page = RunsPage(services)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    settle(qtbot)
    assert page.stack.currentWidget() is page.empty
    page.empty.button.click()
    assert record.places == [("train", {})]


def test_the_metric_that_says_most_is_found():
    rows = [{"step": 1, "loss": 2.0, "g": 1.0}, {"step": 2, "loss": 1.0, "val_loss": 1.5}]
    assert main_metric(rows) == "val_loss" and loss_values(rows) == [1.5]
    assert main_metric([{"step": 1, "loss_d": 1.0, "speed": 3}]) == "loss_d"
    assert main_metric([]) == "" and loss_values([]) == []


def test_models_are_plain_objects(theme):
    assert RunFilter().words == [] and RunTable(theme).rowCount() == 0


def test_jobs_that_end_bring_the_table_up_to_date(page: RunsPage, services: Services, jobs: FakeJobCenter, qtbot):
    services.workspace.new_run("gpt.train", {}, "new one")
    jobs.changed.emit()
    settle(qtbot)
    assert "new one" in titles(page)


def test_a_workspace_that_is_gone_is_told_in_place_until_it_is_back(page: RunsPage, services: Services, qtbot):
    folder = services.workspace.folder
    away = folder.rename(folder.with_name("elsewhere"))
    page.refresh()
    page.show()
    qtbot.waitUntil(lambda: page.stack.currentWidget() is page.empty)
    assert page.empty.title.text() == "The workspace is not there"
    assert str(folder) in page.empty.sentence.text() and not page.empty.button.isEnabled()
    away.rename(folder)
    page.hide()
    page.show()
    assert page.empty.title.text() == "No runs yet" and page.empty.button.isEnabled()
