"""The Data page: bring pictures or texts in, see what is in them, make them ready for training."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.ui.label_keys import LABEL_KEYS
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.widgets.controls import button
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import Scrolled, SideBySide

if TYPE_CHECKING:
    from aigc_desktop.core.dataset import Dataset, DatasetInfo

SIDE_PX = 200


class DataPage(Page):
    """Left the data sets, in the middle the items of one, right what is in it and the step to training."""

    title = N_("Data")
    icon = "data"
    order = 20
    keys = LABEL_KEYS

    def steps(self) -> Sequence[Callable[[], None]]:
        """Make the widgets; those that read pictures are imported then, not when the window starts."""
        return (
            self._lay_out, self._make_drop, self._make_import, self._make_panel, self._read_labelling,
            self._read_label_panel, self._begin,
        )  # fmt: skip

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.selected: Dataset | None = None
        self.setAcceptDrops(True)
        self.stack = FittedStack()
        main = QWidget()
        main.setLayout(self.stack)
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        box.addWidget(SideBySide(theme, main, self._make_side(), (SIDE_PX, SIDE_PX), first=True))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Paste), self, self.paste)

    def _make_drop(self) -> None:
        from aigc_desktop.ui.widgets.data.import_panel import DropPlace

        self.drop = DropPlace(self.services.theme)
        self.drop.chosen.connect(self._chosen)
        self.drop.paste_asked.connect(self.paste)
        self.stack.addWidget(self.drop)

    def _make_import(self) -> None:
        from aigc_desktop.ui.widgets.data.import_panel import ImportPanel

        self.importing = ImportPanel(self.services)
        self.importing.done.connect(self._imported)
        self.importing.cancelled.connect(self._import_cancelled)
        self._add_centred(self.importing)

    def _make_panel(self) -> None:
        from aigc_desktop.ui.widgets.data.dataset_panel import DatasetPanel

        self.panel = DatasetPanel(self.services)
        self.panel.changed.connect(self.refresh)
        self.panel.delete_asked.connect(self.delete)
        self.panel.frozen.connect(self._frozen)
        self.panel.train_asked.connect(self._train)
        self.panel.copied.connect(self.refresh)
        self.stack.addWidget(self.panel)

    def _read_labelling(self) -> None:
        """Import what labels need, so that their view opens without a halt."""
        importlib.import_module("aigc_desktop.ui.widgets.labels.label_view")

    def _read_label_panel(self) -> None:
        importlib.import_module("aigc_desktop.ui.widgets.labels.label_panel")

    def _begin(self) -> None:
        from aigc_desktop.ui.widgets.data.import_panel import SCAN

        for handle in self.services.jobs.handles:
            if handle.request.task == SCAN:
                self.importing.attach(handle)
        self.refresh()

    def shown(self, **arguments: Any) -> None:
        """Open `dataset` (an id), or offer to import `paths`."""
        self.refresh(str(arguments.get("dataset", "")))
        if arguments.get("paths"):
            self.choose(list(arguments["paths"]))

    # bringing in

    def choose(self, paths: list[Path], title: str = "") -> None:
        """Offer to import these files and folders."""
        if self.importing.busy:
            self.services.notify(_("An import is running; wait for it or stop it first."))
            return
        choosing = self.stack.currentIndex() == 1 and self.importing.isVisible()
        self.importing.choose(paths, title, add=choosing)
        self.stack.setCurrentIndex(1)

    def paste(self) -> None:
        """Import what the clipboard holds: pictures, files or text."""
        from aigc_desktop.ui.widgets.data.import_panel import clipboard_files

        try:
            paths = clipboard_files(self.services.workspace.folder)
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return
        if paths:
            self.choose(paths)
        else:
            self.services.notify(_("The clipboard holds no picture, file or text."))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        mime = event.mimeData()
        if mime.hasUrls() or mime.hasImage() or mime.hasText():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        from aigc_desktop.ui.widgets.data.import_panel import take_mime

        try:
            paths = take_mime(event.mimeData(), self.services.workspace.folder)
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return
        if paths:
            event.acceptProposedAction()
            self.choose(paths)

    def _chosen(self, choice: tuple[list[Path], str]) -> None:
        self.choose(*choice)

    def _imported(self, dataset_id: str) -> None:
        self.refresh(dataset_id)

    def _import_cancelled(self) -> None:
        self.importing.paths = []
        self.refresh(self.selected.id if self.selected else "")

    # data sets

    def refresh(self, dataset_id: str = "") -> None:
        """Read the list of data sets again and show one: `dataset_id`, or the one shown before, or the newest."""
        unreadable: list[OSError | UserError] = []
        infos = [dataset.info for dataset in self.services.workspace.datasets(unreadable)]
        for error in unreadable:
            self.services.show_failure(failure_of(error))
        wanted = dataset_id or (self.selected.id if self.selected else "")
        self.list.blockSignals(True)
        self.list.clear()
        for info in infos:
            self.list.addItem(self._item(info))
        row = next((i for i, info in enumerate(infos) if info.id == wanted), 0 if infos else -1)
        self.list.setCurrentRow(row)
        self.list.blockSignals(False)
        self.side.setVisible(bool(infos))
        if self.importing.busy:
            self.stack.setCurrentIndex(1)
        else:
            self._show_current()

    def _item(self, info: DatasetInfo) -> QListWidgetItem:
        item = QListWidgetItem(f"{info.title}\n{_count_words(info)}")
        item.setData(Qt.ItemDataRole.UserRole, info.id)
        icon = "image" if info.kind == "image" else "file-text"
        item.setIcon(self.services.theme.icon(icon, "secondary"))
        item.setToolTip(f"{info.title}\n{info.source}")
        return item

    def _show_current(self) -> None:
        item = self.list.currentItem()
        if item is None:
            self.selected = None
            self.panel.show_dataset(None)
            self.stack.setCurrentIndex(0)
            return
        try:
            dataset = self.services.workspace.dataset(str(item.data(Qt.ItemDataRole.UserRole)))
        except UserError as error:
            self.services.show_failure(failure_of(error))
            return
        info = dataset.info
        if self.selected is None or self.selected.info != info or self.selected.folder != dataset.folder:
            self.selected = dataset
            self.panel.show_dataset(dataset)
        self.stack.setCurrentIndex(2)

    def add_data(self) -> None:
        """Show the place to drop or choose more."""
        self.list.setCurrentRow(-1)
        self.stack.setCurrentIndex(0)

    def delete(self) -> None:
        """Move the data set to the trash; the message has Undo."""
        dataset = self.selected
        if dataset is None:
            return
        if any(handle.request.values.get("dataset") == dataset.id for handle in self.services.jobs.handles):
            self.services.notify(_("“{title}” is in use by a running job; stop that first.").format(
                title=dataset.info.title))  # fmt: skip
            return
        workspace, folder = self.services.workspace, dataset.folder
        self.panel.show_dataset(None)  # lets go of its files
        self.selected = None
        try:
            trashed = workspace.trash(folder)
        except (OSError, shutil.Error) as error:
            self.services.show_failure(failure_of(error))
            self.refresh()
            return

        def undo() -> None:
            self.refresh(workspace.restore(trashed, folder).name)

        self.refresh()
        self.services.notify(_("“{title}” was moved to the trash.").format(title=dataset.info.title), undo)

    def _frozen(self, dataset_id: str) -> None:
        self.refresh(dataset_id)
        self._train(dataset_id)

    def _train(self, dataset_id: str) -> None:
        self.services.navigate("train", dataset=dataset_id)

    # making

    def _make_side(self) -> QWidget:
        theme = self.services.theme
        self.side = QWidget()
        box = QVBoxLayout(self.side)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        add = button(theme, _("Add data…"), "plus", "", _("Bring in more pictures or texts"))
        add.clicked.connect(self.add_data)
        self.list = QListWidget()
        self.list.setAccessibleName(_("Data sets"))
        self.list.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.list.setSpacing(theme.px(2))
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentRowChanged.connect(self._show_current)
        box.addWidget(add)
        box.addWidget(self.list, 1)
        return self.side

    def _add_centred(self, panel: QWidget) -> None:
        """Put the panel at reading width into a place of the stack that scrolls."""
        panel.setMaximumWidth(self.services.theme.px(560))
        panel.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        inner = QWidget()
        row = QHBoxLayout(inner)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(panel, 4, Qt.AlignmentFlag.AlignTop)
        row.addStretch(1)
        self.stack.addWidget(Scrolled(inner))


def _count_words(info: DatasetInfo) -> str:
    if info.kind == "image":
        words = ngettext("{count} picture", "{count} pictures", info.usable)
    else:
        words = ngettext("{count} text", "{count} texts", info.usable)
    words = words.format(count=f"{info.usable:,}")
    return _("{count} · ready").format(count=words) if info.frozen else words


PAGE = DataPage
