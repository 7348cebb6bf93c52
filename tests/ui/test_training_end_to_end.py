"""The main job in the window with the real engine process: import, freeze, train, pause, stop, continue, survive."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from aigc_desktop.core.events import Failed, Finished, Stopped
from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.create import CreatePage
from aigc_desktop.ui.pages.data import DataPage
from aigc_desktop.ui.pages.train import TrainPage
from tests.engine.families.shapes import shapes
from tests.engine.toy import marked_dataset, text_dataset

LONG = 60_000
SMALL = {"batch_size": 4, "width": 16, "log_every": 1, "sample_every": 0, "validate_every": 0, "copy_share": 0.0}


@pytest.fixture
def pages(qtbot, workspace, center, theme, record):
    """The pages of the main job, with navigation between them."""
    made: dict[str, object] = {}

    def navigate(place, **arguments):
        record.navigate(place, **arguments)
        if place in made:
            made[place].shown(**arguments)

    services = Services(
        workspace, Preferences(language="en", theme="light"), center, theme, navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip
    for place, kind in (("data", DataPage), ("train", TrainPage), ("create", CreatePage)):
        page = kind(services)
        made[place] = page
        page.build()
        qtbot.addWidget(page)
        page.show()
        page.shown()
    center.warm_up()
    return made


def _set(page, **values):
    known = page.setup.form.rows
    page.setup.form.set_values({name: value for name, value in values.items() if name in known})
    page.setup._plan_soon()


def _bring_in(qtbot, pages, folder: Path) -> None:
    """Import a part of the bundled emoji and freeze it, which opens the Train page."""
    shutil.copytree(resources() / "samples" / "emoji" / "weather", folder / "weather")
    data, train = pages["data"], pages["train"]
    qtbot.waitUntil(lambda: data.importing.form is not None, timeout=LONG)
    data.shown(paths=[folder])
    data.importing.start_button.click()
    qtbot.waitUntil(lambda: data.stack.currentIndex() == 2, timeout=LONG)
    data.panel.freezing.form.set_values({"size": "32"})
    data.panel.freezing.go_button.click()
    qtbot.waitUntil(lambda: train.stack.currentIndex() == 1, timeout=LONG)


def _start(qtbot, page, steps: int, family: str = "image_gan", **values) -> None:
    page.setup.families[f"{family}.train"].click()
    _set(page, steps=steps, **SMALL, **values)
    qtbot.waitUntil(page.setup.start_button.isEnabled, timeout=LONG)
    page.setup.start_button.click()


def _at_step(qtbot, page, step: int) -> None:
    qtbot.waitUntil(lambda: page.handle.progress is not None and page.handle.progress.step >= step, timeout=LONG)


def test_the_main_job_with_the_real_engine(qtbot, pages, center, tmp_path):
    page = pages["train"]
    _bring_in(qtbot, pages, tmp_path / "天气 weather")
    _start(qtbot, page, 100_000)

    # pause and resume
    _at_step(qtbot, page, 5)
    page.panel.pause_button.click()
    qtbot.wait(300)  # what was on its way arrives
    held = page.handle.progress.step
    qtbot.wait(300)
    assert page.handle.progress.step == held
    page.panel.pause_button.click()
    _at_step(qtbot, page, held + 3)

    # stop and save, then continue
    handle = page.handle
    handle.stop()
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Stopped)
    assert not handle.ending.forced
    stopped_at = page.run.info.step
    assert page.run.checkpoints()[-1] == f"{stopped_at:06d}"
    assert page.panel.end_card.continue_button.text() == f"Continue from step {stopped_at:,}"
    page.panel.end_card.continue_button.click()
    _at_step(qtbot, page, stopped_at + 2)

    # the engine dies: the window stays, says so, and goes on in a new one
    page.handle.ask("save")
    saved = len(page.run.checkpoints())
    qtbot.waitUntil(lambda: page.run.checkpoints()[-1] > f"{stopped_at:06d}" or len(page.run.checkpoints()) > saved,
                    timeout=LONG)  # fmt: skip
    handle = page.handle
    os.kill(handle.thread_.engine.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Failed)
    assert page.panel.failure.isVisible()
    last = int(page.run.checkpoints()[-1])
    assert page.panel.end_card.continue_button.text() == f"Continue from step {last:,}"
    page.panel.end_card.continue_button.click()
    _at_step(qtbot, page, last + 1)
    page.handle.stop()
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)

    # a whole small training ends with the model ready
    page._another()
    _start(qtbot, page, 5)
    handle = page.handle
    qtbot.waitUntil(lambda: page.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished)
    assert page.panel.end_card.title.text() == "Model ready"
    assert page.run.info.status == "finished"
    assert len(page.view.wall.rows) >= 1
    assert all(len(metric.series) for metric in page.view.plot.metrics.values())


def test_a_text_vae_learns_and_writes_like_a_given_text(qtbot, pages, workspace, center):
    texts = [f"a {colour} {thing}" for colour in ("red", "blue", "old", "tiny") for thing in "abcdefghijklmnop"]
    dataset = text_dataset(workspace, texts, held_out=4)
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=dataset.id)
    _start(qtbot, train, 6, "text_vae", layers=1, heads=2, length=32)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending

    create.shown(run=train.run.id, task="text_vae.vary")
    create.panel.form.set_values({"text": texts[0], "count": 3})
    create.generate()
    handle = create.handle
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert len(create.batch.works) == 3 and len({work.seed for work in create.batch.works}) == 3


def test_an_image_transformer_is_asked_in_words_of_its_captions(qtbot, pages, workspace, center):
    dataset = shapes(workspace, captions=True)
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    runs = {}
    for use in (True, False):
        train._another()
        train.shown(dataset=dataset.id)
        _start(qtbot, train, 4, "image_transformer", layers=1, heads=2, channels=8, use_captions=use)
        handle = train.handle
        qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
        assert isinstance(handle.ending, Finished), handle.ending
        runs[use] = train.run.id

    create.shown(run=runs[False], task="image_transformer.generate")
    assert "caption" not in create.panel.form.rows
    create.shown(run=runs[True], task="image_transformer.generate")
    assert create.panel.form.rows["caption"].input.area.placeholderText().startswith("For example: a ")

    def make(**values):
        create.panel.form.set_values({"count": 2, **values})
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        return handle

    handle = make(caption="a striped disc")
    assert isinstance(handle.ending, Finished), handle.ending
    assert any(note.endswith(": striped.") for note in create.panel.progress.notes)
    first = create.batch.works[1]
    assert first.origin["settings"]["caption"] == "a striped disc"
    create.panel.form.set_values({"caption": ""})
    create.like_this(first.origin)
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert create.panel.form.values()["caption"] == "a striped disc" and len(create.batch.works) == 1
    assert (create.batch.works[0].picture() == first.picture()).all()
    ending = make(caption="nobody there").ending
    assert isinstance(ending, Failed) and ending.message.startswith("No word of “nobody there”")


def test_a_table_teaches_attributes_that_are_chosen_when_writing(qtbot, pages, workspace, tmp_path):
    rows = [f"{'日月'[i % 2] * 6}{i}。,{('昼', '夜')[i % 2]},author {i % 3}" for i in range(120)]
    table = tmp_path / "诗 poems.csv"
    table.write_text("\n".join(["text,时,author", *rows]), encoding="utf-8")
    data, train, create = pages["data"], pages["train"], pages["create"]
    qtbot.waitUntil(lambda: data.importing.form is not None, timeout=LONG)
    data.shown(paths=[table])
    told = {"labels": "column", "label_column": "时", "attribute_columns": "author"}
    data.importing.form.set_values(told)
    data.importing.start_button.click()
    qtbot.waitUntil(lambda: data.stack.currentIndex() == 2, timeout=LONG)
    data.panel.freezing.go_button.click()
    qtbot.waitUntil(lambda: train.stack.currentIndex() == 1, timeout=LONG)
    assert workspace.datasets()[0].info.attributes == ["author"]

    offered = {}
    for infill in (0.0, 0.5):
        train._another()
        _start(qtbot, train, 4, "gpt", layers=1, heads=2, context=32, infill=infill)
        qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
        assert train.run.info.status == "finished"
        create.shown(run=train.run.id)
        offered[infill] = [task.key for task in create.panel.tasks()]
    assert offered == {0.0: ["gpt.generate"], 0.5: ["gpt.generate", "gpt.infill"]}

    def write(task, **values):
        create.shown(run=train.run.id, task=task)
        create.panel.form.set_values({"count": 2, "length": 8, **values})
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        return handle.ending

    ending = write("gpt.generate", attributes="author: author 1", label="夜")
    assert isinstance(ending, Finished), ending
    assert len(create.batch.works) == 2
    ending = write("gpt.infill", attributes="", label="昼", before="日日", after="。")
    assert isinstance(ending, Finished), ending
    ending = write("gpt.generate", attributes="mood: gay", label="")
    assert isinstance(ending, Failed) and "only: label, author" in ending.message


def test_a_name_finder_learns_on_an_encoder_and_marks_names(qtbot, pages, workspace, center):
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder

    dataset = marked_dataset(workspace)
    encoder = add_tiny_encoder(workspace, dataset.texts("train"))
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=dataset.id)
    train.setup.families["token_tagger.train"].click()
    assert train.setup.form.rows["encoder"].input.box.findData(encoder) >= 0
    _start(qtbot, train, 6, "token_tagger", encoder=encoder)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert any("entity_f1" in name for name in train.view.plot.metrics)

    create.shown(run=train.run.id, task="token_tagger.label")
    create.panel.form.set_values({"text": "Ann likes Oslo.\nBob left."})
    create.generate()
    handle = create.handle
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert len(create.batch.works) == 2 and (create.batch.result.folder / "labels.jsonl").is_file()


def test_a_text_sorter_learns_by_lora_and_tells_classes(qtbot, pages, workspace, center):
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder

    dataset = marked_dataset(workspace)
    encoder = add_tiny_encoder(workspace, dataset.texts("train"))
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=dataset.id)
    train.setup.families["text_classifier.train"].click()
    _start(qtbot, train, 6, "text_classifier", encoder=encoder, method="lora", rank=2)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending

    create.shown(run=train.run.id, task="text_classifier.label")
    create.panel.form.set_values({"text": "Ann likes Oslo.\nBob left."})
    create.generate()
    handle = create.handle
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    lines = (create.batch.result.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["label"] in dataset.info.classes for line in lines] == [True, True]


def test_a_text_gan_plays_and_either_of_its_models_writes(qtbot, pages, workspace, center):
    texts = [f"a {colour} {thing}" for colour in ("red", "blue", "old", "tiny") for thing in "abcdefghijklmnop"]
    dataset = text_dataset(workspace, texts, held_out=4)
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=dataset.id)
    _start(qtbot, train, 6, "text_gan", layers=1, heads=2, length=32, likelihood_share=0.5, game_lr=0.01)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert {"loss", "loss_mle", "d_accuracy", "val_frechet", "val_frechet_mle"} <= set(train.view.plot.metrics)
    assert {"samples", "baseline"} <= set(train.view.wall.walls)

    works = {}
    for which in ("generator", "likelihood"):
        create.shown(run=train.run.id, task="text_gan.generate")
        create.panel.form.set_values({"which": which, "count": 12})
        create.panel.seed.show_seed(7, locked=True)
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        assert isinstance(handle.ending, Finished), handle.ending
        works[which] = {work.seed: work.text for work in create.batch.works}
    assert works["generator"].keys() == works["likelihood"].keys() and works["generator"] != works["likelihood"]


def test_names_are_proposed_corrected_frozen_and_learned_again(qtbot, pages, workspace, center, tmp_path):
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder

    marked = marked_dataset(workspace)
    encoder = add_tiny_encoder(workspace, marked.texts("train"))
    data, train = pages["data"], pages["train"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=marked.id)
    _start(qtbot, train, 30, "token_tagger", encoder=encoder, lr=5e-3)
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert train.run.info.status == "finished"

    texts = tmp_path / "新 new.txt"
    texts.write_text("\n".join(f"Ann likes Oslo in {1950 + n}." for n in range(40)), encoding="utf-8")
    data.shown(paths=[texts])
    data.importing.form.set_values({"text_item": "line"})
    data.importing.start_button.click()
    qtbot.waitUntil(lambda: data.stack.currentIndex() == 2, timeout=LONG)
    data.panel.mode.buttons["label"].click()
    labelling = data.panel.labelling
    view = labelling.view
    qtbot.waitUntil(lambda: view.session is not None and not view.desk.busy, timeout=LONG)
    labelling.proposing.go_button.click()
    qtbot.waitUntil(lambda: labelling.proposing.progress.last is not None, timeout=LONG)
    assert isinstance(labelling.proposing.progress.last.ending, Finished)
    qtbot.waitUntil(lambda: view.session.index.counts().proposed == 40 and not view.desk.busy, timeout=LONG)

    # accept one, correct one, leave the others
    view.list.go_to_row(0)
    first = view.current.spans
    for row in range(12):
        assert view.current.row == row
        if row:
            for letters, name in (((10, 14), "place"), ((0, 3), "person")):
                view.text.select_letters(*letters)
                view.use_class(name)
        view.accept()
        qtbot.waitUntil(lambda row=row: view.current.row == row + 1 and not view.desk.busy, timeout=LONG)

    # freeze takes what was accepted, and a second finder learns from it
    data.panel.mode.buttons["look"].click()
    data.panel.freezing.go_button.click()
    qtbot.waitUntil(lambda: data.selected.info.frozen, timeout=LONG)
    frozen = workspace.dataset(data.selected.id)
    both = [*zip(frozen.texts("train"), frozen.marks("train"), strict=True),
            *zip(frozen.texts("validation"), frozen.marks("validation"), strict=True)]  # fmt: skip
    names = dict(both)
    assert names["Ann likes Oslo in 1950."].spans == first
    assert names["Ann likes Oslo in 1951."].spans == ((0, 3, "person"), (10, 14, "place"))
    assert sum(marks is not None for marks in names.values()) == 12
    train._another()
    train.shown(dataset=frozen.id)
    _start(qtbot, train, 3, "token_tagger", encoder=encoder)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending


def test_a_language_model_is_fine_tuned_compared_and_merged(qtbot, pages, workspace, center, record):
    from aigc_desktop.engine.pretrained.tiny import add_tiny_model

    base = add_tiny_model(workspace, "小模型")
    dataset = text_dataset(workspace, [f"Ann drinks tea number {i}. 茶" for i in range(40)], held_out=6)
    train, create = pages["train"], pages["create"]
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=LONG)
    train.shown(dataset=dataset.id)
    train.setup.families["language_model.train"].click()
    assert train.setup.form.rows["base"].input.box.findData(base) >= 0
    _start(qtbot, train, 6, "language_model", base=base, context=64, rank=4)
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert {"loss", "val_loss", "val_perplexity", "val_bpb"} >= set(train.view.plot.metrics) - {"grad_norm"}

    def make(task, **values):
        create.shown(run=train.run.id, task=f"language_model.{task}")
        assert create.panel.task().key == f"language_model.{task}"
        create.panel.form.set_values(values)
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        assert isinstance(handle.ending, Finished), handle.ending
        return [work.text for work in create.batch.works]

    assert all(text.startswith("Ann") for text in make("generate", prompt="Ann", count=2, length=8))
    train.panel.end_card.compare_button.click()
    handle = create.handle
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    figures, *both = [work.text for work in create.batch.works]
    assert "perplexity" in figures and len(both) == 4 and all("Before" in text and "After" in text for text in both)
    assert make("merge", title="tea") == []
    assert {model.id for model in workspace.models()} == {"小模型", "tea"}
    assert any("model of its own" in text for text, _undo in record.notes)

    create.shown(run="model:tea")
    assert [task.key for task in create.panel.tasks()] == ["language_model.generate"]


def test_an_image_flow_learns_makes_pictures_and_varies_one(qtbot, pages, tmp_path):
    train, create = pages["train"], pages["create"]
    _bring_in(qtbot, pages, tmp_path / "天气 weather")
    _start(qtbot, train, 4, "image_flow")
    handle = train.handle
    qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
    assert isinstance(handle.ending, Finished), handle.ending
    assert {"loss", "grad_norm"} <= set(train.view.plot.metrics)

    def make(task, **values):
        create.shown(run=train.run.id, task=task)
        create.panel.form.set_values({"count": 2, "walk_steps": 2, **values})
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        return handle.ending

    assert isinstance(make("image_flow.generate"), Finished) and len(create.batch.works) == 2
    picture = next((tmp_path / "天气 weather" / "weather").glob("*.png"))
    assert isinstance(make("image_flow.vary", picture=str(picture)), Finished) and len(create.batch.works) == 2
    ending = make("image_flow.vary", picture=str(tmp_path / "gone.png"))
    assert isinstance(ending, Failed) and "gone.png" in ending.message


def test_an_image_transformer_learns_on_chosen_tokens_and_fills_a_part(qtbot, pages, tmp_path):
    train, create = pages["train"], pages["create"]
    _bring_in(qtbot, pages, tmp_path / "天气 weather")

    def trained(family, **values):
        _start(qtbot, train, 3, family, **values)
        handle = train.handle
        qtbot.waitUntil(lambda: train.handle is None, timeout=LONG)
        assert isinstance(handle.ending, Finished), handle.ending
        return train.run.id

    tokens = trained("image_tokens")
    assert {"copy_error", "code_usage"} <= set(train.view.plot.metrics)
    train._another()
    writer = trained("image_transformer", tokens=tokens)
    assert "val_loss" in train.view.plot.metrics and "copy_error" not in train.view.plot.metrics

    def make(run, task, **values):
        create.shown(run=run, task=task)
        create.panel.form.set_values({"count": 2, **values})
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
        return handle.ending

    assert isinstance(make(writer, "image_transformer.generate"), Finished) and len(create.batch.works) == 2
    picture = str(next((tmp_path / "天气 weather" / "weather").glob("*.png")))
    assert isinstance(make(writer, "image_transformer.fill", picture=picture, mask=picture), Finished)
    assert len(create.batch.works) == 2
    ending = make(writer, "image_transformer.fill", picture=picture, mask=str(tmp_path / "gone.png"))
    assert isinstance(ending, Failed) and "gone.png" in ending.message
    assert isinstance(make(writer, "image_transformer.extend", picture=picture, left=100, bottom=0), Finished)
    side = int(train.services.workspace.run(writer).config_values["resolution"])
    assert [work.picture().shape for work in create.batch.works] == [(side * 3 // 2, side * 5 // 2, 3)] * 2
    assert isinstance(make(writer, "image_transformer.extend", picture=picture, left=200, right=200), Failed)
    assert isinstance(make(tokens, "image_tokens.reconstruct"), Finished)
