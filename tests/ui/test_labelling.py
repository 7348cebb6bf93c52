"""Labelling on the Data page: by keys, with letters that Qt counts twice, from a file and back, and without loss."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from aigc_desktop.core.config import check
from aigc_desktop.core.job import run_job
from aigc_desktop.core.labels import DECIDED, PROPOSED, JournalWriter, TextLabel
from aigc_desktop.core.run import Run
from aigc_desktop.core.settings import Preferences
from aigc_desktop.data.jobs import JOBS
from aigc_desktop.data.label_index import digest_of
from aigc_desktop.data.label_session import LabelSession
from aigc_desktop.ui.colours import DARK, LIGHT, contrast
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.pages.data import DataPage
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.labels.marked_text import MarkedText, Places, tint
from tests.ui import walks
from tests.ui.conftest import settle

TEXTS = ["😀 Ann lives in 奥斯陆。", "Bob left.", "مرحبا Kim من روما", "Nothing here."]


def bring_in(workspace, texts, **values):
    path = workspace.folder.parent / "texts.jsonl"
    path.write_text("\n".join(json.dumps(t if isinstance(t, dict) else {"text": t}) for t in texts), encoding="utf-8")
    task = JOBS.task("scan")
    config = check(task.config, {"source": str(path), "kind": "text", **values})
    list(run_job(task.job, config, Run(workspace.folder, workspace.folder)))
    return workspace.datasets()[0]


@pytest.fixture
def page(qtbot, workspace, jobs, theme, record):
    services = Services(
        workspace, Preferences(language="en", theme="light"), jobs, theme, record.navigate, record.notify,
        record.show_failure, record.change_preferences,
    )  # fmt: skip
    page = DataPage(services)
    page.build()
    qtbot.addWidget(page)
    page.resize(1190, 640)
    page.show()
    return page


@pytest.fixture
def panel(qtbot, page, workspace):
    bring_in(workspace, TEXTS)
    page.shown()
    page.panel.mode.buttons["label"].click()
    ready(qtbot, page)
    return page.panel.labelling


def ready(qtbot, page):
    view = page.panel.labelling.view
    qtbot.waitUntil(lambda: view.session is not None and not view.desk.busy)
    settle(qtbot)


def add_class(qtbot, panel, *names):
    for name in names:
        panel.classes.line.setText(name)
        QTest.keyClick(panel.classes.line, Qt.Key.Key_Return)


def decided(panel):
    path = panel.dataset.folder / DECIDED
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def keys(widget, *pressed, modifier=Qt.KeyboardModifier.NoModifier):
    for key in pressed:
        QTest.keyClick(widget, key, modifier)


def test_names_are_marked_accepted_and_taken_back_by_keys_alone(qtbot, page, panel):
    view, text = panel.view, panel.view.text
    add_class(qtbot, panel, "person", "place")
    assert view.current.text == TEXTS[0] and view.current.origin == "none"
    text.setFocus()
    keys(text, Qt.Key.Key_Right, Qt.Key.Key_Right)  # behind the emoji, which is two units, and the blank
    keys(text, *[Qt.Key.Key_Right] * 3, modifier=Qt.KeyboardModifier.ShiftModifier)
    keys(text, Qt.Key.Key_1)
    assert [(view.current.text[a:b], name) for a, b, name in view.current.spans] == [("Ann", "person")]
    text.select_letters(TEXTS[0].index("奥"), TEXTS[0].index("。"))
    keys(text, Qt.Key.Key_2)
    ready(qtbot, page)
    assert decided(panel)[-1]["spans"] == [[2, 5, "person"], [15, 18, "place"]] and not decided(panel)[-1]["accepted"]
    keys(text, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: view.current.row == 1)
    assert decided(panel)[-1]["accepted"] and view.board.counts.text().startswith("1 labelled")
    keys(text, Qt.Key.Key_Z, modifier=Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: view.current.row == 0)
    ready(qtbot, page)
    assert view.current.origin == "draft" and len(view.current.spans) == 2
    keys(text, Qt.Key.Key_Z, modifier=Qt.KeyboardModifier.ControlModifier)
    ready(qtbot, page)
    assert view.current.spans == ((2, 5, "person"),)
    text.go_to(3)
    keys(text, Qt.Key.Key_Backspace)
    ready(qtbot, page)
    assert view.current.spans == () and decided(panel)[-1]["spans"] == []


def test_the_right_button_removes_a_name(qtbot, page, panel):
    view = panel.view
    add_class(qtbot, panel, "person")
    view.text.select_letters(2, 5)
    keys(view.text, Qt.Key.Key_1)
    ready(qtbot, page)
    cursor = view.text.textCursor()
    cursor.setPosition(view.text.places.place(3))
    view.text.click_mark(view.text.cursorRect(cursor).center() + QPoint(1, 0))
    ready(qtbot, page)
    assert view.current.spans == ()


def test_right_to_left_text_is_marked_by_its_letters(qtbot, page, panel):
    view = panel.view
    add_class(qtbot, panel, "شخص")
    view.list.go_to_row(2)
    start = TEXTS[2].index("Kim")
    view.text.select_letters(start, start + 3)
    assert view.text.textCursor().selectedText() == "Kim"
    panel.classes.used.emit("شخص")
    ready(qtbot, page)
    assert view.current.spans == ((start, start + 3, "شخص"),)
    view.text.select_letters(0, 5)
    assert view.text.textCursor().selectedText() == "مرحبا"


def test_a_word_at_the_cursor_needs_no_selection(qtbot, page, panel):
    view = panel.view
    add_class(qtbot, panel, "person")
    view.list.go_to_row(1)
    view.text.go_to(1)
    keys(view.text, Qt.Key.Key_1)
    assert view.current.spans == ((0, 3, "person"),)
    ready(qtbot, page)


def test_a_class_without_a_name_is_refused(qtbot, page, panel, record):
    add_class(qtbot, panel, "  ")
    assert "needs a name" in record.failures[0].message and panel.view.session.classes() == []
    panel.view.accept()
    assert "Add a class first" in record.notes[-1][0] if isinstance(record.notes[-1], tuple) else record.notes[-1]


def test_proposals_are_shown_corrected_and_accepted_together(qtbot, page, panel, workspace):
    view = panel.view
    session = view.session
    with JournalWriter(panel.dataset.folder / PROPOSED) as journal:
        journal.append([
            TextLabel(row, digest_of(session.items[row]), "names", spans, source="model", certainty=certainty)
            for row, spans, certainty in [(0, ((2, 5, "person"),), 0.6), (1, ((0, 3, "person"),), 0.97), (3, (), 0.99)]
        ])  # fmt: skip
    view.refresh()
    ready(qtbot, page)
    assert view.current.origin == "proposed" and "60%" in view.board.told.text()
    assert panel.classes.names == ["person"] and panel.proposing.accept_button.text() == "Accept 2 proposals"
    panel.proposing.accept_button.click()
    ready(qtbot, page)
    assert view.session.index.select("done", False).tolist() == [1, 3]
    view.board.state.setCurrentIndex(view.board.state.findData("proposed"))
    view.show_rows()
    ready(qtbot, page)
    assert view.list.label_model.rowCount() == 1
    view.board.state.setCurrentIndex(0)
    view.board.order.setCurrentIndex(view.board.order.findData("certainty"))
    view.show_rows()
    ready(qtbot, page)
    assert view.list.label_model.rows.tolist() == [0, 1, 3, 2]


def test_classes_of_texts_are_given_by_number_and_renamed(qtbot, page, workspace):
    bring_in(workspace, [{"text": f"text {n}", "mood": ("glad", "sad")[n % 2]} for n in range(4)],
             labels="column", label_column="mood")  # fmt: skip
    page.shown()
    page.panel.mode.buttons["label"].click()
    ready(qtbot, page)
    panel = page.panel.labelling
    view = panel.view
    assert view.session.kind == "class" and view.current.label == "glad"
    keys(view.list, Qt.Key.Key_2)
    assert view.current.label == "sad" and view.board.given.text() == "sad" and view.board.given.isVisible()
    assert view.desk.busy, "what was given is not on the disk yet"
    panel._rename("sad", "blue")
    assert view.current.label == "sad"
    ready(qtbot, page)
    assert view.current.label == "blue" and panel.classes.names == ["glad", "blue"]
    keys(view.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: view.current.row == 1)
    assert view.current.label == "blue"


def test_what_is_begun_is_there_when_the_page_opens_again(qtbot, page, panel):
    add_class(qtbot, panel, "person")
    panel.view.text.select_letters(2, 5)
    keys(panel.view.text, Qt.Key.Key_1)
    page.panel.mode.buttons["look"].click()  # at once: the writing has hardly begun
    page.panel.show_mode("look")
    assert page.panel.health.isVisibleTo(page.panel)
    page.panel.show_mode("label")
    ready(qtbot, page)
    assert panel.view.current.spans == ((2, 5, "person"),) and panel.view.current.origin == "draft"


def test_a_full_disk_is_told_and_the_text_stays(qtbot, page, panel, record, monkeypatch):
    add_class(qtbot, panel, "person")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JournalWriter, "write", full)
    panel.view.text.select_letters(2, 5)
    keys(panel.view.text, Qt.Key.Key_1, Qt.Key.Key_Return)
    ready(qtbot, page)
    assert len(record.failures) >= 1 and "disk is full" in record.failures[0].message
    assert panel.view.current.row == 0 and decided(panel) == []


def test_a_set_whose_list_is_gone_says_so(qtbot, page, workspace, record):
    (bring_in(workspace, TEXTS).folder / "items.jsonl").unlink()
    page.panel.show_mode("label")
    page.shown()
    page.panel.mode.buttons["label"].click()
    qtbot.waitUntil(lambda: bool(record.failures))
    settle(qtbot)
    assert page.panel.labelling.view.board.told.text() == record.failures[-1].message


def test_labels_are_saved_beside_the_window(qtbot, page, panel, record, tmp_path):
    add_class(qtbot, panel, "person")
    panel.view.text.select_letters(2, 5)
    keys(panel.view.text, Qt.Key.Key_1, Qt.Key.Key_Return)
    ready(qtbot, page)
    panel.save(tmp_path / "out.jsonl")
    settle(qtbot)
    assert json.loads((tmp_path / "out.jsonl").read_text())["spans"] == [[2, 5, "person"]]
    panel.save(tmp_path / "no folder" / "out.jsonl")
    settle(qtbot)
    assert record.failures


def test_the_controls_have_names_and_can_be_reached(qtbot, page, panel):
    add_class(qtbot, panel, "person", "a very long name of a class that has no room")
    assert walks.without_name(page.panel) == []
    assert walks.without_tooltip(page.panel) == []
    assert walks.out_of_keyboard_reach(page.panel) == []
    assert walks.clipped(page.panel) == []
    ready(qtbot, page)


@pytest.mark.parametrize("spans", [(), ((2, 5, "person"), (5, 6, "x"), (15, 18, "a 😀 class"))])
def test_places_in_the_document_are_letters_of_the_text(qtbot, theme, spans):
    text = "😀 Ann, 𝔸𝔹 in: 奥斯陆。\r\n\x00 end"
    widget = MarkedText(theme)
    qtbot.addWidget(widget)
    widget.show_text(text, spans, {})
    places = Places(text, spans)
    document = widget.document().toRawText().encode("utf-16-le")
    for letter, sign in enumerate(text):
        at = int(places.at[letter]) + sum(
            len(f"\u00a0{name}\u00a0".encode("utf-16-le")) // 2 for _a, end, name in spans if end == letter
        )
        if sign.isprintable():
            shown = document[2 * at : 2 * at + len(sign.encode("utf-16-le"))].decode("utf-16-le")
            assert shown == sign
        assert places.letter(places.place(letter)) == letter
    assert places.letter(len(document)) == len(text)


def test_text_on_every_tint_is_readable_in_both_themes(qapp):
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        theme = Theme(qapp, Preferences(language="en", theme=name))
        for number in range(len(colours.plot)):
            assert contrast(colours.text, tint(theme, number).name()) >= 4.5


def test_twenty_thousand_texts_open_and_each_is_at_hand(qtbot, page, workspace):
    bring_in(workspace, [f"text {n}" for n in range(20_000)])
    page.shown()
    page.panel.mode.buttons["label"].click()
    ready(qtbot, page)
    panel = page.panel.labelling
    assert panel.view.list.label_model.rowCount() == 20_000
    assert isinstance(panel.view.session, LabelSession)
    panel.view.list.go_to(19_999)
    assert panel.view.current.text == "text 19999"


def test_a_long_text_is_shown_in_part_and_names_behind_it_stay(qtbot, page, workspace):
    text = "Ann left. " * 1000
    dataset = bring_in(workspace, [text])
    session = LabelSession(dataset, "names")
    session.draft(0, [(9000, 9003, "person")])
    session.close()
    page.shown()
    page.panel.mode.buttons["label"].click()
    ready(qtbot, page)
    view = page.panel.labelling.view
    assert len(view.text.letters) == 5000 and "Only the first 5,000 letters" in view.board.told.text()
    view.text.select_letters(0, 3)
    view.use_class("person")
    view.accept()
    ready(qtbot, page)
    assert decided(page.panel.labelling)[-1]["spans"] == [[0, 3, "person"], [9000, 9003, "person"]]


def test_closing_waits_for_what_is_being_written(qtbot, page, panel):
    add_class(qtbot, panel, "person")
    panel.view.text.select_letters(2, 5)
    panel.view.use_class("person")
    panel.view.accept()
    page.panel.show_dataset(None)  # as when the window closes or the data set is deleted
    assert decided(panel_of(panel, page))[-1]["accepted"]


def panel_of(panel, page):
    """The panel let go of its data set; give it back to be read."""
    panel.dataset = page.selected
    return panel


def test_a_frozen_set_is_copied_to_be_labelled(qtbot, page, panel, workspace):
    task = JOBS.task("freeze")
    config = check(task.config, {"dataset": page.selected.id, "validation": 0.0})
    list(run_job(task.job, config, Run(workspace.folder, workspace.folder)))
    page.refresh()
    ready(qtbot, page)
    assert panel.copy_button.isVisible() and "frozen" in panel.frozen.text()
    panel.copy_button.click()
    settle(qtbot)
    ready(qtbot, page)
    assert page.selected.info.title == "texts (labels)" and not page.selected.info.frozen
    assert not panel.copy_button.isVisible()
