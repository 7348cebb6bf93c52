"""What it gains to begin with the starter: a few hundred pictures in another manner, ten minutes of one core.

python -m benchmarks.warm_start [--threads N] [--workspace FOLDER]

Food and animals of emoji-datasource-twitter at 64 px (290 pictures, three tenths held out), which the starter has never
seen: a flow that begins with its weights, and one that begins with nothing and learns codes first, the fastest way from
nothing on a processor. Both for about as many processor seconds, the last of which are told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Result
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.recorder import record
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families import image_flow
from aigc_desktop.engine.pictures.flow_setup import GRID, PRESETS, WARM
from benchmarks.emoji_data import SAMPLES, Quality, cpu_seconds, measure, preset_named, sheet
from benchmarks.fetch_data import fetch_emoji, load_emoji
from benchmarks.report import RESULTS, figure, write

VENDOR, KINDS, HELD_OUT = "twitter", ("Food & Drink", "Animals & Nature"), 0.3
STEPS = {WARM: 1500, GRID: 1500}  # about as long
SEED = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = other_emoji(workspace)
    found = {name: trained(workspace, dataset, name, options.threads) for name in STEPS}
    (warm, _seconds), (new, _longer) = found[WARM], found[GRID]
    rows = [figure("image_flow.warm_start.kid_vs_new", warm.kid / new.kid, "x", "< 1", warm.kid < new.kid)]
    for name, (quality, seconds) in found.items():
        prefix = f"image_flow.warm_start.{name}"
        rows += [
            figure(f"{prefix}.kid", quality.kid), figure(f"{prefix}.kid_vs_pca", quality.ratio),
            figure(f"{prefix}.coverage", quality.coverage), figure(f"{prefix}.recall", quality.recall),
            figure(f"{prefix}.memorisation", quality.memorisation, "", ">= 0.8", quality.memorisation >= 0.8),
            figure(f"{prefix}.near_copies", quality.near_copies), figure(f"{prefix}.cpu_s", seconds, "s"),
        ]  # fmt: skip
    write("image_flow_warm_start", rows)


def other_emoji(workspace: Workspace) -> Dataset:
    """Return food and animals of another vendor, imported when the workspace has no data yet."""
    if found := workspace.datasets():
        return found[0]
    package = fetch_emoji(VENDOR)
    source = workspace.folder / VENDOR
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    for entry, picture in zip(entries, load_emoji(package, vendor=VENDOR), strict=True):
        if entry["category"] in KINDS:
            folder = source / entry["category"]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / entry["image"])
    config = check(ScanConfig, {"source": str(source), "title": VENDOR, "kind": "image", "labels": "folders"})
    run = Run(workspace.folder, workspace.folder)
    for event in import_dataset(config, {"size": "64", "validation": HELD_OUT}, run):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise RuntimeError("the import gave no data set")


def trained(workspace: Workspace, dataset: Dataset, name: str, threads: int) -> tuple[Quality, float]:
    """Train with a preset; return the quality of what its best version makes and the processor seconds it took."""
    steps, began = STEPS[name], cpu_seconds()
    values = {**preset_named(PRESETS, name), "dataset": dataset.id, "steps": steps, "threads": threads, "device": "cpu"}
    config = image_flow.ImageFlowConfig(**values, validate_every=steps // 6, sample_every=0)
    run = workspace.new_run("image_flow.train", config.model_dump(mode="json"))
    for _event in record(run, image_flow.train(config, run)):
        pass
    seconds = cpu_seconds() - began
    samples = image_flow.sampler(run.checkpoint("best"), "cpu")(SAMPLES, SEED)
    sheet(samples[:96], RESULTS / f"image_flow_warm_start_{name}.png")
    return measure(dataset, samples), seconds


if __name__ == "__main__":
    main()
