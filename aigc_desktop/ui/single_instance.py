"""One window per user: a second start hands its files and workspace to the first, which comes to the front.

The first holds an operating system lock on a file; the second leaves its wish as a file in a folder the first
watches. No socket, so nothing here even looks like a network.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.paths import config_dir
from aigc_desktop.core.typed import typed
from aigc_desktop.core.workspace import workspace_lock


@dataclass(frozen=True)
class Wish:
    """What a later start leaves for the window; no workspace is that of the window."""

    files: list[str] = field(default_factory=list)
    workspace: str = ""


class SingleInstance(QObject):
    """`first` says whether this process is the one that shows the window; `asked` gives what a later start wants."""

    asked = Signal(object, object)
    """A list of paths, empty when only the window is wanted, and the workspace that was named, or None."""

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.folder = (folder or config_dir()) / "open"
        self._lock = ExitStack()
        self.first = True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.first = self._lock.enter_context(workspace_lock(self.folder))
        except OSError:  # where nothing can be written no start finds another; each shows its own window
            return
        if not self.first:
            self.release()
            return
        for left in self.folder.glob("*.json"):  # of a start long ago that nobody answered
            with suppress(OSError):
                left.unlink(missing_ok=True)
        self._watcher = QFileSystemWatcher([str(self.folder)], self)
        self._watcher.directoryChanged.connect(self._look)

    def forward(self, paths: list[Path], workspace: Path | None = None) -> None:
        """Hand files, and the workspace they are for, to the first window; call when `first` is False."""
        _let_come_to_front()
        wish = Wish([str(path.absolute()) for path in paths], str(workspace.absolute()) if workspace else "")
        write_json(self.folder / f"{time.time_ns()}-{os.getpid()}.json", asdict(wish))

    def release(self) -> None:
        """Let go of the lock, at the end of the program."""
        self._lock.close()

    def _look(self) -> None:
        for wish in sorted(self.folder.glob("*.json")):
            try:
                values = typed(Wish, read_json(wish))
            except (OSError, UserError, ValueError):
                values = Wish()
            with suppress(OSError):
                wish.unlink(missing_ok=True)
            workspace = Path(values.workspace) if values.workspace else None
            self.asked.emit([Path(text) for text in values.files], workspace)


def _let_come_to_front() -> None:
    """Let the first window come to the front: on Windows only the process that the user started may say so."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.AllowSetForegroundWindow(-1)  # ASFW_ANY
