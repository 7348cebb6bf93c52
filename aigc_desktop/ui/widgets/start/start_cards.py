"""The cards at the foot of the Start page: recent runs, the machine in words, recent workspaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError, readable_size
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.run import Run, RunInfo, status_words
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.format import readable_date
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.recent import forget_workspace, recent_workspaces
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import IconView, NameButton, button, clear, icon_button, label
from aigc_desktop.ui.widgets.plots.sparkline import Sparkline
from aigc_desktop.ui.widgets.run_words import loss_values, status_icon
from aigc_desktop.ui.workspace_choice import open_workspace

RECENT = 4
NAME_PX = 170


class RecentRuns(Card):
    """The newest runs with the curve of their loss."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Recent runs"))
        self.services = services
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(services.theme.px(12))
        self.grid.setVerticalSpacing(services.theme.px(2))
        self.grid.setColumnStretch(1, 1)
        self.add(self.grid)
        self.empty = label(_("Nothing trained yet. The first run appears here with its curve."), "secondary")
        self.add(self.empty)
        self.body.addStretch(1)
        self.rows: list[QWidget] = []

    def refresh(self) -> None:
        """Read the newest runs, beside the window."""
        workspace = self.services.workspace
        Background(self, lambda: newest_runs(workspace), self._show, self._failed)

    def _show(self, runs: list[RecentRun]) -> None:
        for widget in self.rows:
            self.grid.removeWidget(widget)
            widget.deleteLater()
        self.rows = []
        self.empty.setVisible(not runs)
        theme = self.services.theme
        for number, run in enumerate(runs):
            icon, colour = status_icon(run.info.status)
            mark = IconView(theme, icon, 16, colour)
            name = NameButton(run.info.title, _("Show this run"))
            name.setProperty("run", run.run_id)
            name.setMinimumWidth(min(name.sizeHint().width(), theme.px(NAME_PX)))  # the curve gives way first
            name.clicked.connect(self._open)
            words = label(f"{status_words(run.info)} · {readable_date(run.info.created)}", "secondary", wrap=False)
            words.setContentsMargins(0, 0, 0, theme.px(6))  # nearer to its own name than to the next
            words.setIndent(theme.px(4))  # where the letters of the button above begin
            top, middle = 2 * number, Qt.AlignmentFlag.AlignVCenter  # words below the name: both may be long
            curved = len(run.values) > 1  # one value is no curve, and leaves its room to the name
            self.grid.addWidget(mark, top, 0, middle)
            self.grid.addWidget(name, top, 1, 1, 1 if curved else 2)
            self.grid.addWidget(words, top + 1, 1, Qt.AlignmentFlag.AlignTop)
            self.rows += [mark, name, words]
            if curved:
                line = Sparkline(theme, run.values)
                self.grid.addWidget(line, top, 2, 2, 1, middle)
                self.rows.append(line)

    def _failed(self, failed: Failed) -> None:
        self.empty.setText(failed.message)
        self.empty.show()

    def _open(self) -> None:
        self.services.navigate("train", run=str(self.sender().property("run")))


@dataclass(frozen=True)
class RecentRun:
    """What a line about a run shows."""

    run_id: str
    info: RunInfo
    values: list[float]


def newest_runs(workspace: Workspace) -> list[RecentRun]:
    """Return the newest runs that can be read."""
    return [made for made in map(_read, workspace.runs()[: 2 * RECENT]) if made is not None][:RECENT]


def _read(run: Run) -> RecentRun | None:
    try:
        return RecentRun(run.id, run.info, loss_values(run.metrics()))
    except (OSError, UserError, TypeError):
        return None


class MachineCard(Card):
    """What this machine is and what can be trained on it, in words."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("This machine"))
        self.services = services
        self.words = label("")
        self.facts = label("", "secondary")
        self.add(self.words)
        self.add(self.facts)
        self.body.addStretch(1)
        services.jobs.ready.connect(self.update_words)
        self.update_words()

    def update_words(self) -> None:
        """Say what is known of the machine now."""
        machine, known = self.services.jobs.machine, bool(self.services.jobs.catalogue)
        memory = readable_size(machine.memory)
        if not known:
            self.words.setText(_("Looking for a graphics card…"))
        elif machine.weak:
            self.words.setText(_("Small pictures and short texts train well here, on the processor. Larger sizes work "
                                 "too, but take hours; the card before each start says how long."))  # fmt: skip
        else:
            self.words.setText(_("The graphics card trains all sizes on offer; the card before each start says how "
                                 "long it takes and whether the memory is enough."))  # fmt: skip
        cores = ngettext("{count} processor core", "{count} processor cores", machine.cores)
        facts = [cores.format(count=machine.cores), _("{size} memory").format(size=memory)]
        if not machine.weak:
            facts.insert(0, f"{machine.device_name or machine.device} ({readable_size(machine.device_memory)})")
        self.facts.setText(" · ".join(facts))


class RecentWorkspaces(Card):
    """The workspaces used last; one whose folder is gone is grey and can be forgotten."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.theme, _("Recent workspaces"))
        self.services = services
        self.list = QVBoxLayout()
        self.list.setSpacing(services.theme.px(4))
        self.add(self.list)
        self.body.addStretch(1)

    def refresh(self) -> None:
        """Read the list again."""
        clear(self.list)
        for path in recent_workspaces():
            self.list.addWidget(self._make_row(path))

    def _make_row(self, path: Path) -> QWidget:
        theme, present = self.services.theme, path.is_dir()
        row = QWidget()
        box = QHBoxLayout(row)
        box.setContentsMargins(0, 0, 0, 0)
        open_now = path == self.services.workspace.folder
        if open_now:
            box.addWidget(IconView(theme, "folder-open", 16, "accent"))
            name: QWidget = label(path.name)
        else:
            name = button(theme, path.name, "folder", "flat")
            name.setProperty("left", True)
            name.setProperty("path", str(path))
            name.setEnabled(present)
            name.clicked.connect(self._open)
        name.setToolTip(str(path))
        box.addWidget(name, 1)
        box.addWidget(label(_("open now") if open_now else "" if present else _("not found"), "secondary", wrap=False))
        if not present:
            forget = icon_button(theme, "x", _("Forget {name}").format(name=path.name))
            forget.setProperty("path", str(path))
            forget.clicked.connect(self._forget)
            box.addWidget(forget)
        return row

    def _open(self) -> None:
        open_workspace(self.services, _path_of(self.sender()))

    def _forget(self) -> None:
        forget_workspace(_path_of(self.sender()))
        self.refresh()


def _path_of(sender: QObject) -> Path:
    return Path(str(sender.property("path")))
