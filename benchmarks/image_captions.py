"""What captions teach the image Transformer: nats per token of held-out emoji, and pictures of captions never seen.

python -m benchmarks.image_captions [--token-steps N] [--steps N] [--device cpu|cuda] [--threads N] [--workspace FOLDER]

The captions are the names of the base emoji. Some are left out of the data altogether, whose words it has in other
combinations; their pictures are drawn. Held-out pictures are told their own caption, that of another one, or none.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Result
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families import image_tokens, image_transformer
from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.nn.token_drawing import Drawing, hide
from aigc_desktop.engine.pictures.caption_words import captions_of
from aigc_desktop.engine.pictures.common import seeded
from aigc_desktop.engine.pictures.tokens_setup import PRESETS as TOKEN_PRESETS
from aigc_desktop.engine.pictures.tokens_setup import ImageTokensConfig
from aigc_desktop.engine.pictures.transformer_model import Model, Wish, load_model
from aigc_desktop.engine.pictures.transformer_setup import PRESETS, ImageTransformerConfig
from aigc_desktop.engine.training.checkpoint import read_model
from aigc_desktop.engine.training.data import to_model, to_pictures
from benchmarks.emoji_data import HELD_OUT, SIZE, preset_values, sheet
from benchmarks.fetch_data import fetch_emoji, load_emoji
from benchmarks.image_tokens import best, trained
from benchmarks.report import RESULTS, figure, write

LEFT_OUT = (
    "large blue square", "green heart", "large yellow circle", "purple heart", "white square button", "large red circle"
)  # fmt: skip
"""Captions never seen, of words that are."""
DRAWN = (*LEFT_OUT, "large red square", "blue heart", "cat face with tears of joy", "japan flag")
EACH, HIDDEN = 8, 4  # pictures of a caption; times that places of a held-out picture are hidden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--token-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = captioned_emoji(workspace)
    common = {"dataset": dataset.id, "threads": options.threads, "device": options.device, "log_every": 50}
    values = {**preset_values(TOKEN_PRESETS, SIZE, "cpu"), **common, "steps": options.token_steps}
    tokens, token_seconds = trained(workspace, image_tokens, ImageTokensConfig(**values))
    values = {**preset_values(PRESETS, SIZE, "cpu"), **common, "steps": options.steps, "tokens": tokens.id}
    run, seconds = trained(workspace, image_transformer, ImageTransformerConfig(**values))
    model = load_model(*read_model(best(run)), torch.device("cpu"))
    draw(model)
    name, nats = "image_captions.emoji32", told_nats(model, dataset)
    write("image_captions", [
        *(figure(f"{name}.nats_per_token ({told})", value, "nats") for told, value in nats.items()),
        figure(f"{name}.gain_of_a_caption", nats["no caption"] - nats["own caption"], "nats", "> 0",
               nats["own caption"] < nats["no caption"]),
        figure(f"{name}.cpu_s (with the tokens)", token_seconds + seconds, "s"),
    ])  # fmt: skip


def captioned_emoji(workspace: Workspace) -> Dataset:
    """Return the frozen data set of the workspace, imported from folders of pictures with captions when it is new."""
    if found := workspace.datasets():
        return found[0]
    package = fetch_emoji()
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    for entry, picture in zip(entries, load_emoji(package, SIZE), strict=True):
        caption = str(entry["name"]).lower()
        if caption in LEFT_OUT:
            continue
        file = workspace.folder / "emoji" / entry["category"].replace("/", "-") / entry["image"]
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)
        file.with_suffix(".txt").write_text(caption, encoding="utf-8")
    source = str(workspace.folder / "emoji")
    config = check(ScanConfig, {"source": source, "title": "emoji", "kind": "image", "labels": "folders"})
    run = Run(workspace.folder, workspace.folder)
    for event in import_dataset(config, {"size": str(SIZE), "validation": HELD_OUT[SIZE]}, run):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise RuntimeError("the import gave no data set")


def told_nats(model: Model, dataset: Dataset) -> dict[str, float]:
    """Return nats per hidden token of held-out pictures by what is told of them, the same places hidden each time."""
    assert model.words is not None
    rows = model.words.rows(captions_of(dataset, "validation"))
    labels = torch.from_numpy(dataset.labels("validation").astype(np.int64))
    anything = torch.full_like(labels, len(model.classes))
    shuffled = rows[torch.randperm(len(rows), generator=seeded(1))]
    told = {
        "own caption": (anything, rows), "caption of another": (anything, shuffled),
        "no caption": (anything, rows * 0), "class": (labels, rows * 0), "class and own caption": (labels, rows),
        "class and caption of another": (labels, shuffled),
    }  # fmt: skip
    with torch.inference_mode():
        pictures = to_model(torch.from_numpy(dataset.images("validation")))
        tokens = model.tokenizer.tokens(pictures)
        return {name: _nats(model, tokens, *what) for name, what in told.items()}


def _nats(model: Model, tokens: torch.Tensor, labels: torch.Tensor, words: torch.Tensor) -> float:
    network, total = model.transformer, []
    for turn in range(HIDDEN):
        even = (torch.arange(len(tokens)) + 0.5) / len(tokens)
        shown = hide(tokens, torch.cos(0.5 * torch.pi * even), network.unknown, seeded(turn))
        targets = tokens.masked_fill(shown != network.unknown, NO_TARGET)
        logits = network(shown, labels, caption=network.read(words))
        total.append(float(F.cross_entropy(logits.flatten(0, 1), targets.flatten())))
    return float(np.mean(total))


def draw(model: Model) -> None:
    """Write a sheet with a row of pictures for each caption, those never seen first."""
    with torch.inference_mode():
        pictures = [
            to_pictures(model.paint(seed, Wish(caption=caption), Drawing())[0])
            for caption in DRAWN for seed in range(EACH)
        ]  # fmt: skip
    sheet(np.concatenate(pictures), RESULTS / "image_captions_emoji32.png", EACH)


if __name__ == "__main__":
    main()
