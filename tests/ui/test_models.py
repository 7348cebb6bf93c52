"""The Models page and a published model on the Create page, with the real engine process."""

import json
from dataclasses import asdict

import pytest
import torch

from aigc_desktop.core.events import Finished
from aigc_desktop.core.files import write_json
from aigc_desktop.core.model import Model, ModelInfo
from aigc_desktop.core.settings import Preferences
from aigc_desktop.engine.diffusion.tiny import write_tiny_pipeline
from aigc_desktop.engine.pretrained.tiny import add_tiny_model, write_tiny_model
from aigc_desktop.engine.weights import read_tensors, write_tensors
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.create import CreatePage
from aigc_desktop.ui.pages.models import ModelsPage
from aigc_desktop.ui.widgets.model_card import ModelCard
from tests.engine.pretrained.test_model_import import lora_files


@pytest.fixture
def pages(qtbot, workspace, center, theme, record):
    made = {}

    def navigate(place, **arguments):
        record.navigate(place, **arguments)
        if place in made:
            made[place].shown(**arguments)

    services = Services(
        workspace, Preferences(language="en", theme="light"), center, theme, navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip
    for place, kind in (("models", ModelsPage), ("create", CreatePage)):
        made[place] = page = kind(services)
        page.build()
        qtbot.addWidget(page)
        page.show()
        page.shown()
    center.warm_up()
    return made


def cards(page):
    return [page.cards.itemAt(place).widget() for place in range(page.cards.count())]


def test_a_model_is_imported_used_and_removed_with_undo(pages, qtbot, workspace, record, tmp_path):
    write_tiny_model(tmp_path / "小模型")
    page, create = pages["models"], pages["create"]
    qtbot.waitUntil(lambda: bool(page.services.jobs.catalogue), timeout=60_000)
    assert page.stack.currentWidget() is page.empty
    page.import_from(tmp_path / "小模型")
    qtbot.waitUntil(lambda: len(workspace.models()) == 1 and page.progress.handle is None, timeout=60_000)
    (card,) = cards(page)
    assert isinstance(card, ModelCard) and "llama" in card.facts.text() and "Fits" in card.memory.text()

    card.use_button.click()
    assert record.places[-1] == ("create", {"run": "model:小模型"})
    assert create.panel.rows["checkpoint"].isHidden()
    create.panel.set_values({"prompt": "hello", "length": 8, "count": 2, "seed": 3})
    create.generate()
    qtbot.waitUntil(lambda: create.handle is None and create.batch is not None, timeout=60_000)
    works = create.batch.works
    assert len(works) == 2 and works[0].origin["model"] == "model:小模型"
    assert create.recall(works[0].origin)

    card.delete_button.click()
    assert not workspace.models() and page.stack.currentWidget() is page.empty
    _text, undo = record.notes[-1]
    undo()
    assert [model.id for model in workspace.models()] == ["小模型"]


def test_an_adapter_of_another_program_is_imported_told_and_used(pages, qtbot, workspace, tmp_path):
    add_tiny_model(workspace, "base")
    folder = lora_files(tmp_path / "风格 style")
    tensors = {name: tensor + 0.1 for name, tensor in read_tensors(folder / "adapter_model.safetensors").items()}
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"] = torch.full((32,), 2.0)
    write_tensors(folder / "adapter_model.safetensors", tensors)
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    write_json(folder / "adapter_config.json", {**settings, "use_dora": True, "use_rslora": True})
    page, create = pages["models"], pages["create"]
    qtbot.waitUntil(lambda: bool(page.services.jobs.catalogue), timeout=60_000)
    page.import_from(folder)
    qtbot.waitUntil(lambda: len(workspace.models()) == 2 and page.progress.handle is None, timeout=60_000)
    card = next(card for card in cards(page) if card.model.id == "风格 style")

    def texts(model):
        create.shown(run=f"model:{model}")
        create.panel.set_values({"prompt": "hello", "length": 12, "count": 3, "seed": 3, "numbers": "float32"})
        create.generate()
        handle = create.handle
        qtbot.waitUntil(lambda: create.handle is None and create.batch is not None, timeout=60_000)
        assert isinstance(handle.ending, Finished), handle.ending
        return [work.text for work in create.batch.works]

    card.use_button.click()
    assert create.panel.run_input.value() == "model:风格 style"
    assert len(texts("风格 style")) == 3 and texts("风格 style") != texts("base")

    write_json(folder / "adapter_config.json", {**settings, "use_dora": True, "init_lora_weights": "pissa"})
    page.import_from(folder)
    qtbot.waitUntil(lambda: page.progress.handle is None and page.failure.isVisible(), timeout=60_000)
    assert len(workspace.models()) == 2


def test_a_damaged_record_hides_no_other_model(pages, qtbot, workspace, tmp_path):
    page, create = pages["models"], pages["create"]
    qtbot.waitUntil(lambda: bool(page.services.jobs.catalogue), timeout=60_000)
    for name in ("good", "bad"):
        write_tiny_model(tmp_path / name)
        page.import_from(tmp_path / name)
        qtbot.waitUntil(lambda: page.progress.handle is None, timeout=60_000)
    (workspace.folder / "models" / "bad" / "model.json").write_text("{")
    page.refresh()
    assert [card.model.id for card in cards(page)] == ["good"] and page.failure.isVisible()
    create.shown()
    assert create.panel.run_input.value() == "model:good"


def test_what_is_no_model_is_told_on_the_page(pages, qtbot, workspace, tmp_path):
    page = pages["models"]
    (tmp_path / "empty").mkdir()
    qtbot.waitUntil(lambda: bool(page.services.jobs.catalogue), timeout=60_000)
    page.import_from(tmp_path / "empty")
    qtbot.waitUntil(lambda: page.progress.handle is None and page.failure.isVisible(), timeout=60_000)
    assert not workspace.models()


def test_a_diffusion_model_is_imported_told_and_used(pages, qtbot, workspace, record, tmp_path):
    write_tiny_pipeline(tmp_path / "painter")
    page, create = pages["models"], pages["create"]
    qtbot.waitUntil(lambda: bool(page.services.jobs.catalogue), timeout=60_000)
    page.import_from(tmp_path / "painter")
    qtbot.waitUntil(lambda: len(workspace.models()) == 1 and page.progress.handle is None, timeout=60_000)
    (card,) = cards(page)
    assert "Stable Diffusion" in card.facts.text() and "Fits" in card.memory.text()
    assert "Pipeline" not in card.facts.text()
    assert "unet (UNet2DConditionModel)" in card.parts.text() and not card.parts.isHidden()

    card.use_button.click()
    assert create.panel.run_input.value() == "model:painter"
    assert {task.key for task in create.panel.tasks()} == {"diffusion.generate", "diffusion.vary", "diffusion.fill"}
    assert {"prompt", "negative", "lora", "width", "height"} <= set(create.panel.form.rows)
    create.panel.set_values({"prompt": "a cat", "count": 2, "walk_steps": 2, "width": 32, "height": 32, "seed": 3})
    create.generate()
    qtbot.waitUntil(lambda: create.handle is None and create.batch is not None, timeout=120_000)
    works = create.batch.works
    assert len(works) == 2 and works[0].origin["model"] == "model:painter" and works[0].seed == 3


def test_a_model_without_room_is_warned_of_and_a_lora_names_its_line(theme, tmp_path):
    large = Model(tmp_path / "large")
    lora = Model(tmp_path / "lora")
    for model, info in (
        (large, ModelInfo("Large", "language", "llama", "", "", parameters=10**15, bytes=2 * 10**15)),
        (lora, ModelInfo("Ink", "lora", "sdxl", "", "", parameters=10**6, bytes=2 * 10**6)),
    ):
        model.folder.mkdir()
        write_json(model.folder / "model.json", asdict(info))
    card = ModelCard(theme, large)
    assert card.memory.text().startswith("Does not fit") and card.memory.property("role") == "warning"
    assert "made for Stable Diffusion XL" in ModelCard(theme, lora).facts.text()
