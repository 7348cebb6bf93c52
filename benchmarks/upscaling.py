"""Train the network that enlarges pictures, and compare it with Lanczos on pictures it has not seen.

python -m benchmarks.upscaling [--train] [--seconds N]

Every second of the 1,911 base emoji at 64 px is held out. Pictures are made small in the ways pictures come to be
small: several filters, a little blur, noise and JPEG. `--train` writes resources/models/upscale_2x.safetensors and its
card; without it the shipped network is measured. Time is counted in processor seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from aigc_desktop.core.files import write_json
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.nn.super_resolution import SuperResolution
from aigc_desktop.engine.pictures.upscaling import WEIGHTS, double, upscaler
from aigc_desktop.engine.weights import write_tensors
from benchmarks.fetch_data import fetch_emoji, load_emoji
from benchmarks.report import RESULTS, Figure, command, figure, write

PREFIX = "upscaling.emoji64"
PATCH, BATCH, LR, EMA = 48, 16, 2e-3, 0.998
Pictures = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--seconds", type=float, default=420.0, help="processor seconds of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    held_out = load_emoji(fetch_emoji())[1::2]
    steps = train(options.seconds) if options.train else 0
    rows = measure(held_out)
    write("upscaling", rows)
    if options.train:
        write_card(rows, steps, options.seconds)
    sheet(held_out[::120][:8])


def train(seconds: float) -> int:
    """Train for so many processor seconds, write the averaged weights as 16-bit numbers, return the steps taken."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(load_rgba()[0::2]).permute(0, 3, 1, 2)  # (N, 4, 64, 64)
    network, averaged = SuperResolution(), SuperResolution()
    network.to(memory_format=torch.channels_last)
    averaged.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), LR, weight_decay=0.0)
    began, step = time.process_time(), 0
    while (share := (time.process_time() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, step / 50) * 0.5 * (1 + math.cos(math.pi * share))
        large = batch_of(pictures, rng)
        small = shrink(large, rng).contiguous(memory_format=torch.channels_last)
        error = network(small) - large
        loss = (error.square() + 1e-6).sqrt().mean()  # Charbonnier
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        keep = min(EMA, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        if step % 200 == 0:
            print(f"{time.process_time() - began:6.0f} s  step {step:5}  loss {loss.item():.4f}", flush=True)
        step += 1
    path = resources() / "models" / WEIGHTS
    path.unlink(missing_ok=True)
    write_tensors(path, {name: tensor.half() for name, tensor in averaged.state_dict().items()})
    upscaler.cache_clear()
    return step


def load_rgba() -> Pictures:
    """Return the base emoji with their transparency, uint8 (N, 64, 64, 4), in the order of `load_emoji`."""
    package = fetch_emoji()
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    paths = [package / "img" / "google" / "64" / entry["image"] for entry in entries]
    return np.stack([np.asarray(Image.open(path).convert("RGBA").resize((64, 64))) for path in paths])


def batch_of(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return random parts (B, 3, PATCH, PATCH) in [0, 1] on random plain colours, turned, colours exchanged."""
    parts = []
    for index in rng.integers(len(pictures), size=BATCH):
        top, left = rng.integers(64 - PATCH + 1, size=2)
        part = pictures[index, :, top : top + PATCH, left : left + PATCH].float() / 255
        below = torch.ones(3, 1, 1) if rng.random() < 0.4 else torch.from_numpy(rng.random((3, 1, 1), np.float32))
        part = part[:3] * part[3:] + below * (1 - part[3:])
        part = torch.rot90(part, int(rng.integers(4)), (1, 2))
        part = part.flip(2) if rng.random() < 0.5 else part
        parts.append(part[torch.from_numpy(rng.permutation(3))] if rng.random() < 0.5 else part)
    return torch.stack(parts)


def shrink(large: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return pictures half as large, degraded at random, rounded to 8 bits."""
    if rng.random() < 0.3:
        large = blur(large, float(rng.uniform(0.3, 1.0)))
    match int(rng.integers(3)):
        case 0:
            small = F.avg_pool2d(large, 2)
        case 1:
            small = F.interpolate(large, scale_factor=0.5, mode="bicubic", antialias=True)
        case _:
            small = F.interpolate(large, scale_factor=0.5, mode="bilinear", antialias=True)
    if rng.random() < 0.3:
        small = small + torch.randn_like(small) * float(rng.uniform(0, 4 / 255))
    small = small.clamp(0, 1).mul(255).round()
    if rng.random() < 0.25:
        small = torch.stack([jpeg(picture, int(rng.integers(70, 96))) for picture in small])
    return small / 255


def blur(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return pictures (B, 3, H, W) after a Gaussian of 5 x 5."""
    line = torch.exp(-torch.arange(-2.0, 3.0).square() / (2 * sigma**2))
    kernel = (line[:, None] * line[None]) / line.sum() ** 2
    return F.conv2d(F.pad(pictures, (2, 2, 2, 2), mode="replicate"), kernel.expand(3, 1, 5, 5), groups=3)


def jpeg(picture: torch.Tensor, quality: int) -> torch.Tensor:
    """Return a picture (3, H, W) in [0, 255] as it comes back from a JPEG file."""
    out = io.BytesIO()
    Image.fromarray(picture.byte().permute(1, 2, 0).numpy()).save(out, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(out))).permute(2, 0, 1).float()


def measure(held_out: Pictures) -> list[Figure]:
    """Return PSNR and SSIM of the network and of Lanczos, twofold and fourfold, for clean and for worn pictures."""
    rows = []
    for name, factor, worn in (("2x", 2, False), ("2x_worn", 2, True), ("4x", 4, False)):
        small = np.stack([make_small(picture, factor, worn) for picture in held_out])
        ours = scores(held_out, small, lambda picture, factor=factor: enlarge(picture, factor))
        lanczos = scores(held_out, small, lambda picture: resized(picture, 64))
        gain = ours[0] - lanczos[0]
        rows += [
            figure(f"{PREFIX}.{name}.psnr", ours[0], "dB"), figure(f"{PREFIX}.{name}.psnr_lanczos", lanczos[0], "dB"),
            figure(f"{PREFIX}.{name}.psnr_gain", gain, "dB", "> 0", gain > 0),
            figure(f"{PREFIX}.{name}.ssim", ours[1]), figure(f"{PREFIX}.{name}.ssim_lanczos", lanczos[1]),
            figure(f"{PREFIX}.{name}.ssim_gain", ours[1] - lanczos[1], "", "> 0", ours[1] > lanczos[1]),
        ]  # fmt: skip
    big = np.random.default_rng(0).integers(256, size=(1024, 1024, 3), dtype=np.uint8)
    began = time.process_time()
    double(big)
    return [*rows, figure("upscaling.megapixel", time.process_time() - began, "core seconds")]


def make_small(picture: Pictures, factor: int, worn: bool) -> Pictures:
    """Return a held-out picture made small by averaging, or, worn, by Lanczos after a blur and through JPEG."""
    small = Image.fromarray(picture)
    if not worn:
        return np.asarray(small.resize((64 // factor,) * 2, Image.Resampling.BOX))
    blurred = blur(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), 0.6)[0].permute(1, 2, 0)
    small = Image.fromarray(blurred.round().byte().numpy()).resize((64 // factor,) * 2, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return np.asarray(Image.open(out))


def enlarge(picture: Pictures, factor: int) -> Pictures:
    """Return a picture enlarged by the network, twice for fourfold."""
    return double(picture) if factor == 2 else double(double(picture))


def resized(picture: Pictures, side: int) -> Pictures:
    """Return a picture enlarged by Lanczos."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def scores(originals: Pictures, small: Pictures, enlarged: Callable[[Pictures], Pictures]) -> tuple[float, float]:
    """Return the means of PSNR (dB, over RGB) and SSIM (on luma) against the originals."""
    found = np.stack([enlarged(picture) for picture in small])
    mse = np.square(found.astype(np.float64) - originals).mean(axis=(1, 2, 3))
    psnr = 10 * np.log10(255**2 / np.maximum(mse, 1e-3))
    return float(psnr.mean()), ssim(luma(found), luma(originals))


def luma(pictures: Pictures) -> torch.Tensor:
    """Return (N, 1, H, W) of BT.601 luma in [0, 255]."""
    return torch.from_numpy(pictures @ np.array([0.299, 0.587, 0.114])).float()[:, None]


def ssim(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the mean structural similarity with the Gaussian window of 11 x 11, sigma 1.5 (Wang et al. 2004)."""
    line = torch.exp(-torch.arange(-5.0, 6.0).square() / (2 * 1.5**2))
    window = ((line[:, None] * line[None]) / line.sum() ** 2)[None, None]
    mean_a, mean_b = F.conv2d(a, window), F.conv2d(b, window)
    var_a, var_b = F.conv2d(a * a, window) - mean_a**2, F.conv2d(b * b, window) - mean_b**2
    shared = F.conv2d(a * b, window) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = (2 * mean_a * mean_b + c1) * (2 * shared + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(found.mean())


def sheet(pictures: Pictures) -> None:
    """Write held-out pictures in rows: made small, Lanczos, the network, the original."""
    small = [make_small(picture, 2, False) for picture in pictures]
    rows = [
        [np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.NEAREST)) for picture in small],
        [resized(picture, 64) for picture in small], [double(picture) for picture in small], list(pictures),
    ]  # fmt: skip
    image = Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))
    image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST).save(RESULTS / "upscaling.png")


def write_card(rows: list[Figure], steps: int, seconds: float) -> None:
    """Write the card beside the weights."""
    path = resources() / "models" / WEIGHTS
    network = upscaler()
    write_json(path.with_suffix(".json"), {
        "name": "Enlarging twofold, residual over bicubic interpolation",
        "file": WEIGHTS, "bytes": path.stat().st_size, "dtype": "float16",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "use": "Twice as many pixels a side; applied twice for fourfold.",
        "training_data": "956 base emoji of npm emoji-datasource-google 16.0.0 (Noto Emoji) at 64 px, on random plain "
        "colours, made small by three filters with blur, noise and JPEG; the other 955 were held out",
        "steps": steps, "processor_seconds": seconds,
        "licence": "Apache-2.0, as the artwork (Noto Emoji) and this program",
        "licence_file": "upscale_2x.LICENSE.txt",
        "papers": ["https://arxiv.org/abs/1609.05158", "https://arxiv.org/abs/1707.02921"],
        "command": command(),
        "measured": {row.figure: row.value for row in rows},
        "limits": "Sharp edges of drawings and icons come out well; textures of photographs gain little.",
    })  # fmt: skip


if __name__ == "__main__":
    main()
