"""Make resources/starters/emoji64 from the run of benchmarks.image_flow at 64 px: a model that ships with the program.

python -m benchmarks.ship_starter WORKSPACE RUN

The best version in 16-bit numbers, without what going on with the training needs, its curves, a preview, and a
card with the measured figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from aigc_desktop.core.events import Sample
from aigc_desktop.core.files import write_json
from aigc_desktop.core.paths import resources
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.samples import write_sheet
from aigc_desktop.engine.families import image_flow
from aigc_desktop.engine.training.checkpoint import read_model, write_manifest
from aigc_desktop.engine.weights import write_tensors
from benchmarks.report import RESULTS

NAME, FIGURES = "emoji64", "image_flow_emoji64"
CARD = """# Starter: emoji, 64 px

An image flow that paints small pictures in the manner of emoji, by class: {classes}.

- Data: 955 of the 1,911 base emoji of npm emoji-datasource-google 16.0.0 (Noto Emoji), on white at 64 px; the other
  956 were held out and measured against.
- Licence: Apache-2.0, as the artwork and this program.
- Training: {steps:,} steps of {batch} pictures in {minutes:.0f} minutes, weights of step {best:,}; on {machine}.
- Use: first pictures at once, and a model to try everything else on. Not for pictures of anything but emoji.
- Limits: shapes and colours are those of emoji, most details and all letters are not legible. Flags and smileys are
  the clearest.
- Made with: `{command}`

| figure | value |
|---|---|
{rows}

KID is not multiplied by 1000 here; two halves of the real pictures give 0.0002.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("run")
    options = parser.parse_args()
    run = Workspace.open(options.workspace).run(options.run)
    best = run.checkpoint("best")
    target = resources() / "starters" / NAME
    shutil.rmtree(target, ignore_errors=True)
    version = target / "checkpoints" / best.name
    version.mkdir(parents=True)
    card, tensors = read_model(best)
    half = {name: t.half() if t.dtype == torch.float32 else t for name, t in tensors.items()}
    digest = write_tensors(version / "model.safetensors", half)
    write_json(version / "model.json", asdict(card))
    write_manifest(version, {"model.safetensors": digest})
    info = replace(run.info, title=NAME, dataset="", best=best.name, status="finished")
    write_json(target / "run.json", asdict(info))
    write_json(target / "config.json", {**run.config_values, "dataset": ""})
    shutil.copy(run.metrics_file, target / "metrics.jsonl")
    write_preview(run, target / "samples")
    results = json.loads((RESULTS / f"{FIGURES}.json").read_text(encoding="utf-8"))
    trained = next(row for row in results if row["figure"].endswith(".cpu_s"))
    rows = "\n".join(f"| {row['figure']} | {row['value']} |" for row in results)
    (target / "README.md").write_text(CARD.format(
        classes=", ".join(card.extra["classes"]), steps=info.step, best=int(best.name), rows=rows,
        batch=run.config_values["batch_size"], minutes=info.seconds / 60, command=trained["command"],
        machine=trained["machine"].split("; ")[2 if info.device == "cuda" else 0],
    ), encoding="utf-8")  # fmt: skip
    print(target, sum(file.stat().st_size for file in target.rglob("*") if file.is_file()))


def write_preview(run: Run, target: Path) -> None:
    """Write a sheet of the first seeds, as a processor makes them: each cell can be made again."""
    best = run.checkpoint("best").name
    config = image_flow.GenerateConfig(run=run.id, checkpoint=best, count=image_flow.PREVIEW_CELLS, device="cpu")
    made = [event for event in image_flow.generate(config, run) if isinstance(event, Sample)]
    seeds, labels = (tuple(value for event in made for value in getattr(event, name)) for name in ("seeds", "labels"))
    target.mkdir()
    pictures = np.concatenate([event.images for event in made])
    write_sheet(target, f"{best}_samples", Sample(int(best), pictures, seeds, labels))


if __name__ == "__main__":
    main()
