"""The smallest trainings that use the whole core: a linear network, and data sets written in place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset, DatasetInfo, write_info
from aigc_desktop.core.events import Event, Metric, Note
from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.marks import Marks
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.training.data import Sampler
from aigc_desktop.engine.training.loop import TrainConfig, Trainee, begin, fit
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.weights import read_tensors, write_tensors


class ToyConfig(TrainConfig):
    steps: int = param(12, "steps", "")
    batch_size: int = param(8, "batch", "")
    log_every: int = param(1, "log", "")
    validate_every: int = param(4, "validate", "")
    sample_every: int = param(0, "sample", "")
    checkpoint_every: int = param(5, "checkpoint", "")
    precision: str = param("float32", "precision", "")
    threads: int = param(1, "threads", "")
    width: int = param(16, "width", "")


class Toy(Trainee):
    """Learns to copy its input through dropout; `before_step` is where tests put faults."""

    family = "toy"
    generates = ("net",)
    unit, units_per_step = "items", 8

    def __init__(self, config: ToyConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.net = nn.Sequential(nn.Linear(8, config.width), nn.Dropout(0.1), nn.Linear(config.width, 8)).to(device)
        self.modules = {"net": self.net}
        self.optimizer = adamw([self.net], config.lr)
        self.optimizers = {"net": self.optimizer}
        self.sampler = Sampler(50, config.batch_size, config.seed)
        self.x = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
        self.before_step: Callable[[int, int], None] = lambda number, size: None
        self.validations: Sequence[float] | None = None
        self.validated = 0

    def train_step(self, step):
        total = None
        for indices in step.micro_batches():
            self.before_step(step.number, len(indices))
            with step.autocast():
                loss = F.mse_loss(self.net(self.x[indices]), self.x[indices])
            step.backward(loss)
            total = step.mean(total, loss)
        norm = step.optimize(self.optimizer)
        return {"loss": total, "grad_norm": norm}

    def validate(self, models):
        yield
        torch.rand(3)  # draws must not disturb the training
        if self.validations is not None:
            self.validated += 1
            return {"val_loss": self.validations[self.validated - 1]}
        assert not models["net"].training
        with torch.no_grad():
            return {"val_loss": float(F.mse_loss(models["net"](self.x), self.x))}

    def preview(self, step, models):
        torch.rand(5)
        yield Note(f"preview {step}")


def toy_job(change: Callable[[Toy], None] = lambda toy: None):
    def job(config, run):
        toy = Toy(config, begin(config))
        change(toy)
        yield from fit(config, run, toy)

    return job


def new_run(workspace: Workspace, config: TrainConfig | None = None, task: str = "toy.train") -> Run:
    return workspace.new_run(task, config.model_dump(mode="json") if config else {})


def losses(events: Iterable[Event], name: str = "loss") -> list[tuple[int, str]]:
    """Return (step, loss as hexadecimal) of the metrics in a stream."""
    return [(e.step, e.values[name].hex()) for e in events if isinstance(e, Metric) and name in e.values]


def weights_hash(run: Run, name: str = "last") -> str:
    return hashlib.sha256((run.checkpoint(name) / "model.safetensors").read_bytes()).hexdigest()


def write_dataset(
    workspace: Workspace, name: str, info: dict, arrays: dict, texts: bytes | None = None, marks: str = "",
    attributes: bytes = b"",
) -> Dataset:  # fmt: skip
    folder = workspace.folder / "datasets" / name
    snapshot = folder / "snapshot"
    snapshot.mkdir(parents=True)
    digest = hashlib.sha256(texts or b"")
    for key, array in arrays.items():
        np.save(snapshot / f"{key}.npy", array)
        digest.update(array.tobytes())
    if texts is not None:
        (snapshot / "texts.bin").write_bytes(texts)
    if marks:
        (snapshot / "spans.jsonl").write_text(marks)
    if attributes:
        (snapshot / "attributes.bin").write_bytes(attributes)
    files = {path.name: {"size": path.stat().st_size, "sha256": sha256_file(path)} for path in snapshot.iterdir()}
    write_json(snapshot / "manifest.json", {"format": 1, "files": files, "sha256": digest.hexdigest()})
    split = arrays["split"]
    counts = {"train": int((split == 0).sum()), "validation": int((split == 1).sum())}
    write_info(folder, DatasetInfo(name, name, created="now", source="", found=len(split), usable=len(split),
                                   frozen=True, **info, **counts))  # fmt: skip
    return Dataset(folder)


def text_dataset(workspace: Workspace, texts: Sequence[str], name: str = "texts", held_out: int = 1) -> Dataset:
    """Freeze texts; the last `held_out` of them are for validation."""
    parts = [text.encode() for text in texts]
    split = np.zeros(len(parts), np.uint8)
    if held_out:
        split[-held_out:] = 1
    arrays = {
        "offsets": np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
        "split": split,
        "labels": np.full(len(parts), -1, np.int32),
        "rows": np.arange(len(parts), dtype=np.int64),
    }
    info = {"kind": "text", "characters": sum(map(len, texts)), "bytes": sum(map(len, parts))}
    return write_dataset(workspace, name, info, arrays, b"".join(parts))


def cut_in_two(folder: Path) -> None:
    """Lay the weights of a published model out in two files with an index."""
    tensors = read_tensors(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{number % 2 + 1}-of-00002.safetensors" for number, name in enumerate(tensors)}
    for place in set(places.values()):
        write_tensors(folder / place, {name: tensor for name, tensor in tensors.items() if places[name] == place})
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})


def marked_dataset(workspace: Workspace, count: int = 60, name: str = "marked", held_out: int = 12) -> Dataset:
    """Freeze sentences in which people and places are marked, in two classes by what the people do."""
    rng = np.random.default_rng(0)
    people, places = ("Ann", "Bob", "Eve Adams", "Kim"), ("Oslo", "New York", "Rome", "Lima")
    texts, marks, labels = [], [], []
    for i in range(count):
        who, where, label = people[rng.integers(4)], places[rng.integers(4)], int(rng.integers(2))
        lead = ("", "In 1900. ")[i % 2]  # so that a name's place tells nothing
        text = f"{lead}{who} {('likes', 'left')[label]} {where} in {1900 + i}."
        start = text.index(where)
        texts.append(text)
        marks.append(Marks((
            (len(lead), len(lead + who), "person"), (start, start + len(where), "place")
        )).line())  # fmt: skip
        labels.append(label)
    parts = [text.encode() for text in texts]
    arrays = {
        "offsets": np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
        "split": (np.arange(count) >= count - held_out).astype(np.uint8),
        "labels": np.array(labels, np.int32),
        "rows": np.arange(count, dtype=np.int64),
    }
    info = {"kind": "text", "characters": sum(map(len, texts)), "bytes": sum(map(len, parts))}
    info |= {"classes": ["glad", "sad"], "class_counts": np.bincount(labels, minlength=2).tolist()}
    info |= {"span_classes": ["person", "place"], "span_counts": [count, count]}
    return write_dataset(workspace, name, info, arrays, b"".join(parts), "\n".join(marks) + "\n")


def image_dataset(
    workspace: Workspace, count: int = 40, size: int = 32, name: str = "images", held_out: int = 8, every: int = 2
):
    """Freeze coloured discs on white, in two classes by colour: one in `every` is red."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % every == every - 1).astype(np.int32)
    rows, columns = np.mgrid[:size, :size]
    images = np.full((count, size, size, 3), 255, np.uint8)
    for i in range(count):
        (y, x), r = rng.uniform(size * 0.3, size * 0.7, 2), rng.uniform(size * 0.15, size * 0.3)
        images[i][(rows - y) ** 2 + (columns - x) ** 2 < r * r] = (220, 40, 40) if labels[i] else (40, 60, 220)
    split = np.zeros(count, np.uint8)
    split[count - held_out :] = 1
    arrays = {"images": images, "labels": labels, "split": split, "rows": np.arange(count, dtype=np.int64)}
    info = {"kind": "image", "size": size, "channels": 3, "classes": ["blue", "red"]}
    info["class_counts"] = np.bincount(labels).tolist()
    return write_dataset(workspace, name, info, arrays)


def arguments(task: str) -> str:
    """Return a program text that runs a job in a process of its own: workspace, run id and values as JSON follow."""
    return f"""
import json, sys
from pathlib import Path
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.core.events import Metric
from aigc_desktop.core.job import run_job
from tests.engine.toy import ToyConfig, toy_job
workspace = Workspace(Path(sys.argv[1])); run = workspace.run(sys.argv[2])
for event in run_job({task}, ToyConfig(**json.loads(sys.argv[3])), run):
    if isinstance(event, Metric) and "loss" in event.values:
        print(event.step, event.values["loss"].hex(), flush=True)
print("ended", type(event).__name__, flush=True)
"""


def has_fitting_interval(figure):
    """Return whether a share is within its interval; where all items are right, resampling has none to give."""
    return figure.low is None if figure.value == 1 else figure.low <= figure.value <= figure.high
