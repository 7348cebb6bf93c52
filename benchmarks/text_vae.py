"""Quality of the text VAE on 10,000 captions of pictures: what its code says, and how near its texts come to real ones.

python -m benchmarks.text_vae [--steps N] [--threads N] [--workspace FOLDER [--run ID]]

The data are the training captions of Texygen's Image-COCO; a tenth is held out. The Fréchet distance and the coverage
compare 1,500 texts with 1,500 training captions, by the sentence vectors of all-MiniLM-L6-v2 (mean over the tokens, of
length one); held-out captions show the floor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.recorder import record
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families import text_vae
from aigc_desktop.engine.metrics.image import frechet_distance, neighbourhood
from aigc_desktop.engine.metrics.text import unique_share
from benchmarks.fetch_data import fetch_minilm
from benchmarks.report import Figure, data_folder, figure, write

SAMPLES, COMPARED, SEED = 10_000, 1_500, 50_000
PREFIX = "text_vae.captions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--run", default="", help="measure this run, do not train")
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = captions(workspace)
    rows: list[Figure] = []
    if options.run:
        run = workspace.run(options.run)
    else:
        config = text_vae.TextVaeConfig(
            dataset=dataset.id, steps=options.steps, threads=options.threads, device="cpu", sample_every=0
        )
        run = workspace.new_run("text_vae.train", config.model_dump(mode="json"))
        begin = time.process_time()
        rows = validation(run, config)
        rows.append(figure(f"{PREFIX}.cpu_s", time.process_time() - begin, "s"))
    write("text_vae", [*rows, *quality(dataset, run)])


def captions(workspace: Workspace) -> Dataset:
    """Return the captions as a data set of the workspace."""
    if not workspace.datasets():
        values = {"source": str(data_folder() / "captions" / "train.txt"), "title": "captions", "kind": "text"}
        run = Run(workspace.folder, workspace.folder)
        for _event in import_dataset(check(ScanConfig, values), {"validation": 0.1}, run):
            pass
    return workspace.datasets()[0]


def validation(run: Run, config: text_vae.TextVaeConfig) -> list[Figure]:
    """Train; return the last measurements on held-out texts."""
    values: dict[str, float] = {}
    for event in record(run, text_vae.train(config, run)):
        if isinstance(event, Metric):
            values |= event.values
            if "val_loss" in event.values:
                print(event.step, {name: round(value, 3) for name, value in event.values.items()}, flush=True)
    share = values["active_units"] / config.latent
    return [
        figure(f"{PREFIX}.active_units", share, "", ">= 0.75", share >= 0.75),
        figure(f"{PREFIX}.kl", values["val_kl"], "nats/text"),
        figure(f"{PREFIX}.bound", values["val_loss"], "nats/token"),
        figure(f"{PREFIX}.weighted_bound", values["val_weighted"], "nats/token"),
        figure(f"{PREFIX}.steps", config.steps, "steps"),
    ]


def quality(dataset: Dataset, run: Run) -> list[Figure]:
    """Return how the texts of the newest version compare with real ones."""
    made = text_vae.sampler(run.checkpoint("last"), "cpu")(SAMPLES, SEED)
    print(*made[:8], sep="\n", flush=True)
    rng = np.random.default_rng(0)
    real, held_out = list(dataset.texts("train")), list(dataset.texts("validation"))
    order = rng.permutation(len(real))
    base, other = ([real[i] for i in part] for part in (order[:COMPARED], order[COMPARED : 2 * COMPARED]))
    a, b, floor = vectors(base), vectors(made[:COMPARED]), vectors(other)
    distance, unique = frechet_distance(a, b), unique_share([text.split() for text in made])
    near, known = neighbourhood(a, b), set(real)
    return [
        figure(f"{PREFIX}.frechet", distance, "", "<= 0.15", distance <= 0.15),
        figure(f"{PREFIX}.frechet.real", frechet_distance(a, floor)),
        figure(f"{PREFIX}.frechet.held_out ({len(held_out)} texts)", frechet_distance(a, vectors(held_out))),
        figure(f"{PREFIX}.coverage", near.coverage),
        figure(f"{PREFIX}.unique", unique),
        figure(f"{PREFIX}.copies", sum(text in known for text in made) / len(made)),
    ]


@torch.no_grad()
def vectors(texts: list[str]) -> np.ndarray:
    """Return sentence vectors (N, 384) of length one."""
    from transformers import AutoModel, AutoTokenizer

    folder = fetch_minilm()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    parts = []
    for start in range(0, len(texts), 100):
        chosen = texts[start : start + 100]
        batch = tokenizer(chosen, padding=True, truncation=True, max_length=128, return_tensors="pt")
        weights = batch["attention_mask"][:, :, None].float()
        mean = (model(**batch).last_hidden_state * weights).sum(1) / weights.sum(1)
        parts.append(torch.nn.functional.normalize(mean, dim=1))
    return torch.cat(parts).numpy()


if __name__ == "__main__":
    main()
