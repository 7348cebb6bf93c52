"""A workspace with a tiny published model, and fine-tunings of it that end within a second."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.job import run_job
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families.language_model import FAMILY
from aigc_desktop.engine.pretrained.tiny import add_tiny_model
from aigc_desktop.engine.tuning.setup import TuneConfig
from tests.engine.toy import text_dataset, write_dataset

QUICK = {
    "steps": 4, "batch_size": 2, "context": 48, "validate_every": 2, "sample_every": 0, "log_every": 1, "threads": 1,
    "device": "cpu", "precision": "float32", "rank": 4, "warmup": 0, "lr": 1e-3,
}  # fmt: skip
TEXTS = [f"{who} drinks tea number {i}. 茶" for i, who in enumerate(["Ann", "Bob", "Eve", "Kim"] * 8)]


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path / "工作区")


@pytest.fixture
def base(workspace):
    return add_tiny_model(workspace)


@pytest.fixture
def dataset(workspace):
    return text_dataset(workspace, TEXTS, held_out=6)


def asked_dataset(workspace: Workspace, pairs: list[tuple[str, str]], name: str = "asked", held_out: int = 4):
    """Freeze texts with an attribute "about", the request; the last `held_out` of them are for validation."""
    texts = [text.encode() for _request, text in pairs]
    told = [json.dumps({"about": request} if request else {}).encode() for request, _text in pairs]
    ends = {"offsets": texts, "attribute_offsets": told}
    arrays = {key: np.cumsum([0, *map(len, parts)]).astype(np.int64) for key, parts in ends.items()}
    arrays |= {
        "split": (np.arange(len(pairs)) >= len(pairs) - held_out).astype(np.uint8),
        "labels": np.full(len(pairs), -1, np.int32), "rows": np.arange(len(pairs), dtype=np.int64),
    }  # fmt: skip
    size = sum(map(len, texts))
    info = {"kind": "text", "characters": size, "bytes": size, "attributes": ["about"]}
    return write_dataset(workspace, name, info, arrays, b"".join(texts), attributes=b"".join(told))


def tune(workspace: Workspace, dataset: Dataset, base: str, **values):
    """Fine-tune and return (run, events)."""
    config = check(TuneConfig, {**QUICK, "dataset": dataset.id, "base": base, **values})
    run = workspace.new_run("language_model.train", config.model_dump(mode="json"))
    return run, list(run_job(FAMILY.task("train").job, config, run))


def use(workspace: Workspace, task: str, **values):
    """Run a task of the family and return (result, events)."""
    chosen = FAMILY.task(task)
    config = check(chosen.config, {"device": "cpu", **values})
    result = workspace.new_run(f"language_model.{task}", config.model_dump(mode="json"), parent="results")
    return result, list(run_job(chosen.job, config, result))



