"""A workspace: a folder the user can see, copy and back up. Files are the truth.

datasets/ runs/ results/ evaluations/ library/ models/ masks/ queue/ recipes/ trash/
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_desktop.core.claim import worked_in
from aigc_desktop.core.errors import UserError, system_reason
from aigc_desktop.core.files import move, readable_path, safe_name, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import PARTIAL
from aigc_desktop.core.run import Run, RunInfo

if TYPE_CHECKING:
    from aigc_desktop.core.dataset import Dataset
    from aigc_desktop.core.model import Model

FOLDERS = ("datasets", "runs", "results", "evaluations", "library", "models", "masks", "queue", "recipes", "trash")
QUIET_S = 3600.0
"""A job writes more often than that."""
BEGIN_S = 2.0
"""A folder is held that long after it was made."""
_LONGEST_NAME = 200  # bytes; every system takes so many
_SHOWN = 80  # letters of what is no name
_DATE = "%Y-%m-%d_%H%M%S"
_DATED = re.compile(r"\d{4}-\d\d-\d\d_\d{6}")


class Workspace:
    """The folder all work lies in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """Open `folder` as a workspace, made when it is not there; UserError when it cannot be written."""
        try:
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError for a path with a zero byte or half a character
            raise UserError(
                _("The folder {path} cannot be used as a workspace: {reason}.").format(
                    path=readable_path(folder), reason=system_reason(error) if isinstance(error, OSError) else error
                ),
                _("Choose a folder that you may write to."),
            ) from error
        return cls(folder)

    def remove_leftovers(self, quiet_s: float = QUIET_S) -> list[Path]:
        """Remove what a crash left half-written in the folders of the program and return it.

        What another program is writing stays: folders that are held, and where the system cannot tell, as of files,
        all that was written to within `quiet_s` seconds.
        """
        found = [path for path in self._half_written() if not path.is_symlink() and _abandoned(path, quiet_s)]
        for path in found:
            with contextlib.suppress(OSError):  # it may be another's, or gone by now
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        return [path for path in found if not path.exists()]

    def _half_written(self) -> Iterator[Path]:
        """Yield the files and folders marked as half-written; others may come and go meanwhile."""
        for name in FOLDERS:
            for parent, folders, files in os.walk(self.folder / name):
                marked = [each for each in (*folders, *files) if each.endswith(PARTIAL)]
                folders[:] = [each for each in folders if not each.endswith(PARTIAL)]
                yield from (Path(parent, each) for each in marked)

    # data sets

    def datasets(self, unreadable: list[OSError | UserError] | None = None) -> list[Dataset]:
        """Return the data sets that can be read, newest first; why others cannot is put into `unreadable`."""
        from aigc_desktop.core.dataset import Dataset  # brings numpy, which the start of the window does without

        found = []
        for path in self._newest_first("datasets/*/dataset.json"):
            try:
                found.append(Dataset(path.parent))
            except (OSError, UserError) as error:  # a damaged one hides no other
                if unreadable is not None:
                    unreadable.append(error)
        return found

    def dataset(self, dataset_id: str) -> Dataset:
        """Return the data set with this id; UserError if it is not there."""
        from aigc_desktop.core.dataset import Dataset

        way_out = _("Import it on the Data page, or choose another one.")
        folder = self._member("datasets", dataset_id, way_out)
        if not (folder / "dataset.json").is_file():
            raise UserError(_("There is no data set “{name}” in this workspace.").format(name=dataset_id), way_out)
        return Dataset(folder)

    def new_dataset_folder(self, title: str) -> Path:
        """Return the path of a data set folder that does not exist yet, named after `title`."""
        return _unused(self.folder / "datasets" / safe_name(title))

    # pretrained models

    def models(self) -> list[Model]:
        """Return the imported models, newest first."""
        from aigc_desktop.core.model import Model

        return [Model(path.parent) for path in self._newest_first("models/*/model.json")]

    def model(self, model_id: str) -> Model:
        """Return the imported model with this id; UserError if it is not there."""
        from aigc_desktop.core.model import Model

        way_out = _("Import it on the Models page, or choose another one.")
        folder = self._member("models", model_id, way_out)
        if not (folder / "model.json").is_file():
            raise UserError(_("There is no imported model “{name}” in this workspace.").format(name=model_id), way_out)
        return Model(folder)

    def new_model_folder(self, title: str) -> Path:
        """Return the path of a model folder that does not exist yet, named after `title`."""
        return _unused(self.folder / "models" / safe_name(title))

    # runs and results

    def runs(self) -> list[Run]:
        """Return the training runs, newest first."""
        return [Run(path.parent, self.folder) for path in self._newest_first("runs/*/run.json")]

    def run(self, run_id: str) -> Run:
        """Return the training run with this id; UserError if it is not there."""
        way_out = _("Choose another one: the Runs page, or the command “runs”, lists them.")
        folder = self._member("runs", run_id, way_out)
        if not (folder / "run.json").is_file():
            raise UserError(_("There is no trained model “{name}” in this workspace.").format(name=run_id), way_out)
        return Run(folder, self.folder)

    def evaluations(self) -> list[Run]:
        """Return the evaluations of trained models, newest first."""
        return [Run(path.parent, self.folder) for path in self._newest_first("evaluations/*/run.json")]

    def new_run(self, task: str, config: dict[str, Any], title: str = "", parent: str = "runs") -> Run:
        """Make the directory of a new run of `task` ("family.name") and return it.

        `parent` "results" is for jobs that make something with a trained model, "evaluations" for those that measure
        one, "runs" for training. Without a title, what is made is called after the model that makes it.
        """
        now = datetime.now().astimezone()
        name = f"{now.strftime(_DATE)}_{task.split('.')[0]}"
        folder = _unused(self.folder / parent / name)
        folder.mkdir(parents=True)
        title = title or (self._model_title(config) if parent == "results" else "") or name
        info = RunInfo(task, title, now.isoformat(timespec="seconds"), dataset=str(config.get("dataset", "")))
        try:
            write_json(folder / "config.json", config)
            write_json(folder / "run.json", asdict(info))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Run(folder, self.folder)

    def _model_title(self, config: dict[str, Any]) -> str:
        """Return the title of the model that a job works with, "" when none is named or can be read."""
        try:
            if config.get("run"):
                return self.run(str(config["run"])).info.title
            return self.model(str(config["model"])).info.title if config.get("model") else ""
        except (OSError, UserError):
            return ""

    # removal

    def trash(self, folder: Path) -> Path:
        """Move a folder or file of this workspace to its trash and return the new place; undone by `restore`."""
        target = (
            self.folder / "trash" / f"{time.time_ns()}__{folder.relative_to(self.folder).as_posix().replace('/', '__')}"
        )
        move(folder, target)
        return target

    def restore(self, trashed: Path, folder: Path) -> Path:
        """Put a trashed folder or file back where it was, beside a folder that has its name now; return the place."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = _unused(folder) if trashed.is_dir() else folder
        move(trashed, place)
        return place

    def _member(self, parent: str, name: str, way_out: str) -> Path:
        if not is_name(name):
            raise UserError(_("“{name}” is not a name in this workspace.").format(name=name[:_SHOWN]), way_out)
        return self.folder / parent / name

    def _newest_first(self, pattern: str) -> list[Path]:
        made: dict[Path, tuple[str, int]] = {}
        for path in self.folder.glob(pattern):
            if path.parent.suffix != PARTIAL:
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    made[path] = _made(path.parent)
        return sorted(made, key=lambda path: made[path], reverse=True)


def _made(folder: Path) -> tuple[str, int]:
    """Return what sorts folders by when they were made: the time in the name, which a copied workspace keeps."""
    changed = folder.stat().st_ctime_ns
    dated = _DATED.match(folder.name)
    return dated.group() if dated else datetime.fromtimestamp(changed / 1e9).astimezone().strftime(_DATE), changed


def is_name(text: str) -> bool:
    """Return whether a text can be the id of something: those of files and command lines never leave the workspace."""
    return bool(text) and Path(text).name == text and len(os.fsencode(text)) < _LONGEST_NAME and "\0" not in text


@contextlib.contextmanager
def workspace_lock(folder: Path) -> Iterator[bool]:
    """Hold the workspace for this process; yields False when another process holds it.

    The lock is the operating system's, so it ends with the process, however that ends.
    """
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _try_lock(handle)
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _abandoned(path: Path, quiet_s: float) -> bool:
    """Return whether nobody will write a half-written file or folder any further."""
    held = worked_in(path) if path.is_dir() else None
    wait_s = min(BEGIN_S, quiet_s) if held is False else quiet_s
    return not held and _last_written(path) <= time.time() - wait_s


def _last_written(path: Path) -> float:
    """Return when a file, or anything in a folder, was last written, in seconds; in the far future once it is gone."""
    try:
        return max(part.lstat().st_mtime for part in (path, *path.rglob("*")))
    except OSError:
        return math.inf


def _unused(path: Path) -> Path:
    """Return `path`, or the first of `path 2`, `path 3` … that does not exist."""
    candidate, number = path, 2
    while candidate.exists() or candidate.with_name(candidate.name + PARTIAL).exists():
        candidate = path.with_name(f"{path.name} {number}")
        number += 1
    return candidate
