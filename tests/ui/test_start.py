"""The Start page: the tour from first to last step, recent runs and workspaces, the machine in words."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel, QPushButton

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Event, Failed, Finished, Progress, Result, Sample, Stopped
from aigc_desktop.core.family import Plan
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.rehearsal import SECONDS
from aigc_desktop.core.request import JobRequest
from aigc_desktop.data.freeze import FreezeConfig
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.start import StartPage
from aigc_desktop.ui.recent import recent_workspaces, remember_workspace
from aigc_desktop.ui.tour import STEPS, Tour
from aigc_desktop.ui.widgets.controls import NameButton
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Record, settle

IMAGES = np.zeros((8, 16, 16, 3), np.uint8)


@pytest.fixture
def page(services: Services, qtbot) -> StartPage:
    made = StartPage(services)
    qtbot.addWidget(made)
    made.build()
    made.shown()
    settle(qtbot)
    return made


def script(jobs: FakeJobCenter) -> None:
    """Let every job of the tour play by itself."""

    def scan(request: JobRequest) -> Iterable[Event]:
        assert Path(check(ScanConfig, request.values).source).is_dir()
        return [Progress(1, 2), Result("dataset", {"id": "Emoji"}), Finished()]

    def freeze(request: JobRequest) -> Iterable[Event]:
        return [Result("dataset", {"id": check(FreezeConfig, request.values).dataset}), Finished()]

    def plan(request: JobRequest) -> Iterable[Event]:
        made = Plan("small", [], {"dataset": request.values["dataset"], "steps": 1000}, steps=1000, seconds=700.0)
        return [Result("plan", {"plan": made}), Finished()]

    def train(request: JobRequest) -> Iterable[Event]:
        return [Progress(10, 20, "Training"), Sample(10, IMAGES), Finished()]

    jobs.scripts = {
        "data.scan": scan, "data.freeze": freeze,
        "image_gan.train:plan": plan, "image_gan.train": train,
        "image_gan.generate": lambda _request: [Sample(0, IMAGES), Finished()],
    }  # fmt: skip


def test_the_tour_runs_all_steps_and_ends_at_the_library(
    page: StartPage, jobs: FakeJobCenter, services: Services, record: Record, qtbot, monkeypatch: pytest.MonkeyPatch
):
    from aigc_desktop.export import results

    kept: list[object] = []
    monkeypatch.setattr(results, "keep_result", lambda library, run: kept.append(run.folder))
    monkeypatch.setattr(results, "export_result", lambda run, out, words: [out / "000.png"])
    script(jobs)
    page.try_button.click()
    tour = Tour.current(services)
    qtbot.waitUntil(lambda: tour.state != "running", timeout=10_000)
    assert tour.state == "finished" and tour.done == list(STEPS)
    tasks = [(request.task, request.mode) for request in jobs.requests]
    assert tasks == [("data.scan", "run"), ("data.freeze", "run"), ("image_gan.train", "plan"),
                     ("image_gan.train", "run"), ("image_gan.generate", "run")]  # fmt: skip
    assert jobs.requests[3].values["steps"] == int(1000 * SECONDS["image"] / 700)
    assert jobs.requests[4].values["run"] == tour.outcome.run
    assert kept == [Path(tour.outcome.result)] and tour.outcome.files[0].name == "000.png"
    library = next(b for b in page.findChildren(QPushButton) if b.text() == "Open in Library")
    assert library.isVisibleTo(page)
    library.click()
    assert record.places == [("library", {})]


def test_the_tour_shows_the_pictures_of_the_training(page: StartPage, jobs: FakeJobCenter, services: Services, qtbot):
    page.try_button.click()
    jobs.handles[0].feed(Progress(3, 10, "Reading"), Sample(3, IMAGES))
    view = page.hero.itemAt(0).widget()
    assert len([text for text in view.picture.labels if not text.pixmap().isNull()]) == len(IMAGES)
    assert "30 %" in view.words.text() and view.bar.value() == 3


def test_steps_of_the_tour_that_are_to_come_can_be_read(page: StartPage):
    page.try_button.click()
    steps = page.hero.itemAt(0).widget().steps
    assert all(text.isEnabled() for _icon, text in steps.values())
    assert [text.property("role") for _icon, text in steps.values()] == ["body", *["secondary"] * (len(steps) - 1)]


def test_the_name_of_a_run_has_the_room_of_a_curve_that_is_none(page: StartPage, services: Services, qtbot):
    run = services.workspace.new_run("image_gan.train", {}, "A long title of a run that has not begun to learn yet")
    page.runs.refresh()
    settle(qtbot)
    grid, names = page.runs.grid, {b.text(): b for b in page.runs.findChildren(NameButton)}
    columns = {name: grid.getItemPosition(grid.indexOf(made))[3] for name, made in names.items()}  # type: ignore[index]
    assert columns[run.info.title] == 2 and columns["cups"] == 1


def test_a_tour_that_is_stopped_says_so_and_can_be_left(page: StartPage, services: Services, qtbot):
    page.try_button.click()
    tour = Tour.current(services)
    tour.stop()
    qtbot.waitUntil(lambda: tour.state == "stopped")
    close = next(b for b in page.findChildren(QPushButton) if b.text() == "Close the tour" and b.isVisibleTo(page))
    close.click()
    assert Tour.current(services) is None and page.try_button.isEnabled()


def test_a_step_that_fails_is_told(page: StartPage, jobs: FakeJobCenter, services: Services, record: Record):
    page.try_button.click()
    failed = Failed("OutOfSpace", "The disk is full.")
    jobs.handles[0].feed(failed)
    assert Tour.current(services).state == "failed" and record.failures == [failed]


def test_the_tour_survives_a_new_page(page: StartPage, jobs: FakeJobCenter, services: Services, qtbot):
    page.try_button.click()
    again = StartPage(services)
    qtbot.addWidget(again)
    again.build()
    assert again.hero.itemAt(0).widget().tour is Tour.current(services)
    jobs.handles[0].feed(Stopped())


def test_the_tour_waits_for_the_engine(services: Services, jobs: FakeJobCenter, qtbot):
    tasks, jobs.catalogue = jobs.catalogue, {}
    page = StartPage(services)
    qtbot.addWidget(page)
    page.build()
    assert not page.try_button.isEnabled() and "starting" in page.waiting.text()
    jobs.catalogue = {key: task for key, task in tasks.items() if task.kind == "image"}
    jobs.ready.emit()
    assert page.try_button.isEnabled()
    page.kind.buttons["text"].click()
    assert not page.try_button.isEnabled() and "No model" in page.waiting.text()


def test_recent_runs_open_on_the_train_page(page: StartPage, record: Record):
    titles = {b.text(): b for b in page.runs.findChildren(QPushButton)}
    assert {"cups", "<b>bold</b> 杯子", "poems"} <= titles.keys()
    titles["cups"].click()
    place, arguments = record.places[0]
    assert place == "train" and "image_gan" in str(arguments["run"])


def test_a_workspace_that_is_gone_is_grey_and_can_be_forgotten(page: StartPage, tmp_path: Path, record: Record):
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.mkdir()
    remember_workspace(gone)
    remember_workspace(here)
    page.workspaces.refresh()
    buttons = {b.text(): b for b in page.workspaces.findChildren(QPushButton) if not b.isHidden()}
    assert buttons["here"].isEnabled() and not buttons["gone"].isEnabled()
    buttons["here"].click()
    assert record.preferences[0].workspace == str(here)
    forget = next(w for w in page.workspaces.findChildren(object) if getattr(w, "toolTip", str)() == "Forget gone")
    forget.click()
    assert recent_workspaces() == [here]


def test_the_workspace_is_not_changed_under_a_running_job(
    page: StartPage, jobs: FakeJobCenter, record: Record, tmp_path: Path
):
    from aigc_desktop.ui.workspace_choice import open_workspace

    jobs.run(JobRequest("gpt.train"))
    open_workspace(page.services, tmp_path)
    assert not record.preferences and "running" in record.notes[0][0]


def test_the_machine_is_told_in_words(page: StartPage, jobs: FakeJobCenter):
    def texts() -> str:
        return " ".join(label.text() for label in page.machine.findChildren(QLabel))

    assert "processor" in texts() and "2 processor cores" in texts()
    jobs.machine = Machine(8, 32_000_000_000, "x", "cuda", "RTX 4090", 24_000_000_000)
    jobs.ready.emit()
    assert "RTX 4090 (24.0 GB)" in texts() and "graphics card" in texts()
