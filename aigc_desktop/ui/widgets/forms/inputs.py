"""One input per kind of field: each knows how to show a value, read it and say that it changed."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import PREFIX, ModelKind
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import ChoiceBox, align_number, guard_wheel, icon_button

SPIN_LIMIT = 2**31 - 1
Choices = list[tuple[str, str]]


class FieldInput(QWidget):
    """Base of the inputs below: `control` takes the focus, `edited` comes with each change by the user."""

    edited = Signal()

    def __init__(self, control: QWidget) -> None:
        super().__init__()
        self.control = control
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.addWidget(control, 1)
        self.setFocusProxy(control)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def value(self) -> Any:
        """Return what is entered; ValueError with a translated sentence when it is no value of this kind."""
        raise NotImplementedError

    def show_value(self, value: Any) -> None:
        """Show a value without telling that it changed."""
        raise NotImplementedError

    def unchosen(self) -> str:
        """Return what is wrong while there is no value though one is needed."""
        return _("must be chosen")


class SwitchInput(FieldInput):
    """Yes or no."""

    def __init__(self, spec: FieldSpec) -> None:
        self.box = QCheckBox(_(spec.title))
        super().__init__(self.box)
        self.box.toggled.connect(self.edited)

    def value(self) -> bool:
        return self.box.isChecked()

    def show_value(self, value: Any) -> None:
        self.box.blockSignals(True)
        self.box.setChecked(bool(value))
        self.box.blockSignals(False)


class SpinInput(FieldInput):
    """A whole number with limits."""

    def __init__(self, spec: FieldSpec) -> None:
        self.box = QSpinBox()
        super().__init__(self.box)
        self.box.setRange(_whole(spec.minimum, -SPIN_LIMIT), _whole(spec.maximum, SPIN_LIMIT))
        self.box.setGroupSeparatorShown(True)
        align_number(self.box)
        self.box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType if self.box.maximum() > 200
                             else QSpinBox.StepType.DefaultStepType)  # fmt: skip
        guard_wheel(self.box)
        self.box.valueChanged.connect(self.edited)

    def value(self) -> int:
        return self.box.value()

    def show_value(self, value: Any) -> None:
        self.box.blockSignals(True)
        self.box.setValue(int(value))
        self.box.blockSignals(False)


class NumberInput(FieldInput):
    """A number as text, so that 3e-4 can be written and read; empty means None where the default is None."""

    def __init__(self, spec: FieldSpec) -> None:
        self.line = QLineEdit()
        super().__init__(self.line)
        self.whole = spec.kind is FieldKind.INT
        self.optional = spec.default is None and not spec.required
        if self.optional:
            self.line.setPlaceholderText(_("chosen automatically"))
        self.line.textEdited.connect(self.edited)

    def value(self) -> float | int | None:
        text = self.line.text().strip().replace("，", ".").replace("−", "-")
        if not text and self.optional:
            return None
        try:
            number = int(text) if self.whole else float(text)
        except ValueError:
            raise ValueError(_("must be a whole number") if self.whole else _("must be a number")) from None
        if not math.isfinite(number):
            raise ValueError(_("must be a number"))
        return number

    def show_value(self, value: Any) -> None:
        self.line.setText("" if value is None else str(value) if self.whole else readable_number(value))


class TextInput(FieldInput):
    """A line of text."""

    def __init__(self) -> None:
        self.line = QLineEdit()
        super().__init__(self.line)
        self.line.textEdited.connect(self.edited)

    def value(self) -> str:
        return self.line.text()

    def show_value(self, value: Any) -> None:
        self.line.setText("" if value is None else str(value))


class ParagraphInput(FieldInput):
    """Several lines of text."""

    def __init__(self, spec: FieldSpec, theme: Theme) -> None:
        self.area = QPlainTextEdit()
        super().__init__(self.area)
        self.area.setTabChangesFocus(True)
        self.area.setPlaceholderText("\n".join(text for _name, text in spec.choices))
        self.area.setFixedHeight(theme.px(96))
        self.area.textChanged.connect(self.edited)

    def value(self) -> str:
        return self.area.toPlainText()

    def show_value(self, value: Any) -> None:
        self.area.blockSignals(True)
        self.area.setPlainText("" if value is None else str(value))
        self.area.blockSignals(False)


class CaptionInput(ParagraphInput):
    """A caption, with one of the training's as an example while it is empty."""

    def __init__(self, spec: FieldSpec, theme: Theme) -> None:
        super().__init__(spec, theme)
        examples = [text for _name, text in spec.choices]
        self.area.setPlaceholderText(_("For example: {caption}").format(caption=examples[0]) if examples else "")
        self.area.setFixedHeight(theme.px(64))


