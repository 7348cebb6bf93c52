"""The Train page: from the choice of a model through a running training to its end, also the bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from aigc_desktop.core.events import Checkpoint, Failed, Finished, Metric, Note, Progress, Result, Sample, Stopped
from aigc_desktop.core.family import Plan, Preset, Problem
from aigc_desktop.core.files import write_json
from aigc_desktop.core.presets import Presets
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record as record_run
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.train import TrainPage
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog

PRESETS = [Preset("small", "Small", "Fast.", {"steps": 500}), Preset("large", "Large", "Better.", {"steps": 9000})]


def _plan(request):
    """Answer as an engine would: preset, defaults, the user's values; too many steps are a problem."""
    name = "small" if request.preset == "auto" else request.preset
    preset = next(preset for preset in PRESETS if preset.name == name)
    values = {"lr": 3e-4, "flip": True, "mode": "small", **preset.values, **request.values}
    problems = [Problem("Too many steps for this disk.", "steps")] if values["steps"] > 100_000 else []
    plan = Plan(name, PRESETS, values, 1_200_000, 40, values["steps"], 90.0, 60.0, 400, 30, "cpu", problems, ["Note"])
    return [Result("plan", {"plan": plan}), Finished()]


@pytest.fixture
def page(qtbot, services, jobs):
    for key in ("image_gan.train", "gpt.train"):
        jobs.scripts[f"{key}:plan"] = _plan
    page = TrainPage(services)
    page.build()
    qtbot.addWidget(page)
    page.resize(1190, 600)
    page.show()
    return page


@pytest.fixture
def ready(qtbot, page):
    """The page with a plan for the pictures."""
    page.shown(dataset="Cups")
    _planned(qtbot, page)
    return page


@pytest.fixture
def training(ready, jobs):
    """The page with a training that runs, and its handle."""
    ready.setup.start_button.click()
    handle = jobs.handles[-1]
    handle.feed(Progress(1, 500, "Preparing"))
    return handle


def _planned(qtbot, page):
    qtbot.waitUntil(lambda: page.setup.plan_card.plan is not None and not page.setup.planner.waiting)


def _settled(qtbot, page):
    qtbot.waitUntil(lambda: page.view._reading is None)


def _save(run, step, **changes):
    """Leave a saved version as the engine would."""
    folder = run.checkpoints_dir / f"{step:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "MANIFEST.json", {"files": {}})
    run.update(step=step, total=500, seconds=60.0, **changes)


# setting up


def test_without_data_it_sends_to_the_data_page(qtbot, workspace, services, record):
    empty = Services(
        Workspace.open(workspace.folder / "empty"), services.preferences, services.jobs, services.theme,
        record.navigate, record.notify, record.show_failure, record.change_preferences,
    )  # fmt: skip
    page = TrainPage(empty)
    page.build()
    qtbot.addWidget(page)
    page.shown()
    assert page.stack.currentWidget() is page.empty
    page.empty.button.click()
    assert record.places == [("data", {})]


def test_the_data_decide_which_models_can_be_chosen(ready):
    families = ready.setup.families
    assert families["image_gan.train"].isChecked()
    assert families["gpt.train"].isHidden() and not families["image_gan.train"].isHidden()
    assert ready.setup.others.text() == "With data of another kind: Text model"
    place = ready.setup.datasets.findText("诗 Poems · 4 texts")
    ready.setup.datasets.setCurrentIndex(place)
    ready.setup._dataset_chosen()
    assert families["gpt.train"].isChecked()
    assert families["image_gan.train"].isHidden() and not families["gpt.train"].isHidden()


def test_start_is_disabled_until_there_is_a_plan_and_says_why(qtbot, page):
    page.shown(dataset="Cups")
    assert not page.setup.start_button.isEnabled()
    assert page.setup.start_button.toolTip()
    _planned(qtbot, page)
    assert page.setup.start_button.isEnabled()


def test_a_preset_changes_the_plan_and_the_fields_the_user_left_alone(qtbot, ready, jobs):
    form = ready.setup.form
    assert form.values()["steps"] == 500
    form.rows["lr"].input.line.setText("0.01")
    form.rows["lr"].input.line.textEdited.emit("0.01")
    ready.setup._preset_chosen("large")
    qtbot.waitUntil(lambda: form.values()["steps"] == 9000)
    assert form.values()["lr"] == 0.01
    assert jobs.requests[-1].values["lr"] == 0.01


