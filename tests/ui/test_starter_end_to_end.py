"""The first minute: the starter model that ships with the program makes pictures in the window, by the real engine."""

from __future__ import annotations

import json
import time

from PySide6.QtWidgets import QPushButton

from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.starters import TITLES, starters
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.create import CreatePage

LONG = 120_000
WANTED_S = 60.0


def test_pictures_are_there_within_a_minute_of_the_first_start(qtbot, first_pages, record):
    began = time.monotonic()
    first_pages["start"].ready_model.button.click()
    create = first_pages["create"]
    qtbot.waitUntil(lambda: create.batch is not None and len(create.batch.works) > 0, timeout=LONG)
    assert time.monotonic() - began < WANTED_S
    assert not record.failures and create.batch.works[0].origin["model"] == "starter_emoji64"
    create.panel.progress.stop_button.click()
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert [text for text, _undo in record.notes if "Stopped" not in text] == []


def test_an_empty_create_page_offers_it_too(qtbot, workspace, center, theme, record):
    services = Services(
        workspace, Preferences(language="en", theme="light"), center, theme, record.navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip
    page = CreatePage(services)
    page.build()
    qtbot.addWidget(page)
    page.show()
    page.shown()
    buttons = {made.text(): made for made in page.empty.findChildren(QPushButton)}
    assert list(buttons) == ["Go to Train", "Make pictures with a ready model"]
    buttons["Make pictures with a ready model"].click()
    qtbot.waitUntil(lambda: bool(record.places), timeout=LONG)
    place, told = record.places[-1]
    assert (place, told["run"], told["start"]) == ("create", "starter_emoji64", True)


def test_every_starter_tells_what_it_is():
    assert {starter.name for starter in starters()} == set(TITLES)
    for starter in starters():
        folder = resources() / "starters" / starter.name
        card = (folder / "README.md").read_text(encoding="utf-8")
        for word in ("Data:", "Licence:", "Limits:", "memorisation"):
            assert word in card, word
        assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["status"] == "finished"
    assert sum(starter.bytes for starter in starters()) <= 40_000_000
