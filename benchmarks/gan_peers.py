"""The image GAN against lightweight-gan and stylegan2-pytorch at 32 px, with the same processor time for each.

python -m benchmarks.gan_peers [--seconds N] [--threads N] [--only ours|lightweight_gan|stylegan2_pytorch]

The peers (MIT) are fetched without what they ask for. Their networks and training steps run unchanged; what stands in
for the rest is below: pictures come from memory, the card they insist on is the processor, and nothing is drawn or
saved on the way. Settings are those of their command lines for few pictures, but without accumulating gradients over
several batches, which gives them more updates in the time. Of the averaged and the plain generator the better one
counts, since both peers begin to average only after 20,000 steps.

Each runs in a process of its own; processor seconds are counted, so other work on the machine does not matter.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.families import image_gan
from aigc_desktop.engine.pictures.gan_setup import PRESETS
from benchmarks.emoji_data import SAMPLES, cpu_seconds, emoji_dataset, measure, preset_values, sheet
from benchmarks.fetch_data import fetch_wheels
from benchmarks.image_gan import BUDGET_S, SEED, STEPS_32
from benchmarks.report import DATA, RESULTS, Figure, figure, write

SIZE = 32
PEERS = {"lightweight_gan": "lightweight-gan==1.2.1", "stylegan2_pytorch": "stylegan2-pytorch==1.9.0"}
BATCHES = {"lightweight_gan": 10, "stylegan2_pytorch": 5}
NEEDS = ("einops==0.8.2",)

Pictures = np.ndarray[Any, np.dtype[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=BUDGET_S)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["ours", *PEERS], default="")
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace, SIZE)
    if options.only:
        torch.set_num_threads(options.threads)
        torch.set_flush_denormal(True)  # as ours does; a processor is slow with the tiniest numbers
        torch.manual_seed(0)
        run = ours if options.only == "ours" else lambda *told: peer(options.only, *told)
        kinds, steps = run(workspace, dataset, options.seconds)
        np.savez(workspace.folder / f"{options.only}.npz", steps=steps, **kinds)
        return
    fetch_wheels(DATA / "gan_peers", *PEERS.values(), *NEEDS)
    told = ["--seconds", str(options.seconds), "--threads", str(options.threads), "--workspace", workspace.folder]
    runs = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.gan_peers", "--only", name, *map(str, told)])
        for name in ("ours", *PEERS)
    ]
    for run in runs:
        assert run.wait() == 0, "a run failed"
    write("image_gan_peers", figures(workspace, dataset, options.seconds))


def figures(workspace: Workspace, dataset: Dataset, seconds: float) -> list[Figure]:
    """Return KID of all three and how ours compares; write a sheet of each."""
    rows, found = [], {}
    for name in ("ours", *PEERS):
        with np.load(workspace.folder / f"{name}.npz") as made:
            steps = int(made["steps"])
            kinds = {kind: made[kind] for kind in made.files if kind != "steps"}
        qualities = {kind: measure(dataset, pictures) for kind, pictures in kinds.items()}
        best = min(qualities, key=lambda kind: qualities[kind].kid)
        sheet(kinds[best][:192], RESULTS / f"image_gan_peers_{name}.png")
        quality = found[name] = qualities[best]
        about = f"image_gan.emoji32.peers.{name}"
        rows += [
            figure(f"{about}.kid ({best} generator)", quality.kid), figure(f"{about}.recall", quality.recall),
            figure(f"{about}.coverage", quality.coverage), figure(f"{about}.steps", steps),
        ]  # fmt: skip
    ratios = {name: found["ours"].kid / found[name].kid for name in PEERS}
    return [
        *(figure(f"image_gan.emoji32.vs_{name}", ratio, "x", "< 1", ratio < 1) for name, ratio in ratios.items()),
        *rows, figure("image_gan.emoji32.peers.cpu_s (each)", seconds, "s"),
    ]  # fmt: skip


def ours(workspace: Workspace, dataset: Dataset, seconds: float) -> tuple[dict[str, Pictures], int]:
    """Return pictures of our generator, and how many steps it took; its schedule ends with the time."""
    values = preset_values(PRESETS, SIZE, "cpu")
    steps = max(1, round(STEPS_32 * seconds / BUDGET_S))
    own = {"warm_start": False, "steps": steps, "validate_every": 0, "sample_every": 0, "log_every": 100}
    config = image_gan.ImageGanConfig(
        **{**values, **own}, dataset=dataset.id, device="cpu", threads=torch.get_num_threads()
    )
    run = workspace.new_run("image_gan.train", config.model_dump(mode="json"))
    events, began = record(run, image_gan.train(config, run)), cpu_seconds()
    for _event in events:
        if cpu_seconds() - began > seconds:
            events.close()
    return {"averaged": image_gan.sampler(run.checkpoint("last"), "cpu")(SAMPLES, SEED)}, run.info.step


def peer(
    name: str, workspace: Workspace, dataset: Dataset, seconds: float
) -> tuple[dict[str, Pictures], int]:
    """Return pictures of both generators of a peer, and how many steps they took."""
    module = imported(name)
    trainer = module.Trainer(
        base_dir=str(workspace.folder / name), image_size=SIZE, batch_size=BATCHES[name], aug_prob=0.25,
        aug_types=["translation", "cutout", "color"], save_every=10**9, evaluate_every=10**9,
        **({"use_aim": False, "attn_res_layers": [SIZE], "disc_output_size": 1} if name == "lightweight_gan" else {}),
    )  # fmt: skip
    trainer.save = trainer.evaluate = lambda *_told, **_named: None
    trainer.dataset, trainer.loader = range(len(dataset.indices("train"))), batches(dataset, BATCHES[name])
    began = cpu_seconds()
    while cpu_seconds() - began < seconds:
        trainer.train()
        if trainer.steps % 50 == 1:
            print(f"{name} {cpu_seconds() - began:6.0f} s  step {trainer.steps}", flush=True)
    gan = trainer.GAN.eval()
    generate = {"lightweight_gan": from_lightweight, "stylegan2_pytorch": from_stylegan}[name]
    return {kind: generate(module, gan, kind == "averaged") for kind in ("plain", "averaged")}, trainer.steps


def batches(dataset: Dataset, size: int) -> Iterator[torch.Tensor]:
    """Yield batches of training pictures (size, 3, S, S) in [0, 1] in a new order each round."""
    pictures = torch.from_numpy(dataset.images("train").copy()).permute(0, 3, 1, 2).float() / 255
    while True:
        order = torch.randperm(len(pictures))
        for start in range(0, len(order) - size + 1, size):
            yield pictures[order[start : start + size]]


def from_lightweight(_module: Any, gan: Any, averaged: bool) -> Pictures:
    """Return pictures of lightweight-gan."""
    return drawn(lambda count: (gan.GE if averaged else gan.G)(torch.randn(count, gan.latent_dim)))


def from_stylegan(module: Any, gan: Any, averaged: bool) -> Pictures:
    """Return pictures of stylegan2-pytorch, without truncation."""
    styles, generator = (gan.SE, gan.GE) if averaged else (gan.S, gan.G)

    def make(count: int) -> torch.Tensor:
        noise = module.noise_list(count, generator.num_layers, generator.latent_dim, device=0)
        told = module.styles_def_to_tensor(module.latent_to_w(styles, noise))
        return generator(told, module.image_noise(count, SIZE, device=0))

    return drawn(make)


@torch.no_grad()
def drawn(make: Callable[[int], torch.Tensor]) -> Pictures:
    """Return SAMPLES pictures (N, S, S, 3) of a function that gives (B, 3, S, S) in [0, 1]."""
    torch.manual_seed(SEED)
    made = torch.cat([make(50) for _part in range(SAMPLES // 50)]).clamp(0, 1)
    return (made * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def imported(name: str) -> Any:
    """Return the module of a peer, with stand-ins for what it imports and for the graphics card."""
    sys.path.append(str(DATA / "gan_peers"))
    for missing, told in {
        "torchvision": {"transforms": types.ModuleType("transforms"), "utils": types.ModuleType("utils")},
        "kornia": {}, "kornia.filters": {"filter2d": filter2d}, "adabelief_pytorch": {"AdaBelief": None},
        "vector_quantize_pytorch": {"VectorQuantize": None}, "aim": {}, "fire": {}, "retry": {},
        "retry.api": {"retry_call": None},
    }.items():  # fmt: skip
        stand_in = types.ModuleType(missing)
        stand_in.__dict__.update(told)
        sys.modules.setdefault(missing, stand_in)
    with mock.patch.object(torch.cuda, "is_available", lambda: True):
        module = importlib.import_module(f"{name}.{name}")
    torch.Tensor.cuda = lambda tensor, *_where, **_how: tensor  # type: ignore[method-assign, assignment]
    torch.nn.Module.cuda = lambda network, *_where: network  # type: ignore[method-assign, assignment]
    module.__dict__["torch"] = OnProcessor("torch")
    return module


class OnProcessor(types.ModuleType):
    """torch, but every device is the processor."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def device(self, _name: str) -> torch.device:
        return torch.device("cpu")


def filter2d(images: torch.Tensor, kernel: torch.Tensor, normalized: bool = False) -> torch.Tensor:
    """Return images (B, C, H, W) filtered with a kernel (1, h, w), edges reflected, as kornia's function does."""
    weights = kernel / kernel.abs().sum() if normalized else kernel
    height, width = kernel.shape[1:]
    padded = F.pad(images, (width // 2, width // 2, height // 2, height // 2), mode="reflect")
    channels = images.shape[1]
    return F.conv2d(padded, weights.to(images)[None].expand(channels, 1, height, width), groups=channels)


if __name__ == "__main__":
    main()
