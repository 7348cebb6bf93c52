"""Published models in the window: their page, a fine-tuning from its set-up to the comparison before and after.

The models are tiny ones with random weights, added to the workspace when the scene begins.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from stage import Stage

from aigc_desktop.core.files import write_json
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.diffusion.tiny import add_tiny_diffusion
from aigc_desktop.engine.pretrained.tiny import add_tiny_model
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder

LARGE = 700_000_000_000  # weights, more than a machine's memory holds
LORA = ModelInfo("ink 水墨", "lora", "sdxl", "", "", licence="mit", parameters=1_600_000, bytes=3_200_000)


def add_models(workspace: Workspace) -> None:
    """Add a model of each kind, and one that no machine has room for; done once for a workspace."""
    if workspace.models():
        return
    add_tiny_encoder(workspace, ["one two three 一二三"], "small-bert-chinese")
    add_tiny_diffusion(workspace, "sdxl", "stable-diffusion-xl-base-1.0")
    folder = workspace.new_model_folder(LORA.title)
    folder.mkdir()
    write_json(folder / "model.json", asdict(LORA))
    large = workspace.model(add_tiny_model(workspace, "A language model with quite a long name 70B Instruct v1.1"))
    write_json(large.folder / "model.json", asdict(replace(large.info, parameters=LARGE, bytes=2 * LARGE)))
    add_tiny_model(workspace, "SmolLM2-135M")


def models(stage: Stage) -> None:
    """Show several models, and what can be made with two kinds of them."""
    window = stage.window
    add_models(window.services.workspace)
    window.navigate("models")
    stage.settle(1)
    stage.shoot("models-several")
    for each in window.services.workspace.models():
        if each.info.kind in ("language", "diffusion"):
            window.navigate("create", run=f"model:{each.id}")
            stage.settle(1)
            stage.shoot(f"models-create-{each.info.kind}")


def tune(stage: Stage) -> None:
    """Set up a fine-tuning, watch it look for its learning rate, and compare before and after."""
    window = stage.window
    workspace = window.services.workspace
    add_models(workspace)
    base = next(each.id for each in workspace.models() if each.info.title == "SmolLM2-135M")
    texts = next(each.id for each in workspace.datasets() if each.info.kind == "text" and each.info.frozen)
    window.navigate("train", dataset=texts)
    page = window.pages["train"]
    page.setup.families["language_model.train"].click()
    stage.settle(1)
    stage.shoot("tune-without-model")
    page.setup.form.set_values({"base": base, "steps": 60, "sample_every": 20})
    page.setup.form.changed.emit()
    stage.wait(lambda: page.setup.start_button.isEnabled())
    stage.settle(1)
    stage.shoot("tune-setup")
    page.setup.start_button.click()
    stage.wait(lambda: page.handle is not None and page.handle.progress is not None)
    stage.shoot("tune-search")
    stage.wait(lambda: page.handle is None or (page.handle.progress is not None and page.handle.progress.step > 0), 400)
    stage.shoot("tune-running")
    stage.wait(lambda: page.handle is None, 400)
    stage.settle(1)
    stage.shoot("tune-finished")
    run = next(run for run in workspace.runs() if run.info.task == "language_model.train" and run.checkpoints())
    window.navigate("create", run=run.id, task="language_model.compare")
    create = window.pages["create"]
    create.panel.set_values({"count": 2, "length": 40})
    create.generate()
    stage.wait(lambda: create.handle is None)
    stage.settle(1)
    stage.shoot("tune-compare")
    window.navigate("create", run=run.id, task="language_model.merge")
    stage.settle(1)
    stage.shoot("tune-merge")
