"""The states of the window to be looked at: each scene leads the window somewhere and takes its pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

from model_scenes import models, tune
from passing_scenes import compare, menus
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from stage import Stage, shoot_inside

from aigc_desktop.core.labels import PROPOSED, JournalWriter, TextLabel
from aigc_desktop.core.paths import resources
from aigc_desktop.data.label_index import digest_of
from aigc_desktop.ui.jobs import PATIENT
from aigc_desktop.ui.tour import Tour
from aigc_desktop.ui.widgets.edit.edit_dialog import EditDialog
from aigc_desktop.ui.widgets.forms.mask_dialog import MaskDialog
from aigc_desktop.ui.widgets.settings.licences import LicencesDialog
from aigc_desktop.ui.widgets.settings.settings_cards import AboutCard


def places(stage: Stage) -> None:
    """Show every page as it opens."""
    for place in stage.window.places:
        stage.window.navigate(place)
        stage.shoot(place)


def dialogs(stage: Stage) -> None:
    """Show help, keys and licences."""
    window = stage.window
    window.show_help()
    stage.dialog("help")
    window.show_keys()
    stage.dialog("keys")
    window.navigate("settings")
    window.pages["settings"].findChildren(AboutCard)[0].licences_button.click()
    stage.wait(lambda: window.findChildren(LicencesDialog)[-1].list.count() > 0)
    stage.dialog("licences")


def bring_in(stage: Stage) -> None:
    """Import a folder with a cut-off picture, an empty file, a text and a copy in it."""
    window, folder = stage.window, stage.out / "My pictures 我的图片"
    make_messy_folder(folder)
    window.navigate("data")
    page = window.pages["data"]
    page.add_data()
    stage.shoot("data-drop")
    window.open_paths([folder])
    stage.shoot("data-import")
    page.importing.start_button.click()
    stage.wait(lambda: not page.importing.busy)
    stage.settle(1)
    stage.shoot("data-problems")
    shutil.rmtree(folder)


def make_messy_folder(folder: Path) -> None:
    """Fill a folder as people's folders are: good pictures, and some that are not."""
    samples = sorted((resources() / "samples" / "emoji" / "animals").glob("*.png"))[:60]
    folder.mkdir()
    for file in samples:
        shutil.copy(file, folder)
    (folder / "cup 07.png").write_bytes(samples[0].read_bytes()[:300])
    (folder / "empty.jpg").touch()
    shutil.copy(samples[1], folder / "copy of the same.png")
    (folder / "notes.txt").write_text("no picture\n", encoding="utf-8")
    Image.new("RGB", (4, 4)).save(folder / "tiny.png")


LABELLED = (
    ("😀 Ann Lee moved from Oslo to 上海 in 2019, and never looked back.", ((2, 9, "person"), (21, 25, "place"))),
    ("李白在长安写下了这首诗，后来去了洛阳。", ((0, 2, "person"), (3, 5, "place"))),
    ("وصل كيم إلى روما في الصباح", ((4, 7, "person"), (12, 16, "place"))),
    ("The committee met again on Tuesday.", ()),
    ("Eve Adams paints cups for the Harbour Tea Company in New York, where she has lived for ten years.", ()),
)


