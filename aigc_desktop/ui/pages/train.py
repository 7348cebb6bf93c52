"""The Train page: choose, start, watch, and go on from where a training stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QVBoxLayout

from aigc_desktop.core.errors import UserError, failure_of
from aigc_desktop.core.events import Event, Failed, Finished, Stopped
from aigc_desktop.core.family import TaskSpec
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.ui.jobs import JobHandle
from aigc_desktop.ui.page import Page
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.stopping import ask_stop
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.fitted_stack import FittedStack
from aigc_desktop.ui.widgets.side_by_side import Scrolled, SideBySide
from aigc_desktop.ui.widgets.train.interrupted_banner import InterruptedBanner

if TYPE_CHECKING:
    from aigc_desktop.ui.widgets.wall.sample_wall import SampleOrigin

RIGHT_PX = 300


class TrainPage(Page):
    """Three views: no data yet, a training to set up, a run to watch."""

    title = N_("Train")
    icon = "train"
    order = 30

    def steps(self) -> Sequence[Callable[[], None]]:
        """Make the widgets; those that read pictures are imported then, not when the window starts."""
        return (self._lay_out, self._make_setup, lambda: self.setup.refresh(), self._make_view, self._make_panel)

    def _lay_out(self) -> None:
        theme = self.services.theme
        self.run: Run | None = None
        self.handle: JobHandle | None = None
        self.banner = InterruptedBanner(self.services)
        self.banner.continue_asked.connect(self._continue_interrupted)
        self.stack = FittedStack()
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.px(24), theme.px(8), theme.px(24), theme.px(16))
        box.setSpacing(theme.px(12))
        box.addWidget(self.banner)
        box.addLayout(self.stack, 1)
        self.empty = EmptyState(
            theme, "data", _("Nothing to learn from yet"),
            _("Bring in pictures or texts and make them ready; then choose a model here."), _("Go to Data"),
            folder=self.services.folder,
        )  # fmt: skip
        self.empty.acted.connect(self._go_to_data)
        self.stack.addWidget(self.empty)

    def shown(self, **arguments: Any) -> None:
        """Open a `run` (an id; with `resume` train it on), or set up a training of `dataset`."""
        run_id, dataset = str(arguments.get("run", "")), str(arguments.get("dataset", ""))
        if run_id:
            self._open(run_id)
            if arguments.get("resume") and self.handle is None:
                self.go_on()
        elif dataset:
            self._set_up(dataset)
        elif self.run is None or not self.run.folder.exists():
            training = self.services.jobs.training()
            if training:
                self._watch(self._run_of(training[-1]), training[-1])
            else:
                self._set_up()
        elif self.stack.currentIndex() != 2:
            self._set_up()
        self._look_for_interrupted()

    # setting up

    def _set_up(self, dataset: str = "") -> None:
        self.setup.refresh(dataset)
        self.stack.setCurrentIndex(1 if self.setup.has_data else 0)

    def _start(self, chosen: tuple[TaskSpec, dict[str, Any]]) -> None:
        """Make the run's folder and start to train."""
        task, values = chosen
        info = self.setup.chosen_info()
        title = f"{info.title if info else values.get('dataset', '')} · {_(task.family_title)}"
        try:
            run = self.services.workspace.new_run(task.key, values, title)
        except OSError as error:
            self.services.show_failure(failure_of(error))
            return
        self._train(run)

    def _train(self, run: Run) -> None:
        workspace = str(self.services.workspace.folder)
        try:
            request = JobRequest(run.info.task, run.config_values, workspace, str(run.folder))
        except UserError as error:
            self.services.show_failure(failure_of(error))
            return
        self._watch(run, self.services.jobs.run(request))

    # watching

    def _open(self, run_id: str) -> None:
        """Show a run, running or not."""
        try:
            run = self.services.workspace.run(run_id)
            running = [h for h in self.services.jobs.training() if h.run_folder == run.folder]
            if self.run is not None and run.folder == self.run.folder and running == [self.handle]:
                self.stack.setCurrentIndex(2)
                return
            self._watch(run, running[0] if running else None)
        except UserError as error:
            self.services.show_failure(failure_of(error))
            self._set_up()

    def _watch(self, run: Run, handle: JobHandle | None) -> None:
        if self.handle is not None:
            self.handle.events.disconnect(self._take)
            self.handle.ended.disconnect(self._ended)
        self.run, self.handle = run, handle
        self.view.show_run(run)
        self.panel.show_run(run, handle, self.view.stopwatch)
        if handle is not None:
            handle.events.connect(self._take)
            handle.ended.connect(self._ended)
        self.stack.setCurrentIndex(2)
        self._look_for_interrupted()

    def _run_of(self, handle: JobHandle) -> Run:
        workspace = self.services.workspace.folder
        return Run(handle.run_folder or workspace, workspace)

    def _take(self, events: list[Event]) -> None:
        self.view.add_events(events)
        self.panel.take(events)

    def _ended(self, ending: Finished | Stopped | Failed) -> None:
        self.handle = None
        self.view.stopwatch.run(False)
        if self.run is not None:
            self.panel.show_ending(self.run.info, ending)
        QTimer.singleShot(0, self, self._leave_discarded)  # "Stop and discard" moves the run away after this

    def _leave_discarded(self) -> None:
        if self.run is not None and not self.run.folder.exists():
            self.run = None
            self.view.show_run(None)
            self._set_up()

    def go_on(self) -> None:
        """Train the shown run on from its last saved version."""
        if self.run is not None and self.handle is None:
            self._train(self.run)

    def _ask_stop(self) -> None:
        if self.handle is not None:
            ask_stop(self.handle, self.services, self)

    # what comes next

    def _use(self) -> None:
        if self.run is not None:
            self.services.navigate("create", run=self.run.id)

    def _like_this(self, origin: SampleOrigin) -> None:
        """Go to Create with run, version, seed and label of a cell."""
        self._use_cell("create", origin)

    def _vary(self, origin: SampleOrigin) -> None:
        """Go to Explore and make variants of a cell."""
        self._use_cell("explore", origin)

    def _use_cell(self, place: str, origin: SampleOrigin) -> None:
        if self.run is None:
            return
        names = self.run.checkpoints()
        exact = f"{origin.step:06d}"
        if not names:
            self.services.notify(_("No version is saved yet. Choose “Save now”, then try again."))
            return
        if exact in names:
            checkpoint = exact
        else:
            checkpoint = min(names, key=lambda name: abs(int(name) - origin.step))
            self.services.notify(
                _("The version of step {wanted} was not kept; the nearest is of step {found}.").format(
                    wanted=f"{origin.step:,}", found=f"{int(checkpoint):,}"
                )
            )
        self.services.navigate(
            place, run=self.run.id, checkpoint=checkpoint, seed=origin.seed, label=origin.label,
            **({"settings": {"caption": origin.caption}} if origin.caption else {}),
        )  # fmt: skip

    def _compare(self) -> None:
        if self.run is not None:
            task = f"{self.run.info.task.split('.')[0]}.compare"
            self.services.navigate("create", run=self.run.id, task=task, start=True)

    def _open_folder(self) -> None:
        if self.run is not None and not open_outside(self.run.folder):
            self.services.notify(_("The folder could not be opened: {path}").format(path=self.run.folder))

    def _another(self) -> None:
        self._set_up()

    def _go_to_data(self) -> None:
        self.services.navigate("data")

    # what a crash left

    def _look_for_interrupted(self) -> None:
        watched = self.run.id if self.run is not None and self.stack.currentIndex() == 2 else ""
        self.banner.look(watched)

    def _continue_interrupted(self, run_id: str) -> None:
        self._open(run_id)
        self.go_on()

    # making

    def _make_setup(self) -> None:
        from aigc_desktop.ui.widgets.train.train_setup import TrainSetup

        self.setup = TrainSetup(self.services)
        self.setup.started.connect(self._start)
        self.setup.data_asked.connect(self._go_to_data)
        self.stack.addWidget(self.setup)

    def _make_view(self) -> None:
        from aigc_desktop.ui.widgets.train.run_view import RunView

        self.view = RunView(self.services)
        self.view.like_this.connect(self._like_this)
        self.view.variants_asked.connect(self._vary)

    def _make_panel(self) -> None:
        from aigc_desktop.ui.widgets.train.run_panel import RunPanel

        self.panel = RunPanel(self.services)
        for signal, slot in (
            (self.panel.stop_asked, self._ask_stop), (self.panel.continue_asked, self.go_on),
            (self.panel.create_asked, self._use), (self.panel.compare_asked, self._compare),
            (self.panel.folder_asked, self._open_folder),
            (self.panel.another_asked, self._another),
        ):  # fmt: skip
            signal.connect(slot)
        self.stack.addWidget(SideBySide(self.services.theme, self.view, Scrolled(self.panel), (RIGHT_PX, RIGHT_PX)))


PAGE = TrainPage
