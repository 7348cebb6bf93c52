"""Quality of the image VAE on the base emoji, from random weights.

python -m benchmarks.image_vae [--size 32|64] [--steps N] [--device cpu|cuda] [--threads N] [--workspace FOLDER]

At 32 px within ten minutes of two cores, a fifth held out; at 64 px half held out, as long as the figures say. Time is
counted in processor seconds. Reconstructions are of held-out pictures; the blur is of the same pictures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.families import image_vae
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.image import kid
from aigc_desktop.engine.pictures.vae_setup import PRESETS
from benchmarks.baselines import gaussian_blur
from benchmarks.emoji_data import SAMPLES, cpu_seconds, emoji_dataset, measure, preset_values, sheet
from benchmarks.report import RESULTS, Figure, figure, write

BUDGET_S = 1200.0
SEED = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, choices=(32, 64), default=32)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace, options.size)
    values = preset_values(PRESETS, options.size, options.device)
    own = {"steps": options.steps, "threads": options.threads, "device": options.device, "log_every": 50}
    config = image_vae.ImageVaeConfig(**{**values, **own}, dataset=dataset.id)
    run = workspace.new_run("image_vae.train", config.model_dump(mode="json"))
    began, wall = cpu_seconds(), time.perf_counter()
    for event in record(run, image_vae.train(config, run)):
        if isinstance(event, Metric) and event.step % 500 == 0:
            values = " ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            print(f"{cpu_seconds() - began:7.0f} s  step {event.step:6}  {values}", flush=True)
    used, wall = cpu_seconds() - began, time.perf_counter() - wall
    folder = run.checkpoint("best" if run.info.best else "last")
    prefix, small = f"image_vae.emoji{options.size}", options.size == 32
    samples = image_vae.sampler(folder, options.device)(SAMPLES, SEED)
    sheet(samples[:192], RESULTS / f"image_vae_emoji{options.size}.png")
    quality = measure(dataset, samples)
    note = f"{options.device}, {options.threads} threads, {used / wall:.2f} cores"
    promised = (f"<= {BUDGET_S:.0f} (10 min of 2 cores)", used <= BUDGET_S) if small else ()
    write("image_vae" if small else f"image_vae_emoji{options.size}", [
        figure(f"{prefix}.kid_vs_pca", quality.ratio, "", "<= 0.5", quality.ratio <= 0.5),
        *reconstruction(workspace, run.id, folder.name, dataset, prefix),
        figure(f"{prefix}.kid", quality.kid, *(() if small else ("", "<= 0.25", quality.kid <= 0.25))),
        figure(f"{prefix}.kid_pca", quality.kid_pca),
        figure(f"{prefix}.recall", quality.recall), figure(f"{prefix}.coverage", quality.coverage),
        figure(f"{prefix}.memorisation", quality.memorisation, "", ">= 0.8", quality.memorisation >= 0.8),
        figure(f"{prefix}.cpu_s", used, "s", *promised),
        figure(f"{prefix}.wall_s ({note})", wall, "s"),
        figure(f"{prefix}.images_per_cpu_s", options.steps * config.batch_size / used, "images/s"),
    ])  # fmt: skip


def reconstruction(
    workspace: Workspace, run_id: str, checkpoint: str, dataset: Dataset, prefix: str
) -> list[Figure]:
    """Return how copies of held-out pictures compare with the same pictures blurred, in pixels and in features."""
    config = image_vae.ReconstructConfig(run=run_id, checkpoint=checkpoint, count=10_000)
    events = image_vae.reconstruct(config, workspace.run(run_id))
    pairs = np.concatenate([event.images for event in events if hasattr(event, "images")])
    sheet(pairs[:192], RESULTS / f"{prefix.replace('.', '_')}_copies.png")
    real, copies = pairs[::2], pairs[1::2]
    blurred = gaussian_blur(real, 1.5)
    errors = [float(np.square(made / 127.5 - real / 127.5).mean()) for made in (copies, blurred)]
    features = image_features(dataset.images("train"))
    kids = [kid(features, image_features(made)).value for made in (copies, blurred)]
    return [
        figure(f"{prefix}.recon_mse_vs_blur", errors[0] / errors[1], "", "< 1", errors[0] < errors[1]),
        figure(f"{prefix}.recon_kid_vs_blur", kids[0] / kids[1], "", "< 1", kids[0] < kids[1]),
        figure(f"{prefix}.recon_mse", errors[0]), figure(f"{prefix}.recon_kid", kids[0]),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
