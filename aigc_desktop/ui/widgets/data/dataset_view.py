"""The items of a data set: filters above, a grid of pictures or a table of texts below; 100,000 stay smooth."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.data.preview import ItemFilter, ItemIndex, load_thumbnail
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import ChoiceBox, label
from aigc_desktop.ui.widgets.data.dataset_health import problem_title
from aigc_desktop.ui.widgets.data.text_table import TextRow, TextTable
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.pictures.thumbnail_grid import ThumbnailGrid
from aigc_desktop.ui.widgets.pictures.thumbnails import Source

SEARCH_DELAY_MS = 250
THUMBNAIL_PX = 112
Rows = npt.NDArray[np.int64]


class DatasetView(QWidget):
    """Shows one data set; the list is opened and filtered beside the window."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.dataset: Dataset | None = None
        self.index: ItemIndex | None = None
        self.rows: Rows = np.zeros(0, np.int64)
        self._work: Background | None = None
        self._opened: list[ItemIndex] = []
        self.destroyed.connect(partial(_close, self._opened))
        self._build()

    # what the page calls

    def show_dataset(self, dataset: Dataset | None) -> None:
        """Show another data set, or none."""
        self._let_go()
        self.dataset = dataset
        if dataset is not None:
            self._fill_filters(dataset)
            self.count.setText(_("Opening…"))
            self._select()

    def show_problem(self, code: str) -> None:
        """Show only the items with this problem."""
        self.problem.setCurrentIndex(max(0, self.problem.findData(code)))
        self.label.setCurrentIndex(0)
        self._select()

    def show_label(self, name: str) -> None:
        """Show only the items of this class."""
        self.label.setCurrentIndex(max(0, self.label.findData(name)))
        self.problem.setCurrentIndex(0)
        self._select()

    def wanted(self) -> ItemFilter:
        """Return what the filters are set to."""
        return ItemFilter(
            self.label.currentData(), self.problem.currentData(), self.split.currentData(), self.search.text().strip()
        )

    # own

    def _build(self) -> None:
        theme = self.theme
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        filters = QHBoxLayout()
        filters.setSpacing(theme.px(8))
        self.problem, self.label, self.split = (self._combo(name) for name in (_("State"), _("Label"), _("Part")))
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search"))
        self.search.setAccessibleName(_("Search"))
        self.search.setToolTip(_("Part of a name or text"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._search_soon)
        self.count = label("", "secondary", wrap=False)
        for part in (self.problem, self.label, self.split):
            filters.addWidget(part)
        filters.addWidget(self.search, 1)
        filters.addWidget(self.count)
        box.addLayout(filters)
        self.grid = ThumbnailGrid(theme)
        self.grid.set_cell_size(theme.px(THUMBNAIL_PX))
        self.grid.set_drag_files(self._files)
        self.table = TextTable(theme)
        self.nothing = EmptyState(theme, "filter", _("Nothing matches"), _("Change the filters to see other items."))
        self.stack = QStackedLayout()
        for shown in (self.grid, self.table, self.nothing):
            self.stack.addWidget(shown)
        box.addLayout(self.stack, 1)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(SEARCH_DELAY_MS)
        self._delay.timeout.connect(self._select)

    def _combo(self, name: str) -> QComboBox:
        made = ChoiceBox(name, narrow=True)
        made.activated.connect(self._select)
        return made

    def _fill_filters(self, dataset: Dataset) -> None:
        info = dataset.info
        self.problem.clear()
        self.problem.addItem(_("All items"), None)
        self.problem.addItem(_("Usable ({count})").format(count=f"{info.usable:,}"), "")
        if info.problems:
            bad = info.found - info.usable
            self.problem.addItem(_("All left out ({count})").format(count=f"{bad:,}"), "any")
        for code, count in sorted(info.problems.items(), key=lambda item: -item[1]):
            self.problem.addItem(f"{problem_title(code)} ({count:,})", code)
        self.label.clear()
        self.label.addItem(_("All labels"), None)
        for name in info.classes:
            self.label.addItem(name, name)
        self.label.setVisible(bool(info.classes))
        self.split.clear()
        self.split.addItem(_("Both parts"), None)
        self.split.addItem(_("Training ({count})").format(count=f"{info.train:,}"), "train")
        self.split.addItem(_("Validation ({count})").format(count=f"{info.validation:,}"), "validation")
        self.split.setVisible(info.frozen)
        self.search.blockSignals(True)
        self.search.clear()
        self.search.blockSignals(False)

    def _search_soon(self) -> None:
        self._delay.start()

    def _select(self) -> None:
        """Find the rows that pass the filters, on a thread; the newest question wins."""
        dataset, wanted, index = self.dataset, self.wanted(), self.index
        if dataset is None:
            return
        if self._work is not None:
            self._work.cancel()

        opened = self._opened

        def work() -> tuple[ItemIndex, Rows]:
            if index is not None:
                return index, index.select(wanted)
            made = ItemIndex(dataset)
            opened.append(made)
            return made, made.select(wanted)

        self._work = Background(self, work, self._show_rows, self._show_failure)

    def _show_rows(self, found: tuple[ItemIndex, Rows]) -> None:
        self.index, self.rows = found
        self._work = None
        dataset = self.dataset
        if dataset is None:
            return
        shown, total = f"{len(self.rows):,}", f"{len(self.index):,}"
        self.count.setText(_("{shown} of {total}").format(shown=shown, total=total))
        if not len(self.rows):
            self.stack.setCurrentWidget(self.nothing)
        elif dataset.info.kind == "image":
            self.grid.set_source(len(self.rows), self._picture, self._caption, self._badge, self._faint)
            self.stack.setCurrentWidget(self.grid)
        else:
            info = dataset.info
            self.table.show_rows(len(self.rows), self._text, bool(info.classes), info.usable < info.found)
            self.stack.setCurrentWidget(self.table)

    def _show_failure(self, failed: Failed) -> None:
        self._work = None
        self.count.setText(failed.message)

    def _let_go(self) -> None:
        """Forget the rows and close the list."""
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self.grid.clear_source()
        self.table.show_rows(0, None, False, False)
        self.rows = np.zeros(0, np.int64)
        self.index = None
        _close(self._opened)

    # what grid and table ask for; `_picture` is called on other threads

    def _picture(self, position: int) -> Source:
        index, dataset = self.index, self.dataset
        if index is None or dataset is None:
            raise LookupError
        return load_thumbnail(dataset.path_of(index[int(self.rows[position])]), self.grid.grid_model.loader.edge)

    def _caption(self, position: int) -> str:
        return self.index[int(self.rows[position])].name if self.index is not None else ""

    def _badge(self, position: int) -> str:
        record = self.index[int(self.rows[position])] if self.index is not None else None
        return problem_title(record.problem) if record is not None and record.problem else ""

    def _faint(self, position: int) -> bool:
        return self.index is not None and bool(self.index[int(self.rows[position])].problem)

    def _text(self, position: int) -> TextRow:
        if self.index is None:
            return TextRow("", "", 0, "")
        row = int(self.rows[position])
        record = self.index[row]
        return TextRow(self.index.text(row) or record.name, record.label, record.length, record.detail)

    def _files(self, positions: list[int]) -> list[Path]:
        if self.index is None or self.dataset is None:
            return []
        return [self.dataset.path_of(self.index[int(self.rows[position])]) for position in positions]


def _close(indices: list[ItemIndex], _widget: object = None) -> None:
    """Let go of the files of all lists that were opened, also those nobody waited for."""
    while indices:
        indices.pop().close()
