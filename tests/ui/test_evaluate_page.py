"""The Evaluate page: with fake jobs what it offers and shows, and with the real engine the whole way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Progress, Result, Sample
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.report import Curve, Figure, Plot, Report, Section, Table
from aigc_desktop.data.recorder import record
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.evaluate import EvaluatePage
from aigc_desktop.ui.widgets.reports.report_compare import verdict
from aigc_desktop.ui.widgets.reports.report_table import ReportTable
from aigc_desktop.ui.widgets.reports.report_view import Picture
from tests.core.test_report import FIGURE, REPORT
from tests.ui import walks
from tests.ui.conftest import settle

LONG = 60_000


def evaluate_tasks() -> list[TaskSpec]:
    """Return the evaluation of makers, and that of a family which measures itself."""
    run = FieldSpec("run", FieldKind.RUN, None, "Model", "Which.", required=True)
    version = FieldSpec("checkpoint", FieldKind.CHECKPOINT, "best", "Version", "Which.")
    data = FieldSpec("dataset", FieldKind.DATASET, "", "Data", "On what.")
    encoder = FieldSpec("encoder", FieldKind.ENCODER, "", "Text encoder", "With what.")
    count = FieldSpec("count", FieldKind.INT, 500, "Number of samples", "How many.", "", 16, 20_000)
    sweep = FieldSpec("sweep", FieldKind.INT, 128, "Samples per temperature", "How many.", "", 0, 5000)
    return [
        TaskSpec("evaluate.run", "Evaluate", "evaluate", "evaluate", "Evaluation", "any", "",
                 [run, version, data, encoder, count, sweep]),
        TaskSpec("text_classifier.train", "Train", "train", "text_classifier", "Text sorter", "text", "", []),
        TaskSpec("text_classifier.evaluate", "Measure", "evaluate", "text_classifier", "Text sorter", "text", "",
                 [run, version, data]),
    ]  # fmt: skip


@pytest.fixture
def page(services, jobs, qtbot):
    jobs.catalogue |= {task.key: task for task in evaluate_tasks()}
    page = EvaluatePage(services)
    qtbot.addWidget(page)
    page.build()
    page.resize(1200, 800)
    page.show()
    page.shown()
    settle(qtbot)
    return page


def add_evaluation(services, report: Report = REPORT, before: tuple[Event, ...] = (), **changes):
    """Put a finished evaluation into the workspace and return its folder."""
    run = services.workspace.runs()[0]
    values = {"run": run.id, "checkpoint": "000200"}
    evaluation = services.workspace.new_run("evaluate.run", values, report.title, parent="evaluations")
    list(record(evaluation, [*before, Result("evaluation", {**report.plain(), **changes}), Finished()]))
    return evaluation.folder


def shown_texts(widget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))


def test_the_settings_are_those_that_count_for_the_model(page, services):
    by_family = {run.info.task: run.id for run in services.workspace.runs()}
    page.panel.choose(by_family["gpt.train"])
    assert list(page.panel.form.rows) == ["encoder", "count", "sweep"]
    page.panel.choose(by_family["image_gan.train"])
    assert list(page.panel.form.rows) == ["count"]
    sorter = services.workspace.run(by_family["gpt.train"])
    sorter.update(task="text_classifier.train")
    page.panel.choose(sorter.id)
    assert list(page.panel.form.rows) == ["dataset"]
    assert page.panel.form.rows["dataset"].input.box.itemText(0) == "as in training"


def test_an_evaluation_runs_is_stopped_and_leaves_nothing(page, services, jobs, record, qtbot):
    page.panel.button.click()
    (handle,) = jobs.handles
    values = handle.request.values
    assert values["checkpoint"] == "000200" and handle.run_folder.parent.name == "evaluations"
    handle.feed(Progress(3, 10, "Making samples"))
    assert page.panel.progress.isVisible() and not page.panel.button.isVisible()
    assert "Press Evaluate" not in shown_texts(page.first), "no call to do what is under way"
    page.evaluate()
    assert len(jobs.requests) == 1, "one at a time"
    page.panel.progress.stop_button.click()
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    settle(qtbot)
    assert not handle.run_folder.exists() and page.panel.button.isVisible()
    assert "Press Evaluate" in shown_texts(page.first)
    assert any("Stopped" in text for text, _undo in record.notes)


def test_a_failure_is_told_and_leaves_nothing(page, jobs, record, qtbot):
    page.panel.button.click()
    (handle,) = jobs.handles
    handle.feed(failure_of(ValueError("no")))
    settle(qtbot)
    assert isinstance(record.failures[-1], Failed) and not handle.run_folder.exists()


def test_a_finished_evaluation_is_listed_and_shown_with_its_words(page, services, qtbot):
    add_evaluation(services, title="A <b>title</b>")
    page.refresh()
    settle(qtbot)
    qtbot.waitUntil(lambda: page.view.complete and page.left.currentIndex() == 1, timeout=LONG)
    assert page.view.title.text() == "Evaluation of “A <b>title</b>”"
    texts = shown_texts(page.view)
    for words in ("BLEU-4 (4 words)", "0.400", "0.300 – 0.500", "higher is better · real data: 0.600", "12 words",
                  "2 words in a row", "note", "How."):  # fmt: skip
        assert words in texts, words
    assert page.view.findChildren(ReportTable)[0].rowCount() == 1
    from aigc_desktop.ui.widgets.reports.report_plot import ReportPlot

    assert len(page.view.findChildren(ReportPlot)) == 1


def test_a_curve_of_one_point_is_drawn_at_its_own_scale(services, qtbot):
    from aigc_desktop.ui.widgets.reports.report_plot import ReportPlot

    plot = ReportPlot(services.theme, Plot("Over the training", "", "step", "KID", [Curve("kid", [2000.0], [0.04])]))
    qtbot.addWidget(plot)
    (left, right), (low, high) = plot.viewRange()
    assert 1000 < left < 1900 and 2100 < right < 3000 and 0 < low < 0.04 < high < 0.1


@pytest.mark.parametrize(("language", "scale"), [("en", 100), ("zh_CN", 200), ("en", 200)])
def test_a_report_can_be_used_by_everybody_in_the_smallest_window(services, make_window, qtbot, language, scale):
    table = Table("Confusion of texts: true class in rows", ["", "a", "b"], [["a", 3, 1], ["b", 0, 4]], "confusion")
    add_evaluation(services, replace(REPORT, tables=[*REPORT.tables, table]))
    add_evaluation(services, replace(REPORT, title="Other"))
    window = make_window(language=language, scale=scale)
    window.resize(1280, 720)
    window.navigate("evaluate")
    settle(qtbot)
    page = window.pages["evaluate"]
    qtbot.waitUntil(lambda: page.view.loaded is not None and page.view.complete, timeout=LONG)
    settle(qtbot)
    assert not walks.clipped(page) and not walks.without_name(page) and not walks.without_tooltip(page)
    assert not walks.foreign_texts_read_as_html(page) and not walks.out_of_keyboard_reach(page)
    page.panel.past.list.selectAll()
    settle(qtbot)
    assert page.left.currentIndex() == 2 and not walks.clipped(page)


def test_two_evaluations_are_compared(page, services, qtbot):
    better = Figure(FIGURE.name, 0.9, "", 0.8, 0.95, better="higher")
    first = add_evaluation(services)
    section = Section("Nearness to real texts", [better])
    second = add_evaluation(services, Report(
        "run", "Other", "gpt", "000200", "other data", "2026-11-27T01:00:00+00:00", 48, 0, [section]
    ))  # fmt: skip
    page.refresh()
    settle(qtbot)
    page.panel.past.select([first, second])
    settle(qtbot)
    assert page.left.currentIndex() == 2
    qtbot.waitUntil(lambda: "B is better (higher is better)." in shown_texts(page.compare), timeout=LONG)
    assert "different data" in shown_texts(page.compare) and "0.900\n0.800 – 0.950" in shown_texts(page.compare)


def test_pictures_of_two_evaluations_stand_beside_each_other(page, services, qtbot):
    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    sheets = (Sample(0, pictures), Sample(0, pictures, role="reconstruction"))
    folders = [add_evaluation(services, before=sheets) for _one in range(2)]
    page.refresh()
    settle(qtbot)
    page.panel.past.select(folders)
    qtbot.waitUntil(lambda: "same seeds" in shown_texts(page.compare), timeout=LONG)
    qtbot.waitUntil(lambda: len(page.compare.findChildren(Picture)) == 4, timeout=LONG)
    assert shown_texts(page.compare).count("same seeds") == 1, "pairs of the nearest are not in the order of seeds"


def test_the_verdict_knows_chance():
    def make(value, low, high, better="lower"):
        return Figure("x", value, "", low, high, better=better)

    assert verdict(make(1, 0.5, 1.5), make(1.2, 1, 2)) == "No clear difference: the intervals overlap."
    assert verdict(make(1, 0.9, 1.1), make(2, 1.8, 2.2)) == "A is better (lower is better)."
    assert verdict(make(1, 0.9, 1.1, "higher"), make(2, 1.8, 2.2, "higher")) == "B is better (higher is better)."
    assert "not known" in verdict(make(1, None, None), make(2, 1.8, 2.2))
    assert verdict(make(1, 1, 1), make(1, 1, 1)) == "Equal." and verdict(make(1, 1, 1, ""), make(2, 2, 2, "")) == ""


def test_deleting_can_be_undone(page, services, record, qtbot):
    folder = add_evaluation(services)
    page.refresh()
    settle(qtbot)
    page.panel.past.delete_button.click()
    settle(qtbot)
    assert not folder.exists() and page.panel.past.list.count() == 0 and page.left.currentIndex() == 0
    _text, undo = record.notes[-1]
    undo()
    settle(qtbot)
    assert folder.exists() and page.panel.past.list.count() == 1


def test_a_damaged_evaluation_is_told_and_the_others_stay(page, services, record, qtbot):
    folder = add_evaluation(services)
    (folder / "report.json").write_text("{", encoding="utf-8")
    page.refresh()
    settle(qtbot)
    assert "damaged" in record.failures[-1].message and page.left.currentIndex() == 0
    (add_evaluation(services) / "run.json").write_text("{", encoding="utf-8")
    page.refresh()
    settle(qtbot)
    assert page.panel.past.list.count() == 1


def test_the_report_is_saved_as_both_kinds(page, services, record, qtbot, tmp_path):
    add_evaluation(services)
    page.refresh()
    settle(qtbot)
    for kind, begin in (("html", b"<!DOCTYPE html>"), ("pdf", b"%PDF")):
        page.save(kind, tmp_path / f"r.{kind}")
        settle(qtbot)
        assert (tmp_path / f"r.{kind}").read_bytes().startswith(begin)
    assert page.view.open_button.isVisibleTo(page.view) and page.saved == tmp_path / "r.pdf"
    page.save("html", tmp_path / "no" / "r.html")
    settle(qtbot)
    assert isinstance(record.failures[-1], Failed)


def test_the_runs_page_leads_here(services, record, qtbot):
    from aigc_desktop.ui.pages.runs import RunsPage

    runs = RunsPage(services)
    qtbot.addWidget(runs)
    runs.build()
    runs.shown()
    settle(qtbot)
    runs.table.selectRow(0)
    runs.evaluate_button.click()
    assert record.places[-1][0] == "evaluate" and record.places[-1][1]["run"] == runs.selected()[0].run.id


def test_the_whole_way_with_the_real_engine(qtbot, workspace, center, theme, record, tmp_path):
    from aigc_desktop.core.job import run_job
    from aigc_desktop.core.settings import Preferences
    from aigc_desktop.engine.families import gpt
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
    from tests.engine.toy import text_dataset

    texts = [f"{who} {does} {what}." for who in ("A cat", "The dog", "My aunt") for does in ("sees", "likes", "wants")
             for what in ("tea", "rain", "the moon", "a red cup", "bread", "<b>it</b>")]  # fmt: skip
    dataset = text_dataset(workspace, texts, held_out=12)
    config = check(gpt.GPTConfig, {
        "dataset": dataset.id, "steps": 60, "batch_size": 8, "context": 32, "layers": 1, "width": 32, "heads": 2,
        "lr": 0.01, "device": "cpu", "threads": 1, "precision": "float32", "sample_every": 0, "validate_every": 0,
    })  # fmt: skip
    run = workspace.new_run("gpt.train", config.model_dump(mode="json"), "cats")
    assert isinstance(list(run_job(gpt.train, config, run))[-1], Finished)
    encoder = add_tiny_encoder(workspace, texts)
    services = Services(
        workspace, Preferences(language="en", theme="light"), center, theme, record.navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip
    page = EvaluatePage(services)
    qtbot.addWidget(page)
    page.build()
    page.show()
    center.warm_up()
    qtbot.waitUntil(lambda: page.panel.form is not None, timeout=LONG)
    page.shown(run=run.id)
    page.panel.form.set_values({"count": 48, "sweep": 16, "encoder": encoder, "temperatures": "0.8, 1"})
    page.panel.button.click()
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    assert record.failures == []
    qtbot.waitUntil(lambda: page.view.loaded is not None and page.view.complete, timeout=LONG)
    report = page.view.loaded.report
    assert report.run == run.id and len(report.plots) == 2 and report.figure("Bits per byte").low is not None
    assert "Fréchet distance of meanings" in shown_texts(page.view)
    page.save("pdf", tmp_path / "cats.pdf")
    qtbot.waitUntil(lambda: page.saved is not None, timeout=LONG)
    assert (tmp_path / "cats.pdf").read_bytes().startswith(b"%PDF")
    page.panel.button.click()
    qtbot.waitUntil(lambda: page.handle is not None and page.handle.progress is not None, timeout=LONG)
    page.panel.progress.stop_button.click()
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    assert len(workspace.evaluations()) == 1
