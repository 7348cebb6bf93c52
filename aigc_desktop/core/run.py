"""A run: one directory that describes itself; training continues from it and generation reads it.

runs/2026-11-23_140511_image_gan/
  run.json         RunInfo: task, title, status, device, versions, duration
  config.json      the checked configuration
  metrics.jsonl    one line per Metric event
  samples/         000500_samples.png with 000500_samples.json (cell size, seeds, labels), 000500_samples.txt
  checkpoints/     000500/ with model.safetensors, state files and MANIFEST.json, written last
  failure.txt      what went wrong, if it failed
  lock             held by the program that works on the run
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.claim import claimed
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.lines import read_lines
from aigc_desktop.core.records import read_record, read_table

Status = Literal["new", "running", "interrupted", "finished", "stopped", "failed"]
MANIFEST = "MANIFEST.json"
FORMAT = 1


@dataclass(frozen=True)
class RunInfo:
    """What a run's `run.json` holds; times are local ISO texts, `seconds` counts computing only."""

    task: str
    title: str
    created: str
    status: Status = "new"
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    device: str = ""
    dataset: str = ""
    dataset_hash: str = ""
    best: str = ""
    starred: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def status_words(info: RunInfo) -> str:
    """Return a run's status as a word."""
    words = {
        "new": _("not started"),
        "running": _("running"),
        "interrupted": _("interrupted"),
        "finished": _("finished"),
        "stopped": _("stopped"),
        "failed": _("failed"),
    }
    return words[info.status]


class Run:
    """A run's directory and the workspace it belongs to; `info` is read afresh, files are the truth."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder = folder
        self.workspace = workspace

    @property
    def id(self) -> str:
        """Return the name of the folder, which identifies the run in its workspace."""
        return self.folder.name

    @property
    def info(self) -> RunInfo:
        """Return the run's record as it is on disk; a run that nobody works on any more is not running."""
        info = read_record(self.folder / "run.json", RunInfo)
        if info.status == "running" and not claimed(self.folder):
            return replace(info, status="interrupted")
        return info

    def update(self, **changes: Any) -> RunInfo:
        """Change the run's record on disk and return it."""
        info = replace(self.info, **changes)
        write_json(self.folder / "run.json", asdict(info))
        return info

    @property
    def config_values(self) -> dict[str, Any]:
        """Return the configuration as it was saved, unchecked."""
        return read_table(self.folder / "config.json")

    @property
    def checkpoints_dir(self) -> Path:
        """Return the folder that holds one folder per checkpoint."""
        return self.folder / "checkpoints"

    @property
    def samples_dir(self) -> Path:
        """Return the folder of recorded samples."""
        return self.folder / "samples"

    @property
    def metrics_file(self) -> Path:
        """Return the file with one JSON object per Metric event: {"step": ..., "seconds": ..., name: value, ...}."""
        return self.folder / "metrics.jsonl"

    def checkpoints(self) -> list[str]:
        """Return the names of the complete checkpoints, oldest first: those that have their manifest."""
        if not self.checkpoints_dir.is_dir():
            return []
        names = [p.parent.name for p in self.checkpoints_dir.glob(f"*/{MANIFEST}")]
        return sorted(name for name in names if name.isdecimal())  # a crash may leave a whole one as .partial

    def checkpoint(self, name: str) -> Path:
        """Return the folder of a checkpoint; "last" and "best" are names too. UserError if there is none.

        Before the first validation nothing is best yet; the newest stands for it.
        """
        names = self.checkpoints()
        if name == "best":
            name = self.info.best or "last"
        if name == "last" and names:
            name = names[-1]
        if name not in names:
            raise UserError(
                _("“{title}” has no such saved version.").format(title=self.info.title),
                _("Choose another version, or train it further."),
            )
        return self.checkpoints_dir / name

    def metrics(self) -> list[dict[str, float]]:
        """Return the recorded metrics with their step, oldest first; a line that is damaged is left out."""
        rows = list(self.metric_rows())
        for row in rows:
            row.pop("seconds", None)  # of interest to the time axis of the curves alone
        return rows

    def metric_rows(self) -> Iterator[dict[str, float]]:
        """Yield the lines of `metrics_file` as they are; values that are no number, and damaged lines, are left out."""
        for line in read_lines(self.metrics_file):
            row = {name: value for name, value in line.items() if _is_number(value)}
            if "step" in row:
                yield row


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e300 < value < 1e300
