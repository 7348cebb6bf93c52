"""Parts of the Train page's right side: figures of a running training, and what comes after its end."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import RunInfo
from aigc_desktop.ui.format import readable_time
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, label, set_role


class FactGrid(QWidget):
    """Names left, values right, in a fixed order; what is not known is left out."""

    def __init__(self, theme: Theme, names: tuple[str, ...]) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.px(12))
        grid.setVerticalSpacing(theme.px(4))
        grid.setColumnStretch(1, 1)
        self.rows: dict[str, tuple[QLabel, QLabel]] = {}
        for row, name in enumerate(names):
            left, right = label(name, "secondary", wrap=False), label("", wrap=False)
            right.setAlignment(Qt.AlignmentFlag.AlignRight)
            right.setFont(theme.font("number"))
            grid.addWidget(left, row, 0)
            grid.addWidget(right, row, 1)
            self.rows[name] = (left, right)

    def show_facts(self, facts: dict[str, str]) -> None:
        """Show the values of these names."""
        for name, (left, right) in self.rows.items():
            left.setVisible(name in facts)
            right.setVisible(name in facts)
            right.setText(facts.get(name, ""))
            right.setAccessibleName(f"{name}: {facts.get(name, '')}")


class EndCard(Card):
    """How a training ended, and what can be done next; the one next step is the primary button."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, " ")
        self.text = label("", "secondary")
        self.add(self.text)
        self.use_button = button(theme, _("Use in Create"), "create", "primary", _("Make works with this model"))
        self.compare_button = button(
            theme, _("Compare before and after"), "columns-2",
            tip=_("What the model writes now and what it wrote before"),
        )
        self.continue_button = button(theme, _("Continue"), "play", "", _("Train on from the last saved version"))
        self.folder_button = button(
            theme, _("Open the folder"), "folder-open", "", _("Model files, curves and samples, to copy or to back up")
        )
        self.another_button = button(theme, _("Train another"), "plus", "", _("Choose data and model for a new run"))
        flow = FlowLayout(theme.px(8))
        for part in (
            self.use_button, self.compare_button, self.continue_button, self.folder_button, self.another_button
        ):  # fmt: skip
            flow.addWidget(part)
        self.add(flow)
        self.hide()

    def show_ending(self, info: RunInfo, status: str, checkpoints: list[str], comparable: bool) -> None:
        """Show the end of a run that has these saved versions; `comparable` with what it was before."""
        can_go_on = status != "finished"
        self.title.setText(_title(status, bool(checkpoints)))
        self.set_tone("green" if status == "finished" else "")
        self.text.setText(_words(info))
        self.use_button.setVisible(bool(checkpoints))
        self.compare_button.setVisible(bool(checkpoints) and comparable)
        self.continue_button.setVisible(can_go_on)
        step = int(checkpoints[-1]) if checkpoints else 0
        text = _("Continue from step {step}").format(step=f"{step:,}")
        self.continue_button.setText(text)
        self.continue_button.setAccessibleName(text)
        self._make_primary(self.continue_button if can_go_on else self.use_button)
        self.show()

    def _make_primary(self, chosen: QPushButton) -> None:
        for part, icon in ((self.use_button, "create"), (self.continue_button, "play")):
            part.setIcon(self.theme.icon(icon, "on_accent" if part is chosen else ""))
            set_role(part, kind="primary" if part is chosen else "")


def _title(status: str, saved: bool) -> str:
    match status:
        case "finished":
            return _("Model ready")
        case "failed":
            return _("Training stopped")
        case "interrupted":
            return _("Training was interrupted")
        case "new":
            return _("Not started yet")
    return _("Stopped and saved") if saved else _("Stopped before anything was saved")


def _words(info: RunInfo) -> str:
    steps = _("{done} of {total} steps in {time}").format(
        done=f"{info.step:,}", total=f"{info.total:,}", time=readable_time(info.seconds)
    )
    lines = [info.title, steps]
    if info.best.isdecimal():
        lines.append(_("Best version: step {step}").format(step=f"{int(info.best):,}"))
    return "\n".join(lines)