def label(stage: Stage) -> None:
    """Label texts from nothing: the first classes, what a model proposes, a text without any name, whole texts."""
    window = stage.window
    file = stage.out / "reviews.txt"
    file.write_text("\n".join(text for text, _spans in LABELLED), encoding="utf-8")
    window.navigate("data")
    page = window.pages["data"]
    window.open_paths([file])
    page.importing.form.set_values({"text_item": "line"})
    page.importing.start_button.click()
    stage.wait(lambda: not page.importing.busy)
    page.panel.mode.buttons["label"].click()
    panel = page.panel.labelling
    stage.wait(lambda: panel.view.session is not None and panel.view.current is not None)
    stage.shoot("label-empty")
    for name in ("person", "place", "company"):
        panel.classes.added.emit(name)
    records = [panel.view.session.items[row] for row in range(len(LABELLED))]
    with JournalWriter(panel.dataset.folder / PROPOSED) as journal:
        for row, (_text, spans) in enumerate(LABELLED[:4]):
            journal.append([TextLabel(row, digest_of(records[row]), "names", spans, source="model",
                                      certainty=0.97 - 0.15 * row)])  # fmt: skip
    panel.view.refresh()
    stage.wait(lambda: panel.view.current.origin == "proposed")
    panel.view.list.setFocus()
    stage.shoot("label-proposed")
    panel.view.accept()
    stage.wait(lambda: panel.view.current.row == 1)
    panel.view.list.go_to(4)
    for name in ("Eve Adams", "Harbour Tea Company", "New York"):
        start = LABELLED[4][0].index(name)
        panel.view.text.select_letters(start, start + len(name))
        panel.view.use_class({"E": "person", "H": "company", "N": "place"}[name[0]])
    stage.settle(1)
    stage.shoot("label-draft")
    panel.view.list.go_to(2)
    stage.shoot("label-right-to-left")
    panel._open_kind("class")
    stage.wait(lambda: panel.view.session is not None and panel.view.current is not None)
    panel.classes.added.emit("good")
    panel.view.use_class("good")
    stage.settle(1)
    stage.shoot("label-class")
    page.panel.mode.buttons["look"].click()
    file.unlink()


def train(stage: Stage) -> None:
    """Set up a training, watch it, pause and stop it, and show what comes at the end."""
    window = stage.window
    emoji = next(
        each.id for each in window.services.workspace.datasets() if each.info.kind == "image" and each.info.frozen
    )
    window.navigate("train", dataset=emoji)
    page = window.pages["train"]
    stage.wait(lambda: page.setup.start_button.isEnabled())
    page.setup.form.set_values({"batch_size": 4096, "width": 512})
    page.setup.form.changed.emit()
    stage.settle(2)
    stage.shoot("train-problem")
    page.setup.form.reset()
    stage.wait(lambda: page.setup.start_button.isEnabled())
    page.setup.start_button.click()
    handle = page.handle
    stage.wait(lambda: handle.progress is not None and handle.progress.step > 3, 400)
    page.panel.sample_button.click()
    stage.settle(4)
    stage.shoot("train-running")
    page.panel.pause_button.click()
    stage.shoot("train-paused")
    page.panel.stop_button.click()
    stage.dialog("train-stop")
    window.close()
    stage.dialog("closing")
    page.handle.stop(PATIENT)
    page.panel.stop_button.click()
    stage.dialog("train-end-now")
    stage.wait(lambda: page.handle is None)
    stage.shoot("train-stopped")


def ended(stage: Stage) -> None:
    """Show a run that came to its end, one that failed, and two that are compared."""
    window = stage.window
    runs = window.services.workspace.runs()
    for run in runs:
        if run.info.status == "finished":
            window.navigate("train", run=run.id)
            stage.settle(1)
            stage.shoot(f"train-finished-{run.info.task.split('.')[0]}")
    failed = runs[0]
    before = failed.info
    failed.update(status="failed")
    (failed.folder / "failure.txt").write_text(
        "Training stopped: the numbers grew beyond all bounds.\nTry half the learning rate.\nTraceback\n", "utf-8"
    )
    window.navigate("train", run=runs[-1].id)
    window.navigate("train", run=failed.id)
    stage.settle(1)
    stage.shoot("train-failed")
    failed.update(status=before.status)
    (failed.folder / "failure.txt").unlink()


def create(stage: Stage) -> None:
    """Make pictures and texts, look closely, compare, export."""
    window = stage.window
    runs = {run.info.task.split(".")[0]: run for run in window.services.workspace.runs() if run.checkpoints()}
    for family, count in (("image_gan", 36), ("gpt", 4)):
        window.navigate("create", run=runs[family].id)
        page = window.pages["create"]
        page.panel.set_values({"count": count, "seed": 5})
        page.panel.seed.lock.setChecked(True)
        page.generate()
        stage.wait(lambda page=page: page.handle is None)  # type: ignore[misc]
        stage.settle(1)
        page.view.grid.select_rows([0, 3])
        stage.shoot(f"create-{family}")
        page.view.actions_by_key["export"].trigger()
        stage.dialog(f"export-{family}")
        if family == "image_gan":
            page.view.grid.selectAll()
            page.view.actions_by_key["keep"].trigger()
            stage.settle(2)
            page.view.look(0)
            stage.shoot("create-viewer")
            page.view.back()
            page.view.grid.select_rows([0, 3])
            page.view.compare()
            stage.shoot("create-compare")
            page.view.back()


