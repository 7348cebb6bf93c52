"""Quality of the image flow on the base emoji, and the pace of its step.

python -m benchmarks.image_flow [--size 32|64] [--steps N] [--seconds N] [--device cpu|cuda] [--threads N]
                                [--workspace FOLDER] [--run RUN] [--grid] [--race]

At 32 px within ten minutes of two cores, a fifth held out; at 64 px half held out, as long as the figures say. The
preset is that of the size and the device; with --grid that for codes on a processor, which the flow learns first.

Time is counted in processor seconds. `--race` measures only the step, against diffusers' UNet2DModel in a plain loop:
networks with the same stages, widths and blocks at 64 px, taking turns; the best of each one's turns counts.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.device import autocast, set_up
from aigc_desktop.engine.families import image_flow
from aigc_desktop.engine.nn.flow import between, draw_times
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.pictures.flow_setup import GRID, PRESETS
from benchmarks.emoji_data import SAMPLES, cpu_seconds, emoji_dataset, measure, preset_named, preset_values, sheet
from benchmarks.report import RESULTS, Figure, figure, update, write

BUDGET_S, SHORT_STEPS = 1200.0, 1800  # processor seconds at 32 px, and the steps that they allow
SEED = 50_000
WIDTHS, SIZE, TURNS = (32, 64, 128, 128), 64, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=0, help="instead of those of the preset")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop the training then")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--race", action="store_true")
    parser.add_argument("--size", type=int, choices=[32, 64], default=32)
    parser.add_argument("--run", default="", help="measure the best version of this run, do not train")
    options = parser.parse_args()
    if options.race:
        write("image_flow_step" + "_cuda" * (options.device == "cuda"), race(options.threads, options.device))
        return
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace, options.size)
    torch.set_num_threads(options.threads)
    prefix = f"image_flow.emoji{options.size}" + ".grid" * options.grid
    if options.run:
        run = workspace.run(options.run)
        update(prefix.replace(".", "_"), figures(dataset, run, prefix, options.device))
        return
    usual, began, wall = preset_values(PRESETS, options.size, options.device), cpu_seconds(), time.perf_counter()
    if options.grid:
        usual = preset_named(PRESETS, GRID)
    steps = options.steps or (SHORT_STEPS if options.size == 32 else usual["steps"])
    values = {**usual, "dataset": dataset.id, "steps": steps, "threads": options.threads}
    config = image_flow.ImageFlowConfig(**values, device=options.device, log_every=50)
    run = workspace.new_run("image_flow.train", config.model_dump(mode="json"))
    events = record(run, image_flow.train(config, run))
    for event in events:
        if time.perf_counter() - wall > options.seconds:
            events.close()
        if isinstance(event, Metric) and (event.step % 200 == 0 or any("val" in name for name in event.values)):
            shown = " ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            print(f"{cpu_seconds() - began:7.0f} s  step {event.step:6}  {shown}", flush=True)
    used, wall = cpu_seconds() - began, time.perf_counter() - wall
    config = config.model_copy(update={"steps": run.info.step})
    budget = ("<= 1200 (10 min of 2 cores)", used <= BUDGET_S) if options.size == 32 else ()
    write(prefix.replace(".", "_"), [
        *figures(dataset, run, prefix, options.device),
        figure(f"{prefix}.cpu_s", used, "s", *budget),
        figure(f"{prefix}.wall_s ({options.threads} threads, {used / wall:.2f} cores)", wall, "s"),
        figure(f"{prefix}.images_per_cpu_s", config.steps * config.batch_size / used, "images/s"),
    ])  # fmt: skip


def figures(dataset: Dataset, run: Run, prefix: str, device: str) -> list[Figure]:
    """Return the quality of pictures of the best version of a run, and write a sheet of them."""
    folder = run.checkpoint("best" if run.info.best else "last")
    began = time.perf_counter()
    samples = image_flow.sampler(folder, device)(SAMPLES, SEED)
    pace = SAMPLES / (time.perf_counter() - began)
    sheet(samples[:192], RESULTS / f"{prefix.replace('.', '_')}.png")
    quality, size = measure(dataset, samples), samples.shape[1]
    goals = {
        "kid": ("<= 0.04", quality.kid <= 0.04), "coverage": (">= 0.7", quality.coverage >= 0.7), "kid_vs_pca": (),
    } if size == 64 else {"kid": (), "coverage": (), "kid_vs_pca": ("<= 0.3", quality.ratio <= 0.3)}  # fmt: skip
    return [
        figure(f"{prefix}.kid", quality.kid, "", *goals["kid"]),
        figure(f"{prefix}.coverage", quality.coverage, "", *goals["coverage"]),
        figure(f"{prefix}.kid_vs_pca", quality.ratio, "", *goals["kid_vs_pca"]),
        figure(f"{prefix}.kid_pca", quality.kid_pca),
        figure(f"{prefix}.recall", quality.recall, "", "> 0.05", quality.recall > 0.05),
        figure(f"{prefix}.precision", quality.precision),
        figure(f"{prefix}.memorisation", quality.memorisation, "", ">= 0.8", quality.memorisation >= 0.8),
        figure(f"{prefix}.near_copies", quality.near_copies),
        figure(f"{prefix}.samples_per_s (12 steps with guidance)", pace, "images/s"),
        figure(f"{prefix}.step", int(folder.name)),
    ]  # fmt: skip


def race(threads: int, device: str) -> list[Figure]:
    """Return the images per second of training steps of both networks; on a graphics card in bfloat16."""
    from diffusers import UNet2DModel

    set_up(torch.device(device), 0, threads)
    ours = Unet(UnetShape(SIZE, WIDTHS, 1, fold=1, attend=16))
    down = ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    up = ("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D")
    theirs = UNet2DModel(
        SIZE, in_channels=3, out_channels=3, down_block_types=down, up_block_types=up, block_out_channels=WIDTHS,
        layers_per_block=1, attention_head_dim=32,
    )  # fmt: skip
    folded = Unet(UnetShape(SIZE, WIDTHS, 1, fold=2, attend=8))
    steps = {
        "diffusers": Stepper(theirs, device, lambda x, t: theirs(x, 1000 * t).sample),
        "ours": Stepper(ours, device, ours), "folded": Stepper(folded, device, folded),
    }  # fmt: skip
    best = dict.fromkeys(steps, float("inf"))
    for turn in range(TURNS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step.run()
            if turn:  # the first one warms up
                best[name] = min(best[name], time.perf_counter() - start)
    pace = {name: steps[name].pictures / seconds for name, seconds in best.items()}
    ratio, name = pace["ours"] / pace["diffusers"], "image_flow.step" + ".cuda" * (device == "cuda")
    weights = {name: sum(p.numel() for p in model.parameters()) for name, model in (("ours", ours), ("peer", theirs))}
    return [
        figure(f"{name}.vs_diffusers", ratio, "x", ">= 1.0", ratio >= 1.0),
        figure(f"{name}.folded_vs_diffusers", pace["folded"] / pace["diffusers"], "x"),
        *(figure(f"{name}.images_per_s.{which}", value, "images/s") for which, value in pace.items()),
        *(figure(f"{name}.weights.{which}", count) for which, count in weights.items()),
    ]


class Stepper:
    """Steps of training on pictures of noise: one on a processor, ten of larger batches on a graphics card."""

    def __init__(self, model: nn.Module, device: str, velocity: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.device, self.velocity = torch.device(device), velocity
        self.steps, batch, self.precision = (1, 16, "float32") if device == "cpu" else (10, 128, "bfloat16")
        self.images = torch.randn(batch, 3, SIZE, SIZE, device=device)
        self.pictures = self.steps * batch
        model.to(device).train()
        self.optimizer = torch.optim.AdamW(model.parameters(), 1e-4)

    def run(self) -> None:
        """Take the steps and wait for them."""
        for _step in range(self.steps):
            noise, times = torch.randn_like(self.images), draw_times(len(self.images), self.device)
            with autocast(self.precision, self.device):
                told = self.velocity(between(noise, self.images, times), times)
            (told.float() - (self.images - noise)).square().mean().backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.synchronize()


if __name__ == "__main__":
    main()
