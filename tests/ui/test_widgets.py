"""Shared widgets: the plan card, sparkline, flow of items, numbers in words."""

import math
from datetime import datetime, timedelta

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QTextLayout
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.family import Plan, Preset, Problem
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui.format import readable_count, readable_date, readable_time
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import ActionCard, FlowLayout
from aigc_desktop.ui.widgets.choice_dialog import ChoiceDialog
from aigc_desktop.ui.widgets.controls import ChoiceBox, NameButton, label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.failure import FailureDialog
from aigc_desktop.ui.widgets.pictures.checks import DARK, LIGHT, SIDE, on_checks
from aigc_desktop.ui.widgets.plots.sparkline import Sparkline, thin
from aigc_desktop.ui.widgets.side_by_side import Folding
from aigc_desktop.ui.widgets.train.plan_card import PlanCard, facts_of

PLAN = Plan(
    "small", [Preset("small", "Small", "Fast.", {}), Preset("large", "Large", "Better.", {})], {"steps": 2000},
    parameters=3_100_000, items=312, steps=2000, seconds=754.0, good_after_s=3600.0, memory_mb=800, disk_mb=40,
    device="cpu", notes=["Pictures are made smaller."],
)  # fmt: skip


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if not label.isHidden())


def test_transparent_pictures_lie_on_squares_and_others_do_not(qtbot):
    clear = QImage(4 * SIDE, 2 * SIDE, QImage.Format.Format_RGBA8888)
    clear.fill(QColor(0, 0, 0, 0))
    clear.setPixelColor(1, 1, QColor("red"))
    laid = on_checks(clear)
    assert not laid.hasAlphaChannel() and laid.pixelColor(1, 1) == QColor("red")
    assert {laid.pixelColor(x, 0).name() for x in range(4 * SIDE)} == {LIGHT, DARK}
    solid = clear.convertToFormat(QImage.Format.Format_RGB888)
    assert on_checks(solid) is solid


def test_the_plan_shows_what_will_happen(theme: Theme, qtbot):
    card = PlanCard(theme)
    qtbot.addWidget(card)
    assert not card.ready and card.reason
    card.show_plan(PLAN)
    assert card.ready and card.reason == ""
    for part in ("3.1 M weights", "312 items", "2,000 steps", "about 13 min", "about 1 h 0 min", "800 MB", "40 MB"):
        assert part in texts(card), part
    assert "Pictures are made smaller." in texts(card) and "Fast." in texts(card)


def test_every_problem_of_a_plan_is_shown_at_once(theme: Theme, qtbot):
    card = PlanCard(theme)
    qtbot.addWidget(card)
    card.show_plan(Plan("small", [], {}, problems=[Problem("Too few pictures."), Problem("Disk too small.", "size")]))
    assert not card.ready
    assert "Too few pictures." in texts(card) and "Disk too small." in texts(card)
    assert card.reason == "Too few pictures.\nDisk too small."


def test_a_figure_that_is_not_known_is_not_made_up():
    facts = dict(facts_of(Plan("x", [], {})))
    assert facts == {"Time": "not known yet"}


def test_one_item_and_one_step_are_told_as_one():
    facts = dict(facts_of(Plan("x", [], {}, items=1, steps=1)))
    assert (facts["Data"], facts["Training length"]) == ("1 item", "1 step")


def test_choosing_a_preset_is_told(theme: Theme, qtbot):
    card = PlanCard(theme)
    qtbot.addWidget(card)
    card.show_plan(PLAN)
    assert card.presets.currentData() == "small"
    with qtbot.waitSignal(card.preset_chosen) as signal:
        card.presets.setCurrentIndex(1)
        card.presets.activated.emit(1)
    assert signal.args == ["large"]


@pytest.mark.parametrize(("seconds", "text"), [
    (0.2, "under 1 s"), (8, "8 s"), (59, "59 s"), (61, "1 min"), (3540, "59 min"), (5400, "1 h 30 min"),
    (93600, "1 d 2 h"),
])  # fmt: skip
def test_times_are_as_exact_as_one_needs(seconds: float, text: str):
    assert readable_time(seconds) == text


@pytest.mark.parametrize(("count", "text"), [
    (812, "812"), (9999, "9,999"), (12_400, "12.4 K"), (3.1e6, "3.1 M"), (1.2e9, "1.2 B"),
])  # fmt: skip
def test_counts_have_units(count: float, text: str):
    assert readable_count(count) == text