def explore(stage: Stage) -> None:
    """Walk on the map of each model that can be explored, collect, find sliders, look at variants, mix."""
    window = stage.window
    window.navigate("explore")
    page = window.pages["explore"]
    exploration = page.exploration
    families = {task.family for task in window.services.jobs.catalogue.values() if task.explored}
    for run in window.services.workspace.runs():
        family = run.info.task.split(".")[0]
        if family not in families or not run.checkpoints():
            continue
        window.navigate("explore", run=run.id)
        stage.wait(lambda: exploration.map is not None and exploration.look is not None)
        if not exploration.directions:
            page.sliders.find_button.click()
            stage.wait(lambda: bool(exploration.directions))
        for across, down in ((2.0, 3.0), (8.5, 4.2), (5.0, 9.0)):
            page.view.map.go_to(across, down)
            stage.settle(1)
            exploration.collect()
        stage.shoot(f"explore-map-{family}")
        page.show_variants()
        stage.wait(lambda: len(exploration.variants) > 0)
        stage.shoot(f"explore-variants-{family}")
        page.view.show_mode("map")
        page.view.collected.grid.select_rows([0, 1, 2])
        page.panel.show_tab("mix")
        stage.settle(1)
        stage.shoot(f"explore-mix-{family}")
        page.panel.show_tab("film")
        page.film.frames.setValue(8)
        page.film.make.click()
        stage.wait(lambda: page.film.progress.handle is None and bool(page.film.images))
        stage.shoot(f"explore-film-{family}")
        page.film.export.click()
        stage.dialog(f"explore-export-{family}")
        page.panel.show_tab("photo")
        page.photo.put_in(next((resources() / "samples" / "emoji").glob("*/*.png")))
        stage.wait(lambda: page.photo.progress.handle is None)
        stage.shoot(f"explore-photo-{family}")
        page.panel.show_tab("sliders")


def tasks(stage: Stage) -> None:
    """Show the settings of every family's training, and of every task of what was trained."""
    window = stage.window
    workspace = window.services.workspace
    window.navigate("train", dataset=next(each.id for each in workspace.datasets() if each.info.kind == "text"))
    page = window.pages["train"]
    for key, button in page.setup.families.items():
        button.click()
        stage.settle(2)
        stage.shoot(f"setup-{key.split('.')[0]}")
    for run in workspace.runs():
        if run.checkpoints():
            window.navigate("create", run=run.id)
            for task in window.pages["create"].panel.tasks():
                window.navigate("create", run=run.id, task=task.key)
                stage.settle(1)
                stage.shoot(f"task-{task.key.replace('.', '-')}")


def evaluations(stage: Stage) -> None:
    """Measure each kind of model that was not measured yet, read the evaluations, and compare two."""
    window = stage.window
    runs = {run.info.task.split(".")[0]: run for run in window.services.workspace.runs() if run.checkpoints()}
    encoders = [model.id for model in window.services.workspace.models() if model.info.kind == "encoder"]
    window.navigate("evaluate")
    page = window.pages["evaluate"]
    past = page.panel.past
    stage.settle(1)
    stage.shoot("evaluate-first")
    for family, run in runs.items():
        window.navigate("evaluate", run=run.id)
        stage.wait(lambda: page.panel.form is not None)
        stage.settle(1)
        if not past.folders():
            page.panel.form.set_values({"count": 200, "sweep": 64, **({"encoder": encoders[0]} if encoders else {})})
            page.evaluate()
            stage.settle(6)
            stage.shoot(f"evaluate-running-{family}")
            stage.wait(lambda: page.handle is None and bool(past.folders()), 400)
            stage.settle(1)
        stage.wait(lambda: page.view.complete)
        stage.shoot(f"evaluate-{family}")
        shoot_inside(stage, page.view, f"evaluate-{family}-whole")
    past.list.selectAll()
    past.select(past.folders()[:2])
    stage.settle(1)
    stage.shoot("evaluate-compare")
    shoot_inside(stage, page.compare, "evaluate-compare-whole")


