"""Variants of any picture: what Train, Create and the Library open the Explore page with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc_desktop.core.events import Finished, Progress, Sample
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.library import Library
from aigc_desktop.data.samples import encode_png
from aigc_desktop.ui.explored import is_explored, variants_of, was_explored
from aigc_desktop.ui.pages.create import PAGE as CREATE
from aigc_desktop.ui.pages.library import PAGE as LIBRARY
from aigc_desktop.ui.pages.train import PAGE as TRAIN
from tests.ui.conftest import settle

GAN = {"task": "image_gan.generate", "model": "cups", "checkpoint": "000200", "seed": 5,
       "settings": {"wildness": 0.5, "label": "cup", "count": 3}}  # fmt: skip


def titles(menu):
    return {action.text() for action in menu.actions()}


@pytest.fixture
def explored(services, jobs):
    key = "image_gan.generate"
    jobs.catalogue |= {key: replace(jobs.catalogue[key], explored=True, fields=jobs.catalogue[key].fields[:3])}
    return services


def test_a_seed_a_place_or_the_picture_itself():
    common = {"run": "cups", "checkpoint": "000200", "card": "", "title": "#5"}
    assert variants_of(GAN, None) == {**common, "seed": 5, "wildness": 0.5, "label": "cup"}
    placed = {**GAN, "task": "explore.decode", "seed": None, "settings": {"places": "[7]"}}
    assert variants_of(placed, None, "card", "mine") == {
        "run": "cups", "checkpoint": "000200", "card": "card", "title": "mine", "places": "[7]"
    }  # fmt: skip
    varied = {**GAN, "task": "image_flow.vary"}
    assert variants_of(varied, Path("a.png")) == {**common, "picture": "a.png"}


def test_which_pictures_have_variants(explored):
    assert is_explored(explored, GAN)
    assert is_explored(explored, {**GAN, "task": "explore.decode"})
    assert not is_explored(explored, {**GAN, "task": "gpt.generate"})
    assert not is_explored(explored, {**GAN, "model": ""})
    assert was_explored({"task": "explore.path"})
    assert not was_explored({})


def test_from_create(qtbot, explored, jobs, record):
    page = CREATE(explored)
    qtbot.addWidget(page)
    page.build()
    page.shown()
    page.show()
    page.shown(run=next(run.id for run in explored.workspace.runs() if "cups" in run.info.title))
    page.generate()
    images = np.zeros((2, 8, 8, 3), np.uint8)
    jobs.handles[-1].feed(Progress(2, 2), Sample(0, images, (3, 4), ("", "")), Finished())
    page.view.grid.select_rows([1])
    action = page.view.actions_by_key["variants"]
    assert action.isEnabled()
    action.trigger()
    place, told = record.places[-1]
    assert (place, told["seed"], told["title"], told["vary"]) == ("explore", 4, "#4", True)
    settle(qtbot)


def test_from_the_library_and_a_picture_made_on_explore_is_made_again_there(qtbot, explored, record):
    library = Library(explored.workspace.folder)
    content = encode_png(np.zeros((8, 8, 3), np.uint8))
    cups = {"run": "cups", "checkpoint": "000200"}
    card = library.add("image", content, "a", task="explore.decode", settings={"places": "[7]"}, **cups)
    library.add("text", b"words", "words", task="gpt.generate", run="poems")
    library.close()
    page = LIBRARY(explored)
    qtbot.addWidget(page)
    page.build()
    page.show()
    settle(qtbot)
    page.shown(item=card.id)
    assert page.panel.buttons["variants"].isVisible()
    assert titles(page.panel.menu([0])) >= {"Variants of this", "Export…"}
    page.panel.buttons["variants"].click()
    assert record.places[-1][1] == {**cups, "card": card.id, "title": "a", "places": "[7]", "vary": True}
    page.panel.buttons["like"].click()
    assert record.places[-1][1]["vary"] is False
    page.grid.select_rows([0])
    assert page.panel.title.text() == "words"
    assert not page.panel.buttons["variants"].isVisible()
    assert not titles(page.panel.menu([0])) & {"Variants of this", "Paint a part anew…", "Extend…"}
    settle(qtbot)


def test_a_kept_picture_is_extended_by_the_model_that_made_it(qtbot, services, jobs, record):
    spec = jobs.catalogue["image_gan.generate"]
    jobs.catalogue["image_gan.extend"] = replace(spec, key="image_gan.extend")
    library = Library(services.workspace.folder)
    content = encode_png(np.zeros((8, 8, 3), np.uint8))
    card = library.add("image", content, "a", task="image_gan.generate", run="cups", checkpoint="000200", label="cup",
                       settings={"count": 3, "wildness": 1.5, "walk_steps": 6})  # fmt: skip
    library.add("image", content, "b", task="image_vae.generate", run="poems")
    path = library.path(card)
    library.close()
    page = LIBRARY(services)
    qtbot.addWidget(page)
    page.build()
    page.show()
    settle(qtbot)
    page.shown(item=card.id)
    action = next(action for action in page.panel.menu([0]).actions() if action.text() == "Extend…")
    action.trigger()
    assert record.places[-1] == ("create", {
        "run": "cups", "checkpoint": "000200", "task": "image_gan.extend", "label": "cup",
        "settings": {"walk_steps": 6, "picture": str(path)},
    })  # fmt: skip
    page.grid.select_rows([0])
    assert page.panel.title.text() == "b"
    assert "Extend…" not in titles(page.panel.menu([0]))
    settle(qtbot)


def test_from_the_wall_of_a_training(qtbot, explored, record):
    page = TRAIN(explored)
    qtbot.addWidget(page)
    page.build()
    page.show()
    run = next(run.id for run in explored.workspace.runs() if "cups" in run.info.title)
    page.shown(run=run)
    settle(qtbot)
    wall = page.view.wall
    wall.add_events([Sample(200, np.zeros((2, 8, 8, 3), np.uint8), (0, 1), ("cup", "mug"))])
    assert wall.vary.isVisible()
    wall.canvas.column = 1
    wall.vary.click()
    assert record.places[-1] == (
        "explore", {"run": run, "checkpoint": "000200", "seed": 1, "label": "mug"}
    )  # fmt: skip
    settle(qtbot)


def test_text_models_have_no_such_button(qtbot, explored):
    assert isinstance(explored.jobs.catalogue["gpt.train"], TaskSpec)
    page = TRAIN(explored)
    qtbot.addWidget(page)
    page.build()
    page.show()
    page.shown(run=next(run.id for run in explored.workspace.runs() if "poems" in run.info.title))
    settle(qtbot)
    assert not page.view.wall.varied
