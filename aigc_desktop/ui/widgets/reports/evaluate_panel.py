"""What to evaluate: model, version, its settings, the one button; and the evaluations that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldSpec
from aigc_desktop.core.i18n import _, sentences
from aigc_desktop.ui.evaluations import Entry
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button, clear, label, titled
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.inputs import ChoiceInput, checkpoint_choices, run_choices
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.side_by_side import Scrolled

TASK = "evaluate.run"
_TEXT_ONLY = ("encoder", "sweep", "temperatures")
_FOLDER = Qt.ItemDataRole.UserRole


class EvaluatePanel(QWidget):
    """The right side of the Evaluate page."""

    start = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        theme = services.theme
        self.form: ConfigForm | None = None
        self.run_input = ChoiceInput([], _("Choose a model…"))
        self.version_input = ChoiceInput([])
        self.fields = QVBoxLayout()
        self.past = PastEvaluations(services)
        self.problem = label("", "problem")
        self.problem.hide()
        self.button = button(theme, _("Evaluate"), "chart-line", "primary", _("Measure the model (Ctrl+Enter)"))
        self.progress = JobProgress(theme)
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        for text, control, tip in (
            (_("Model"), self.run_input, _("The trained model to evaluate.")),
            (_("Version"), self.version_input, _("Which saved version; the best one by default.")),
        ):
            control.control.setAccessibleName(text)
            control.control.setToolTip(tip)
            box.addWidget(titled(text, control, theme.px(4)))
        box.addLayout(self.fields)
        box.addWidget(self.past)
        box.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(theme.px(8))
        outer.addWidget(Scrolled(inner), 1)
        for widget in (self.problem, self.progress, self.button):
            outer.addWidget(widget)
        self.run_input.edited.connect(self._run_chosen)
        self.button.clicked.connect(self.start)

    @property
    def has_models(self) -> bool:
        """Return whether there is any model to evaluate."""
        return self.run_input.box.count() > 0

    def refresh(self) -> None:
        """Read the models of the workspace again; the chosen one stays, or the newest is taken."""
        before = self.run_input.value()
        self.run_input.fill(run_choices(self.services.workspace))
        if self.run_input.value() is None and self.run_input.box.count():
            self.run_input.box.setCurrentIndex(0)
        if self.run_input.value() != before or self.form is None:
            self._run_chosen()
        else:
            self._fill_versions()
            self.form.refresh()

    def choose(self, run: str, checkpoint: str = "") -> None:
        """Choose a model and a version of it, where they are there."""
        if self.run_input.box.findData(run) >= 0:
            self.run_input.show_value(run)
            self._run_chosen()
        if checkpoint and self.version_input.box.findData(checkpoint) >= 0:
            self.version_input.show_value(checkpoint)

    def values(self) -> dict[str, Any] | None:
        """Return the settings, the version by its own name; None after showing what is wrong."""
        name = self.run_input.value()
        if name is None or self.form is None:
            starting = _("The engine is still starting; try again in a moment.")
            self.show_problem(starting if name else _("Choose a model first."))
            return None
        problems = self.form.problems()
        self.form.show_problems(problems)
        if problems:
            self.show_problem(_("Correct the marked fields."))
            return None
        try:
            run = self.services.workspace.run(name)
            checkpoint = run.checkpoint(self.version_input.value() or "best").name
        except UserError as error:
            self.show_problem(sentences(error.message, error.hint))
            return None
        self.show_problem("")
        return {**self.form.values(), "run": run.id, "checkpoint": checkpoint}

    def show_problem(self, text: str) -> None:
        """Say why nothing starts, above the button."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def set_busy(self, busy: bool) -> None:
        """While a model is measured, the progress with its Stop takes the place of the button."""
        self.button.setVisible(not busy)

    def _run_chosen(self) -> None:
        self.version_input.fill([])
        self._fill_versions()
        clear(self.fields)
        self.form = None
        specs = self._specs()
        if specs:
            self.form = ConfigForm(specs, self.services, kind="text")
            self.fields.addWidget(self.form)

    def _fill_versions(self) -> None:
        before = self.version_input.value()
        self.version_input.fill(checkpoint_choices(self.services.workspace, self.run_input.value()))
        self.version_input.show_value(before)
        if self.version_input.value() is None:
            self.version_input.show_value("best")

    def _specs(self) -> list[FieldSpec]:
        """Return the settings that count for the chosen model: a family that measures itself has its own."""
        known, name = self.services.jobs.catalogue, self.run_input.value()
        if name is None or TASK not in known:
            return []
        try:
            family = self.services.workspace.run(name).info.task.split(".")[0]
        except UserError:
            return []
        own = known.get(f"{family}.evaluate")
        left_out = {"run", "checkpoint"}
        if own is not None:
            left_out |= {spec.name for spec in known[TASK].fields} - {spec.name for spec in own.fields}
        else:
            kind = next((task.kind for task in known.values() if task.family == family), "")
            left_out |= {"dataset", *(_TEXT_ONLY if kind == "image" else ())}
        return [spec for spec in known[TASK].fields if spec.name not in left_out]


