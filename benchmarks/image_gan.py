"""Quality of the image GAN on the base emoji at 32 px after about ten minutes of two cores, from random weights.

python -m benchmarks.image_gan [--steps N] [--threads N] [--workspace FOLDER]

Time is counted in processor seconds, so that a machine with other work to do gives the same answer, only later. One
thread is the default for the same reason: two that wait for each other burn time on a shared machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Event, Metric
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.families import image_gan
from benchmarks.emoji_data import SAMPLES, cpu_seconds, emoji_dataset, measure, sheet
from benchmarks.report import RESULTS, Figure, figure, write

BUDGET_S = 1200.0
SEED = 50_000
PREFIX = "image_gan.emoji32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--run", default="", help="measure the newest version of this run, do not train")
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace)
    if options.run:
        run = workspace.run(options.run)
        write("image_gan", [*figures(dataset, run), figure(f"{PREFIX}.steps", run.info.step, "steps")])
        return
    config = image_gan.ImageGanConfig(
        dataset=dataset.id, resolution="32", steps=options.steps, threads=options.threads, device="cpu",
        warm_start=False, validate_every=1500, sample_every=500, log_every=50,
    )  # fmt: skip
    run = workspace.new_run("image_gan.train", config.model_dump(mode="json"))
    began, wall = cpu_seconds(), time.perf_counter()
    for event in record(run, image_gan.train(config, run)):
        show(event, cpu_seconds() - began)
    used, wall = cpu_seconds() - began, time.perf_counter() - wall
    note = f"{options.threads} threads, {used / wall:.2f} cores"
    write("image_gan", [
        *figures(dataset, run),
        figure(f"{PREFIX}.cpu_s", used, "s", f"<= {BUDGET_S:.0f} (10 min of 2 cores)", used <= BUDGET_S),
        figure(f"{PREFIX}.wall_s ({note})", wall, "s"),
        figure(f"{PREFIX}.images_per_cpu_s", options.steps * config.batch_size / used, "images/s"),
    ])  # fmt: skip


def figures(dataset: Dataset, run: Run) -> list[Figure]:
    """Return the quality of pictures of the newest version of a run, and write a sheet of them."""
    samples = image_gan.sampler(run.checkpoint("last"), "cpu")(SAMPLES, SEED)
    sheet(samples[:192], RESULTS / "image_gan_emoji32.png")
    quality, prefix = measure(dataset, samples), PREFIX
    return [
        figure(f"{prefix}.kid_vs_pca", quality.ratio, "", "<= 0.3", quality.ratio <= 0.3),
        figure(f"{prefix}.recall", quality.recall, "", "> 0.05", quality.recall > 0.05),
        figure(f"{prefix}.memorisation", quality.memorisation, "", ">= 0.8", quality.memorisation >= 0.8),
        figure(f"{prefix}.kid", quality.kid), figure(f"{prefix}.kid_pca", quality.kid_pca),
        figure(f"{prefix}.precision", quality.precision), figure(f"{prefix}.coverage", quality.coverage),
        figure(f"{prefix}.near_copies", quality.near_copies),
    ]  # fmt: skip


def show(event: Event, used: float) -> None:
    """Print measurements of held-out pictures and every five hundredth step."""
    if isinstance(event, Metric) and (event.step % 500 == 0 or "validation_kid" in event.values):
        values = " ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        print(f"{used:7.0f} s  step {event.step:6}  {values}", flush=True)


if __name__ == "__main__":
    main()