class ChoiceInput(FieldInput):
    """One of several values, each (value, text to show); `way_out` says what to do while there is none."""

    def __init__(self, choices: Choices, missing: str = "", way_out: str = "") -> None:
        self.box, self.way_out = ChoiceBox(narrow=True), way_out
        super().__init__(self.box)
        self.box.setPlaceholderText(missing or _("Choose…"))
        self.fill(choices)
        self.box.activated.connect(self.edited)

    def fill(self, choices: Choices) -> None:
        """Offer these values; the one shown stays if it is still among them."""
        shown = self.box.currentData()
        self.box.clear()
        for value, text in choices:
            self.box.addItem(text, value)
        self.box.setEnabled(bool(choices))
        self.show_value(shown)

    def unchosen(self) -> str:
        return self.way_out if self.way_out and not self.box.count() else super().unchosen()

    def value(self) -> str | None:
        chosen = self.box.currentData()
        return None if chosen is None else str(chosen)

    def show_value(self, value: Any) -> None:
        self.box.setCurrentIndex(self.box.findData(value) if value is not None else -1)


class PathLine(QLineEdit):
    """A line for a path; a file dropped on it becomes its path."""

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_path(event):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        if path := _dropped_path(event):
            self.setText(path)
            self.textEdited.emit(path)
            event.acceptProposedAction()
        else:
            super().dropEvent(event)


def _dropped_path(event: QDropEvent) -> str:
    local = next((url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()), "")
    return str(Path(local)) if local else ""


class PathInput(FieldInput):
    """A folder or file, typed, chosen or dropped."""

    def __init__(self, spec: FieldSpec, theme: Theme) -> None:
        self.line = PathLine()
        super().__init__(self.line)
        self.title = _(spec.title)
        self.file = spec.kind is not FieldKind.PATH
        sentence = _("Choose a file: {title}") if self.file else _("Choose a folder: {title}")
        self.browse = icon_button(theme, "folder-open", sentence.format(title=self.title))
        self.row.addWidget(self.browse)
        self.line.textEdited.connect(self.edited)
        self.browse.clicked.connect(self.choose)

    def choose(self) -> None:
        """Ask for a file or a folder."""
        if self.file:
            chosen, _filter = QFileDialog.getOpenFileName(self, self.title, self.line.text())
        else:
            chosen = QFileDialog.getExistingDirectory(self, self.title, self.line.text())
        if chosen:
            self.take(str(Path(chosen)))

    def take(self, path: str) -> None:
        """Enter a path as if the user had typed it."""
        self.line.setText(path)
        self.edited.emit()

    def value(self) -> str | None:
        return self.line.text().strip() or None

    def show_value(self, value: Any) -> None:
        self.line.setText("" if value is None else str(value))


class MaskInput(PathInput):
    """A mask from a file, or painted: `painting` comes when the user wants to paint one."""

    painting = Signal()

    def __init__(self, spec: FieldSpec, theme: Theme) -> None:
        super().__init__(spec, theme)
        self.brush = icon_button(theme, "paintbrush", _("Paint the mask…"))
        self.row.addWidget(self.brush)
        self.brush.clicked.connect(self.painting)