@pytest.mark.parametrize(("count", "text"), [
    (9999, "9,999"), (12_400, "1.24 万"), (1.43e6, "143 万"), (3.1e7, "3,100 万"), (1.2e9, "12 亿"),
])  # fmt: skip
def test_chinese_counts_go_by_ten_thousands(count: float, text: str):
    set_language("zh_CN")
    assert readable_count(count) == text


@pytest.mark.parametrize("room", [60, 400])
def test_a_name_without_room_is_shortened_not_cut(room: int, theme: Theme, qtbot):
    made = NameButton("R&B & 一个很长很长的名字 of a run", "Show this run")
    qtbot.addWidget(made)
    made.resize(room, made.sizeHint().height())
    assert made.minimumSizeHint().width() < made.sizeHint().width()
    assert made.accessibleName() == "R&B & 一个很长很长的名字 of a run" and made.accessibleName() in made.toolTip()
    assert not made.grab().isNull()


def test_a_question_leaves_no_gap_above_its_answers(theme: Theme, qtbot):
    answers = [("save", "Stop and save", "primary"), ("drop", "Stop and discard", "danger"), ("go", "Go on", "")]
    dialog = ChoiceDialog(theme, "Stop this job?", "What it has learnt so far is kept; it can go on later.", answers)
    qtbot.addWidget(dialog)
    dialog.show()
    sentence, first = dialog.findChildren(QLabel)[-1], dialog.buttons["save"]
    assert 0 < first.y() - sentence.geometry().bottom() <= 2 * theme.px(12)


def test_dates_near_now_are_relative():
    now = datetime.now().astimezone()
    assert readable_date(now.isoformat()) == "just now"
    assert readable_date((now - timedelta(minutes=5)).isoformat()) == "5 minutes ago"
    assert readable_date((now - timedelta(hours=1, minutes=2)).isoformat()) == "1 hour ago"
    assert readable_date("2020-02-03T04:05:06+00:00") == "2020-02-03 04:05"
    assert readable_date("no date") == "no date"


def test_a_sparkline_thins_and_leaves_out_what_is_no_number(theme: Theme, qtbot):
    line = Sparkline(theme, [math.nan, *range(1000), math.inf])
    qtbot.addWidget(line)
    assert len(line.values) == 60 and line.values == sorted(line.values)
    assert line.toolTip() == "from 0 to 999"
    line.resize(100, 30)
    assert line.grab().toImage().pixelColor(1, 26) != line.grab().toImage().pixelColor(1, 3)
    assert thin([1.0, 2.0]) == [1.0, 2.0] and thin([]) == []


