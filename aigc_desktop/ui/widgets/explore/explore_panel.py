"""The right side of the Explore page: model and version, what to do, and the one button that keeps."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _, sentences
from aigc_desktop.core.run import Run
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import button, label, titled
from aigc_desktop.ui.widgets.forms.inputs import ChoiceInput, checkpoint_choices, run_choices
from aigc_desktop.ui.widgets.segmented import Segmented
from aigc_desktop.ui.widgets.side_by_side import Scrolled


class ExplorePanel(QWidget):
    """`chosen` when another model or version is to be explored, `keep_asked` for the picture looked at."""

    chosen = Signal()
    keep_asked = Signal()

    def __init__(self, services: Services, tabs: list[tuple[str, str, QWidget]]) -> None:
        super().__init__()
        self.services = services
        theme = services.theme
        self.run_input = ChoiceInput([], _("Choose a model…"))
        self.version_input = ChoiceInput([])
        self.mode = Segmented(theme, [(key, title) for key, title, _widget in tabs])
        self.stack = QStackedWidget()
        self.keys = [key for key, _title, _widget in tabs]
        self.tabs = [Scrolled(widget) for _key, _title, widget in tabs]
        for tab in self.tabs:
            self.stack.addWidget(tab)
        self.problem = label("", "problem")
        self.problem.hide()
        self.button = button(
            theme, _("Keep in the Library"), "library", "primary", _("Keep the picture looked at (Ctrl+Enter)")
        )
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(12))
        for text, control, tip in (
            (_("Model"), self.run_input, _("The trained model that is explored.")),
            (_("Version"), self.version_input, _("Which saved version of it; the best one by default.")),
        ):
            control.control.setAccessibleName(text)
            control.control.setToolTip(tip)
            box.addWidget(titled(text, control, theme.px(4)))
        box.addWidget(self.mode)
        box.addWidget(self.stack, 1)
        box.addWidget(self.problem)
        box.addWidget(self.button)
        self.run_input.edited.connect(self._run_chosen)
        self.version_input.edited.connect(self.chosen)
        self.mode.chosen.connect(self.show_tab)
        self.show_tab(self.keys[0])
        self.button.clicked.connect(self.keep_asked)

    def refresh(self) -> None:
        """Read the models of the workspace again; the chosen one stays, or the newest is taken."""
        before = self.run_input.value()
        self.run_input.fill(explored_choices(self.services))
        self.run_input.show_value(before)
        if self.run_input.value() is None and self.run_input.box.count():
            self.run_input.box.setCurrentIndex(0)
        self._fill_versions()

    def choose(self, run: str, checkpoint: str = "") -> bool:
        """Choose a model and version; False when they are not there."""
        self.run_input.show_value(run)
        if self.run_input.value() is None:
            self.refresh()
            return False
        self._fill_versions()
        if checkpoint:
            self.version_input.show_value(checkpoint)
            if self.version_input.value() is None:
                self.version_input.show_value("best")
                return False
        return True

    def show_tab(self, key: str) -> None:
        """Show one of the tabs; where all of it is shown, the others, which may be longer, ask for no room."""
        self.mode.choose(key)
        shown = self.tabs[self.keys.index(key)]
        for tab in self.tabs:
            vertical = QSizePolicy.Policy.Expanding if tab is shown else QSizePolicy.Policy.Ignored
            tab.setSizePolicy(QSizePolicy.Policy.Expanding, vertical)
        self.stack.setCurrentWidget(shown)

    def current(self) -> tuple[Run, str] | None:
        """Return the chosen model and its version by its own name; None, and say why, when it cannot be had."""
        name = self.run_input.value()
        if name is None:
            return None
        try:
            run = self.services.workspace.run(name)
            version = run.checkpoint(self.version_input.value() or "best").name
        except UserError as error:
            self.show_problem(sentences(error.message, error.hint))
            return None
        self.show_problem("")
        return run, version

    def show_problem(self, text: str) -> None:
        """Say what is wrong, above the button."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def _run_chosen(self) -> None:
        self._fill_versions()
        self.chosen.emit()

    def _fill_versions(self) -> None:
        before = self.version_input.value()
        self.version_input.fill(checkpoint_choices(self.services.workspace, self.run_input.value()))
        self.version_input.show_value(before)
        if self.version_input.value() is None:
            self.version_input.show_value("best")


def explored_choices(services: Services) -> list[tuple[str, str]]:
    """Return the trained models that have a latent space, newest first; none before the engine is ready."""
    families = {task.family for task in services.jobs.catalogue.values() if task.explored}
    found = run_choices(services.workspace)
    return [(run, title) for run, title in found if services.workspace.run(run).info.task.split(".")[0] in families]
