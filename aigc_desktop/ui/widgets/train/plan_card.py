"""The card before the start: what will happen, how long it takes, and every problem at once."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.family import Plan
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.ui.format import readable_count, readable_time
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import ChoiceBox, label


class PlanCard(Card):
    """Shows a Plan; `preset_chosen` gives the name of the preset the user picks.

    `ready` says whether the task can start; if not, `reason` is the sentence to show at the disabled button.
    """

    preset_chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _("Before you start"))
        self.plan: Plan | None = None
        self.ready = False
        self.reason = _("Choose a data set first.")
        self.presets = ChoiceBox(_("Size"), _("A starting point chosen for your data and this machine."))
        self.add(self.presets)
        self.summary = label("", "secondary")
        self.add(self.summary)
        self.table = QWidget()
        self.grid = QGridLayout(self.table)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(theme.px(12))
        self.grid.setVerticalSpacing(theme.px(4))
        self.grid.setColumnStretch(1, 1)
        self.facts: list[tuple[QLabel, QLabel]] = []
        self.add(self.table)
        self.problems = label("", "problem", selectable=True)
        self.add(self.problems)
        self.notes = label("", "hint")
        self.add(self.notes)
        self.presets.activated.connect(self._activated)
        self.show_waiting(self.reason)

    def show_waiting(self, text: str = "") -> None:
        """Say that the plan is being made, or what is missing for it."""
        self.plan, self.ready = None, False
        self.reason = text or _("Working out what this takes…")
        self.presets.hide()
        self.table.hide()
        self.problems.hide()
        self.notes.hide()
        self.summary.setText(self.reason)
        self.summary.show()
        self.set_tone("")

    def show_plan(self, plan: Plan) -> None:
        """Show what will happen."""
        self.plan, self.ready = plan, not plan.problems
        self.reason = "\n".join(problem.message for problem in plan.problems)
        self._show_presets(plan)
        self._show_facts(facts_of(plan))
        self.problems.setText("\n".join(f"• {problem.message}" for problem in plan.problems))
        self.problems.setVisible(bool(plan.problems))
        self.notes.setText("\n".join(plan.notes))
        self.notes.setVisible(bool(plan.notes))
        self.set_tone("red" if plan.problems else "")

    def _show_presets(self, plan: Plan) -> None:
        self.presets.clear()
        for preset in plan.presets:
            self.presets.addItem(_(preset.title), preset.name)
        chosen = next((preset for preset in plan.presets if preset.name == plan.preset), None)
        self.presets.setCurrentIndex(self.presets.findData(plan.preset))
        self.presets.setVisible(bool(plan.presets))
        self.summary.setText(_(chosen.summary) if chosen else "")
        self.summary.setVisible(bool(chosen and chosen.summary))

    def _show_facts(self, facts: list[tuple[str, str]]) -> None:
        while len(self.facts) < len(facts):
            name, value = label("", "secondary", wrap=False), label("", selectable=True)
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
            self.grid.addWidget(name, len(self.facts), 0, Qt.AlignmentFlag.AlignTop)
            self.grid.addWidget(value, len(self.facts), 1)
            self.facts.append((name, value))
        for row, (name, value) in enumerate(self.facts):
            shown = row < len(facts)
            name.setVisible(shown)
            value.setVisible(shown)
            if shown:
                name.setText(facts[row][0])
                value.setText(facts[row][1])
                value.setAccessibleName(": ".join(facts[row]))
        self.table.show()

    def _activated(self) -> None:
        self.preset_chosen.emit(str(self.presets.currentData()))


def facts_of(plan: Plan) -> list[tuple[str, str]]:
    """Return the lines of a plan as (name, value); a figure that could not be worked out says so."""
    unknown = _("not known yet")
    facts = []
    if plan.parameters:
        facts.append((_("Model"), _("{count} weights").format(count=readable_count(plan.parameters))))
    if plan.items:
        items = ngettext("{count} item", "{count} items", plan.items)
        facts.append((_("Data"), items.format(count=f"{plan.items:,}")))
    if plan.steps:
        steps = ngettext("{count} step", "{count} steps", plan.steps)
        facts.append((_("Training length"), steps.format(count=f"{plan.steps:,}")))
    time = unknown if plan.seconds is None else _("about {time}").format(time=readable_time(plan.seconds))
    facts.append((_("Time"), time))
    if plan.good_after_s is not None:
        facts.append((_("Good result after"), _("about {time}").format(time=readable_time(plan.good_after_s))))
    if plan.memory_mb:
        facts.append((_("Memory"), _("about {size}").format(size=readable_size(plan.memory_mb * 1e6))))
    if plan.disk_mb:
        facts.append((_("Disk"), _("about {size}").format(size=readable_size(plan.disk_mb * 1e6))))
    if plan.device:
        facts.append((_("Runs on"), _("processor") if plan.device == "cpu" else plan.device))
    return facts