def test_items_flow_into_as_many_columns_as_fit(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    flow = FlowLayout(10, 200)
    root.setLayout(flow)
    for _number in range(4):
        item = QWidget()
        item.setMinimumHeight(50)
        flow.addWidget(item)
    assert [flow.heightForWidth(width) for width in (1000, 700, 450, 200)] == [50, 110, 110, 230]
    root.resize(450, 200)
    root.show()
    assert flow.itemAt(0).geometry().width() == 220 and flow.itemAt(2).geometry().topLeft().toTuple() == (0, 60)


def test_an_action_card_is_a_button_with_name_and_description(theme: Theme, qtbot):
    card = ActionCard(theme, "image", "New from pictures", "Choose a folder.")
    qtbot.addWidget(card)
    assert (card.accessibleName(), card.accessibleDescription(), card.toolTip()) == (
        "New from pictures", "Choose a folder.", "Choose a folder.")  # fmt: skip
    assert card.heightForWidth(240) >= card.heightForWidth(600) > 0
    with qtbot.waitSignal(card.clicked):
        card.click()


def test_an_empty_state_offers_one_thing_to_do(theme: Theme, qtbot):
    state = EmptyState(theme, "data", "No data yet", "Drop a folder here.", "Choose a folder", drop=True)
    qtbot.addWidget(state)
    with qtbot.waitSignal(state.acted):
        state.button.click()
    assert not state.grab().isNull()


def test_no_line_of_chinese_begins_with_a_full_stop(qtbot):
    text = "训练稳定、变化丰富：生成新图片，变化您的图片，也能重画其中一部分。学习把图片写成一小格一小格的词元！"
    shown = label(text)
    qtbot.addWidget(shown)
    drawn = QLabel.text(shown)
    for width in range(120, 400, 7):
        layout = QTextLayout(drawn, shown.font())
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            assert drawn[line.textStart()] not in "。，、：！", width
        layout.endLayout()


def test_a_long_path_breaks_but_is_copied_as_it_is(qtbot):
    path = "/home/designer/" + "a_very_long_folder_name/" * 4 + "x" * 60 + ".png"
    made = label(path, selectable=True)
    qtbot.addWidget(made)
    made.resize(200, 400)
    assert made.text() == path
    assert made.heightForWidth(200) > made.heightForWidth(2000)
    assert made.minimumSizeHint().width() < 200
    made.setSelection(0, len(QLabel.text(made)))
    QTest.keyClick(made, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == path


def test_short_words_and_texts_without_wrapping_stay_as_they_are(qtbot):
    made = label("one two-three/four 中文")
    qtbot.addWidget(made)
    assert QLabel.text(made) == "one two-three/four 中文"


@pytest.mark.parametrize(("width", "below"), [(600, False), (200, True)])
def test_controls_fold_into_two_lines_where_one_is_too_narrow(width: int, below: bool, theme: Theme, qtbot):
    first, second, third = (QLabel(f"{name} group of controls") for name in ("first", "second", "third"))
    page, bar = QWidget(), Folding(theme, first, [second, third])
    qtbot.addWidget(page)
    bar.setParent(page)
    bar.resize(width, 80)
    page.show()
    qtbot.waitUntil(lambda: (bar.rest.y() > first.geometry().bottom()) == below)
    assert (third.y() > second.geometry().bottom()) == below
    assert bar.minimumSizeHint().width() <= 200


@pytest.mark.parametrize("scale", [100, 200])
def test_a_failure_shows_its_sentences_whole(qtbot, qapp, scale):
    theme = Theme(qapp, Preferences(language="zh_CN", theme="light", scale=scale))
    sentence = "“striped”中的词都没有在训练的说明文字里出现过。" * 2
    dialog = FailureDialog(theme, Failed("UserError", sentence, "请用这些说明文字里那样的词：" + "红色的龙 · " * 9, ""))
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    for text in dialog.findChildren(QLabel):
        if text.wordWrap():
            assert text.height() >= text.heightForWidth(text.width()), text.text()


def test_a_card_that_cannot_be_chosen_has_a_pale_sign(theme: Theme, qtbot):
    card = ActionCard(theme, "image", "Image GAN", "Learns from picture data.")
    qtbot.addWidget(card)
    card.resize(300, 100)

    def colours() -> set[str]:
        image = card.grab().toImage()
        return {image.pixelColor(x, y).name() for x in range(16, 40) for y in range(16, 40)}

    assert theme.colours.accent in colours()
    card.setEnabled(False)
    assert theme.colours.accent not in colours() and theme.colours.disabled in colours()


@pytest.mark.parametrize("resumes", [False, True])
def test_the_return_key_does_the_next_thing_after_a_failure(theme: Theme, qtbot, resumes: bool):
    failed = Failed("Crash", "It ended.", "Go on.", "Traceback")
    dialog = FailureDialog(theme, failed, (lambda: None) if resumes else None)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.focusWidget() is (dialog.resume_button if resumes else dialog.close_button)


def test_a_choice_that_is_too_long_ends_in_an_ellipsis_and_its_tooltip_shows_it_whole(qtbot, theme, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr("aigc_desktop.ui.widgets.controls.QToolTip.showText", lambda _at, text, _box: told.append(text))
    box = ChoiceBox()
    box.setToolTip("The model")
    box.addItem("A language model with quite a long name that goes on and on")
    box.addItem("Short")
    qtbot.addWidget(box)
    box.resize(160, 30)
    box.show()
    assert box.shown_text().startswith("A language") and box.shown_text().endswith("…")
    QApplication.sendEvent(box, QHelpEvent(QEvent.Type.ToolTip, QPoint(5, 5), QPoint(5, 5)))
    assert told == [f"{box.currentText()}\nThe model"]
    box.setCurrentIndex(1)
    assert box.shown_text() == "Short"
