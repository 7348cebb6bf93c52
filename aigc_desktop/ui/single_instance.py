"""One window per user: a second start hands its files to the first, which comes to the front.

The first holds an operating system lock on a file; the second leaves its wish as a file in a folder the first
watches. No socket, so nothing here even looks like a network.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.paths import config_dir
from aigc_desktop.core.workspace import workspace_lock


class SingleInstance(QObject):
    """`first` says whether this process is the one that shows the window; `asked` gives the files of a later start."""

    asked = Signal(object)
    """A list of paths, empty when only the window is wanted."""

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

    def forward(self, paths: list[Path]) -> None:
        """Hand files to the first window; call when `first` is False."""
        write_json(self.folder / f"{time.time_ns()}-{os.getpid()}.json", [str(path.absolute()) for path in paths])

    def release(self) -> None:
        """Let go of the lock, at the end of the program."""
        self._lock.close()

    def _look(self) -> None:
        for wish in sorted(self.folder.glob("*.json")):
            try:
                paths = [Path(text) for text in read_json(wish) if isinstance(text, str)]
            except (OSError, UserError, TypeError):
                paths = []
            wish.unlink(missing_ok=True)
            self.asked.emit(paths)
