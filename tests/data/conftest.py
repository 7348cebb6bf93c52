"""Helpers of the data tests: real files, a run to import into, and what an import may not touch."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset, ItemRecord
from aigc_desktop.core.events import Event, Note, Result
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.freeze import FreezeConfig, freeze
from aigc_desktop.data.items import read_items
from aigc_desktop.data.scan import ScanConfig, scan


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """Return what hosts give a job that needs no run of its own."""
    return Run(workspace.folder, workspace.folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "素材 source é😀"
    folder.mkdir()
    return folder


def picture(seed: int = 0, side: int = 40, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image: Image.Image, format_name: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


class Imported:
    """What a scan gave: its events, the data set and its records by name."""

    def __init__(self, events: list[Event], workspace: Workspace) -> None:
        self.events = events
        self.result: dict[str, Any] = next(event.data for event in events if isinstance(event, Result))
        self.notes = [event.message for event in events if isinstance(event, Note)]
        self.dataset: Dataset = workspace.dataset(self.result["id"])
        self.records = list(read_items(self.dataset.items_file))

    def __getitem__(self, name: str) -> ItemRecord:
        return next(record for record in self.records if record.name == name)

    def texts(self) -> list[str]:
        data = self.dataset.found_texts.read_bytes()
        return [data[r.offset : r.offset + r.size].decode() for r in self.records if not r.problem]


Import = Callable[..., Imported]


@pytest.fixture
def do_scan(run: Run, workspace: Workspace) -> Import:
    """Return a function that scans a source, checks that it was not touched and that nothing partial stays."""

    def scan_it(source: Path | str, **values: Any) -> Imported:
        config = check(ScanConfig, {"source": str(source), **values})
        before = tree_hash(Path(source)) if isinstance(source, Path) else ""
        events = list(scan(config, run))
        if isinstance(source, Path):
            assert tree_hash(source) == before
        assert not leftovers(workspace)
        return Imported(events, workspace)

    return scan_it


@pytest.fixture
def do_freeze(run: Run, workspace: Workspace) -> Callable[..., Imported]:
    def freeze_it(dataset: Dataset, **values: Any) -> Imported:
        events = list(freeze(check(FreezeConfig, {"dataset": dataset.id, **values}), run))
        assert not leftovers(workspace)
        return Imported(events, workspace)

    return freeze_it


def leftovers(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.folder.rglob("*") if path.name.endswith(".partial")]


def tree_hash(path: Path) -> str:
    """Return a hash over names, sizes and contents of a file or of all below a folder."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(Path(d) / f for d, _sub, names in os.walk(path) for f in names)
    for file in files:
        digest.update(os.fsencode(str(file)))
        if file.is_file() and os.access(file, os.R_OK):
            digest.update(file.read_bytes())
    return digest.hexdigest()
