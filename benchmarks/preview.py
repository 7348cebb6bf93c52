"""Whether a cell of a preview can be made again to the bit from no more than run, version, seed and class.

python -m benchmarks.preview [--threads N]

Every family of pictures is trained for a few steps on the bundled samples, on the processor; each cell of its last
preview is then made again alone by the family's own task, with its default settings, as the window does.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from aigc_desktop.core.events import Result, Sample
from aigc_desktop.core.rehearsal import scan_values
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.host import execute
from benchmarks.report import figure, write

FAMILIES: dict[str, dict[str, Any]] = {
    "image_gan": {"width": 16, "warm_start": False}, "image_vae": {"width": 16, "components": 2},
    "image_flow": {"width": 16}, "image_transformer": {"width": 32, "layers": 2, "channels": 16},
}  # fmt: skip
STEPS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    workspace = Workspace.open(Path(tempfile.mkdtemp()))
    dataset = result(done(workspace, "data.scan", scan_values("image")))["id"]
    done(workspace, "data.freeze", {"dataset": dataset})
    rows, cells, same = [], 0, 0
    for family, own in FAMILIES.items():
        common = {"dataset": dataset, "steps": STEPS, "device": "cpu", "threads": options.threads, "resolution": "32"}
        run = workspace.new_run(f"{family}.train", {**common, **own})
        events = done(workspace, f"{family}.train", {**common, **own}, run)
        preview = [event for event in events if isinstance(event, Sample) and event.role == "samples"][-1]
        equal = [np.array_equal(again(workspace, run, preview, cell), preview.images[cell])
                 for cell in range(len(preview.seeds))]  # fmt: skip
        share = float(np.mean(equal))
        rows.append(figure(f"preview.identical.{family} ({len(equal)} cells)", share, "", "= 1", share == 1))
        cells, same = cells + len(equal), same + sum(equal)
    write("preview", [figure("preview.identical", same / cells, "", "= 1", same == cells), *rows])


def again(workspace: Workspace, run: Run, preview: Sample, cell: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the picture (H, W, C) of one cell, made alone."""
    label = preview.labels[cell] if preview.labels else ""
    told = {
        "run": run.id, "checkpoint": f"{preview.step:06d}", "count": 1, "seed": preview.seeds[cell], "label": label,
        "device": "cpu",
    }  # fmt: skip
    task = f"{run.info.task.split('.')[0]}.generate"
    made = workspace.new_run(task, told, parent="results")
    return next(event.images[0] for event in done(workspace, task, told, made) if isinstance(event, Sample))


def done(workspace: Workspace, task: str, values: dict[str, Any], run: Run | None = None) -> list[Any]:
    """Return the events of a job, as the window would start it."""
    return list(execute(JobRequest(task, values, str(workspace.folder), str(run.folder) if run else "")))


def result(events: list[Any]) -> dict[str, Any]:
    """Return what a job gives back."""
    return next(event.data for event in events if isinstance(event, Result))


if __name__ == "__main__":
    main()
