"""What a page is, and what it may use: nothing is fetched from a global."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from aigc_desktop.core.settings import Preferences
    from aigc_desktop.core.workspace import Workspace
    from aigc_desktop.ui.jobs import JobCenter
    from aigc_desktop.ui.theme import Theme


@dataclass
class Services:
    """What the window lends to its pages."""

    workspace: Workspace
    preferences: Preferences
    jobs: JobCenter
    theme: Theme
    navigate: Callable[..., None]
    """navigate(place, **arguments): show a page and call its `shown(**arguments)`."""
    notify: Callable[..., None]
    """notify(text, undo=None): tell something in passing; `undo` adds a button that calls it."""
    show_failure: Callable[..., None]
    """show_failure(failed, on_resume=None): the error dialog; `on_resume` adds a Resume button."""
    change_preferences: Callable[..., None]
    """change_preferences(preferences, move=False): save and apply them; `move` opens their workspace in any case."""

    def folder(self) -> Path:
        """Return the folder of the workspace that is open now."""
        return self.workspace.folder


class Page(QWidget):
    """One place of the window. A page file ends in `PAGE = ItsPage`."""

    title: ClassVar[str] = ""
    """The name in the rail, marked with N_."""
    icon: ClassVar[str] = ""
    """File name in resources/icons, without the ending."""
    order: ClassVar[int] = 0
    section: ClassVar[Literal["work", "more"]] = "work"

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services

    def build(self) -> None:
        """Make the widgets and connect their signals; called once, before the first visit."""
        for step in self.steps():
            step()

    def steps(self) -> Sequence[Callable[[], None]]:
        """Return the parts of `build` in their order; a page that is long in the making has several, each below 30 ms.

        A page writes either `build` or `steps`.
        """
        return (self.build,)

    def shown(self, **arguments: Any) -> None:
        """Take what the page was opened with; called each time the user comes here."""
