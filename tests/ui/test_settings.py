"""The Settings page: at work at once, searchable; logs, privacy, licences, about."""

import logging
from dataclasses import fields
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QSpinBox

from aigc_desktop.core.logs import logs_dir
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui.facts import machine_facts
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.settings import SettingsPage
from aigc_desktop.ui.widgets.settings.licences import LicencesDialog, licences
from aigc_desktop.ui.widgets.settings.settings_cards import AboutCard
from tests.fakes import FakeJobCenter
from tests.ui.conftest import Record, settle


@pytest.fixture
def page(services: Services, qtbot) -> SettingsPage:
    made = SettingsPage(services)
    qtbot.addWidget(made)
    made.build()
    made.shown()
    settle(qtbot)
    return made


def test_a_change_is_put_to_work_at_once(page: SettingsPage, record: Record, qtbot):
    theme = page.form.rows["theme"].input.control
    assert isinstance(theme, QComboBox)
    theme.setCurrentIndex(theme.findData("dark"))
    theme.activated.emit(theme.currentIndex())
    qtbot.waitUntil(lambda: bool(record.preferences))
    assert record.preferences == [Preferences(language="en", theme="dark")]


def test_the_scale_has_limits(page: SettingsPage):
    scale = page.form.rows["scale"].input.control
    assert isinstance(scale, QSpinBox) and (scale.minimum(), scale.maximum()) == (75, 200)


def test_nothing_is_done_when_nothing_changed(page: SettingsPage, record: Record):
    page.apply()
    assert not record.preferences


def test_defaults_puts_everything_back(page: SettingsPage, record: Record, qtbot):
    page.form.reset()
    qtbot.waitUntil(lambda: bool(record.preferences))
    assert record.preferences[-1] == Preferences()


def test_settings_go_to_a_file_and_come_back(page: SettingsPage, record: Record, tmp_path: Path):
    page.services.preferences = Preferences(theme="dark", scale=125, workspace="/here")
    page.export_to(tmp_path / "s.json")
    assert "/here" not in (tmp_path / "s.json").read_text()
    page.services.preferences = Preferences(language="en", workspace="/there")
    page.import_from(tmp_path / "s.json")
    assert record.preferences == [Preferences(theme="dark", scale=125, workspace="/there")]


@pytest.mark.parametrize("text", ["[1]", "{", '{"scale": 9000}', '{"theme": "pink"}'])
def test_a_file_without_settings_changes_nothing_and_says_why(page: SettingsPage, record: Record, tmp_path: Path, text):
    (tmp_path / "s.json").write_text(text)
    page.import_from(tmp_path / "s.json")
    assert not record.preferences and record.failures[0].message


def test_a_change_of_the_engine_says_when_it_holds(page: SettingsPage, record: Record, qtbot):
    page.form.set_values({"host": "thread"})
    page.apply()
    assert record.preferences[-1].host == "thread" and "next start" in record.notes[0][0]


def test_every_preference_is_in_the_form_or_has_a_card(page: SettingsPage):
    from aigc_desktop.ui.pages.settings import OWN_CARD

    assert page.form.rows.keys() | OWN_CARD == {field.name for field in fields(Preferences)}


def test_the_search_leaves_cards_that_hold_the_words(page: SettingsPage):
    def shown() -> list[str]:
        return [card.title.text() for card in page.cards if not card.isHidden()]

    page.search.setText("language")
    assert shown() == ["General"]
    page.search.setText("network")
    assert shown() == ["Privacy"]
    page.search.setText("qwertz")
    assert shown() == [] and not page.nothing.isHidden()
    page.search.clear()
    assert len(shown()) == len(page.cards) and page.nothing.isHidden()


def test_the_workspace_moves_with_everything_in_it(page: SettingsPage, record: Record, tmp_path: Path, qtbot):
    old = page.services.workspace.folder
    (tmp_path / "disk 2").mkdir()
    page.workspace_card.move_to(tmp_path / "disk 2")
    qtbot.waitUntil(lambda: bool(record.preferences), timeout=10_000)
    new = tmp_path / "disk 2" / old.name
    assert record.preferences[0].workspace == str(new)
    assert str(old) in record.notes[0][0] and old.is_dir()
    before = {path.relative_to(old): path.read_bytes() for path in old.rglob("*") if path.is_file()}
    after = {path.relative_to(new): path.read_bytes() for path in new.rglob("*") if path.is_file()}
    assert before == after


