"""Quality of the text GAN on 10,000 captions of pictures, beside the same network trained for likelihood only.

python -m benchmarks.text_gan [--steps N] [--threads N] [--workspace FOLDER [--run ID]] [--set NAME=VALUE ...]

Data, Fréchet distance and coverage are those of benchmarks/text_vae.py. Measured is the game's own best version by
validation, which need not be the best of the training: a game may never reach the version that it began from, which is
measured beside it then (`.kept`). The GAN and its twin of likelihood come from one checkpoint and took the same steps
of likelihood; the GAN heard the critic besides. Self-BLEU-4 is that of all 10,000 texts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric, Note
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.families import text_gan
from aigc_desktop.engine.metrics.image import frechet_distance, neighbourhood
from aigc_desktop.engine.metrics.text import bleu_scores, metric_tokens, self_bleu_scores, unique_share
from aigc_desktop.engine.text.gan_setup import PRESETS, TextGanConfig
from benchmarks.report import Figure, figure, write
from benchmarks.text_vae import COMPARED, SAMPLES, SEED, captions, vectors

PREFIX = "text_gan.captions"
Maker = Callable[[Path, str], Callable[[int, int], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=PRESETS[0].values["steps"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--run", default="", help="measure this run, do not train")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting")
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = captions(workspace)
    rows: list[Figure] = []
    if options.run:
        run = workspace.run(options.run)
    else:
        run, rows = trained(workspace, dataset, options)
    config = TextGanConfig(**run.config_values)
    played, kept = best_of_game(run, config.likelihood_steps), run.checkpoint("best").name
    rows += [
        figure(f"{PREFIX}.steps", int(run.checkpoints()[-1]), "steps"),
        figure(f"{PREFIX}.likelihood_steps (before the game)", config.likelihood_steps, "steps"),
        figure(f"{PREFIX}.game_step (measured here)", int(played), "steps"),
        figure(f"{PREFIX}.kept_step (by validation)", int(kept), "steps"),
        *quality(dataset, run, played, kept, options.samples),
    ]
    write("text_gan", rows)


def best_of_game(run: Run, begin: int) -> str:
    """Return the version with the least validated distance after step `begin`, of those that were saved."""
    found = {}
    for line in run.metrics_file.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        if values["step"] > begin and "val_frechet" in values:
            found[int(values["step"])] = values["val_frechet"]
    saved = [name for name in run.checkpoints() if int(name) in found]
    return min(saved, key=lambda name: found[int(name)])


def trained(workspace: Workspace, dataset: Dataset, options: argparse.Namespace) -> tuple[Run, list[Figure]]:
    """Train with the preset for a processor; return the run and what it cost."""
    own: dict[str, Any] = dict(pair.split("=", 1) for pair in options.set)
    config = check(TextGanConfig, {
        "dataset": dataset.id, **PRESETS[0].values, "steps": options.steps, "threads": options.threads,
        "device": "cpu", "sample_every": 0, "checkpoint_every": 100, "keep": 100,
        **{name: _value(text) for name, text in own.items()},
    })  # fmt: skip
    run = workspace.new_run("text_gan.train", config.model_dump(mode="json"))
    begin = time.process_time()
    for event in record(run, text_gan.train(config, run)):
        if isinstance(event, Metric) and any(name.startswith("val_") for name in event.values):
            seconds = time.process_time() - begin
            print(event.step, f"{seconds:.0f} s", {name: round(v, 4) for name, v in event.values.items()}, flush=True)
        elif isinstance(event, Note):
            print(event.message, flush=True)
    seconds = time.process_time() - begin
    return run, [figure(f"{PREFIX}.cpu_s", seconds, "s")]


def _value(text: str) -> Any:
    """Return a number or a truth value where the text is one."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def quality(dataset: Dataset, run: Run, played: str, kept: str, samples: int) -> list[Figure]:
    """Return how the GAN, its twin and what was kept compare with real texts and with each other."""
    real, held_out = list(dataset.texts("train")), list(dataset.texts("validation"))
    order = np.random.default_rng(0).permutation(len(real))
    base, other = ([real[i] for i in part] for part in (order[:COMPARED], order[COMPARED : 2 * COMPARED]))
    a, known = vectors(base), set(real)
    references = [metric_tokens(text) for text in held_out]

    def measured(version: str, sampler: Maker) -> dict[str, float]:
        made = sampler(run.checkpoint(version), "cpu")(samples, SEED)
        print(f"--- {version}", *made[:24], sep="\n", flush=True)
        b, tokens = vectors(made[:COMPARED]), [metric_tokens(text) for text in made]
        return {
            "frechet": frechet_distance(a, b),
            "coverage": neighbourhood(a, b).coverage,
            "unique": unique_share(tokens),
            "self_bleu": float(self_bleu_scores(tokens, (4,)).mean()),
            "bleu_held_out": float(bleu_scores(tokens[:COMPARED], references, (4,)).mean()),
            "copies": sum(text in known for text in made) / len(made),
        }

    assert text_gan.FAMILY.sampler and text_gan.FAMILY.baseline
    ours, theirs = measured(played, text_gan.FAMILY.sampler), measured(played, text_gan.FAMILY.baseline)
    others = {"mle": theirs} | ({} if kept == played else {"kept": measured(kept, text_gan.FAMILY.sampler)})
    more = ours["self_bleu"] - theirs["self_bleu"]
    real_tokens = [metric_tokens(text) for text in real]
    return [
        figure(f"{PREFIX}.frechet", ours["frechet"], "", "<= 0.084", ours["frechet"] <= 0.084),
        figure(f"{PREFIX}.unique", ours["unique"], "share", ">= 0.95", ours["unique"] >= 0.95),
        figure(f"{PREFIX}.self_bleu_vs_mle", more, "", "<= 0.05", more <= 0.05),
        *(figure(f"{PREFIX}.{key}", ours[key]) for key in ("self_bleu", "bleu_held_out", "coverage", "copies")),
        *(figure(f"{PREFIX}.{name}.{key}", v) for name, values in others.items() for key, v in values.items()),
        figure(f"{PREFIX}.real.frechet", frechet_distance(a, vectors(other))),
        figure(f"{PREFIX}.real.frechet_held_out ({len(held_out)} texts)", frechet_distance(a, vectors(held_out))),
        figure(f"{PREFIX}.real.self_bleu", float(self_bleu_scores(real_tokens, (4,)).mean())),
    ]


if __name__ == "__main__":
    main()
