"""Two evaluations beside each other: the figures of both, whether more than chance parts them, and their pictures."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Figure, Section
from aigc_desktop.core.report_words import BETTER, facts_of, interval_text, value_text
from aigc_desktop.ui.evaluations import Loaded
from aigc_desktop.ui.slices import Slices
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import clear, label
from aigc_desktop.ui.widgets.reports.report_view import Picture


class ReportCompare(QWidget):
    """Shows the figures and sheets of pictures that both evaluations have."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._making: Slices | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), theme.px(16))
        box.setSpacing(theme.px(12))
        self.title = label(_("Two evaluations compared"), "title")
        box.addWidget(self.title)
        self.cards = QVBoxLayout()
        self.cards.setSpacing(theme.px(12))
        box.addLayout(self.cards)
        box.addStretch(1)

    def show_both(self, first: Loaded, second: Loaded) -> None:
        """Show another pair."""
        if self._making is not None:
            self._making.stop()
        clear(self.cards)
        self._making = Slices(self._make(first, second), self)

    def _make(self, one: Loaded, two: Loaded) -> Iterator[None]:
        first, second = one.report, two.report
        card = Card(self.theme, _("What is compared"))
        for name, report in (("A", first), ("B", second)):
            card.add(label(f"{name}: {report.title} · {' · '.join(facts_of(report))}", selectable=True))
        if first.dataset != second.dataset:
            text = _("They were measured on different data, so the figures say little of the models.")
            card.add(label(text, "warning"))
        self.cards.addWidget(card)
        yield
        others = {(section.title, figure.name): figure for section in second.sections for figure in section.figures}
        shared = False
        for section in first.sections:
            named = [(figure, others.get((section.title, figure.name))) for figure in section.figures]
            pairs = [(figure, other) for figure, other in named if other is not None]
            if pairs:
                shared = True
                self.cards.addWidget(self._section(section, pairs))
                yield
        for title, *sheets in shared_sheets(one, two):
            alike = first.seed == second.seed and title == _("Samples")  # other sheets are not in the order of seeds
            self.cards.addWidget(self._sheets(title, sheets, alike))
            yield
        if not shared:
            self.cards.addWidget(label(_("The two have no figure in common."), "body"))

    def _sheets(self, title: str, sheets: list[bytes], same_seeds: bool) -> Card:
        card, row = Card(self.theme, title), FlowLayout(self.theme.px(16))
        if same_seeds:
            card.add(label(_("Both began with the same seeds."), "secondary"))
        for name, data in zip(("A", "B"), sheets, strict=True):
            part = QWidget()
            column = QVBoxLayout(part)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(label(name, "secondary", wrap=False))
            column.addWidget(Picture(self.theme, data))
            row.addWidget(part)
        card.body.addLayout(row)
        return card

    def _section(self, section: Section, pairs: list[tuple[Figure, Figure]]) -> Card:
        card, grid = Card(self.theme, _(section.title)), QGridLayout()
        grid.setHorizontalSpacing(self.theme.px(16))
        grid.setVerticalSpacing(self.theme.px(8))
        for column, (title, stretch) in enumerate((("", 3), ("A", 2), ("B", 2), ("", 3))):
            grid.setColumnStretch(column, stretch)
            if title:
                grid.addWidget(label(title, "secondary", wrap=False), 0, column)
        for row, (first, second) in enumerate(pairs, 1):
            name = label(_(first.name))
            name.setToolTip(_(first.explanation))
            grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            for column, figure in ((1, first), (2, second)):
                interval = interval_text(figure)
                text = f"{value_text(figure)}\n{interval}" if interval else value_text(figure)
                grid.addWidget(label(text), row, column, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(label(verdict(first, second), "secondary"), row, 3, Qt.AlignmentFlag.AlignTop)
        card.add(grid)
        return card


def shared_sheets(one: Loaded, two: Loaded) -> list[tuple[str, bytes, bytes]]:
    """Return the sheets of pictures that both have: title and both as PNG."""
    theirs = dict(two.sheets)
    return [(title, data, theirs[title]) for title, data in one.sheets if title in theirs]


def verdict(first: Figure, second: Figure) -> str:
    """Say which of two figures is better, and whether chance may explain it."""
    if not first.better:
        return ""
    if first.value == second.value:
        return _("Equal.")
    bounds = (first.low, first.high, second.low, second.high)
    better = "A" if (first.value > second.value) == (first.better == "higher") else "B"
    way = _(BETTER[first.better])
    if any(bound is None for bound in bounds):
        return _("{name} is better ({way}); how sure that is, is not known.").format(name=better, way=way)
    low, high, other_low, other_high = (float(bound) for bound in bounds if bound is not None)
    if low <= other_high and other_low <= high:
        return _("No clear difference: the intervals overlap.")
    return _("{name} is better ({way}).").format(name=better, way=way)
