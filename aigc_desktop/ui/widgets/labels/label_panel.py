"""Labelling on the Data page: the view in the middle, and the cards beside it: classes, proposals, saving."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.label_classes import ClassList, read_classes, with_class, with_colour, with_name
from aigc_desktop.core.labels import Kind
from aigc_desktop.data.copying import copy_to_label
from aigc_desktop.data.label_export import export_labels
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.labels.class_panel import ClassPanel
from aigc_desktop.ui.widgets.labels.label_view import LabelView, colours_of
from aigc_desktop.ui.widgets.labels.propose_panel import ProposePanel


class LabelPanel(QObject):
    """Joins `view` and `cards`, which the panel of the data set puts in their places."""

    copied = Signal(str)
    """The id of a copy that can be labelled and frozen."""

    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self.services = services
        self.dataset: Dataset | None = None
        theme = services.theme
        self.view = LabelView(services)
        self.classes, self.proposing = ClassPanel(theme), ProposePanel(services)
        self.saving, self.frozen = Card(theme, _("Use the labels")), label("", "secondary")
        self.save_button = button(theme, _("Save the labels…"), "download", "", _("Save as JSONL or CoNLL"))
        self.copy_button = button(
            theme, _("Copy to label"), "copy", "", _("Make a copy that is not frozen; its labels can be frozen anew")
        )
        for part in (self.frozen, self.copy_button, self.save_button):
            self.saving.add(part)
        self.cards = QWidget()
        box = QVBoxLayout(self.cards)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(16))
        for card in (self.classes, self.proposing, self.saving):
            box.addWidget(card)
        self._connect()

    def open(self, dataset: Dataset) -> None:
        """Label a data set: its names where it has any, or has neither names nor classes."""
        self.dataset = dataset
        try:
            added = read_classes(dataset.folder)
        except UserError as error:
            self.services.show_failure(failure_of(error))
            return
        names = dataset.info.span_classes or added.names_added
        self._open_kind("names" if names or not (dataset.info.classes or added.class_added) else "class")

    def close(self) -> None:
        """Let go of the data set."""
        self.dataset = None
        self.view.close_session()

    # own

    def _connect(self) -> None:
        self.view.opened.connect(self._show)
        self.view.changed.connect(self._show)
        self.view.board.kind.chosen.connect(self._open_kind)
        self.classes.used.connect(self.view.use_class)
        self.classes.added.connect(self._add)
        self.classes.renamed.connect(self._rename)
        self.classes.recoloured.connect(self._recolour)
        self.proposing.proposed.connect(self.view.refresh)
        self.proposing.accept_asked.connect(self.view.accept_above)
        self.proposing.above_changed.connect(self._show_above)
        self.save_button.clicked.connect(self._ask_save)
        self.copy_button.clicked.connect(self._copy)

    def _open_kind(self, kind: Kind) -> None:
        dataset = self.dataset
        if dataset is None:
            return
        self.classes.show_classes([], {}, kind)
        classes = dataset.info.span_classes if kind == "names" else dataset.info.classes
        self.proposing.show_kind(dataset.id, kind, bool(classes))
        self.proposing.show_above(0, 0)
        self.copy_button.setVisible(dataset.info.frozen)
        self.frozen.setText(
            _("This data set is frozen and stays as it is. Copy it to freeze it with your labels.")
            if dataset.info.frozen else _("“Freeze and train” uses all labels that you accepted.")
        )  # fmt: skip
        self.view.open(dataset, kind)

    def _show(self) -> None:
        session = self.view.session
        if session is not None:
            self.classes.show_classes(session.classes(), colours_of(session), session.kind)
            self._show_above()

    def _show_above(self) -> None:
        session = self.view.session
        if session is not None:
            index = session.index
            self.proposing.show_above(len(index.above(self.proposing.least.value() / 100)), index.counts().proposed)

    # classes

    def _add(self, name: str) -> None:
        session = self.view.session
        if session is not None and self._use(partial(with_class, session.class_list, name, session.classes())):
            self.classes.line.clear()

    def _rename(self, old: str, new: str) -> None:
        session = self.view.session
        if session is not None:
            self._use(partial(with_name, session.class_list, old, new, session.classes()))

    def _recolour(self, name: str) -> None:
        session = self.view.session
        if session is not None:
            number = (colours_of(session)[name] + 1) % len(self.services.theme.plot_colours)
            self._use(partial(with_colour, session.class_list, name, number))

    def _use(self, change: partial[ClassList]) -> bool:
        session = self.view.session
        if session is None:
            return False
        try:
            session.use_classes(change())
        except (UserError, OSError) as error:
            self.services.show_failure(failure_of(error))
            return False
        self._show()
        self.view.desk.when_written(self.view.reload)  # before, the chosen text would be that of before
        return True

    # files

    def _ask_save(self) -> None:
        dataset = self.dataset
        if dataset is None:
            return
        forms = _("JSONL: texts, names and classes (*.jsonl)"), _("CoNLL: words and names (*.conll)")
        name = str(Path.home() / f"{dataset.id}.jsonl")
        path, chosen = QFileDialog.getSaveFileName(None, _("Save the labels"), name, ";;".join(forms))
        if path:
            self.save(Path(path), conll=chosen == forms[1] or path.endswith(".conll"))

    def save(self, path: Path, *, conll: bool = False) -> None:
        """Save the labels as a file, beside the window, and say so."""
        if self.dataset is not None:
            work = partial(export_labels, self.dataset, path, "conll" if conll else "jsonl")
            Background(self, work, partial(self._saved, path), self.services.show_failure)

    def _saved(self, path: Path, count: int) -> None:
        message = ngettext("{count} labelled text saved in {path}.", "{count} labelled texts saved in {path}.", count)
        self.services.notify(message.format(count=f"{count:,}", path=path))

    def _copy(self) -> None:
        if self.dataset is not None:
            self.copy_button.setEnabled(False)
            work = partial(copy_to_label, self.dataset, self.services.workspace)
            Background(self, work, self._copied, self._not_copied)

    def _copied(self, dataset_id: str) -> None:
        self.copy_button.setEnabled(True)
        self.copied.emit(dataset_id)

    def _not_copied(self, failed: object) -> None:
        self.copy_button.setEnabled(True)
        self.services.show_failure(failed)
