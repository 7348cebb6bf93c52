"""A form from the fields of a configuration: label, input, help, limits and problems, simple or advanced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.family import Problem
from aigc_desktop.core.fields import WORKED_ON, FieldKind, FieldSpec, field_problem
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import icon_button, label, set_role
from aigc_desktop.ui.widgets.forms.field_words import explanation, field_title
from aigc_desktop.ui.widgets.forms.inputs import (
    ChoiceInput,
    Choices,
    FieldInput,
    MaskInput,
    SwitchInput,
    checkpoint_choices,
    dataset_choices,
    make_input,
    model_choices,
    readable_number,
    run_choices,
)
from aigc_desktop.ui.widgets.segmented import Segmented

DEBOUNCE_MS = 250


class ConfigForm(QWidget):
    """The fields of a task as inputs.

    `changed` comes a moment after the user's last edit. A field differs from its *baseline*: the declared default,
    or what `set_baseline` gave, for example the values of a preset. `kind` and `family` narrow the data sets
    and runs that are offered; `header` False leaves out "Simple | Advanced".
    """

    changed = Signal()

    def __init__(
        self, fields: list[FieldSpec], services: Services, *, kind: str = "", family: str = "", header: bool = True
    ) -> None:
        super().__init__()
        self.services, self.kind, self.family = services, kind, family
        theme = services.theme
        self.rows: dict[str, FieldRow] = {}
        self.aside: frozenset[str] = frozenset()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(12))
        self.mode = Segmented(theme, [("simple", _("Simple")), ("advanced", _("Advanced"))])
        self.count = label("", "hint", wrap=False)
        self.head = QWidget()
        head = QHBoxLayout(self.head)
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.mode)
        head.addWidget(self.count)
        head.addStretch(1)
        box.addWidget(self.head)
        self.head.setVisible(header and any(spec.advanced for spec in fields))
        self.general = label("", "problem")
        self.general.hide()
        box.addWidget(self.general)
        for spec in fields:
            choices = self._choices(spec)
            self.rows[spec.name] = row = FieldRow(spec, services, choices)
            row.choose_first(choices)
            row.edited.connect(self._edited)
            if isinstance(row.input, MaskInput):
                row.input.painting.connect(self.paint_mask)
            box.addWidget(row)
        self.mode.chosen.connect(self._show_mode)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.changed)
        self._fill_checkpoints()
        self._show_mode()

    def values(self) -> dict[str, Any]:
        """Return what is entered; a field that must still be chosen, or holds no value of its kind, is left out."""
        return {name: row.value for name, row in self.rows.items() if row.has_value()}

    def changed_values(self) -> dict[str, Any]:
        """Return only what differs from the baseline: what the user set."""
        return {name: row.value for name, row in self.rows.items() if row.has_value() and row.differs()}

    def set_values(self, values: dict[str, Any]) -> None:
        """Show these values, without telling that they changed; names the form has not are ignored."""
        if "run" in values and "run" in self.rows:
            self.rows["run"].show_value(values["run"])
            self._fill_checkpoints()
        for name, value in values.items():
            if name in self.rows:
                self.rows[name].show_value(value)
        self._count()

    def set_baseline(self, values: dict[str, Any]) -> None:
        """Take these values as what the fields have by themselves; fields the user changed keep theirs."""
        for name, value in values.items():
            if name in self.rows:
                self.rows[name].set_baseline(value)
        self._count()

    def reset(self) -> None:
        """Put all fields back to their baseline."""
        for row in self.rows.values():
            row.reset()

    def refresh(self) -> None:
        """Read the data sets, runs and models of the workspace again."""
        for row in self.rows.values():
            if row.spec.kind in _FILLED and isinstance(row.input, ChoiceInput):
                choices = self._choices(row.spec)
                row.input.fill(choices)
                row.choose_first(choices)
        self._fill_checkpoints()

    def show_problems(self, problems: list[Problem]) -> None:
        """Show each problem at its field, those without a field on top; an empty list clears them."""
        by_field: dict[str, list[str]] = {}
        for problem in problems:
            by_field.setdefault(problem.field if problem.field in self.rows else "", []).append(problem.message)
        self.general.setText("\n".join(by_field.get("", [])))
        self.general.setVisible("" in by_field)
        for name, row in self.rows.items():
            row.show_problem("\n".join(by_field.get(name, [])))
        self._show_mode()

    def problems(self) -> list[Problem]:
        """Return what is wrong with the entries themselves: not a number, out of the limits, not chosen."""
        found = [(row.spec, row.own_problem()) for row in self.rows.values()]
        return [Problem(field_problem(_(spec.title), text), spec.name) for spec, text in found if text]

    def paint_mask(self) -> None:
        """Let the user paint the mask over the picture that is chosen."""
        from aigc_desktop.ui.widgets.forms.mask_dialog import MaskDialog

        row, given = self.rows["mask"], self.values()
        if not given.get("picture"):
            row.show_problem(_("Choose the picture first."))
            return
        mask = Path(given["mask"]) if given.get("mask") else None
        dialog = MaskDialog(self.services, Path(given["picture"]), mask, self)
        assert isinstance(row.input, MaskInput)
        dialog.painted.connect(row.input.take)
        dialog.open()

    def set_advanced(self, advanced: bool) -> None:
        """Show the expert fields too, or hide them."""
        self.mode.choose("advanced" if advanced else "simple")
        self._show_mode()

    def set_aside(self, names: Iterable[str]) -> None:
        """Show these fields among the advanced ones only, as they do not matter for what is chosen."""
        self.aside = frozenset(names)
        self._show_mode()

    def _edited(self) -> None:
        if self.sender() is self.rows.get("run"):
            self._fill_checkpoints()
        self._count()
        self._timer.start()

    def _show_mode(self) -> None:
        """Show all rows or the simple ones; a row with a problem is always shown."""
        advanced = self.mode.value() == "advanced"
        for row in self.rows.values():
            simple = not row.spec.advanced and row.spec.name not in self.aside
            row.setVisible(advanced or simple or row.problem.text() != "")
        self._count()

    def _count(self) -> None:
        count = sum(row.differs() for row in self.rows.values() if row.spec.kind not in WORKED_ON)
        text = ngettext("· {count} changed", "· {count} changed", count).format(count=count)
        self.count.setText(text if count else "")

    def _choices(self, spec: FieldSpec) -> Choices:
        """Return what the workspace offers; where nothing may be chosen too, that comes first."""
        offered = self._offered(spec)
        if spec.kind is FieldKind.LORA and not offered:
            return [("", _("No imported LoRA yet"))]
        nothing = _("as in training") if spec.kind is FieldKind.DATASET else _("none chosen")
        return [("", nothing), *offered] if offered and spec.default == "" else offered

    def _offered(self, spec: FieldSpec) -> Choices:
        match spec.kind:
            case FieldKind.DATASET:
                return dataset_choices(self.services.workspace, self.kind)
            case FieldKind.RUN:
                return run_choices(self.services.workspace, spec.family or self.family)
            case FieldKind.MODEL:
                return model_choices(self.services.workspace, "language")
            case FieldKind.ENCODER:
                return model_choices(self.services.workspace, "encoder")
            case FieldKind.ADAPTER:
                return model_choices(self.services.workspace, "adapter")
            case FieldKind.DIFFUSION:
                return model_choices(self.services.workspace, "diffusion")
            case FieldKind.LORA:
                return model_choices(self.services.workspace, "lora")
            case _:
                return []

    def _fill_checkpoints(self) -> None:
        """Offer the saved versions of the chosen run."""
        run = self.rows["run"].value if "run" in self.rows and self.rows["run"].has_value() else None
        for row in self.rows.values():
            if row.spec.kind is FieldKind.CHECKPOINT and isinstance(row.input, ChoiceInput):
                row.input.fill(checkpoint_choices(self.services.workspace, run))
                if row.input.value() is None:
                    row.show_value(row.baseline)


_FILLED = (*(kind for kind in WORKED_ON if kind is not FieldKind.CHECKPOINT), FieldKind.LORA)  # not by the run
_MUST_BE_CHOSEN = (FieldKind.MODEL, FieldKind.ENCODER, FieldKind.DIFFUSION)


class FieldRow(QFrame):
    """One field: label with unit, reset, input, and the sentence about what is wrong with it."""

    edited = Signal()

    def __init__(self, spec: FieldSpec, services: Services, choices: Choices) -> None:
        super().__init__()
        self.spec = spec
        self.baseline = spec.default
        theme = services.theme
        self.input: FieldInput = make_input(spec, theme, choices)
        self.title = label(field_title(spec))
        reset = _("Back to the default: {title}").format(title=_(spec.title))
        self.reset_button = icon_button(theme, "rotate-ccw", reset, 12)
        self.problem = label("", "problem")
        self.problem.hide()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(4))
        head = QHBoxLayout()
        head.addWidget(self.input if isinstance(self.input, SwitchInput) else self.title, 1)
        head.addWidget(self.reset_button)
        box.addLayout(head)
        if not isinstance(self.input, SwitchInput):
            box.addWidget(self.input)
        box.addWidget(self.problem)
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        self._explain()
        if self.baseline is not None:
            self.input.show_value(self.baseline)
        self._show_reset()
        self.input.edited.connect(self._edited)
        self.reset_button.clicked.connect(self._reset_clicked)

    @property
    def value(self) -> Any:
        """Return what is entered; ValueError when it is no value of this kind."""
        return self.input.value()

    def has_value(self) -> bool:
        """Return whether there is a value to use."""
        try:
            value = self.input.value()
        except ValueError:
            return False
        return value is not None or (not self.spec.required and self.spec.default is None)

    def differs(self) -> bool:
        """Return whether the entry is not the baseline."""
        try:
            value = self.input.value()
        except ValueError:
            return True
        return bool(value != self.baseline) and not (value in (None, "") and self.baseline in (None, ""))

    def show_value(self, value: Any) -> None:
        """Show a value without telling that it changed."""
        self.input.show_value(value)
        self._show_reset()

    def choose_first(self, choices: Choices) -> None:
        """Choose the newest model when one must be chosen and none is."""
        if self.spec.kind in _MUST_BE_CHOSEN and not self.has_value() and choices:
            self.show_value(choices[0][0])

    def set_baseline(self, value: Any) -> None:
        """Change the value the field has by itself; an entry of the user stays."""
        untouched = not self.differs()
        self.baseline = value
        if untouched:
            self.input.show_value(value)
        self._explain()
        self._show_reset()

    def reset(self) -> None:
        """Put the baseline back."""
        self.input.show_value(self.baseline)
        self._show_reset()
        self.edited.emit()

    def show_problem(self, text: str) -> None:
        """Show a sentence below the input, or none; what the entry itself has wrong comes first."""
        text = self.own_problem(started=True) or text
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        set_role(self.input.control, wrong=bool(text))

    def own_problem(self, *, started: bool = False) -> str:
        """Return what is wrong with the entry by itself, or ""; with `started` a choice still to make is not."""
        try:
            value = self.input.value()
        except ValueError as error:
            return str(error)
        if value is None:
            return "" if started or not self.spec.required else self.input.unchosen()
        if self.spec.minimum is not None and value < self.spec.minimum:
            return _("must be at least {limit}").format(limit=readable_number(self.spec.minimum))
        if self.spec.maximum is not None and value > self.spec.maximum:
            return _("must be at most {limit}").format(limit=readable_number(self.spec.maximum))
        return ""

    def _edited(self) -> None:
        self.show_problem("")
        self._show_reset()
        self.edited.emit()

    def _reset_clicked(self) -> None:
        self.reset()
        self.input.control.setFocus()

    def _show_reset(self) -> None:
        self.reset_button.setVisible(self.differs() and self.spec.kind not in WORKED_ON)

    def _explain(self) -> None:
        """Give all parts the help, limits and default as tooltip, and a name to assistive programs."""
        text = explanation(self.spec, self.baseline)
        for part in (self, self.title, self.input, self.input.control):
            part.setToolTip(text)
        self.title.setBuddy(self.input.control)
        self.input.control.setAccessibleName(field_title(self.spec))
        self.input.control.setAccessibleDescription(_(self.spec.help))
        self.input.control.setWhatsThis(text)
