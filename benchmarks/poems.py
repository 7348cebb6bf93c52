"""Quality of the language model on classical Chinese poems: does it keep their form, and are its lines its own?

python -m benchmarks.poems [--steps N] [--threads N] [--workspace FOLDER [--run ID]]

The data are 16,394 poems, all of one form: four lines of five characters that end in "，。，。". Exact duplicates are
left out and a tenth of the poems is held out. The settings are those of the plan for this data on a processor; the
number of steps is fixed, so that the training takes about ten minutes of one slow core. 500 poems are written by the
job "generate" as it comes (temperature 0.8, top p 0.95, best version), and as many at temperature 1 from the
distribution that was learned (".temperature_1").
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric, Text
from aigc_desktop.core.machine import inspect_machine
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.recorder import record
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families import gpt
from aigc_desktop.engine.metrics.copying import longest_copies
from aigc_desktop.engine.metrics.text import bits_per_byte, unique_share
from aigc_desktop.engine.text.tokenizer import END
from benchmarks.report import Figure, data_folder, figure, update

SAMPLES, SEED = 500, 50_000
PREFIX = "gpt.poems"
LINE = r"[\u3400-\u4dbf\u4e00-\u9fff]{5}"  # neither "□", a character lost in print, nor the sign of a broken one
FORM = re.compile(f"{LINE}，{LINE}。{LINE}，{LINE}。")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--run", default="", help="measure this run, do not train")
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = poems(workspace)
    rows: list[Figure] = []
    if options.run:
        run = workspace.run(options.run)
    else:
        config = planned(dataset, options.steps, options.threads)
        run = workspace.new_run("gpt.train", config.model_dump(mode="json"))
        rows = training(run, config)
    update("poems", [*rows, *quality(dataset, workspace, run)])


def poems(workspace: Workspace) -> Dataset:
    """Return the poems as a data set of the workspace."""
    if not workspace.datasets():
        text = (data_folder() / "poems" / "shi.txt").read_text(encoding="utf-8")
        source = workspace.folder / "poems.txt"
        source.write_text(text.replace(" ", ""), encoding="utf-8")
        values = {"source": str(source), "title": "poems", "kind": "text", "text_item": "line"}
        run = Run(workspace.folder, workspace.folder)
        for _event in import_dataset(check(ScanConfig, values), {"validation": 0.1}, run):
            pass
    return workspace.datasets()[0]


def planned(dataset: Dataset, steps: int, threads: int) -> gpt.GPTConfig:
    """Return the settings that the plan gives for this data on a machine without a graphics card."""
    given = {"dataset": dataset.id, "steps": steps, "threads": threads, "device": "cpu", "sample_every": 0}
    plan = gpt.plan(given, "auto", dataset, inspect_machine())
    print(f"{plan.preset}: {plan.values}", *plan.notes, *plan.problems, sep="\n", flush=True)
    return check(gpt.GPTConfig, plan.values)


def training(run: Run, config: gpt.GPTConfig) -> list[Figure]:
    """Train; return what it took, in seconds of the cores that it got."""
    begin, step = time.process_time(), 0
    for event in record(run, gpt.train(config, run)):
        if isinstance(event, Metric):
            step = event.step
            if "val_bpb" in event.values:
                print(step, {name: round(value, 3) for name, value in event.values.items()}, flush=True)
    return [
        figure(f"{PREFIX}.cpu_s", time.process_time() - begin, "s"),
        figure(f"{PREFIX}.steps", step, "steps"),
    ]


def quality(dataset: Dataset, workspace: Workspace, run: Run) -> list[Figure]:
    """Return how the poems of the best version compare with real ones."""
    folder = run.checkpoint("best")
    made, plain = generated(workspace, run), gpt.sampler(folder, "cpu")(SAMPLES, SEED)
    print("as the job writes:", *made[:10], "at temperature 1:", *plain[:10], sep="\n", flush=True)
    held_out = list(dataset.texts("validation"))
    known = {line for poem in dataset.texts("train") for line in lines(poem)}
    form = in_form(made)
    return [
        figure(f"{PREFIX}.form", form, "", ">= 0.90", form >= 0.90),
        figure(f"{PREFIX}.form.temperature_1", in_form(plain)),
        figure(f"{PREFIX}.form.real", in_form(held_out)),
        figure(f"{PREFIX}.bits_per_byte", held_out_bits(folder, held_out), "bits/byte"),
        figure(f"{PREFIX}.unique", unique_share(made)),
        figure(f"{PREFIX}.unique.temperature_1", unique_share(plain)),
        figure(f"{PREFIX}.copied_lines", copied_lines(made, known)),
        figure(f"{PREFIX}.copied_lines.temperature_1", copied_lines(plain, known)),
        figure(f"{PREFIX}.copied_lines.real", copied_lines(held_out, known)),
        *copied_runs("", made, dataset),
        *copied_runs(".real", held_out, dataset),
    ]


def copied_runs(name: str, texts: list[str], dataset: Dataset) -> list[Figure]:
    """Return how many characters in a row stand in one training poem: at most, and in the mean over the poems."""
    longest = longest_copies([list(text) for text in texts], [list(text) for text in dataset.texts("train")])
    return [
        figure(f"{PREFIX}.longest_copy{name}", float(longest.max()), "characters"),
        figure(f"{PREFIX}.longest_copy.mean{name}", float(longest.mean()), "characters"),
    ]


def generated(workspace: Workspace, run: Run) -> list[str]:
    """Return poems that the job "generate" writes with its own settings."""
    config = gpt.GenerateConfig(run=run.id, count=SAMPLES, seed=SEED, device="cpu")
    job = workspace.new_run("gpt.generate", config.model_dump(mode="json"), parent="results")
    return [
        text
        for event in record(job, gpt.generate(config, job))
        if isinstance(event, Text) and not event.partial
        for text in event.items
    ]


def in_form(texts: list[str]) -> float:
    """Return the share of texts that are four lines of five Chinese characters with the marks of the data."""
    return sum(FORM.fullmatch(text) is not None for text in texts) / len(texts)


def lines(text: str) -> list[str]:
    """Return the lines of five Chinese characters; lines of another length are left out."""
    return [line for line in re.split("[，。]", text) if re.fullmatch(LINE, line)]


def copied_lines(texts: list[str], known: set[str]) -> float:
    """Return the share of lines of five characters that stand in the training poems."""
    found = [line in known for text in texts for line in lines(text)]
    return sum(found) / max(1, len(found))


def held_out_bits(folder: Path, texts: list[str]) -> float:
    """Return bits per byte of whole poems, each read from its beginning; the end counts as a byte."""
    model, tokenizer = gpt.load(folder, "cpu")
    sizes = torch.from_numpy(tokenizer.byte_counts())
    nats, counts = [], []
    for start in range(0, len(texts), 64):
        rows = [torch.tensor([END, *tokenizer.encode(text).tolist(), END]) for text in texts[start : start + 64]]
        tokens = pad_sequence(rows, batch_first=True, padding_value=END)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        lengths = torch.tensor([len(row) - 1 for row in rows])
        real = torch.arange(inputs.shape[1]) < lengths[:, None]
        nats.append((model.token_losses(inputs, targets) * real).sum(1))
        counts.append((sizes[targets] * real).sum(1))
    return bits_per_byte(np.concatenate(nats), np.concatenate(counts)).value


if __name__ == "__main__":
    main()