def library(stage: Stage) -> None:
    """Show many works, one of them chosen, and one looked at."""
    window = stage.window
    window.navigate("library")
    page = window.pages["library"]
    stage.wait(lambda: page.library is not None)
    stage.settle(1)
    page.grid.select_rows([1])
    stage.shoot("library-card")
    page.look(1)
    stage.shoot("library-viewer")
    page.back()
    page.grid.select_rows([0, 1, 2])
    stage.shoot("library-many")


def edit(stage: Stage) -> None:
    """Edit two works of the library: a chain with a look, the settings of a crop, a rectangle that is drawn."""
    window = stage.window
    window.navigate("library")
    page = window.pages["library"]
    stage.wait(lambda: page.library is not None)
    stage.settle(1)
    page.grid.select_rows([0, 1])
    page.edits.edit(page.chosen())
    stage.wait(lambda: bool(page.findChildren(EditDialog)))
    dialog = page.findChildren(EditDialog)[-1]
    for operation in ("upscale", "recolour"):
        dialog.steps.add(operation)
    dialog.steps.chain.set_values(1, {"colours": "#1F5FD0 #F5A623"})
    stage.settle(1)
    stage.wait(lambda: not dialog.asker.waiting("look"))
    stage.shoot("edit", dialog)
    dialog.steps.add("crop")
    dialog.steps.form.set_advanced(True)
    dialog.draw()
    stage.settle(1)
    stage.wait(lambda: not dialog.asker.waiting("look"))
    stage.dialog("edit-crop")


def tour(stage: Stage) -> None:
    """Take the guided tour with texts, the shorter one."""
    window = stage.window
    window.navigate("start")
    page = window.pages["start"]
    page.kind.buttons["text"].click()
    stage.wait(page.try_button.isEnabled)
    page.try_button.click()
    running = Tour.current(window.services)
    assert running is not None
    stage.wait(lambda: running.step == "train" and running.last is not None)
    stage.shoot("tour-running")
    stage.wait(lambda: running.state != "running", 400)
    stage.shoot("tour-end")
    page._leave_tour()


def empty(stage: Stage) -> None:
    """Show every page of a workspace with nothing in it."""
    for place in stage.window.places:
        stage.window.navigate(place)
        stage.shoot(f"empty-{place}")


def starter(stage: Stage) -> None:
    """Make the first pictures with the model that ships with the program, in a workspace of its own."""
    stage.window.navigate("start")
    stage.window.pages["start"].ready_model.use()
    stage.wait(lambda: stage.window.place == "create")
    create = stage.window.pages["create"]
    stage.wait(lambda: create.batch is not None and create.handle is None and bool(create.batch.works))
    stage.shoot("starter-create")
    create.view.grid.select_rows([0])
    create.view.actions_by_key["repaint"].trigger()
    dialog = create.findChild(MaskDialog)
    stage.wait(lambda: not dialog.canvas.image.isNull())
    middle = dialog.canvas.rect().center()
    QTest.mousePress(dialog.canvas, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(dialog.canvas, middle + QPoint(90, -60))
    QTest.mouseRelease(dialog.canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(90, -60))
    stage.dialog("starter-mask", close=False)
    dialog.use.click()
    stage.wait(lambda: "mask" in create.panel.form.values())
    stage.shoot("starter-repaint")
    stage.window.navigate("start")
    stage.shoot("starter-start")


SCENES = {
    each.__name__: each
    for each in (
        places, dialogs, bring_in, label, train, ended, compare, menus, create, explore, tasks, models,
        tune, evaluations, library, edit, tour, empty, starter,
    )
}
