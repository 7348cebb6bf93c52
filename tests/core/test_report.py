"""Reports are plain data that come back as they were, or are refused."""

import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.report import Copied, Curve, Figure, Mark, Plot, Report, Section, Table, read_report, report_of
from aigc_desktop.core.report_words import cell_text, column_titles, interval_text, marks_text, value_text

FIGURE = Figure(
    "BLEU-4 (4 words)", 0.4, "Why.", 0.3, 0.5, better="higher", marks=[Mark("real data", 0.6)], headline=True
)
REPORT = Report(
    "run", "A <b>title</b>", "gpt", "000100", "poems", "2026-11-26T01:00:00+00:00", 48, 0,
    [Section("Nearness to real texts", [
        FIGURE, Figure("Longest copied passage of all", 12.0, "", unit="words", digits=0)
    ])],
    [Plot("Quality over variety, by words", "", "x", "y", [Curve("this model", [0.1, 0.2], [1, 2], ["0.7", "1"])])],
    [Table("Classes", ["", "precision"], [["a", 0.5]])], [Copied("abcd", 1, 3, "xbcy", 1, 3, 2)], ["one"], ["note"],
    ["How."], {"val_loss": 1.0},
)  # fmt: skip


def test_a_report_comes_back_as_it_was(tmp_path):
    write_json(tmp_path / "report.json", REPORT.plain())
    assert read_report(tmp_path) == REPORT


@pytest.mark.parametrize("change", [
    {"sections": 3}, {"sections": [{"title": "x"}]}, {"copied": [[]]}, {"run": None},
    {"sections": [{"title": "x", "figures": [{"name": "n", "value": "high", "explanation": ""}]}]},
])  # fmt: skip
def test_a_damaged_report_is_refused(tmp_path, change):
    write_json(tmp_path / "report.json", REPORT.plain() | change)
    with pytest.raises(UserError, match="damaged"):
        read_report(tmp_path)
    with pytest.raises(ValueError):
        report_of(REPORT.plain() | change)


def test_a_report_of_a_newer_program_is_told(tmp_path):
    write_json(tmp_path / "report.json", REPORT.plain() | {"format": 99})
    with pytest.raises(UserError, match="newer"):
        read_report(tmp_path)


def test_shares_are_drawn_from_none_to_all_and_others_as_far_as_needed():
    assert FIGURE.span() == (0, 1)
    low, high = Figure("x", 3.0, "", 2.0, 4.0, marks=[Mark("real data", 9.0)]).span()
    assert low == 0 and 9 < high < 11
    assert Figure("x", -2.0, "").span()[0] == -2
    low, high = Figure("x", 0.0, "").span()
    assert low < high


def test_the_words_of_a_figure_follow_the_language():
    assert value_text(FIGURE) == "0.400" and interval_text(FIGURE) == "0.300 – 0.500"
    assert value_text(REPORT.sections[0].figures[1]) == "12 words" and interval_text(REPORT.figures()[1]) == ""
    assert marks_text(FIGURE) == "real data 0.600"
    set_language("zh_CN")
    assert value_text(REPORT.figures()[1]) != "12 words" and "real" not in marks_text(FIGURE)


def test_names_of_classes_are_never_translated():
    set_language("zh_CN")
    assert column_titles(Table("x", ["", "precision"], [], "confusion")) == ["", "precision"]
    assert column_titles(Table("x", ["", "precision"], [])) != ["", "precision"]
    assert cell_text(1234) == "1,234" and cell_text(0.25) == "0.250" and cell_text("a") == "a"


def test_a_figure_is_found_by_its_name():
    assert REPORT.figure("BLEU-4 (4 words)") is FIGURE
    with pytest.raises(KeyError):
        REPORT.figure("BLEU-9")
