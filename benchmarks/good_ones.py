"""“12 good ones” of the shipped image GAN on the base emoji, what is called a copy, and where pure noise lands.

python -m benchmarks.good_ones [--workspace FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.events import Event, Note, Sample
from aigc_desktop.core.paths import resources
from aigc_desktop.core.records import read_record
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families.image_gan import load_painter, paint
from aigc_desktop.engine.pictures.common import Pictures
from aigc_desktop.engine.pictures.judge import Judge, spread, training_pictures
from aigc_desktop.engine.pictures.making import MakeConfig, stream_samples
from aigc_desktop.engine.training.checkpoint import Card
from aigc_desktop.engine.weights import read_tensors
from benchmarks.emoji_data import SIZE, emoji_dataset, sheet
from benchmarks.report import RESULTS, figure, write

MODEL = resources() / "models" / "image_gan_emoji32"
WANTED, SEED, PROBES, NOISE = 12, 7, 200, 50
Ended = TypeVar("Ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace)
    judge = Judge(dataset)
    drained(judge.rate(dataset.images("train")[:1]))  # looks at all of them, once
    began = time.perf_counter()
    copied = [rating.reasons for rating in drained(judge.rate(probes(dataset, "train")))]
    pace = PROBES / (time.perf_counter() - began)
    unseen = [rating.reasons for rating in drained(judge.rate(probes(dataset, "validation")))]
    noise = np.random.default_rng(0).integers(0, 256, (NOISE, SIZE, SIZE, 3), dtype=np.uint8)
    scores = [rating.score for rating in drained(judge.rate(noise))]
    kept, rejected, same = twelve(workspace, dataset)
    flagged, wrong = (float(np.mean(["copy" in reasons for reasons in part])) for part in (copied, unseen))
    told = all(rating.reasons for event in rejected for rating in event.ratings)
    count = sum(len(event.images) for event in rejected)
    write("good_ones", [
        figure("good_ones.kept", kept, "of 12", "= 12, each reject with a reason, again the same",
               kept == WANTED and told and same),
        figure("good_ones.rejected", count, "pictures"),
        figure(f"good_ones.copy_flagged ({PROBES} training pictures)", flagged, "", ">= 0.99", flagged >= 0.99),
        figure(f"good_ones.copy_flagged_wrongly ({PROBES} unseen pictures)", wrong, "", "<= 0.1", wrong <= 0.1),
        figure("good_ones.unseen_good", float(np.mean([not reasons for reasons in unseen])), "", ">= 0.85",
               float(np.mean([not reasons for reasons in unseen])) >= 0.85),
        figure(f"good_ones.noise_percentile (the best of {NOISE})", max(scores), "%", "<= 10", max(scores) <= 10),
        figure("good_ones.rated_per_s (1 thread)", pace, "pictures/s"),
    ])  # fmt: skip


def probes(dataset: Dataset, split: Split) -> Pictures:
    """Return PROBES pictures of a split, evenly spread."""
    return training_pictures(dataset, spread(dataset.indices(split), PROBES), (SIZE, SIZE))


def twelve(workspace: Workspace, dataset: Dataset) -> tuple[int, list[Sample], bool]:
    """Return how many pictures were kept, what was rejected, and whether a second time keeps the same seeds."""
    run = workspace.new_run("image_gan.train", {"dataset": dataset.id}, "shipped")
    run.update(dataset=dataset.id, dataset_hash=dataset.manifest_hash())
    card = read_record(MODEL / "model.json", Card)
    weights = {name: tensor.float() for name, tensor in read_tensors(MODEL / "model.safetensors").items()}
    painter = load_painter(card, weights, torch.device("cpu"))
    config = MakeConfig(run=run.id, count=WANTED, seed=SEED, good=True)
    seeds = []
    for _time in range(2):
        events = list(stream_samples(lambda seeds: paint(painter, card.extra, seeds), config, run))
        samples = [event for event in events if isinstance(event, Sample)]
        good = [event for event in samples if event.role == "samples"]
        seeds.append([seed for event in good for seed in event.seeds])
    print(*(event.message for event in events if isinstance(event, Note)))
    rejected = [event for event in samples if event.role == "rejected"]
    rows = [np.concatenate([event.images for event in part]) for part in (good, rejected) if part]
    filled = [np.pad(row, ((0, -len(row) % WANTED), (0, 0), (0, 0), (0, 0)), constant_values=255) for row in rows]
    sheet(np.concatenate(filled), RESULTS / "good_ones_emoji32.png", columns=WANTED)  # the kept ones on top
    return len(seeds[0]), rejected, seeds[0] == seeds[1]


def drained(steps: Generator[Event, None, Ended]) -> Ended:
    """Return what a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            ended: Ended = end.value
            return ended


if __name__ == "__main__":
    main()
