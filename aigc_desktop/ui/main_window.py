"""The window: the rail, the open page, the queue and the status line; it lends its services to the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QIcon, QPaintEvent, QShortcut
from PySide6.QtWidgets import QFileDialog, QMainWindow, QPushButton, QWidget

from aigc_desktop.core.discover import discover
from aigc_desktop.core.errors import failure_of
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences, save_preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui import pages as page_modules
from aigc_desktop.ui.closing import Closing
from aigc_desktop.ui.commands import Command, KeyList, install
from aigc_desktop.ui.geometry import SMALLEST, restore_geometry, save_geometry
from aigc_desktop.ui.help import HelpDialog
from aigc_desktop.ui.jobs import JobCenter, JobHandle
from aigc_desktop.ui.language import use_language
from aigc_desktop.ui.page import Page, Services
from aigc_desktop.ui.recent import remember_workspace
from aigc_desktop.ui.shell import Shell
from aigc_desktop.ui.slices import Slices
from aigc_desktop.ui.stopping import ask_stop
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.failure import FailureDialog

FAILURES_AT_ONCE = 3


class MainWindow(QMainWindow):
    """Shows one page at a time; pages are built on their first visit."""

    painted = Signal()
    """The window is on the screen for the first time: what can wait for that begins."""
    rebuilt = Signal()
    """The open page is there again after all widgets were made anew."""

    def __init__(self, workspace: Workspace, preferences: Preferences, jobs: JobCenter, theme: Theme) -> None:
        super().__init__()
        self.setWindowTitle(_("AIGC Desktop"))
        self.setWindowIcon(QIcon(str(resources() / "icons" / "app.svg")))
        self.setMinimumSize(SMALLEST)
        self.setAcceptDrops(True)
        self.services = Services(
            workspace, preferences, jobs, theme, self.navigate, self.notify, self.show_failure, self.change_preferences
        )
        found = sorted(discover(page_modules, "PAGE"), key=lambda page: (page.section != "work", page.order))
        self.places: dict[str, type[Page]] = {page.__module__.rsplit(".", 1)[-1]: page for page in found}
        self.place = ""
        self.pages: dict[str, Page] = {}
        self.commands = self._commands()
        self.closing = Closing(self, self.services)
        self.closing.ready.connect(self.close)
        self._watched: set[JobHandle] = set()
        self._seen = self._ahead = False
        self._builders: dict[str, Iterator[None]] = {}
        self._slices: Slices | None = None
        jobs.changed.connect(self._watch_jobs)
        self.shell = self._build()
        install(self, self.commands)
        self.painted.connect(partial(remember_workspace, workspace.folder))
        place = restore_geometry(self)
        self.navigate(place if place in self.places else next(iter(self.places)))

    # services for pages

    def navigate(self, place: str, **arguments: Any) -> None:
        """Show a page, built on its first visit, and hand it the arguments."""
        if place not in self.places:
            raise KeyError(f"no page {place!r}")
        if place not in self.pages:
            for _step in self._builders.pop(place, None) or self._build_page(place):
                pass
        self.place = place
        self.shell.show_page(place, _(self.places[place].title))
        self._let_keys_of_the_page_win()
        self.pages[place].shown(**arguments)

    def notify(self, text: str, undo: Callable[[], None] | None = None) -> None:
        """Tell something in passing."""
        self.shell.toast.show_message(text, undo)

    def show_failure(self, failed: Failed, on_resume: Callable[[], None] | None = None) -> None:
        """Show what went wrong, without stopping the window; the same thing twice is shown once."""
        shown = [dialog.failed.message for dialog in self.findChildren(FailureDialog)]
        if failed.message not in shown and len(shown) < FAILURES_AT_ONCE:  # a timer may fail 30 times a second
            FailureDialog(self.services.theme, failed, on_resume, self).open()

    def change_preferences(self, preferences: Preferences, move: bool = False) -> None:
        """Save the preferences and apply them at once; a new language, scale or workspace rebuilds the pages.

        `move` opens their workspace even if it is the one of before: the command may have named another for this time.
        """
        services, old = self.services, self.services.preferences
        if (move or preferences.workspace != old.workspace) and preferences.workspace:
            services.workspace = Workspace.open(Path(preferences.workspace))  # or nothing is changed
            remember_workspace(services.workspace.folder)
        services.preferences = preferences
        if (failed := _save(preferences)) is not None:
            self.show_failure(failed)  # they are at work all the same, until the program ends
        if preferences.language != old.language:
            use_language(preferences.language)
        if move or _rebuilds(preferences) != _rebuilds(old):
            QTimer.singleShot(0, self, self.rebuild)  # the page that asked is still on the call stack
        elif preferences.theme != old.theme:
            self.services.theme.apply(preferences)

    # files from outside

    def open_paths(self, paths: list[Path]) -> None:
        """Take files and folders given on the command line, dropped or forwarded by a second start."""
        if paths:
            self.navigate("data", paths=paths)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() and any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.open_paths([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._seen:
            self._seen = True
            QTimer.singleShot(0, self, self.painted.emit)  # when all that lies on the window is painted too

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.services.jobs.handles:
            event.ignore()
            self.closing.ask()
            return
        save_geometry(self, self.place)
        self.hide()  # what follows may wait for the engine to end
        self.services.jobs.shut_down()
        event.accept()

    # the shell

    def build_ahead(self) -> None:
        """Build the pages that are not visited yet, in short slices while nobody waits."""
        self._ahead = True
        self._slices = Slices(self._build_all(), self)

    def _build_all(self) -> Iterator[None]:
        for place in self.places:
            yield from self._build_unless_visited(place)

    def _build_unless_visited(self, place: str) -> Iterator[None]:
        if place not in self.pages:
            self._builders[place] = builder = self._build_page(place)
            try:
                yield from builder
            finally:
                self._builders.pop(place, None)

    def _build_page(self, place: str) -> Iterator[None]:
        """Build a page and yield after each of its steps; a visit meanwhile takes the rest of them."""
        page = self.places[place](self.services)
        self.shell.add_page(place, page)  # first: Qt styles a widget anew each time one of its parents moves
        for step in page.steps():
            step()
            yield
        self.pages[place] = page

    def rebuild(self) -> None:
        """Make all widgets again, in the language and size that hold now; jobs go on.

        In slices too: the old picture stays on the screen until the open page is there.
        """
        if self._slices is not None:
            self._slices.stop()
            self._slices.deleteLater()
        self.setUpdatesEnabled(False)
        self._slices = Slices(self._rebuild_in_slices(), self)

    def _rebuild_in_slices(self) -> Iterator[None]:
        try:
            for place in list(self.pages):
                self.pages.pop(place, None)
                _delete_now(self.shell.areas[place])  # what is still there is styled once more
                yield
            self.pages.clear()
            self._replace_shell()
            yield
            yield from self._build_unless_visited(self.place)
            self.navigate(self.place)
        except Exception:  # not `finally`: that runs too when the generator is closed with the window gone
            self.setUpdatesEnabled(True)
            raise
        self.setUpdatesEnabled(True)
        self.rebuilt.emit()
        yield
        if self._ahead:
            yield from self._build_all()

    def _replace_shell(self) -> None:
        told = self.shell.toast.told()  # an Undo would call a page that is gone
        self.takeCentralWidget()
        _delete_now(self.shell)
        self.services.theme.apply(self.services.preferences)
        self.setWindowTitle(_("AIGC Desktop"))
        for action in self.actions():
            self.removeAction(action)
        install(self, self.commands)
        self.shell = self._build()
        if told:
            self.notify(told)

    def _build(self) -> Shell:
        shell = Shell(self.services, self.places)
        self.setCentralWidget(shell)
        shell.rail.chosen.connect(self.navigate)
        shell.dock.stop_asked.connect(self._ask_stop)
        shell.help_asked.connect(self.show_help)
        shell.keys_asked.connect(self.show_keys)
        return shell

    def _commands(self) -> list[Command]:
        def go(place: str) -> Callable[[], None]:
            return lambda: self.navigate(place)

        places = list(self.places.items())[:9]
        return [
            *(Command(page.title, (f"Ctrl+{i}",), go(place)) for i, (place, page) in enumerate(places, 1)),
            Command(N_("New: bring in pictures or texts"), ("Ctrl+N",), go("data")),
            Command(N_("Open files"), ("Ctrl+O",), self.choose_files),
            Command(N_("Start: press the main button of the page"), ("Ctrl+Return", "Ctrl+Enter"), self.press_primary),
            Command(N_("Stop the running job (asks first)"), ("Esc",), self._stop_newest),
            Command(N_("Undo"), ("Ctrl+Z",), lambda: self.shell.toast.undo()),
            Command(N_("Settings"), ("Ctrl+,",), go("settings")),
            Command(N_("Help"), ("F1",), self.show_help),
            Command(N_("All keys"), ("Ctrl+/",), self.show_keys),
            Command(N_("Quit"), ("Ctrl+Q",), self.close),
        ]

    def _let_keys_of_the_page_win(self) -> None:
        """Switch off what the open page has a key of its own for: Qt answers neither of two equal keys."""
        own = {shortcut.key().toString() for shortcut in self.pages[self.place].findChildren(QShortcut)}
        for action in self.actions():
            action.setEnabled(not own & {keys.toString() for keys in action.shortcuts()})

    def choose_files(self) -> None:
        """Ask for files and bring them to the Data page."""
        names, _filter = QFileDialog.getOpenFileNames(self, _("Open pictures or texts"))
        self.open_paths([Path(name) for name in names])

    def press_primary(self) -> None:
        """Press the page's one next step, if it can be pressed now."""
        page = self.pages.get(self.place)  # not there while the window is made again
        for made in page.findChildren(QPushButton) if page is not None else []:
            if made.property("kind") == "primary" and made.isVisible() and made.isEnabled():
                made.click()
                return

    def show_help(self) -> None:
        """Open the help at the topic of this page."""
        HelpDialog(self.services.theme, self.place, self).show()

    def show_keys(self) -> None:
        """Show the list of all keys."""
        KeyList(self.services.theme, self.commands, self.places, self).show()

    def _stop_newest(self) -> None:
        running = [handle for handle in self.services.jobs.handles if handle.status not in ("stopping", "ended")]
        if running:
            self._ask_stop(running[-1])

    def _ask_stop(self, handle: JobHandle) -> None:
        ask_stop(handle, self.services, self)

    def _watch_jobs(self) -> None:
        for handle in set(self.services.jobs.handles) - self._watched:
            handle.ended.connect(self._job_ended)
        self._watched = set(self.services.jobs.handles)

    def _job_ended(self) -> None:
        self.closing.tell_end(_("A job has ended."))


def _delete_now(widget: QWidget) -> None:
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(widget, QEvent.Type.DeferredDelete.value)


def _rebuilds(preferences: Preferences) -> tuple[str, int, str]:
    """Return the preferences that all widgets are made by."""
    return preferences.language, preferences.scale, preferences.workspace


def _save(preferences: Preferences) -> Failed | None:
    """Save the preferences; return what to tell when that is not possible."""
    try:
        save_preferences(preferences)
    except OSError as error:
        return failure_of(error)
    return None