def test_edits_are_gathered_into_one_plan_and_the_newest_wins(qtbot, ready, jobs):
    before = len(jobs.requests)
    for steps in (10, 20, 30):
        ready.setup.form.set_values({"steps": steps})
        ready.setup._plan_soon()
    _planned(qtbot, ready)
    assert len(jobs.requests) == before + 1
    assert ready.setup.plan_card.plan.steps == 30


def test_start_waits_for_the_plan_of_what_was_changed_last(qtbot, ready):
    ready.setup.form.set_values({"steps": 30})
    ready.setup.form.changed.emit()
    assert not ready.setup.start_button.isEnabled()
    assert "Working out" in ready.setup.start_button.toolTip()
    _planned(qtbot, ready)
    assert ready.setup.start_button.isEnabled()


def test_problems_of_the_plan_disable_start_and_stand_at_their_fields(qtbot, ready):
    ready.setup.form.set_values({"steps": 500_000})
    ready.setup._plan_soon()
    _planned(qtbot, ready)
    assert not ready.setup.start_button.isEnabled()
    assert "Too many steps" in ready.setup.start_button.toolTip()
    assert "Too many steps" in ready.setup.form.rows["steps"].problem.text()


def test_an_entry_that_is_no_number_is_told_at_once(ready, jobs):
    before = len(jobs.requests)
    ready.setup.form.rows["lr"].input.line.setText("fast")
    ready.setup._plan_soon()
    assert not ready.setup.start_button.isEnabled()
    assert "number" in ready.setup.plan_card.reason
    assert len(jobs.requests) == before


def test_start_makes_a_run_with_the_plan_and_the_users_values(ready, jobs, services):
    ready.setup.form.set_values({"flip": False})
    ready.setup.start_button.click()
    request = jobs.requests[-1]
    assert request.mode == "run"
    assert request.values == {"lr": 3e-4, "flip": False, "mode": "small", "steps": 500, "dataset": "Cups"}
    run = services.workspace.run(ready.run.id)
    assert run.config_values == request.values
    assert run.info.title == "Cups · Picture GAN"
    assert request.run == str(run.folder)
    assert ready.stack.currentIndex() == 2


def test_presets_are_saved_applied_renamed_and_shared(qtbot, ready, services, tmp_path, record):
    setup = ready.setup
    setup.form.set_values({"steps": 77})
    setup.preset_menu.save_asked.emit("Mine 我的")
    setup.form.reset()
    presets = Presets(services.workspace.folder)
    (saved,) = presets.of_task("image_gan.train")
    assert saved.values == {"steps": 77}
    setup.preset_menu.chosen.emit(saved)
    assert setup.form.values()["steps"] == 77
    setup.preset_menu.rename(saved, "Other")
    (saved,) = presets.of_task("image_gan.train")
    assert saved.title == "Other"
    given = tmp_path / "given.preset.json"
    given.write_bytes(saved.file.read_bytes().replace(b"Other", b"From a friend"))
    setup.preset_menu.take_in(given)
    assert [preset.title for preset in presets.of_task("image_gan.train")] == ["From a friend", "Other"]
    given.write_text("[]", encoding="utf-8")
    setup.preset_menu.take_in(given)
    assert "not a preset" in record.failures[-1].message


# watching


def test_progress_is_shown_with_step_speed_and_time_left(training, ready):
    training.feed(Progress(120, 500, "", 42.0, "images", 75.0), Note("Memory is short."))
    facts = {name: pair[1].text() for name, pair in ready.panel.facts.rows.items()}
    assert facts["Step"] == "120 of 500"
    assert facts["Speed"] == "42 images/s"
    assert facts["Time left"] == "1 min"
    assert ready.panel.bar.value() == 120
    assert "Memory is short." in ready.panel.note_text.text()


def test_no_time_is_left_while_it_stops(training, ready, jobs):
    jobs.stops_at_once = False
    training.feed(Progress(120, 500, "", 42.0, "images", 75.0))
    assert not ready.panel.facts.rows["Time left"][1].isHidden()
    training.stop()
    training.feed(Progress(121, 500, "", 42.0, "images", 75.0))
    assert ready.panel.facts.rows["Time left"][1].isHidden() and not ready.panel.facts.rows["Speed"][1].isHidden()


