"""What to make: model, version, task, its fields, seed, and the one button."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import _, sentences
from aigc_desktop.core.model import PREFIX
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, icon_button, label, titled
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.inputs import ChoiceInput, checkpoint_choices, maker_choices
from aigc_desktop.ui.widgets.forms.learned import asked_for, window_of
from aigc_desktop.ui.widgets.job_progress import JobProgress
from aigc_desktop.ui.widgets.side_by_side import Scrolled
from aigc_desktop.ui.widgets.works.canvas_preview import SIDES, CanvasPreview
from aigc_desktop.ui.widgets.works.safe_wild import FIELDS as WILD_FIELDS
from aigc_desktop.ui.widgets.works.safe_wild import SafeWildSlider

SEEDS = 2**31 - 1
OWN_FIELDS = ("run", "checkpoint", "model", "seed")
BY_TRAINING = ("good", "rate")
"""Fields that make sense only for a model whose training pictures are here."""
_KINDS = {
    "language": (FieldKind.MODEL,), "adapter": (FieldKind.MODEL, FieldKind.ADAPTER), "encoder": (FieldKind.ENCODER,),
    "diffusion": (FieldKind.DIFFUSION,), "lora": (),
}  # fmt: skip
"""Kinds of fields that take an imported model, by its kind."""


class SeedRow(QWidget):
    """A seed with dice and lock: unlocked, each generation throws the dice first."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        theme = services.theme
        self.line = QLineEdit("0")
        self.line.setAccessibleName(_("Seed"))
        self.line.setToolTip(_("The same seed with the same settings gives the same work again."))
        self.dice = icon_button(theme, "dices", _("Another seed"))
        self.lock: QToolButton = icon_button(theme, "lock", _("Keep this seed for the next works"))
        self.lock.setCheckable(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(4))
        for widget, stretch in ((self.line, 1), (self.dice, 0), (self.lock, 0)):
            row.addWidget(widget, stretch)
        self.dice.clicked.connect(self.throw)
        self.line.textEdited.connect(self._edited)

    def value(self) -> int | None:
        """Return the seed, or None when it is no number of 0 or more."""
        text = self.line.text().strip()
        return int(text) if text.isdecimal() and len(text) < 17 else None

    def show_seed(self, seed: int, locked: bool) -> None:
        """Show a seed."""
        self.line.setText(str(seed))
        self.lock.setChecked(locked)

    def throw(self) -> None:
        """Take a seed by chance."""
        self.line.setText(str(secrets.randbelow(SEEDS)))

    def _edited(self, _text: str) -> None:
        self.lock.setChecked(True)  # a seed typed by hand is meant


