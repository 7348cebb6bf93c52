"""Before a training: which data, which kind of model, which settings; beside it the card that says what it takes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.dataset import DatasetInfo
from aigc_desktop.core.events import Failed
from aigc_desktop.core.family import Plan, TaskSpec
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.presets import SavedPreset
from aigc_desktop.core.rehearsal import trainings
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.plan_maker import PlanMaker
from aigc_desktop.ui.widgets.cards import ActionCard, Card, FlowLayout
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, label
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.preset_menu import PresetMenu
from aigc_desktop.ui.widgets.side_by_side import Scrolled, SideBySide
from aigc_desktop.ui.widgets.train.plan_card import PlanCard

RIGHT_PX = 300
ICONS = {"image": "image", "text": "file-text"}


class TrainSetup(QWidget):
    """Choose and start; `started` gives the task and the values to train with. `refresh` fills it."""

    started = Signal(object)
    """(TaskSpec, values): start this training."""
    data_asked = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.infos: dict[str, DatasetInfo] = {}
        self.task: TaskSpec | None = None
        self.form: ConfigForm | None = None
        self.preset = "auto"
        self.planner = PlanMaker(services.jobs, self)
        self.planner.made.connect(self._show_plan)
        self.planner.failed.connect(self._plan_failed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        left, right = Scrolled(self._make_left()), self._make_right()
        row.addWidget(SideBySide(services.theme, left, right, (RIGHT_PX, RIGHT_PX)))
        services.jobs.ready.connect(self._fill_families)

    # what the page calls

    def refresh(self, dataset_id: str = "") -> None:
        """Read the data sets again and choose `dataset_id`, the one chosen before, or the newest."""
        infos = [dataset.info for dataset in self.services.workspace.datasets()]  # the Data page tells of damaged ones
        before = dataset_id or str(self.datasets.currentData() or "")
        self.infos = {info.id: info for info in infos if info.frozen}
        self.datasets.clear()
        for info in self.infos.values():
            icon = self.services.theme.icon(ICONS.get(info.kind, "database"))
            self.datasets.addItem(icon, f"{info.title} · {_amount(info)}", info.id)
        self.datasets.setCurrentIndex(max(0, self.datasets.findData(before)) if self.infos else -1)
        self._fill_families()

    @property
    def has_data(self) -> bool:
        """Return whether there is something to train on."""
        return bool(self.infos)

    def chosen_info(self) -> DatasetInfo | None:
        """Return the chosen data set."""
        return self.infos.get(str(self.datasets.currentData() or ""))

    def values(self) -> dict[str, Any]:
        """Return what the user set, with the data set."""
        changed = self.form.changed_values() if self.form is not None else {}
        info = self.chosen_info()
        return {**changed, "dataset": info.id} if info is not None else changed

    def start(self) -> None:
        """Start, if everything is right."""
        plan = self.plan_card.plan
        if self.task is not None and plan is not None and self.start_button.isEnabled():
            self.started.emit((self.task, {**plan.values, **self.values()}))

    # making

    def _make_left(self) -> QWidget:
        theme = self.services.theme
        left = QWidget()
        left.setMaximumWidth(theme.px(900))
        box = QVBoxLayout(left)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(16))
        tip = _("What the model learns from; make more ready on the Data page")
        self.datasets = ChoiceBox(_("Data to learn from"), tip, narrow=True)
        self.datasets.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.datasets.activated.connect(self._dataset_chosen)
        more = button(theme, _("Other data…"), "data", "flat", _("Bring in data or make it ready on the Data page"))
        more.clicked.connect(self.data_asked)
        line = QHBoxLayout()
        line.addWidget(self.datasets, 1)
        line.addWidget(more)
        self.family_place = QVBoxLayout()
        self.families: dict[str, ActionCard] = {}
        self.group = QButtonGroup(self)
        self.group.buttonClicked.connect(self._family_clicked)
        self.waiting = label(_("The engine is starting; the kinds of models appear in a moment."), "secondary")
        self.others = label("", "secondary")
        self.form_card = Card(theme, _("Settings"))
        self.preset_menu = PresetMenu(self.services)
        self.preset_menu.chosen.connect(self._apply_saved)
        self.preset_menu.save_asked.connect(self._save_preset)
        self.form_card.add_action(self.preset_menu)
        box.addWidget(label(_("Learn from"), "card"))
        box.addLayout(line)
        box.addWidget(label(_("Kind of model"), "card"))
        box.addWidget(self.waiting)
        box.addLayout(self.family_place)
        box.addWidget(self.others)
        box.addWidget(self.form_card)
        box.addStretch(1)
        return left

    def _make_right(self) -> QWidget:
        theme = self.services.theme
        right = QWidget()
        box = QVBoxLayout(right)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        self.plan_card = PlanCard(theme)
        self.plan_card.preset_chosen.connect(self._preset_chosen)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, theme.px(4), 0)
        column.addWidget(self.plan_card)
        column.addStretch(1)
        self.start_button = button(theme, _("Start training"), "play", "primary")
        self.start_button.setProperty("size", "large")
        self.start_button.clicked.connect(self.start)
        box.addWidget(Scrolled(inner), 1)
        box.addWidget(self.start_button)
        self._show_ready()
        return right

    def _fill_families(self) -> None:
        """Show a card for each kind of model that can learn from the chosen data, and name the others."""
        tasks = trainings(self.services.jobs.catalogue.values())
        self.waiting.setVisible(not tasks)
        self.form_card.setVisible(bool(tasks))
        if set(self.families) != {task.key for task in tasks}:
            self._make_families(tasks)
        info = self.chosen_info()
        fitting = [task for task in tasks if info is None or task.kind in ("any", info.kind)]
        for task in tasks:
            self.families[task.key].setVisible(task in fitting)
        others = _(", ").join(_(task.family_title) for task in tasks if task not in fitting)
        self.others.setText(_("With data of another kind: {names}").format(names=others))
        self.others.setVisible(bool(others))
        chosen = self.task if self.task in fitting else (fitting[0] if fitting else None)
        if chosen is not None:
            self.families[chosen.key].setChecked(True)
        self._choose(chosen)

    def _make_families(self, tasks: list[TaskSpec]) -> None:
        while (item := self.family_place.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.deleteLater()
        for card in self.families.values():
            self.group.removeButton(card)
        holder = QWidget()
        self.kinds = FlowLayout(self.services.theme.px(8), self.services.theme.px(210))
        holder.setLayout(self.kinds)
        self.families = {}
        for task in tasks:
            icon = ICONS.get(task.kind, "layers")
            card = ActionCard(self.services.theme, icon, _(task.family_title), _(task.summary))
            card.setToolTip(_(task.summary))
            card.setCheckable(True)
            card.setProperty("key", task.key)
            self.group.addButton(card)
            self.families[task.key] = card
            self.kinds.addWidget(card)
        self.family_place.addWidget(holder)

    # choosing

    def _dataset_chosen(self) -> None:
        self._fill_families()

    def _family_clicked(self, card: ActionCard) -> None:
        self._choose(self.services.jobs.catalogue.get(str(card.property("key"))))

    def _choose(self, task: TaskSpec | None) -> None:
        """Show the settings of this kind of model."""
        if task is not self.task or self.form is None:
            if self.form is not None:
                self.form.hide()
                self.form_card.body.removeWidget(self.form)
                self.form.deleteLater()
                self.form = None
            self.task, self.preset = task, "auto"
            if task is not None:
                fields = [field for field in task.fields if field.name != "dataset"]
                self.form = ConfigForm(fields, self.services, kind=task.kind, family=task.family)
                self.form.changed.connect(self._plan_soon)
                self.form_card.add(self.form)
                self.preset_menu.task = task.key
        self._plan_soon()

    def _preset_chosen(self, name: str) -> None:
        self.preset = name
        self._plan_soon()

    def _apply_saved(self, preset: SavedPreset) -> None:
        if self.form is None:
            return
        self.form.reset()
        self.form.set_values(preset.values)
        self.preset = preset.base
        self._plan_soon()

    def _save_preset(self, title: str) -> None:
        plan = self.plan_card.plan
        base = plan.preset if plan is not None else self.preset
        self.preset_menu.save(title, base, self.form.changed_values() if self.form is not None else {})

    # the plan

    def _plan_soon(self) -> None:
        if self.task is None or self.form is None or self.chosen_info() is None:
            self._need(_("Choose what to learn from and a kind of model first."))
            return
        problems = self.form.problems()
        self.form.show_problems(problems)
        if problems:
            self._need("\n".join(problem.message for problem in problems))
            return
        if self.plan_card.plan is None:
            self.plan_card.show_waiting()
        self.planner.want(self.task.key, self.values(), self.preset, str(self.services.workspace.folder))
        self._show_ready()

    def _need(self, what: str) -> None:
        self.planner.forget()
        self.plan_card.show_waiting(what)
        self._show_ready()

    def _show_plan(self, plan: Plan) -> None:
        if self.form is None:
            return
        self.plan_card.show_plan(plan)
        self.form.set_baseline({name: value for name, value in plan.values.items() if name not in self.values()})
        self.form.show_problems(plan.problems)
        self._show_ready()

    def _plan_failed(self, failed: Failed) -> None:
        self._need(f"{failed.message}\n{failed.hint}".strip())

    def _show_ready(self) -> None:
        """Let Start be pressed when there is a plan without problems; else the card and the tooltip say why not."""
        ready = self.plan_card.ready and not self.planner.waiting
        out_of_date = self.plan_card.ready and not ready
        reason = _("Working out what this takes…") if out_of_date else self.plan_card.reason
        self.start_button.setEnabled(ready)
        self.start_button.setToolTip(_("Start training (Ctrl+Enter)") if ready else reason)
        self.start_button.setAccessibleDescription(reason)


def _amount(info: DatasetInfo) -> str:
    count = info.train + info.validation
    if info.kind == "image":
        words = ngettext("{count} picture", "{count} pictures", count).format(count=f"{count:,}")
        return _("{pictures}, {size} px").format(pictures=words, size=info.size)
    return ngettext("{count} text", "{count} texts", count).format(count=f"{count:,}")
