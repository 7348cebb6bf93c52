"""A small real data set: discs and squares of many colours, in folders named after the shape.

With a ground like "#00000000" the pictures are transparent; with `captions` each has one.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Result
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.scan import ScanConfig


def shapes(
    workspace: Workspace, count: int = 40, size: int = 32, validation: float = 0.4, wide: int = 1,
    ground: str = "white", captions: bool = False, **freeze: str,
) -> Dataset:  # fmt: skip
    random = np.random.default_rng(0)
    source = workspace.folder / "shapes"
    for i in range(count):
        name = ("disc", "square")[i % 2]
        (source / name).mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGBA" if ground.startswith("#") else "RGB", (wide * size, size), ground)
        x, y = random.integers(2, size // 3, 2).tolist()
        box = (x, y, x + size // 2, y + size // 2)
        colour = tuple(random.integers(0, 200, 3).tolist())
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if name == "disc" else draw.rectangle)(box, fill=colour)
        picture.save(source / name / f"{i}.png")
        if captions:
            (source / name / f"{i}.txt").write_text(f"a {name} of number {i}", encoding="utf-8")
    config = check(ScanConfig, {"source": str(source), "kind": "image", "labels": "folders"})
    values = {"size": str(size), "validation": validation, **freeze}
    for event in import_dataset(config, values, Run(workspace.folder, workspace.folder)):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise AssertionError("nothing was imported")


def started(workspace, family, config):
    """Return the run of a training with a family's module, and its events."""
    run = workspace.new_run(f"{family.FAMILY.name}.train", config.model_dump(mode="json"))
    return run, list(family.train(config, run))