class CreatePanel(QWidget):
    """The right side of the Create page; `generate` when the user wants works, with task and values in `chosen()`."""

    generate = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        theme = services.theme
        self.form: ConfigForm | None = None
        self.wild: SafeWildSlider | None = None
        self.canvas: CanvasPreview | None = None
        self.run_input = ChoiceInput([], _("Choose a model…"))
        self.version_input = ChoiceInput([])
        self.task_input = ChoiceInput([])
        self.seed = SeedRow(services)
        self.fields = QVBoxLayout()
        self.fields.setSpacing(theme.px(12))
        self.problem = label("", "problem")
        self.problem.hide()
        self.button = button(theme, _("Generate"), "sparkles", "primary")
        self.progress = JobProgress(theme)
        self._lay_out()
        self.run_input.edited.connect(self._run_chosen)
        self.task_input.edited.connect(self._build_form)
        self.button.clicked.connect(self.generate)
        self.progress.ended.connect(self._progress_ended)

    def _lay_out(self) -> None:
        theme = self.services.theme
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        self.rows: dict[str, QWidget] = {}
        for name, text, control, tip in (
            ("run", _("Model"), self.run_input, _("The model that makes the works.")),
            ("checkpoint", _("Version"), self.version_input, _("Which saved version of it; the best one by default.")),
            ("task", _("What to make"), self.task_input, _("What the model is to do.")),
        ):
            self.rows[name] = row = titled(text, control, theme.px(4))
            control.control.setAccessibleName(text)
            control.control.setToolTip(tip)
            box.addWidget(row)
        box.addLayout(self.fields)
        self.rows["seed"] = titled(_("Seed"), self.seed, theme.px(4))
        box.addWidget(self.rows["seed"])
        box.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(theme.px(8))
        outer.addWidget(Scrolled(inner), 1)
        for widget in (self.problem, self.progress, self.button):
            outer.addWidget(widget)

    # what is offered

    def refresh(self) -> None:
        """Read the models of the workspace again; the chosen one stays, or the newest is taken."""
        before = self.run_input.value()
        self.run_input.fill(maker_choices(self.services.workspace))
        if self.run_input.value() is None and self.run_input.box.count():
            self.run_input.box.setCurrentIndex(0)
        if self.run_input.value() != before or self.form is None:
            self._run_chosen()
        else:
            self._fill_versions()

    def choose(self, run: str, checkpoint: str = "", task: str = "") -> bool:
        """Choose a model, version and task; False when there is no such model."""
        self.refresh()
        self.run_input.show_value(run)
        if self.run_input.value() is None:
            self.refresh()
            return False
        self._run_chosen()
        if task and self.task_input.box.findData(task) >= 0:
            self.task_input.show_value(task)
            self._build_form()
        if checkpoint:
            self.version_input.show_value(checkpoint)
            if self.version_input.value() is None:
                self.version_input.show_value("best")
                return False
        return True

    @property
    def has_models(self) -> bool:
        """Return whether there is any model to use."""
        return self.run_input.box.count() > 0

    def tasks(self) -> list[TaskSpec]:
        """Return what the chosen model can make."""
        maker = self.run_input.value()
        if maker is None:
            return []
        known = [task for task in self.services.jobs.catalogue.values() if task.group == "create"]
        try:
            if maker.startswith(PREFIX):
                kinds = _KINDS[self.services.workspace.model(maker.removeprefix(PREFIX)).info.kind]
                return [task for task in known if any(spec.kind in kinds for spec in task.fields)]
            trained = self.services.workspace.run(maker)
            family, settings = trained.info.task.split(".")[0], trained.config_values
        except UserError:
            return []
        return [
            task for task in known
            if task.family == family and self._has(task, "run")
            and (not task.requires or settings.get(task.requires))
        ]  # fmt: skip

    def task(self) -> TaskSpec | None:
        """Return the chosen task."""
        key = self.task_input.value()
        return next((task for task in self.tasks() if task.key == key), None)

    # what is chosen

    def chosen(self) -> tuple[TaskSpec, dict[str, Any]] | None:
        """Return task and values, the version by its own name; None after showing what is wrong."""
        task, form = self.task(), self.form
        if task is None or form is None:
            self.show_problem(_("The engine is still starting; try again in a moment.")
                              if self.run_input.value() else _("Choose a model first."))  # fmt: skip
            return None
        problems = form.problems()
        seed = self.seed.value()
        form.show_problems(problems)
        if seed is None and self._has(task, "seed"):
            self.show_problem(_("Seed: {problem}").format(problem=_("must be a whole number")))
            return None
        if problems:
            self.show_problem(_("Correct the marked fields."))
            return None
        values = dict(form.values())
        if self.wild is not None:
            values[self.wild.spec.name] = self.wild.value()
        if self._has(task, "seed"):
            values["seed"] = seed
        maker = str(self.run_input.value())
        if maker.startswith(PREFIX):
            self.show_problem("")
            return task, values | {"model": maker.removeprefix(PREFIX)}
        run = self.services.workspace.run(maker)
        try:
            # the name the version has now: "best" may be another one tomorrow, and the same work is wanted then
            values |= {"run": run.id, "checkpoint": run.checkpoint(self.version_input.value() or "best").name}
        except UserError as error:
            self.show_problem(sentences(error.message, error.hint))
            return None
        self.show_problem("")
        return task, values

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show these settings of the chosen task; those it has not are left out."""
        if self.form is not None:
            self.form.set_values({name: value for name, value in values.items() if value is not None})
        if self.wild is not None and isinstance(values.get(self.wild.spec.name), int | float):
            self.wild.set_value(values[self.wild.spec.name])
        if self.canvas is not None:
            self.canvas.refresh()
        if isinstance(values.get("seed"), int):
            self.seed.show_seed(values["seed"], locked=True)

    def show_problem(self, text: str) -> None:
        """Say why nothing starts, above the button."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def set_busy(self, busy: bool) -> None:
        """While works are made, the progress with its Stop takes the place of the button."""
        self.button.setVisible(not busy)

    # inside

    def _progress_ended(self, _ending: object) -> None:
        self.progress.hide()

    def _run_chosen(self) -> None:
        self._fill_versions()
        tasks = self.tasks()
        self.task_input.fill([(task.key, _(task.title)) for task in tasks])
        if self.task_input.value() is None and tasks:
            self.task_input.box.setCurrentIndex(0)
        self.rows["task"].setVisible(len(tasks) > 1)
        self.rows["checkpoint"].setVisible(not str(self.run_input.value() or "").startswith(PREFIX))
        self._build_form()

    def _fill_versions(self) -> None:
        before = self.version_input.value()
        self.version_input.fill(checkpoint_choices(self.services.workspace, self.run_input.value()))
        self.version_input.show_value(before)
        if self.version_input.value() is None:
            self.version_input.show_value("best")

    def _build_form(self) -> None:
        task = self.task()
        while (item := self.fields.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.form = self.wild = self.canvas = None
        self.rows["seed"].setVisible(task is not None and self._has(task, "seed"))
        self._name_button(task)
        if task is None:
            return
        wild = min(filter(_is_wild, task.fields), key=lambda spec: WILD_FIELDS.index(spec.name), default=None)
        shown = self._asked_for([spec for spec in task.fields if spec.name not in OWN_FIELDS and spec is not wild])
        self.form = ConfigForm(shown, self.services, kind=task.kind, family=task.family)
        if wild is not None:
            self.wild = SafeWildSlider(self.services.theme, wild)
            self.fields.addWidget(self.wild)
        self.fields.addWidget(self.form)
        self._show_canvas()

    def _show_canvas(self) -> None:
        """Show a picture that is to be extended on its future canvas."""
        maker, form = str(self.run_input.value()), self.form
        if form is None or not set(SIDES) < form.rows.keys() or maker.startswith(PREFIX):
            return
        window = window_of(self.services.workspace.run(maker), self.version_input.value() or "best")
        if window is not None:
            self.canvas = CanvasPreview(self.services, form, *window)
            self.fields.addWidget(self.canvas)

    def _name_button(self, task: TaskSpec | None) -> None:
        """Say what the button does: making new works is its usual word, anything else is called what it is."""
        text = _("Generate") if task is None or task.key.endswith(".generate") else _(task.title)
        self.button.setText(text)
        self.button.setAccessibleName(text)
        self.button.setToolTip(f"{text} (Ctrl+Enter)")

    def _asked_for(self, specs: list[FieldSpec]) -> list[FieldSpec]:
        """Return the fields with what the chosen model has learned in them."""
        maker = str(self.run_input.value())
        if maker.startswith(PREFIX):
            return [spec for spec in specs if spec.name not in BY_TRAINING]
        return asked_for(specs, self.services.workspace.run(maker), self.version_input.value() or "best")

    def _has(self, task: TaskSpec, name: str) -> bool:
        return any(spec.name == name for spec in task.fields)


def _is_wild(spec: FieldSpec) -> bool:
    return spec.name in WILD_FIELDS and spec.kind is FieldKind.FLOAT and bool(spec.default)
