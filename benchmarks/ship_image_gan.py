"""Make resources/models/image_gan_emoji32 from the run of benchmarks.image_gan, for warm starts.

python -m benchmarks.ship_image_gan WORKSPACE RUN [CHECKPOINT]

The averaged generator, discriminator and encoder as they were, in 16-bit numbers, and a card with the measured figures.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.paths import resources
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.training.checkpoint import part, read_state
from aigc_desktop.engine.weights import write_tensors
from benchmarks.report import RESULTS

NAME = "image_gan_emoji32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("run")
    parser.add_argument("checkpoint", nargs="?", default="last")
    options = parser.parse_args()
    run = Workspace.open(options.workspace).run(options.run)
    state = read_state(run.checkpoint(options.checkpoint))
    tensors = {f"generator.{name}": tensor for name, tensor in part(state.model, "generator").items()}
    for network in ("discriminator", "encoder"):
        raw = part(state.tensors, f"module.{network}")
        tensors |= {f"{network}.{name}": tensor for name, tensor in raw.items()}
    folder = resources() / "models" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "model.safetensors"
    target.unlink(missing_ok=True)
    write_tensors(target, {name: tensor.to(torch.float16) for name, tensor in tensors.items()})
    results = json.loads((RESULTS / "image_gan.json").read_text(encoding="utf-8"))
    card = asdict(state.card) | {
        "title": "Class-conditional image GAN of emoji, 32 px",
        "weights": {"sha256": sha256_file(target), "bytes": target.stat().st_size, "numbers": "float16"},
        "data": "1,518 base emoji of npm emoji-datasource-google 16.0.0, on white at 32 px; a fifth was held out",
        "licence": "Apache-2.0, as the artwork (Noto Emoji) and this program",
        "command": results[0]["command"],
        "measured": {row["figure"]: row["value"] for row in results},
        "intended_use": "Starting point for training on other small pictures; its own pictures look like emoji.",
        "limits": "Coarse shapes and colours; details are not legible. Classes follow the emoji categories.",
    }
    write_json(folder / "model.json", card)
    print(folder, target.stat().st_size)


if __name__ == "__main__":
    main()
