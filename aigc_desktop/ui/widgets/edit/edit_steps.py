"""The side of the edit dialog: the chain of edits, and the settings of the chosen one."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QListWidget, QListWidgetItem, QMenu, QVBoxLayout, QWidget

from aigc_desktop.core.config import check, describe
from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.family import Problem
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.presets import SavedPreset
from aigc_desktop.editing.chain import PRESETS, check_steps, operations
from aigc_desktop.ui.edit_chain import EditChain
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, icon_button, label
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.preset_menu import PresetMenu
from aigc_desktop.ui.widgets.side_by_side import Scrolled

ROWS, ROW_PX = 3, 30


class EditSteps(QWidget):
    """Puts a chain of edits together; `changed` when it is another one."""

    changed = Signal()
    draw = Signal()
    """The user wants to draw the rectangle of the chosen edit."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.chain = EditChain(self)
        self.form: ConfigForm | None = None
        self._shown: tuple[int, str] | None = None
        theme = services.theme
        self.add_button = button(theme, _("Add an edit"), "plus", "", _("Choose what is done with the picture"))
        self.add_button.setMenu(self._make_menu())
        self.presets = PresetMenu(services)
        self.presets.task = PRESETS
        self.presets.chosen.connect(self._apply_preset)
        self.presets.save_asked.connect(self._save_preset)
        self.list = QListWidget()
        self.list.setAccessibleName(_("Edits, from first to last"))
        self.list.setToolTip(_("Edits, from first to last; choose one to change its settings"))
        self.list.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.undo = icon_button(theme, "undo-2", _("Undo (Ctrl+Z)"))
        self.redo = icon_button(theme, "redo-2", _("Redo (Ctrl+Shift+Z)"))
        self.up = icon_button(theme, "chevron-up", _("Do it earlier"))
        self.remove = icon_button(theme, "trash-2", _("Remove this edit (Delete)"))
        self.about = label("", "hint")
        self.draw_button = button(theme, _("Draw the rectangle"), "square", "", _("Draw with the mouse what is kept"))
        self._lay_out()
        self.chain.changed.connect(self._chain_changed)
        self.list.currentRowChanged.connect(self._show_form)
        self.undo.clicked.connect(self.chain.undo)
        self.redo.clicked.connect(self.chain.redo)
        self.up.clicked.connect(self._raise)
        self.remove.clicked.connect(self._remove)
        self.draw_button.clicked.connect(self.draw)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Undo), self, self.chain.undo)
        QShortcut(QKeySequence("Ctrl+Shift+Z"), self, self.chain.redo)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._remove)
        self._show_state()

    def add(self, name: str) -> None:
        """Put an edit with its usual settings at the end and choose it."""
        fields = describe(operations()[name].config)
        self.chain.add(name, {field.name: field.default for field in fields if not field.required})
        self.list.setCurrentRow(self.list.count() - 1)

    def steps(self) -> list[dict[str, Any]] | None:
        """Return the chain as plain data, None while a step has settings that cannot be used."""
        wrong = any(_problems(step) for step in self.chain.steps) or (self.form is not None and self.form.problems())
        return None if wrong else list(self.chain.steps)

    def set_rectangle(self, rectangle: QRect) -> None:
        """Give the chosen edit a rectangle."""
        row = self.list.currentRow()
        left, top, width, height = rectangle.x(), rectangle.y(), rectangle.width(), rectangle.height()
        drawn = {"left": left, "top": top, "width": width, "height": height}
        self.chain.set_values(row, {**_values(self.chain.steps[row]), **drawn})

    # inside

    def _lay_out(self) -> None:
        theme = self.services.theme
        head = QHBoxLayout()
        head.setSpacing(theme.px(8))
        head.addWidget(self.add_button, 1)
        head.addWidget(self.presets, 1)
        tools = QGridLayout()
        tools.setSpacing(0)
        for number, tool in enumerate((self.undo, self.redo, self.up, self.remove)):
            tools.addWidget(tool, number // 2, number % 2)
        tools.setRowStretch(2, 1)
        middle = QHBoxLayout()
        middle.setSpacing(theme.px(4))
        middle.addWidget(self.list, 1)
        middle.addLayout(tools)
        self.list.setFixedHeight(ROWS * theme.px(ROW_PX) + 2 * self.list.frameWidth())
        self.holder = QWidget()
        self.holder_box = QVBoxLayout(self.holder)
        self.holder_box.setContentsMargins(0, 0, theme.px(8), 0)
        self.holder_box.setSpacing(theme.px(12))
        self.holder_box.addWidget(self.about)
        self.holder_box.addWidget(self.draw_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.holder_box.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(head)
        box.addLayout(middle)
        box.addWidget(Scrolled(self.holder), 1)

    def _make_menu(self) -> QMenu:
        menu = QMenu(self.add_button)
        menu.setToolTipsVisible(True)
        for each in operations().values():
            action = QAction(self.services.theme.icon(each.icon), _(each.title), menu)
            action.setToolTip(_(each.summary))
            action.setData(each.name)
            action.triggered.connect(self._add_chosen)
            menu.addAction(action)
        return menu

    def _add_chosen(self) -> None:
        self.add(str(self.sender().data()))  # type: ignore[attr-defined]

    def _apply_preset(self, preset: SavedPreset) -> None:
        try:
            steps = [step.plain() for step in check_steps(preset.values.get("steps"))]
        except UserError as error:
            self.services.show_failure(failure_of(error))
            return
        self.chain.replace(steps)

    def _save_preset(self, title: str) -> None:
        self.presets.save(title, "", {"steps": list(self.chain.steps)})

    def _raise(self) -> None:
        row = self.list.currentRow()
        if row > 0:
            self.chain.raise_up(row)
            self.list.setCurrentRow(row - 1)

    def _remove(self) -> None:
        if self.list.currentRow() >= 0:
            self.chain.remove(self.list.currentRow())

    def _chain_changed(self) -> None:
        """Show the chain as it is now; what is chosen and typed stays where it is still true."""
        row = min(self.list.currentRow(), len(self.chain.steps) - 1)
        self.list.blockSignals(True)
        self.list.clear()
        for step in self.chain.steps:
            operation = operations()[step["operation"]]
            item = QListWidgetItem(self.services.theme.icon(operation.icon, "text"), _(operation.title))
            item.setSizeHint(QSize(0, self.services.theme.px(ROW_PX)))
            self.list.addItem(item)
        self.list.setCurrentRow(max(row, 0 if self.chain.steps else -1))
        self.list.blockSignals(False)
        self._show_form(self.list.currentRow())
        self.changed.emit()

    def _show_form(self, row: int) -> None:
        self._show_state()
        if not 0 <= row < len(self.chain.steps):
            self._drop_form()
            return
        step = self.chain.steps[row]
        values = _values(step)
        if self.form is None or self._shown != (row, step["operation"]) or self.form.values() != values:
            self._drop_form()
            self.form = ConfigForm(describe(operations()[step["operation"]].config), self.services)
            self.form.changed.connect(self._form_changed)
            self.holder_box.insertWidget(2, self.form)
            self.form.set_values(values)
            self._shown = (row, step["operation"])
        self.form.show_problems([] if _missing(step) else _problems(step))

    def _form_changed(self) -> None:
        if self.form is None or self._shown is None:
            return
        row, before = self._shown[0], self.chain.steps
        self.chain.set_values(row, self.form.values())
        self.form.show_problems(_problems(self.chain.steps[row]))
        if self.chain.steps is before:  # what is typed is no value, which changes nothing but what can be done
            self.changed.emit()

    def _drop_form(self) -> None:
        if self.form is not None:
            self.form.hide()
            self.form.deleteLater()
        self.form, self._shown = None, None

    def _show_state(self) -> None:
        row, count = self.list.currentRow(), len(self.chain.steps)
        self.undo.setEnabled(self.chain.can_undo)
        self.redo.setEnabled(self.chain.can_redo)
        self.up.setEnabled(row > 0)
        self.remove.setEnabled(row >= 0)
        text = _("Add one or more edits. They are done one after another; the original stays as it is.")
        self.draw_button.setVisible(False)
        if 0 <= row < count:
            chosen = operations()[self.chain.steps[row]["operation"]]
            text = _(chosen.summary)
            self.draw_button.setVisible(chosen.rectangle)
        self.about.setText(text)


def _values(step: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a step."""
    return {name: value for name, value in step.items() if name != "operation"}


def _problems(step: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the settings of a step."""
    try:
        check(operations()[step["operation"]].config, _values(step))
    except ConfigError as error:
        return [Problem(text, name) for name, text in error.problems.items()]
    return []


def _missing(step: dict[str, Any]) -> list[str]:
    """Return the settings of a step that are still to be chosen."""
    return [field.name for field in describe(operations()[step["operation"]].config)
            if field.required and field.name not in step]  # fmt: skip
