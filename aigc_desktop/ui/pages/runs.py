"""Runs: everything that was trained; rename, star, compare, continue, delete with undo."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, QSize, Qt
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.train.run_compare import CompareDialog
from aigc_desktop.ui.widgets.train.run_table import COLUMNS, ROW, STAR, TITLE, RunFilter, RunRow, RunTable, read_rows


class RunsPage(Page):
    """The table of runs and what can be done with the chosen ones."""

    title = N_("Runs")
    icon = "runs"
    order = 110
    section = "more"
    keys = (
        (N_("Rename the run"), "F2"),
        (N_("Move the runs to the trash"), "Del"),
    )

    def build(self) -> None:
        theme = self.services.theme
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(24))
        box.setSpacing(theme.px(12))
        self.tools = self._make_tools()
        box.addWidget(self.tools)
        self.model = RunTable(theme, self)
        self.filter = RunFilter(self)
        self.filter.setSourceModel(self.model)
        self.table = self._make_table()
        self.empty = EmptyState(
            theme, "runs", _("No runs yet"),
            _("Each training leaves a run here: its settings, curves, samples and saved versions."),
            _("Go to Train"), folder=self.services.folder,
        )  # fmt: skip
        self.empty.acted.connect(self._go_to_train)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.table)
        self.stack.addWidget(self.empty)
        box.addWidget(self.stack, 1)
        self.services.jobs.changed.connect(self.refresh)
        self._selection_changed()

    def shown(self, **arguments: Any) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Read the runs again, beside the window; the chosen ones stay chosen."""
        workspace, catalogue = self.services.workspace, self.services.jobs.catalogue
        families = {key: _(task.family_title) for key, task in catalogue.items()}
        Background(self, lambda: read_rows(workspace, families), self._show_rows, self._failed)

    def selected(self) -> list[RunRow]:
        """Return the chosen runs, in the order of the table."""
        return [index.data(ROW) for index in self.table.selectionModel().selectedRows()]

    def delete_selected(self) -> None:
        """Move the chosen runs to the trash; Undo puts them back."""
        running = {handle.request.run for handle in self.services.jobs.handles}
        chosen = [row.run for row in self.selected() if str(row.run.folder) not in running]
        if not chosen:
            if self.selected():
                self.services.notify(_("This run is being trained. Stop it first."))
            return
        workspace = self.services.workspace
        try:
            trashed = [(workspace.trash(run.folder), run.folder) for run in chosen]
        except OSError as error:
            self._failed(failure_of(error))
            return

        def undo() -> None:
            for place, folder in trashed:
                workspace.restore(place, folder)
            self.refresh()

        text = ngettext("{count} run moved to the trash.", "{count} runs moved to the trash.", len(chosen))
        self.services.notify(text.format(count=len(chosen)), undo)
        self.refresh()

    def _show_rows(self, rows: list[RunRow]) -> None:
        chosen = {row.run.id for row in self.selected()}
        self.model.show_rows(rows)
        for number in range(self.filter.rowCount()):
            index = self.filter.index(number, TITLE)
            if index.data(ROW).run.id in chosen:
                flags = self.table.selectionModel().SelectionFlag
                self.table.selectionModel().select(index, flags.Select | flags.Rows)
        self.stack.setCurrentWidget(self.table if rows else self.empty)
        self.tools.setVisible(bool(rows))
        self._widen_title()
        self._selection_changed()

    def _make_tools(self) -> QWidget:
        theme = self.services.theme
        row = FlowLayout(theme.px(8))
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search the runs"))
        self.search.setAccessibleName(_("Search the runs"))
        self.search.setToolTip(_("Runs whose title, model, data or state holds all these words"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(theme.px(200))
        self.continue_button = button(theme, _("Continue training"), "play", "primary",
                                      _("Go on from the last saved version"))  # fmt: skip
        self.use_button = button(theme, _("Use in Create"), "create", tip=_("Make works with this model"))
        self.evaluate_button = button(theme, _("Evaluate"), "chart-line", tip=_("Measure what this model makes"))
        self.compare_button = button(theme, _("Compare"), "git-compare", tip=_("Choose two runs or more"))
        self.rename_button = button(theme, _("Rename"), "pencil", tip=_("Rename the run (F2)"))
        self.folder_button = button(theme, _("Open folder"), "folder-open", tip=_("Show the files of the run"))
        self.delete_button = button(theme, _("Delete"), "trash-2", "danger", _("Move to the trash (Del)"))
        slots = {
            self.continue_button: self._continue, self.use_button: self._use,
            self.evaluate_button: self._evaluate, self.compare_button: self.compare,
            self.rename_button: self._rename, self.folder_button: self._open_folder,
            self.delete_button: self.delete_selected,
        }  # fmt: skip
        row.addWidget(self.search)
        for made, slot in slots.items():
            made.clicked.connect(slot)
            row.addWidget(made)
        self.search.textChanged.connect(self._search)
        tools = QWidget()
        tools.setLayout(row)
        return tools

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.filter)
        table.setAccessibleName(_("Runs"))
        table.setToolTip(_("A double click opens the run; a click on the star marks it."))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        table.setSortingEnabled(True)
        table.sortByColumn(len(COLUMNS) - 1, Qt.SortOrder.DescendingOrder)
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setTabKeyNavigation(False)
        table.setIconSize(QSize(self.services.theme.px(16), self.services.theme.px(16)))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(self.services.theme.px(36))
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Interactive)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.clicked.connect(self._clicked)
        table.doubleClicked.connect(self._double_clicked)
        table.selectionModel().selectionChanged.connect(self._selection_changed)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), table)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self.delete_selected)
        return table

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._widen_title()

    def _widen_title(self) -> None:
        """Give the title what the other columns leave, but never less than can be read."""
        header = self.table.horizontalHeader()
        others = sum(header.sectionSize(column) for column in range(len(COLUMNS)) if column != TITLE)
        room = self.table.viewport().width() - others
        header.resizeSection(TITLE, max(self.services.theme.px(200), room))

    def _search(self, text: str) -> None:
        self.filter.search(text)

    def _clicked(self, index: QModelIndex) -> None:
        if index.column() == STAR:
            self.model.toggle_star(self.filter.mapToSource(index).row())

    def _double_clicked(self, index: QModelIndex) -> None:
        if index.column() != STAR:
            self.services.navigate("train", run=index.data(ROW).run.id)

    def _selection_changed(self) -> None:
        chosen = self.selected()
        versions = len(chosen) == 1 and bool(chosen[0].run.checkpoints())
        running = {handle.request.run for handle in self.services.jobs.handles}
        self.continue_button.setEnabled(versions and str(chosen[0].run.folder) not in running)
        self.use_button.setEnabled(versions)
        self.evaluate_button.setEnabled(versions)
        self.compare_button.setEnabled(len(chosen) > 1)
        self.rename_button.setEnabled(len(chosen) == 1)
        self.folder_button.setEnabled(len(chosen) == 1)
        self.delete_button.setEnabled(bool(chosen))

    def _continue(self) -> None:
        self.services.navigate("train", run=self.selected()[0].run.id, resume=True)

    def _use(self) -> None:
        self.services.navigate("create", run=self.selected()[0].run.id)

    def _evaluate(self) -> None:
        self.services.navigate("evaluate", run=self.selected()[0].run.id)

    def compare(self) -> None:
        """Open the comparison of the chosen runs."""
        CompareDialog(self.services, self.selected(), self).show()

    def _rename(self) -> None:
        row = self.table.selectionModel().selectedRows()[0].row()
        self.table.edit(self.filter.index(row, TITLE))

    def _open_folder(self) -> None:
        open_outside(self.selected()[0].run.folder)

    def _go_to_train(self) -> None:
        self.services.navigate("train")

    def _failed(self, failed: Failed) -> None:
        self.services.show_failure(failed)


PAGE = RunsPage
