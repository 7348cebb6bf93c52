"""Let a trained model propose labels, accept those it is sure of, and save the labels as a file."""

from __future__ import annotations

import time

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Stopped
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.labels import Kind
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, label, spin_box
from aigc_desktop.ui.widgets.failure_card import FailureCard
from aigc_desktop.ui.widgets.forms.inputs import run_choices
from aigc_desktop.ui.widgets.job_progress import JobProgress

PROPOSE = "labels.propose"
FAMILIES: dict[Kind, str] = {"names": "token_tagger", "class": "text_classifier"}
EVERY_S = 3.0
"""So often the proposals that a running job has made are shown."""


class ProposePanel(Card):
    """`proposed` says that there are more proposals, `accept_asked` gives the least certainty, 0 to 1."""

    proposed = Signal()
    accept_asked = Signal(float)
    above_changed = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Propose labels with a model"))
        self.services = services
        self.dataset, self.kind, self.imported = "", "names", False
        self._told = 0.0
        theme = services.theme
        self.hint = label("", "secondary")
        tip = _("A trained model; it looks at every text that has no label yet")
        self.model = ChoiceBox(_("Model that proposes"), tip, narrow=True)
        self.every = QCheckBox(_("Also texts that came with labels"))
        self.every.setToolTip(_("Those that you labelled yourself are always left out"))
        self.go_button = button(theme, _("Propose labels"), "sparkles")
        self.go_button.clicked.connect(self.go)
        self.failure = FailureCard(services)
        self.progress = JobProgress(theme)
        self.progress.ended.connect(self._ended)
        self.least = spin_box(0, 100, 90)
        self.least.setSuffix(" %")
        self.least.setAccessibleName(_("Least certainty"))
        self.least.setToolTip(_("Proposals that are at least so certain are accepted together"))
        self.least.valueChanged.connect(self.above_changed)
        self.accept_button = button(theme, _("Accept"), "check")
        self.accept_button.clicked.connect(self._accept)
        self.above = QWidget()
        box, row = QVBoxLayout(self.above), QHBoxLayout()
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        row.setSpacing(theme.px(8))
        row.addWidget(label(_("Certainty at least"), wrap=False))
        row.addWidget(self.least)
        row.addStretch(1)
        box.addLayout(row)
        box.addWidget(self.accept_button)
        for part in (self.hint, self.model, self.every, self.go_button, self.failure, self.progress, self.above):
            self.add(part)
        services.jobs.ready.connect(self._show)

    def show_kind(self, dataset: str, kind: Kind, imported: bool) -> None:
        """Offer the models that label in this way; `imported` says whether texts came with such labels."""
        self.dataset, self.kind, self.imported = dataset, kind, imported
        self.failure.clear()
        chosen = self.model.currentData()
        self.model.clear()
        try:
            choices = run_choices(self.services.workspace, FAMILIES[kind])
        except UserError as error:
            self.failure.show_failure(failure_of(error))
            choices = []
        for run, title in choices:
            self.model.addItem(title, run)
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        for handle in self.services.jobs.handles:
            if handle.request.task == PROPOSE and handle.request.values.get("dataset") == dataset:
                self.attach(handle)
        self._show()

    def show_above(self, count: int, proposed: int) -> None:
        """Say how many of the proposals that wait are as certain as that."""
        self.above.setVisible(proposed > 0)
        text = ngettext("Accept {count} proposal", "Accept {count} proposals", count).format(count=f"{count:,}")
        self.accept_button.setText(text)
        self.accept_button.setAccessibleName(text)
        self.accept_button.setToolTip(_("Accept all proposals that are at least so certain; undo takes them back"))
        self.accept_button.setEnabled(bool(count))

    def go(self) -> None:
        """Start the model."""
        if self.progress.handle is None and self.model.currentData():
            values = {
                "dataset": self.dataset, "run": self.model.currentData(), "only_new": not self.every.isChecked(),
            }  # fmt: skip
            self.attach(self.services.jobs.run(JobRequest(PROPOSE, values, str(self.services.workspace.folder))))

    def attach(self, handle: JobHandle) -> None:
        """Follow a job that proposes."""
        if self.progress.handle is not handle:
            self.failure.clear()
            handle.events.connect(self._tell)
            self.progress.follow(handle)
        self._show()

    def _show(self) -> None:
        known, running = self.model.count() > 0, self.progress.handle is not None
        self.model.setVisible(known)
        self.model.setEnabled(not running)
        self.every.setVisible(known and self.imported and not running)
        self.go_button.setVisible(known and not running)
        self.go_button.setEnabled(bool(self.services.jobs.catalogue))
        none = {
            "names": _("No name finder is trained yet. Mark some texts, freeze the data set and train one."),
            "class": _("No text sorter is trained yet. Label some texts, freeze the data set and train one."),
        }
        self.hint.setText(_("What it proposes is used only after you accept it.") if known else none[self.kind])

    def _tell(self, _events: list[Event]) -> None:
        if time.monotonic() - self._told > EVERY_S:
            self._told = time.monotonic()
            self.proposed.emit()

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        for text in self.progress.notes:
            self.services.notify(text)
        if isinstance(ending, Failed):
            self.failure.show_failure(ending)
        self._show()
        self.proposed.emit()

    def _accept(self) -> None:
        self.accept_asked.emit(self.least.value() / 100)