def test_numbers_and_samples_reach_curves_and_wall(qtbot, training, ready):
    _settled(qtbot, ready)
    images = np.zeros((4, 8, 8, 3), np.uint8)
    training.feed(Sample(10, images, (1, 2, 3, 4)), Metric(10, {"g_loss": 0.5, "val_loss": 0.7}))
    training.feed(Checkpoint(10, "000010", True))
    assert len(ready.view.wall.rows) == 1
    assert ready.view.plot.metrics["g_loss"].series.raw.values.tolist() == [0.5]
    assert ready.view.plot.best_step == 10


def test_sample_save_and_pause(training, ready):
    ready.panel.sample_button.click()
    ready.panel.save_button.click()
    assert training.wishes == ["sample", "save"]
    ready.panel.pause_button.click()
    assert training.status == "paused"
    assert ready.panel.pause_button.text() == "Resume"
    assert not ready.panel.sample_button.isEnabled()
    ready.panel.pause_button.click()
    assert training.status == "running"


def test_it_says_when_the_model_begins_to_memorise(training, ready):
    training.feed(Metric(10, {"val_loss": 1.0}), Checkpoint(10, "000010", True))
    for step in (20, 30, 40, 50):
        training.feed(Metric(step, {"val_loss": 1.5}))
    assert "Best version: step 10" in ready.panel.memorising.text()


def test_stop_and_save_ends_with_continue(qtbot, training, ready, jobs):
    _save(ready.run, 120)
    ready.panel.stop_button.click()
    ready.findChild(ChoiceDialog).buttons["save"].click()
    qtbot.waitUntil(lambda: ready.handle is None)
    assert ready.panel.end_card.isVisible()
    assert ready.panel.end_card.continue_button.text() == "Continue from step 120"
    ready.panel.end_card.continue_button.click()
    assert jobs.requests[-1].run == str(ready.run.folder)
    assert ready.handle is jobs.handles[-1]


def test_a_stop_before_the_first_version_does_not_claim_to_have_saved(training, ready):
    training.feed(Stopped())
    assert ready.panel.end_card.title.text() == "Stopped before anything was saved"


def test_a_stop_that_takes_long_can_be_ended_at_the_cost_of_what_is_not_saved(training, ready, jobs):
    jobs.stops_at_once = False
    ready.panel.stop_button.click()
    ready.findChild(ChoiceDialog).buttons["save"].click()
    assert training.can_end and ready.panel.stop_button.text() == "End now…" and ready.panel.stop_button.isEnabled()
    ready.panel.stop_button.click()
    dialog = ready.findChildren(ChoiceDialog)[-1]
    assert list(dialog.buttons) == ["wait", "end"]
    dialog.buttons["end"].click()
    assert training.patience_s == 0 and ready.panel.stop_button.text() == "Stopping…"
    assert not ready.panel.stop_button.isEnabled()


def test_stop_and_discard_goes_to_the_trash_with_undo(qtbot, training, ready, record):
    folder = ready.run.folder
    ready.panel.stop_button.click()
    ready.findChild(ChoiceDialog).buttons["discard"].click()
    qtbot.waitUntil(lambda: ready.stack.currentIndex() == 1)
    assert not folder.exists()
    record.notes[-1][1]()
    assert folder.exists()


def test_the_end_offers_what_comes_next(training, ready, record):
    _save(ready.run, 500, status="finished", best="000500")
    training.feed(Finished())
    assert ready.panel.end_card.title.text() == "Model ready"
    ready.panel.end_card.use_button.click()
    assert record.places[-1] == ("create", {"run": ready.run.id})
    ready.panel.end_card.another_button.click()
    assert ready.stack.currentIndex() == 1


def test_a_failure_is_a_sentence_with_continue(training, ready, jobs):
    _save(ready.run, 200)
    training.feed(Failed("EngineDied", "The engine process crashed (signal 11).", "Continue from there.", "trace"))
    assert ready.panel.failure.message.text() == "The engine process crashed (signal 11)."
    ready.panel.end_card.continue_button.click()
    assert jobs.requests[-1].run == str(ready.run.folder)
    assert not ready.panel.failure.isVisible()


