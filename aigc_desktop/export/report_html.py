"""A report as one HTML file that needs nothing else, and as the simpler HTML that a PDF is laid out from."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _, language, ngettext
from aigc_desktop.core.report import OWN, Copied, Figure, Report, Section, Table, read_report, sign_of
from aigc_desktop.core.report_words import (
    BETTER,
    cell_text,
    column_titles,
    facts_of,
    interval_text,
    marks_text,
    title_of,
    value_text,
    words_in_a_row,
)
from aigc_desktop.core.run import Run
from aigc_desktop.data.samples import read_samples
from aigc_desktop.export.report_svg import Colours, Drawing, bar, plot, sign

_LIGHT = {
    "text": "#1b1b1f", "secondary": "#575761", "line": "#dedee3", "0": "#1f5fd0", "1": "#d55e00", "2": "#00805c",
    "3": "#c04a9c", "4": "#5a4f00", "5": "#33333b",
}  # fmt: skip
_DARK = {
    "text": "#ececf0", "secondary": "#abaab6", "line": "#37373e", "0": "#56b4e9", "1": "#e69f00", "2": "#1fbf92",
    "3": "#e58cc3", "4": "#f0e442", "5": "#e2e2ea",
}  # fmt: skip
_SHEET = """
:root{color-scheme:light dark;--page:#f5f5f6;--card:#ffffff;--hit:#faeed2;%(light)s}
@media (prefers-color-scheme:dark){:root{--page:#18181b;--card:#202024;--hit:#3a2f16;%(dark)s}}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
main{max-width:960px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}
.soft{color:var(--secondary);font-size:13px}.number{font-variant-numeric:tabular-nums}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px;margin:0 0 12px}
table{border-collapse:collapse;width:100%%}td,th{padding:8px;text-align:left;vertical-align:top}
tr+tr td,tr+tr th{border-top:1px solid var(--line)}th{font-weight:600}
.value{font-size:18px;font-weight:600;white-space:nowrap}.text{white-space:pre-wrap;overflow-wrap:anywhere}
.hit{background:var(--hit);border-radius:3px}.wide{overflow-x:auto}svg{max-width:100%%}
img{max-width:100%%;image-rendering:pixelated}
@media print{body{background:none}.card{break-inside:avoid}}
"""
_PRINT = """
body{color:#1b1b1f}h1{font-size:20pt}h2{font-size:13pt;margin-top:16px;margin-bottom:4px}
.soft{color:#575761;font-size:8.5pt}.value{font-size:12pt;font-weight:600}.text{white-space:pre-wrap}
.hit{background-color:#faeed2}td,th{padding:4px;vertical-align:top;text-align:left}th{font-weight:600}
.number{white-space:nowrap}.first{page-break-before:always}
"""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_PRINT_COLUMNS = 14
_PRINT_WIDTH, _PRINT_BAR = 560, 0.75
"""CSS pixels of a plot on paper: two of them fit on a page; and how much bars and signs shrink."""


@dataclass(frozen=True)
class Page:
    """HTML, and for the simpler form the drawings and pictures (PNG) that it names."""

    html: str
    drawings: dict[str, Drawing] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)


def write_html(evaluation: Run, target: Path) -> None:
    """Write the report of an evaluation as one file, whole or not at all."""
    page = html_page(read_report(evaluation.folder), picture_sheets(evaluation))
    with atomic_file(target) as out:
        out.write(page.encode("utf-8"))


def picture_sheets(evaluation: Run) -> list[tuple[str, bytes]]:
    """Return the sheets of pictures (title, PNG) that an evaluation recorded."""
    titles = {"samples": _("Samples"), "reconstruction": _("Nearest training picture, and beside it the made one"),
              "copies": _("Held-out pictures, and beside each its copy")}  # fmt: skip
    sheets = [sheet for sheet in read_samples(evaluation) if sheet.cell != (0, 0)]
    return [(titles.get(sheet.role, sheet.role), sheet.file.read_bytes()) for sheet in sheets]


def html_page(report: Report, sheets: Sequence[tuple[str, bytes]] = ()) -> str:
    """Return a page that follows the light or dark of its reader; what is foreign is escaped."""
    builder = _Builder({name: f"var(--c{name})" for name in _LIGHT}, lambda drawing: drawing.svg, _data_picture)
    variables = {
        part: "".join(f"--c{name}:{value};" for name, value in colours.items())
        + "".join(f"--{name}:{colours[name]};" for name in ("text", "secondary", "line"))
        for part, colours in (("light", _LIGHT), ("dark", _DARK))
    }
    code = language().replace("_", "-")
    return (
        f'<!DOCTYPE html>\n<html lang="{code}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{safe(title_of(report))}</title>'
        f"<style>{_SHEET % variables}</style></head><body><main>{builder.body(report, sheets)}</main></body></html>\n"
    )


def print_page(report: Report, sheets: Sequence[tuple[str, bytes]] = ()) -> Page:
    """Return the page for paper: its drawings and pictures are named, for who lays it out."""
    page = Page("")

    def name_drawing(drawing: Drawing) -> str:
        name = f"drawing-{len(page.drawings)}"
        page.drawings[name] = drawing
        scale = min(1, _PRINT_WIDTH / drawing.width) if drawing.width > 300 else _PRINT_BAR
        width, height = (round(scale * side) for side in (drawing.width, drawing.height))
        return f'<img src="{name}" width="{width}" height="{height}">'

    def name_picture(data: bytes) -> str:
        name = f"picture-{len(page.pictures)}"
        page.pictures[name] = data
        return f'<img src="{name}" width="480">'

    body = _Builder(_LIGHT, name_drawing, name_picture, _PRINT_COLUMNS).body(report, sheets)
    html = f"<html><head><style>{_PRINT}</style></head><body>{body}</body></html>"
    return Page(html, page.drawings, page.pictures)


def safe(text: str) -> str:
    """Return foreign text for HTML: nothing in it is read as a tag, and what no file may hold is replaced."""
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def _data_picture(data: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data).decode()}" width="480">'


@dataclass(frozen=True)
class _Builder:
    """Makes the body of a page; how drawings and pictures stand in it differs."""

    colours: Colours
    place: Callable[[Drawing], str]
    picture: Callable[[bytes], str]
    columns: int = 10_000
    """Columns of a table that are shown at most."""

    def body(self, report: Report, sheets: Sequence[tuple[str, bytes]]) -> str:
        facts = " · ".join(safe(fact) for fact in facts_of(report))
        parts = [f"<h1>{safe(title_of(report))}</h1>", f'<p class="soft">{facts}</p>']
        headlines = [figure for figure in report.figures() if figure.headline]
        if headlines:
            parts.append(self._card(_("At a glance"), self._glance(headlines)))
        parts += [self._section(section) for section in report.sections]
        for number, shown in enumerate(report.plots):
            drawn = f'<div class="wide">{self.place(plot(shown, self.colours))}</div>'
            words = f'<p class="soft">{safe(_(shown.explanation))}</p>'
            legend = self._legend([curve.name for curve in shown.curves])
            parts.append(self._card(_(shown.title), words + legend + drawn, "" if number else "first"))
        parts += [self._card(_(table.title), self._table(table)) for table in report.tables if table.rows]
        parts += [self._card(title, self.picture(data)) for title, data in sheets]
        if report.copied:
            parts.append(self._card(_("Most copied texts"), "".join(self._copied(one) for one in report.copied)))
        if report.samples:
            samples = "".join(f'<p class="text">{safe(text)}</p>' for text in report.samples)
            parts.append(self._card(_("Samples"), samples))
        if report.notes:
            parts.append(self._card(_("Notes"), "".join(f"<p>{safe(note)}</p>" for note in report.notes)))
        if report.samples or report.copied or sheets:
            words = _("Samples and made texts:") + " " + _("AI生成 · AI generated")
            parts.append(f'<p class="soft">{safe(words)}</p>')
        methods = "".join(f'<p class="soft">{safe(_(method))}</p>' for method in report.methods)
        return "".join(parts) + (self._card(_("How it was measured"), methods) if methods else "")

    def _card(self, title: str, inner: str, place: str = "") -> str:
        return f'<h2 class="{place}">{safe(title)}</h2><div class="card">{inner}</div>'

    def _glance(self, figures: Sequence[Figure]) -> str:
        rows = [
            f"<tr><th>{safe(_(figure.name))}</th>"
            f'<td class="value number">{safe(value_text(figure))}</td>'
            f'<td class="soft">{safe(_(BETTER[figure.better]) if figure.better else "")}</td></tr>'
            for figure in figures
        ]
        return f'<table width="100%">{"".join(rows)}</table>'

    def _section(self, section: Section) -> str:
        rows = []
        for figure in section.figures:
            better = f" ({_(BETTER[figure.better])})" if figure.better else ""
            rows.append(
                f'<tr><td width="46%"><b>{safe(_(figure.name))}</b>'
                f'<br><span class="soft">{safe(_(figure.explanation) + better)}</span></td>'
                f'<td width="18%" class="number"><span class="value">{safe(value_text(figure))}</span>'
                f'<br><span class="soft">{safe(interval_text(figure))}</span></td>'
                f'<td width="36%">{self.place(bar(figure, self.colours)) if figure.has_bar else ""}'
                f'<br><span class="soft">{safe(marks_text(figure))}</span></td></tr>'
            )
        legend = self._legend([OWN, *section.mark_names()])
        return self._card(_(section.title), legend + f'<table width="100%">{"".join(rows)}</table>')

    def _legend(self, names: Sequence[str]) -> str:
        signs = (f"{self.place(sign(sign_of(name), self.colours))}&nbsp;{safe(_(name))}" for name in names)
        return f'<p class="soft">{" &nbsp; ".join(signs)}</p>'

    def _table(self, table: Table) -> str:
        heads = "".join(f"<th>{safe(title)}</th>" for title in column_titles(table)[: self.columns])
        rows = "".join(
            f"<tr>{''.join(_cell(cell) for cell in row[: self.columns])}</tr>" for row in table.rows
        )
        left = len(table.columns) - self.columns
        text = ngettext("{count} more column is in the HTML file.", "{count} more columns are in the HTML file.", left)
        note = f'<p class="soft">{safe(text.format(count=left))}</p>' if left > 0 else ""
        return f'<div class="wide"><table width="100%"><tr>{heads}</tr>{rows}</table></div>{note}'

    def _copied(self, one: Copied) -> str:
        made = _hit(one.text, one.start, one.end)
        source = _hit(one.source, one.source_start, one.source_end)
        words = words_in_a_row(one)
        return (
            f'<p class="soft">{safe(words)}</p><table width="100%">'
            f'<tr><th width="50%">{safe(_("Made text"))}</th><th>{safe(_("Training text"))}</th></tr>'
            f'<tr><td class="text">{made}</td><td class="text">{source}</td></tr></table>'
        )


def _cell(value: object) -> str:
    return f'<td class="{"text" if isinstance(value, str) else "number"}">{safe(cell_text(value))}</td>'


def _hit(text: str, start: int, end: int) -> str:
    return f'{safe(text[:start])}<span class="hit">{safe(text[start:end])}</span>{safe(text[end:])}'
