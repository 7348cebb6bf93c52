"""The last step before training: how large, how much is kept aside; or, for a frozen data set, what it holds."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout

from aigc_desktop.core.dataset import DatasetInfo
from aigc_desktop.core.events import Failed, Finished, Stopped
from aigc_desktop.core.i18n import _
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.failure_card import FailureCard
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.job_progress import JobProgress

FREEZE = "data.freeze"


class FreezePanel(Card):
    """`frozen` gives the id when a snapshot was made; `train_asked` when the user wants to train on it."""

    frozen = Signal(str)
    train_asked = Signal(str)

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Make ready for training"))
        self.services = services
        self.info: DatasetInfo | None = None
        self.form: ConfigForm | None = None
        self.facts = label("", "body")
        self.place = QVBoxLayout()
        self.failure = FailureCard(services)
        self.progress = JobProgress(services.theme)
        self.progress.ended.connect(self._ended)
        self.go_button = button(services.theme, "", "", "primary")
        self.go_button.clicked.connect(self.go)
        self.add(self.facts)
        self.body.addLayout(self.place)
        for part in (self.failure, self.progress, self.go_button):
            self.add(part)
        services.jobs.ready.connect(self._show)

    def show_info(self, info: DatasetInfo) -> None:
        """Show another data set."""
        self.info = info
        self.failure.clear()
        for handle in self.services.jobs.handles:
            if handle.request.task == FREEZE and handle.request.values.get("dataset") == info.id:
                self.attach(handle)
        self._show()

    def go(self) -> None:
        """Freeze and then train, or train at once when it is frozen."""
        if self.info is None or self.progress.handle is not None:
            return
        if self.info.frozen:
            self.train_asked.emit(self.info.id)
            return
        if self.form is None:
            return
        problems = self.form.problems()
        self.form.show_problems(problems)
        if not problems:
            values = {**self.form.values(), "dataset": self.info.id}
            self.attach(self.services.jobs.run(JobRequest(FREEZE, values, str(self.services.workspace.folder))))

    def attach(self, handle: JobHandle) -> None:
        """Follow a freeze that runs."""
        if self.progress.handle is not handle:
            self.failure.clear()
            self.progress.follow(handle)
        self._show()

    def _show(self) -> None:
        info = self.info
        if info is None:
            return
        running = self.progress.handle is not None
        spec = self.services.jobs.catalogue.get(FREEZE)
        if self.form is not None:
            self.place.removeWidget(self.form)
            self.form.deleteLater()
            self.form = None
        if spec is not None and not info.frozen:
            hidden = {"dataset"} if info.kind == "image" else {"dataset", "size", "aspect", "transparency"}
            self.form = ConfigForm([field for field in spec.fields if field.name not in hidden], self.services)
            self.form.setVisible(not running)
            self.place.addWidget(self.form)
        self.facts.setText(_facts(info, spec is not None))
        self.go_button.setText(_("Train on this") if info.frozen else _("Freeze and train"))
        self.go_button.setAccessibleName(self.go_button.text())
        self.go_button.setToolTip(
            _("Choose a model for this data (Ctrl+Enter)") if info.frozen
            else _("Make a copy that never changes, then choose a model (Ctrl+Enter)")
        )  # fmt: skip
        self.go_button.setVisible(not running)
        self.go_button.setEnabled(info.frozen or (spec is not None and info.usable > 0))

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        handle = self.progress.last
        for text in self.progress.notes[1:]:  # the first one says that it began
            self.services.notify(text)
        if isinstance(ending, Failed):
            self.failure.show_failure(ending)
        self._show()
        if isinstance(ending, Finished) and handle is not None:
            self.frozen.emit(str(handle.request.values["dataset"]))


def _facts(info: DatasetInfo, engine_ready: bool) -> str:
    """Return what is fixed about the data set, or what will be."""
    if not info.frozen:
        if not engine_ready:
            return _("The engine is starting…")
        return _("A frozen copy is made; changing your files later does not change what a model was trained on.")
    parts = [
        _("{train} for training, {validation} kept aside to check").format(
            train=f"{info.train:,}", validation=f"{info.validation:,}"
        )
    ]
    if info.size:
        width, height = info.pixels
        parts.append(_("{width} × {height} pixels").format(width=width, height=height))
    if info.channels == 4:
        parts.append(_("transparency is kept"))
    return "\n".join(parts)
