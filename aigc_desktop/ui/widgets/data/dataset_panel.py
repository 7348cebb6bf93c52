"""One data set: its name, its items, what is in it, and the step to training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.dataset import Dataset, DatasetInfo, write_info
from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.widgets.controls import icon_button, label
from aigc_desktop.ui.widgets.data.dataset_health import HealthCard
from aigc_desktop.ui.widgets.data.dataset_view import DatasetView
from aigc_desktop.ui.widgets.data.freeze_panel import FreezePanel
from aigc_desktop.ui.widgets.segmented import Segmented
from aigc_desktop.ui.widgets.side_by_side import Scrolled, SideBySide

if TYPE_CHECKING:
    from aigc_desktop.ui.widgets.labels.label_panel import LabelPanel

SETTINGS_PX = 300


class DatasetPanel(QWidget):
    """Items in the middle, cards on the right."""

    changed = Signal()
    """The data set has another name."""
    delete_asked = Signal()
    frozen = Signal(str)
    train_asked = Signal(str)
    copied = Signal(str)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.dataset: Dataset | None = None
        self.labelling: LabelPanel | None = None
        theme = services.theme
        self.name, self.about = label("", "card"), label("", "secondary")
        self.view = DatasetView(theme)
        self.health, self.freezing = HealthCard(theme), FreezePanel(services)
        self.health.problem_chosen.connect(self.view.show_problem)
        self.health.label_chosen.connect(self.view.show_label)
        self.freezing.frozen.connect(self.frozen)
        self.freezing.train_asked.connect(self.train_asked)
        main = QWidget()
        middle = QVBoxLayout(main)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(theme.px(8))
        middle.addLayout(self._make_head())
        self.mode = Segmented(theme, [("look", _("Look")), ("label", _("Label texts"))])
        self.mode.chosen.connect(self.show_mode)
        middle.addWidget(self.mode)
        self.stack = QStackedLayout()
        self.stack.addWidget(self.view)
        middle.addLayout(self.stack, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(SideBySide(theme, main, self._make_cards(), (SETTINGS_PX, SETTINGS_PX)))

    def show_dataset(self, dataset: Dataset | None) -> None:
        """Show a data set, or let go of the one shown."""
        self.dataset = dataset
        if dataset is not None:
            self.name.setText(dataset.info.title)
            self.about.setText(_about(dataset.info))
            self.health.show_info(dataset.info)
            self.freezing.show_info(dataset.info)
        self.mode.setVisible(dataset is not None and dataset.info.kind == "text")
        self.show_mode("label" if self.mode.value() == "label" else "look")

    def show_mode(self, mode: str) -> None:
        """Look at the items ("look"), or label the texts ("label")."""
        dataset = self.dataset
        label_it = mode == "label" and dataset is not None and dataset.info.kind == "text"
        self.mode.choose("label" if label_it else "look")
        if label_it and self.labelling is None:
            self._make_labelling()
        self.view.show_dataset(None if label_it else dataset)
        if self.labelling is not None:
            if label_it and dataset is not None:
                self.labelling.open(dataset)
                self.stack.setCurrentWidget(self.labelling.view)
            else:
                self.labelling.close()
                self.stack.setCurrentWidget(self.view)
            self.labelling.cards.setVisible(label_it)
        self.freezing.setVisible(not label_it)
        self.health.setVisible(not label_it)

    def rename(self) -> None:
        """Ask for another name."""
        if self.dataset is None:
            return
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(_("Rename"))
        dialog.setLabelText(_("Name of the data set"))
        dialog.setTextValue(self.dataset.info.title)
        dialog.textValueSelected.connect(self.rename_to)
        dialog.open()

    def rename_to(self, title: str) -> None:
        """Give the data set another name; its folder keeps its own."""
        if self.dataset is None or not title.strip():
            return
        try:
            write_info(self.dataset.folder, replace(self.dataset.info, title=title.strip()))
        except OSError as error:
            self.services.show_failure(failure_of(error))
        self.changed.emit()

    def open_folder(self) -> None:
        """Show the data set's folder in the file manager."""
        if self.dataset is not None and not open_outside(self.dataset.folder):
            self.services.notify(_("The folder could not be opened: {path}").format(path=self.dataset.folder))

    def _make_labelling(self) -> None:
        from aigc_desktop.ui.widgets.labels.label_panel import LabelPanel

        self.labelling = LabelPanel(self.services, self)
        self.labelling.copied.connect(self.copied)
        self.stack.addWidget(self.labelling.view)
        self.cards.insertWidget(0, self.labelling.cards)

    def _make_head(self) -> QHBoxLayout:
        theme = self.services.theme
        head = QHBoxLayout()
        texts = QVBoxLayout()
        texts.setSpacing(theme.px(2))
        texts.addWidget(self.name)
        texts.addWidget(self.about)
        head.addLayout(texts, 1)
        for icon, text, slot in (
            ("pencil", _("Rename"), self.rename), ("folder-open", _("Open the folder"), self.open_folder),
            ("trash-2", _("Delete"), self.delete_asked),
        ):  # fmt: skip
            made = icon_button(theme, icon, text)
            made.clicked.connect(slot)
            head.addWidget(made, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def _make_cards(self) -> Scrolled:
        theme = self.services.theme
        inner = QWidget()
        self.cards = cards = QVBoxLayout(inner)
        cards.setContentsMargins(0, 0, theme.px(4), 0)
        cards.setSpacing(theme.px(16))
        cards.addWidget(self.freezing)
        cards.addWidget(self.health)
        cards.addStretch(1)
        return Scrolled(inner)


def _about(info: DatasetInfo) -> str:
    lines = info.source.splitlines()
    return lines[0] if len(lines) == 1 else _("{first} and {count} more").format(
        first=lines[0], count=len(lines) - 1) if lines else ""  # fmt: skip