def test_a_place_that_is_taken_is_refused(page: SettingsPage, record: Record, tmp_path: Path, qtbot):
    taken = tmp_path / page.services.workspace.folder.name
    if taken != page.services.workspace.folder:
        taken.mkdir()
        (taken / "mine.txt").write_text("x")
    page.workspace_card.move_to(tmp_path)
    qtbot.waitUntil(lambda: bool(record.failures), timeout=10_000)
    assert not record.preferences


def test_the_workspace_is_not_moved_under_a_running_job(
    page: SettingsPage, jobs: FakeJobCenter, record: Record, tmp_path: Path
):
    jobs.run(JobRequest("gpt.train"))
    page.workspace_card.move_to(tmp_path)
    assert "running" in record.notes[0][0]


def test_privacy_names_every_place_the_program_writes_to(page: SettingsPage, services: Services):
    text = " ".join(label.text() for label in page.privacy.findChildren(QLabel))
    assert "Network: off" in text and "0 connections" in text
    from aigc_desktop.core.paths import cache_dir, config_dir

    for folder in (services.workspace.folder, config_dir(), cache_dir()):
        assert str(folder) in text


def test_about_can_be_copied(page: SettingsPage, record: Record):
    card = next(card for card in page.cards if isinstance(card, AboutCard))
    card.copy_button.click()
    copied = QApplication.clipboard().text()
    assert copied == machine_facts(page.services.jobs.machine)
    assert "AIGC Desktop 0" in copied and "Qt 6" in copied and "2 cores" in copied


def test_licences_are_listed_with_their_texts(qtbot, theme):
    found = {licence.part.split(" ")[0]: licence for licence in licences()}
    assert "Apache License" in found["AIGC"].text
    assert "ISC" in next(text.text for part, text in found.items() if "lucide" in part)
    dialog = LicencesDialog(theme)
    qtbot.addWidget(dialog)
    settle(qtbot)
    qtbot.waitUntil(lambda: dialog.list.count() > 3)
    assert dialog.text.toPlainText()


def test_the_log_is_filtered_by_level_and_text_and_copied(page: SettingsPage, qtbot):
    logs_dir().mkdir(parents=True, exist_ok=True)
    lines = ["2026-11-23 10:00:00 INFO a: started", "2026-11-23 10:00:01 ERROR b: broke", "Traceback", "  File x",
             "2026-11-23 10:00:02 WARNING a: slow disk"]  # fmt: skip
    (logs_dir() / "window.log").write_text("\n".join(lines), encoding="utf-8")
    view = page.logs
    view.refresh_button.click()
    settle(qtbot)
    assert "started" in view.text.toPlainText() and "Traceback" in view.text.toPlainText()
    view.level.setCurrentIndex(view.level.findData("ERROR"))
    view.level.activated.emit(0)
    assert "started" not in view.text.toPlainText() and "broke" in view.text.toPlainText()
    view.level.setCurrentIndex(0)
    view.search.setText("DISK")
    assert view.text.toPlainText().endswith("slow disk") and "broke" not in view.text.toPlainText()
    view.copy_button.click()
    assert QApplication.clipboard().text() == view.text.toPlainText()


def test_lines_of_the_engine_without_a_level_are_shown_without_the_home_folder(page: SettingsPage, qtbot):
    logs_dir().mkdir(parents=True, exist_ok=True)
    (logs_dir() / "engine.log").write_text(f"loading {Path.home()}/model\n", encoding="utf-8")
    page.logs.source.setCurrentIndex(1)
    page.logs.refresh()
    settle(qtbot)
    assert "loading" in page.logs.text.toPlainText() and str(Path.home()) not in page.logs.text.toPlainText()
    logging.getLogger("x").debug("nothing")
