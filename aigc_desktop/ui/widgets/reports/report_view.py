"""One evaluation to read: what matters at a glance, then every figure, plots, tables, examples, and how it was done."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QLabel, QTextBrowser, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import OWN, Copied, Section
from aigc_desktop.core.report_words import facts_of, title_of, words_in_a_row
from aigc_desktop.ui.evaluations import Loaded
from aigc_desktop.ui.slices import Slices
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, clear, hairline, label
from aigc_desktop.ui.widgets.pictures.checks import on_checks
from aigc_desktop.ui.widgets.reports.figure_row import FigureRow, Legend, Tile
from aigc_desktop.ui.widgets.reports.report_table import MOST_ROWS, ReportTable

_LONGEST = 480  # letters of a sample that are shown
_ENLARGED = 3  # how much pictures are enlarged at most


class ReportView(QWidget):
    """Shows a loaded evaluation card by card, so that the window never waits for it."""

    save_asked = Signal(str)
    """The user wants the report as "html" or "pdf"."""
    open_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.loaded: Loaded | None = None
        self._making: Slices | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), theme.px(16))
        box.setSpacing(theme.px(12))
        self.title = label("", "title")
        self.facts = label("", "secondary", selectable=True)
        self.html_button = button(theme, _("Save as HTML…"), "download", tip=_("One file that any browser shows"))
        self.pdf_button = button(theme, _("Save as PDF…"), "file-text", tip=_("Pages to send or to print"))
        self.open_button = button(theme, _("Open it"), "external-link", tip=_("Show the file that was saved"))
        self.open_button.hide()
        self.html_button.clicked.connect(self._ask_html)
        self.pdf_button.clicked.connect(self._ask_pdf)
        self.open_button.clicked.connect(self.open_asked)
        row = FlowLayout(theme.px(8))
        for made in (self.html_button, self.pdf_button, self.open_button):
            row.addWidget(made)
        self.cards = QVBoxLayout()
        self.cards.setSpacing(theme.px(12))
        for part in (self.title, self.facts):
            box.addWidget(part)
        box.addLayout(row)
        box.addLayout(self.cards)
        box.addStretch(1)

    @property
    def complete(self) -> bool:
        """Return whether all cards are there."""
        return self._making is None or not self._making.active

    def show_loaded(self, loaded: Loaded) -> None:
        """Show another evaluation."""
        if self._making is not None:
            self._making.stop()
        self.loaded = loaded
        self.title.setText(title_of(loaded.report))
        self.facts.setText(" · ".join(facts_of(loaded.report)))
        self.open_button.hide()
        clear(self.cards)
        self._making = Slices(self._make(loaded), self)

    def _make(self, loaded: Loaded) -> Iterator[None]:
        report, theme = loaded.report, self.theme
        headlines = [figure for figure in report.figures() if figure.headline]
        if headlines:
            tiles = QWidget()
            flow = FlowLayout(theme.px(8), theme.px(150))  # five stand in a row where the window has its usual width
            for figure in headlines:
                flow.addWidget(Tile(theme, figure))
            tiles.setLayout(flow)
            self.cards.addWidget(tiles)
            yield
        for section in report.sections:
            yield from self._section(section)
        for plot in report.plots:
            from aigc_desktop.ui.widgets.reports.report_plot import ReportPlot  # loaded already, with the report

            card = self._card(plot.title)
            card.add(label(_(plot.explanation), "secondary"))
            card.add(Legend(theme, [curve.name for curve in plot.curves]))
            card.add(ReportPlot(theme, plot))
            yield
        for table in report.tables:
            if table.rows:
                card = self._card(table.title)
                card.add(ReportTable(theme, table))
                if len(table.rows) > MOST_ROWS:
                    text = _("The first {count} of {all} rows; all are in the HTML file.")
                    card.add(label(text.format(count=MOST_ROWS, all=len(table.rows)), "secondary"))
                yield
        for title, data in loaded.sheets:
            self._card(title).add(Picture(theme, data))
            yield
        if report.copied:
            card = self._card(_("Most copied texts"))
            for one in report.copied:
                card.add(CopiedTexts(theme, one))
                yield
        yield from self._words(_("Samples"), [_shortened(text) for text in report.samples], "body")
        yield from self._words(_("Notes"), report.notes, "body")
        yield from self._words(_("How it was measured"), [_(method) for method in report.methods], "secondary")

    def _section(self, section: Section) -> Iterator[None]:
        card, names = self._card(section.title), section.mark_names()
        if names:
            card.add(Legend(self.theme, [OWN, *names]))
        for number, figure in enumerate(section.figures):
            if number:
                card.add(hairline())
            card.add(FigureRow(self.theme, figure))
            yield

    def _words(self, title: str, texts: list[str], role: str) -> Iterator[None]:
        if texts:
            card = self._card(title)
            for text in texts:
                card.add(label(text, role, selectable=True))  # type: ignore[arg-type]
                yield

    def _card(self, title: str) -> Card:
        card = Card(self.theme, _(title))
        self.cards.addWidget(card)
        return card

    def _ask_html(self) -> None:
        self.save_asked.emit("html")

    def _ask_pdf(self) -> None:
        self.save_asked.emit("pdf")


class CopiedTexts(QWidget):
    """A made text above the training text it repeats, the passage marked in both."""

    def __init__(self, theme: Theme, one: Copied) -> None:
        super().__init__()
        self.theme, self.one = theme, one
        box = QVBoxLayout(self)
        box.setContentsMargins(0, theme.px(4), 0, theme.px(8))
        box.setSpacing(theme.px(4))
        box.addWidget(label(words_in_a_row(one), "secondary"))
        self.text = Marked(theme)
        self.text.setAccessibleName(_("A made text and the training text it repeats"))
        box.addWidget(self.text)
        theme.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        one, hit = self.one, self.theme.colours.amber_soft
        parts = [
            (_("Made text"), one.text, one.start, one.end),
            (_("Training text"), one.source, one.source_start, one.source_end),
        ]
        self.text.setHtml("".join(
            f'<p style="white-space:pre-wrap"><b>{escape(title)}</b><br>{escape(text[:start])}'
            f'<span style="background-color:{hit}">{escape(text[start:end])}</span>{escape(text[end:])}</p>'
            for title, text, start, end in parts
        ))  # fmt: skip


class Marked(QTextBrowser):
    """A text with marked passages, as high as it is; foreign texts come escaped."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setProperty("plain", True)
        self.setFrameShape(self.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip(_("The marked passage stands in both texts word for word."))
        self.document().setDocumentMargin(theme.px(4))
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    def _fit(self) -> None:
        self.setFixedHeight(round(self.document().size().height()) + 2 * self.frameWidth() + 2)


class Picture(QLabel):
    """A sheet of pictures, enlarged by whole numbers where there is room, shrunk where there is not."""

    def __init__(self, theme: Theme, data: bytes) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        image = QImage.fromData(data)
        room = theme.px(420)
        times = max(1, min(_ENLARGED, room // max(1, image.width())))
        size = QSize(image.width() * times, image.height() * times)
        if size.width() > room:
            size = size.scaled(room, size.height(), Qt.AspectRatioMode.KeepAspectRatio)
        smooth = Qt.TransformationMode.SmoothTransformation if times == 1 else Qt.TransformationMode.FastTransformation
        self.setPixmap(QPixmap.fromImage(on_checks(image.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, smooth))))
        self.setAccessibleName(_("Pictures of the evaluation"))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