class PastEvaluations(QWidget):
    """The evaluations of the workspace, newest first; one is shown, two are compared."""

    chosen = Signal(object)
    """The folders of the chosen ones."""
    delete_asked = Signal(object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        theme = services.theme
        self.list = QListWidget()
        self.list.setAccessibleName(_("Earlier evaluations"))
        self.list.setToolTip(_("Click one to read it; Ctrl+click a second one to compare the two."))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setWordWrap(True)
        self.list.setSpacing(theme.px(2))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(theme.px(150))
        self.delete_button = button(theme, _("Delete"), "trash-2", "danger", _("Move to the trash (Del)"))
        self.hint = label(_("Ctrl+click a second one to compare."), "secondary")
        row = FlowLayout(theme.px(8))
        row.addWidget(self.delete_button)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, theme.px(8), 0, 0)
        box.setSpacing(theme.px(8))
        box.addWidget(label(_("Earlier evaluations"), "card"))
        box.addWidget(self.list)
        box.addWidget(self.hint)
        box.addLayout(row)
        self.list.itemSelectionChanged.connect(self._selection_changed)
        self.delete_button.clicked.connect(self._delete)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._delete)
        self.fill([])

    def fill(self, entries: list[Entry]) -> None:
        """Show these; the selection stays where it can."""
        before = self.folders()
        self.list.blockSignals(True)
        self.list.clear()
        for entry in entries:
            decimal = entry.checkpoint.isdecimal()
            version = _("Step {step}").format(step=int(entry.checkpoint)) if decimal else _("Best version")
            item = QListWidgetItem(f"{entry.title} · {version}\n{entry.created[:16].replace('T', ' ')}")
            item.setData(_FOLDER, str(entry.folder))
            self.list.addItem(item)
            item.setSelected(entry.folder in before)
        self.list.blockSignals(False)
        self.setVisible(bool(entries))
        self.delete_button.setEnabled(bool(self.folders()))

    def folders(self) -> list[Path]:
        """Return the folders of the chosen ones, in the order of the list."""
        rows = (self.list.item(row) for row in range(self.list.count()))
        return [Path(item.data(_FOLDER)) for item in rows if item.isSelected()]

    def select(self, folders: list[Path]) -> None:
        """Choose these."""
        self.list.blockSignals(True)
        for row in range(self.list.count()):
            item = self.list.item(row)
            item.setSelected(Path(item.data(_FOLDER)) in folders)
        self.list.blockSignals(False)
        self._selection_changed()

    def _selection_changed(self) -> None:
        folders = self.folders()
        self.delete_button.setEnabled(bool(folders))
        self.chosen.emit(folders)

    def _delete(self) -> None:
        if self.folders():
            self.delete_asked.emit(self.folders())