def test_generate_like_this_goes_to_create_with_version_seed_and_label(qtbot, training, ready, record):
    _settled(qtbot, ready)
    _save(ready.run, 10)
    _save(ready.run, 20)
    training.feed(Sample(20, np.zeros((2, 8, 8, 3), np.uint8), (5, 6), ("cup", "bowl")))
    ready.view.wall.canvas.go_to(0, 1)
    ready.view.wall.like.click()
    assert record.places[-1] == (
        "create", {"run": ready.run.id, "checkpoint": "000020", "seed": 6, "label": "bowl"}
    )  # fmt: skip
    training.feed(Sample(13, np.zeros((2, 8, 8, 3), np.uint8), (5, 6)))
    ready.view.wall.canvas.go_to(0, 0)
    ready.view.wall.like.click()
    assert record.places[-1][1]["checkpoint"] == "000010"
    assert "nearest" in record.notes[-1][0]


# from the disk


def test_a_running_job_is_found_again_by_a_new_page_with_its_history(qtbot, training, ready, services):
    events = [
        Sample(0, np.zeros((4, 8, 8, 3), np.uint8), role="real"),
        *(Metric(step, {"g_loss": 1 / step}) for step in range(1, 31)),
        Sample(30, np.full((4, 8, 8, 3), 9, np.uint8), (1, 2, 3, 4)),
    ]
    for _event in record_run(ready.run, events):
        pass
    again = TrainPage(services)
    again.build()
    qtbot.addWidget(again)
    again.show()
    again.shown()
    assert again.handle is training
    training.feed(Metric(31, {"g_loss": 0.01}))
    _settled(qtbot, again)
    assert len(again.view.plot.metrics["g_loss"].series) == 31
    assert again.view.wall.rows[0].step == 30
    assert again.view.wall.canvas.real is not None


def test_real_data_stand_above_the_samples(qtbot, page, services):
    dataset = services.workspace.dataset("Cups")
    (dataset.snapshot / "images.npy").unlink()
    np.save(dataset.snapshot / "images.npy", np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3))
    run = services.workspace.new_run("image_gan.train", {"dataset": "Cups"}, "with data")
    page.shown(run=run.id)
    _settled(qtbot, page)
    real = page.view.wall.canvas.real
    np.testing.assert_array_equal(real.images, dataset.images("train"))


def test_an_old_run_says_that_its_curves_are_being_read_until_they_are_there(qtbot, page, services):
    page.shown(run=services.workspace.runs()[0].id)
    plot = page.view.plot
    assert "being read" in plot.waiting.text()
    qtbot.waitUntil(lambda: bool(plot.metrics))
    assert "being read" not in plot.waiting.text()


def test_an_old_run_opens_with_its_end(qtbot, page, services):
    run = services.workspace.runs()[-1]
    page.shown(run=run.id)
    _settled(qtbot, page)
    assert page.stack.currentIndex() == 2
    assert len(page.view.plot.metrics["loss"].series) == 50
    assert page.panel.end_card.isVisible()


def test_an_interrupted_run_is_offered_to_go_on(qtbot, page, services, jobs):
    run = services.workspace.runs()[0]
    run.update(status="running", step=490)
    page.shown()
    assert page.banner.isVisible()
    assert "step 490" in page.banner.text.text()
    page.banner.go_on.click()
    assert jobs.requests[-1].run == str(run.folder)
    assert not page.banner.isVisible()


def test_an_interrupted_run_can_be_left(page, services):
    run = services.workspace.runs()[0]
    run.update(status="running")
    page.shown()
    page.banner.leave.click()
    assert not page.banner.isVisible()
    assert run.info.status == "stopped"


def test_resume_from_the_runs_page(page, services, jobs):
    run = services.workspace.runs()[0]
    page.shown(run=run.id, resume=True)
    assert jobs.requests[-1].run == str(run.folder)


def test_curves_are_exported(qtbot, page, services, record, tmp_path):
    page.shown(run=services.workspace.runs()[-1].id)
    _settled(qtbot, page)
    page.view.export("csv", tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text(encoding="utf-8").count("\n") == 51
    page.view.export("csv", tmp_path / "nowhere" / "c.csv")
    assert record.failures


def test_a_stop_that_had_to_end_the_engine_does_not_claim_to_have_saved(training, ready):
    training.feed(Stopped(forced=True))
    card = ready.panel.end_card
    assert card.title.text() == "Training was interrupted"
    assert "after the last saved version is lost" in ready.panel.note_text.text()
    assert ready.panel.note_card.isVisible()