def make_input(spec: FieldSpec, theme: Theme, choices: Choices) -> FieldInput:
    """Return the input for a field; `choices` are the data sets, runs or versions the workspace offers."""
    match spec.kind:
        case FieldKind.BOOL:
            return SwitchInput(spec)
        case FieldKind.INT if _fits_spin_box(spec):
            return SpinInput(spec)
        case FieldKind.INT | FieldKind.FLOAT:
            return NumberInput(spec)
        case FieldKind.CHOICE:
            return ChoiceInput([(value, _(text)) for value, text in spec.choices])
        case FieldKind.DATASET:
            return ChoiceInput(choices, _("No data set yet") if not choices else "")
        case FieldKind.RUN | FieldKind.CHECKPOINT:
            return ChoiceInput(choices, _("No trained model yet") if not choices else "")
        case FieldKind.MODEL | FieldKind.ENCODER | FieldKind.ADAPTER | FieldKind.DIFFUSION | FieldKind.LORA:
            way_out = _("none is imported yet; bring one in on the Models page")
            return ChoiceInput(choices, _("No imported model yet") if not choices else "", way_out)
        case FieldKind.PATH | FieldKind.FILE:
            return PathInput(spec, theme)
        case FieldKind.MASK:
            return MaskInput(spec, theme)
        case FieldKind.CLASS:
            return TextInput()
        case FieldKind.ATTRIBUTES:
            return ParagraphInput(spec, theme)
        case FieldKind.CAPTION:
            return CaptionInput(spec, theme)
        case FieldKind.TEXT:
            return ParagraphInput(spec, theme) if spec.multiline else TextInput()


def dataset_choices(workspace: Workspace, kind: str = "") -> Choices:
    """Return the frozen data sets of a kind ("image", "text" or any), newest first."""
    infos = [dataset.info for dataset in workspace.datasets()]
    return [(info.id, info.title) for info in infos if info.frozen and kind in ("", "any", info.kind)]


def run_choices(workspace: Workspace, family: str = "") -> Choices:
    """Return the trained models with a saved version, newest first; a damaged record hides no other."""
    found: Choices = []
    for run in workspace.runs():
        with contextlib.suppress(OSError, UserError):
            info = run.info
            if run.checkpoints() and family in ("", info.task.split(".")[0]):
                found.append((run.id, info.title))
    return found


def checkpoint_choices(workspace: Workspace, run_id: str | None) -> Choices:
    """Return the saved versions of a run: the best, the last, then each by its step."""
    if not run_id:
        return []
    try:
        names = workspace.run(run_id).checkpoints()
    except UserError:
        return []
    if not names:
        return []
    steps = [(name, _("Step {step}").format(step=f"{int(name):,}")) for name in reversed(names)]
    return [("best", _("Best version")), ("last", _("Last version")), *steps]


def model_choices(workspace: Workspace, *kinds: ModelKind) -> Choices:
    """Return the imported models of these kinds, newest first; a damaged record is told on the Models page."""
    found: Choices = []
    for model in workspace.models():
        with contextlib.suppress(OSError, UserError):
            info = model.info
            if info.kind in kinds:
                found.append((model.id, info.title))
    return found


def maker_choices(workspace: Workspace) -> Choices:
    """Return all that makes works: trained models, then imported ones with PREFIX before their id."""
    imported = model_choices(workspace, "language", "adapter", "diffusion")
    return [*run_choices(workspace), *((PREFIX + model_id, title) for model_id, title in imported)]


def readable_number(value: float) -> str:
    """Return a number as it is best read and typed again: 0.0003 is 3e-4, 0.5 is 0.5; nothing is rounded off."""
    value = float(value)
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return str(int(value)) if value.is_integer() else repr(value)
    digits = next(d for d in range(18) if float(f"{value:.{d}e}") == value)
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _fits_spin_box(spec: FieldSpec) -> bool:
    limits = (spec.minimum, spec.maximum)
    return all(n is not None and abs(n) <= SPIN_LIMIT for n in limits) and (spec.default is not None or spec.required)


def _whole(limit: float | None, default: int) -> int:
    return default if limit is None else int(limit)
