"""The HTML of a report: one file, foreign texts escaped, drawings inside."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from aigc_desktop.core.events import Result, Sample
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.report import Copied, Curve, Plot, Table
from aigc_desktop.data.recorder import record
from aigc_desktop.export.report_html import html_page, picture_sheets, print_page, safe, write_html
from aigc_desktop.export.report_svg import bar, plot, tick_text, ticks
from tests.core.test_report import FIGURE, REPORT

EVIL = "<script>alert('x')</script> & \"quoted\" \x00\ud800"
COLOURS = {"text": "#000", "secondary": "#111", "line": "#222", **{str(n): f"#33{n}" for n in range(6)}}


class Tags(HTMLParser):
    """Counts tags and remembers what is open."""

    VOID = ("meta", "br", "img", "circle", "line", "rect", "polyline")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parsed(html):
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def evil_report():
    return replace(
        REPORT, title=EVIL, dataset=EVIL, samples=[EVIL], notes=[EVIL], copied=[Copied(EVIL, 0, 8, EVIL, 0, 8, 3)]
    )


def test_foreign_texts_are_never_tags():
    html = html_page(evil_report())
    tags = parsed(html)
    assert "script" not in tags.seen and "&lt;script&gt;" in html
    assert any("<script>alert" in text for text in tags.texts)
    html.encode("utf-8")
    assert "\x00" not in html
    parsed(print_page(evil_report()).html)


def test_the_page_needs_nothing_else_and_follows_light_and_dark():
    html = html_page(REPORT, [("Samples", b"\x89PNG")])
    assert not re.search(r"(src|href)=\"(?!data:)", html) and "@import" not in html and "url(" not in html
    assert "prefers-color-scheme:dark" in html and html.count("<svg") >= 4 and "data:image/png;base64" in html
    assert "AI generated" in html and "AI generated" in print_page(REPORT).html
    assert "0.400" in html and "0.300 – 0.500" in html and "real data" in html


def test_the_page_is_in_the_language_in_use():
    set_language("zh_CN")
    html = html_page(REPORT)
    assert 'lang="zh-CN"' in html and "higher is better" not in html and "At a glance" not in html


def test_the_page_for_paper_names_its_drawings():
    page = print_page(REPORT, [("Samples", b"png")])
    assert set(re.findall(r'src="([^"]+)"', page.html)) == {*page.drawings, *page.pictures}
    assert len(page.pictures) == 1 and "var(" not in page.html + "".join(d.svg for d in page.drawings.values())


def test_a_report_is_written_whole_or_not_at_all(workspace, tmp_path):
    evaluation = workspace.new_run("evaluate.run", {"run": "x"}, "cups", parent="evaluations")
    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    list(record(evaluation, [Sample(0, pictures), Result("evaluation", REPORT.plain())]))
    target = tmp_path / "r.html"
    write_html(evaluation, target)
    assert [title for title, _data in picture_sheets(evaluation)] == ["Samples"]
    assert "data:image/png;base64" in target.read_text("utf-8") and list(tmp_path.glob("*.partial")) == []
    with pytest.raises(OSError):
        write_html(evaluation, tmp_path / "no" / "r.html")


def test_a_bar_shows_value_interval_and_marks():
    drawing = bar(FIGURE, COLOURS)
    assert drawing.svg.count("<line") == 3 and drawing.svg.count("<circle") == 1


@pytest.mark.parametrize("values", [[0.1, 0.35], [5, 5], [0], [-3, 1e6], [1e-9, 2e-9]])
def test_ticks_are_round_and_enclose_the_values(values):
    found = ticks(values)
    assert found[0] <= min(values) and found[-1] >= max(values) and 2 <= len(found) <= 13
    assert len({tick_text(tick, found) for tick in found}) == len(found)


def test_a_plot_of_one_point_and_of_evil_names_is_drawn():
    shown = Plot(EVIL[:20], "", EVIL[:20], "y", [Curve("a", [1.0], [2.0], [EVIL[:20]]), Curve("b", [1, 2], [2, 2], [])])
    svg = plot(shown, COLOURS).svg
    assert "<script" not in svg and svg.count("<polyline") == 1
    parsed(svg)


def test_what_no_file_may_hold_is_replaced():
    assert safe("a\x00b\ud800c\n") == "a\ufffdb\ufffdc\n"


def test_a_wide_table_is_whole_on_the_screen_and_cut_with_a_word_on_paper():
    names = [f"class{n}" for n in range(30)]
    table = Table("Confusion of texts: true class in rows", ["", *names], [[n, *range(30)] for n in names], "confusion")
    report = replace(REPORT, tables=[table])
    assert "class29</th>" in html_page(report) and "more columns" not in html_page(report)
    assert "class29</th>" not in print_page(report).html and "17 more columns" in print_page(report).html
