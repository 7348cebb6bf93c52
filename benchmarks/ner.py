"""Quality of the name finder on WNUT-17, emerging and rare names in noisy texts, with MiniLM-L6 as the encoder.

python -m benchmarks.ner [--epochs N] [--lr X] [--batch-size N] [--method full|lora] [--seed N] [--threads N]

The model learns on the training part alone, for a fixed number of steps; its last version is measured on both other
parts. Settings are chosen by the figure on dev. Every number of our report is compared with seqeval's in its strict
mode. Data: WNUT-17 (CC-BY 4.0); encoder: all-MiniLM-L6-v2 (Apache-2.0).
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
import warnings
from pathlib import Path

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Failed, Metric
from aigc_desktop.core.job import run_job
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.recorder import record
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.families import token_tagger
from aigc_desktop.engine.labels.adapted import load_adapted
from aigc_desktop.engine.labels.tagging import TaggedTexts, predict, report_of, tagged_texts
from aigc_desktop.engine.metrics.tagging import Report, TagReport, tag_report
from benchmarks.fetch_data import fetch_minilm
from benchmarks.report import Figure, data_folder, figure, write

PREFIX = "ner.wnut17"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--method", choices=("full", "lora"), default="full")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", type=int, default=12, help="print so many predictions")
    options = parser.parse_args()
    workspace = Workspace.open(Path(tempfile.mkdtemp()))
    learned = bring_in(workspace, "train")
    begin = time.process_time()
    run = train(workspace, learned, options)
    seconds = time.process_time() - begin
    rows = [figure(f"{PREFIX}.cpu_s", seconds, "s", "<= 2400", seconds <= 2400)]
    for part in ("dev", "test"):
        source = tagged_texts(bring_in(workspace, part), "train", "validation")
        told = found(workspace, run, source, options.show)
        rows += [*quality(tag_report(source.tags, told), part), equality(source.tags, told, part)]
    write("ner", rows)


def bring_in(workspace: Workspace, part: str) -> Dataset:
    """Import one file of WNUT-17, all of it for learning; the same text twice counts twice, as its authors count."""
    source = str(data_folder() / "wnut17" / f"{part}.conll")
    values = {"source": source, "title": part, "kind": "text", "remove_duplicates": False}
    run = Run(workspace.folder, workspace.folder)
    for _event in import_dataset(check(ScanConfig, values), {"validation": 0.0}, run):
        pass
    dataset = next(dataset for dataset in workspace.datasets() if dataset.info.title == part)
    names = dict(zip(dataset.info.span_classes, dataset.info.span_counts, strict=True))
    print(part, dataset.info.usable, "texts", names, dataset.info.problems)
    return dataset


def train(workspace: Workspace, dataset: Dataset, options: argparse.Namespace) -> Run:
    """Train for the number of epochs and return the run."""
    steps = options.epochs * math.ceil(dataset.info.train / options.batch_size)
    config = check(token_tagger.TaggerConfig, {
        "dataset": dataset.id, "encoder": str(fetch_minilm().resolve()), "method": options.method, "steps": steps,
        "batch_size": options.batch_size, "lr": options.lr, "warmup": steps // 10, "validate_every": 0,
        "sample_every": 0, "checkpoint_every": 0, "log_every": 100, "threads": options.threads, "seed": options.seed,
        "device": "cpu",
    })  # fmt: skip
    run = workspace.new_run("token_tagger.train", config.model_dump(mode="json"))
    for event in record(run, run_job(token_tagger.train, config, run)):
        if isinstance(event, Metric):
            print(event.step, {name: round(value, 4) for name, value in event.values.items()}, flush=True)
        if isinstance(event, Failed):
            raise RuntimeError(event.details)
    return run


def found(workspace: Workspace, run: Run, source: TaggedTexts, show: int) -> list[list[str]]:
    """Return the tags that the newest version finds; print some texts, true names above those found."""
    steps = predict(load_adapted(run.id, "last", "cpu", workspace), source)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            told: list[list[str]] = end.value
            break
    report = report_of(source, told)
    for table in report.tables:
        print("\n" + table.title)
        for row in [table.columns, *table.rows]:
            print("  " + "\t".join(map(str, row)))
    named = [i for i, tags in enumerate(source.tags) if set(tags) != {"O"}]
    for i in named[:: max(1, len(named) // max(1, show))]:
        part = TaggedTexts([source.texts[i]], [source.words[i]], [source.tags[i]])
        worst = report_of(part, [told[i]]).tables[3].rows
        print("\n" + "\n  ".join(map(str, worst[0])) if worst else f"\nright: {source.texts[i]}")
    return told


def quality(report: TagReport, part: str) -> list[Figure]:
    """Return the four lines that belong together, and precision and recall of entities."""
    entities = report.entities
    f1, prefix = entities.micro.f1, PREFIX if part == "test" else f"{PREFIX}.{part}"
    goal = (">= 0.35", f1 >= 0.35) if part == "test" else ("", None)
    return [
        figure(f"{prefix}.entity_f1", f1, "", *goal),
        figure(f"{prefix}.entity_precision", entities.micro.precision),
        figure(f"{prefix}.entity_recall", entities.micro.recall),
        figure(f"{prefix}.entity_macro_f1", entities.macro.f1),
        figure(f"{prefix}.token_accuracy_with_o", report.token_accuracy),
        figure(f"{prefix}.token_macro_f1_without_o", report.token_macro_f1),
    ]


def equality(truth: list[list[str]], told: list[list[str]], part: str) -> Figure:
    """Return the greatest difference between a number of our report and seqeval's."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that were never told
        theirs = classification_report(truth, told, output_dict=True, mode="strict", scheme=IOB2)
    ours = _by_name(tag_report(truth, told).entities)
    if ours.keys() != theirs.keys():
        raise AssertionError(f"other classes: {ours.keys() ^ theirs.keys()}")
    error = max(abs(ours[name][key] - float(value)) for name, row in theirs.items() for key, value in row.items())
    name = "ner.seqeval_max_error" if part == "test" else f"ner.seqeval_max_error.{part}"
    return figure(name, error, "", "<= 1e-9", error <= 1e-9)


def _by_name(report: Report) -> dict[str, dict[str, float]]:
    rows = {**report.classes, "micro avg": report.micro, "macro avg": report.macro, "weighted avg": report.weighted}
    return {
        name: {"precision": s.precision, "recall": s.recall, "f1-score": s.f1, "support": s.support}
        for name, s in rows.items()
    }


if __name__ == "__main__":
    main()
