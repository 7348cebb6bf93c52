"""Evaluate a trained model on samples it makes: distances to real data with their floor, diversity, copying.

Pictures are compared in EfficientNet-Lite0 features; texts by their words and characters. A family that measures itself
by another model of its checkpoint has that one's rows too. What cannot be computed is left out and said in a note: no
number here is a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from aigc_desktop.core.config import TaskConfig, check, describe, param
from aigc_desktop.core.dataset import Dataset, Texts
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Result
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.checkpoint import read_model
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.metrics.copying import longest_copies
from aigc_desktop.engine.metrics.features import iter_image_features
from aigc_desktop.engine.metrics.image import ImageReport, measure_images, pixel_vectors
from aigc_desktop.engine.metrics.text import bleu_scores, distinct_n, metric_tokens, self_bleu_scores, unique_share

SAMPLE_CHUNK = 16
MOST_REAL = 5_000
"""Real items compared at most: more change the third digit only and cost memory and time."""

Images = np.ndarray[Any, np.dtype[np.uint8]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


class EvaluateConfig(TaskConfig):
    """What to evaluate and on how many samples."""

    run: str = param(..., N_("Model"), N_("The trained model to evaluate."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    count: int = param(
        500, N_("Number of samples"),
        N_("How many samples to make; more is slower and more exact, 500 is a good start."), ge=16, le=20_000,
    )  # fmt: skip
    seed: int = param(0, N_("Seed"), N_("Start of the random numbers; the same seed gives the same samples."), ge=0)
    device: str = param("auto", N_("Device"), N_("Where to compute; auto takes the fastest."), advanced=True)
    dataset: str = param(
        "", N_("Data"), N_("Models that label texts can be measured on any data set; empty takes the held-out texts."),
        kind=FieldKind.DATASET,
    )  # fmt: skip


def evaluate(config: EvaluateConfig, run: Run) -> EventStream:
    """Make samples and yield one Result "evaluation" with (name, value) rows; stoppable between small pieces.

    A family that labels measures itself, and adds "tables" to the rows.
    """
    from aigc_desktop.engine.catalog import load_families  # the catalogue holds this module too

    workspace = Workspace(run.workspace)
    trained = workspace.run(config.run)
    family = load_families()[trained.info.task.split(".")[0]]
    own = next((task for task in family.tasks if task.group == "evaluate"), None)
    if own is not None:
        names = {field.name for field in describe(own.config)}
        yield from own.job(check(own.config, {k: v for k, v in config.model_dump().items() if k in names}), run)
        return
    if family.sampler is None:
        raise UserError(_("“{title}” makes nothing that could be measured.").format(title=_(family.title)))
    dataset = workspace.dataset(str(trained.config_values["dataset"]))
    if trained.info.dataset_hash and dataset.manifest_hash() != trained.info.dataset_hash:
        raise UserError(
            _("The data set “{title}” is not the one this model was trained on.").format(title=dataset.info.title),
            _("Restore the original data set, or train again."),
        )
    folder = trained.checkpoint(config.checkpoint)
    set_up(choose_device(config.device), config.seed)
    yield Progress(0, config.count, _("Loading the model"))
    sample = family.sampler(folder, config.device)
    card, _weights = read_model(folder)
    measure = _measure_pictures if family.kind == "image" else _measure_texts
    rows = yield from measure(config, dataset, sample)
    if family.baseline is not None:
        others = yield from measure(config, dataset, family.baseline(folder, config.device))
        rows += [(f"{name} (baseline)", value) for name, value in others]
    rows += [(name, round(value, 5)) for name, value in card.metrics.items()]
    yield Result("evaluation", {"run": config.run, "checkpoint": folder.name, "rows": [list(row) for row in rows]})


Rows = list[tuple[str, float | int | str]]


def _measure_pictures(
    config: EvaluateConfig, dataset: Dataset, sample: Callable[[int, int], Any]
) -> Generator[Event, str | None, Rows]:
    made: list[Images] = yield from _samples(config, sample)
    fake = np.concatenate(made)
    side = fake.shape[1]
    sets = []
    for images in (_real(dataset, "train", side), _real(dataset, "validation", side), fake):
        features = yield from _features(images)
        sets.append((features, pixel_vectors(_colour(images))))
    report: ImageReport | None = None
    measuring = measure_images(sets[0], sets[1], sets[2])
    while report is None:
        try:
            name = next(measuring)
        except StopIteration as end:
            report = end.value
        else:
            yield Progress(0, 0, _("Measuring {name}").format(name=name))
    if report.memorisation is None:
        yield Note(_("No pictures were held out, so copying cannot be measured."), "warning")
    return _picture_rows(report)


def _picture_rows(report: ImageReport) -> Rows:
    around = report.neighbourhood
    rows: Rows = [
        ("KID x1000", round(1000 * report.kid.value, 2)),
        ("KID x1000 low", round(1000 * report.kid.low, 2)),
        ("KID x1000 high", round(1000 * report.kid.high, 2)),
        ("FD", round(report.frechet.value, 2)),
        ("FD floor (real against real)", round(report.frechet.floor, 2)),
        ("FD items", report.frechet.count),
        ("precision", round(around.precision, 4)),
        ("recall", round(around.recall, 4)),
        ("density", round(around.density, 4)),
        ("coverage", round(around.coverage, 4)),
    ]
    for space, copying in (("features", report.memorisation), ("pixels", report.memorisation_pixels)):
        if copying is not None:
            rows.append((f"memorisation ratio ({space})", round(copying.ratio, 4)))
            rows.append((f"near copies ({space})", round(copying.near_share, 4)))
    return rows


def _measure_texts(
    config: EvaluateConfig, dataset: Dataset, sample: Callable[[int, int], Any]
) -> Generator[Event, str | None, Rows]:
    made: list[list[str]] = yield from _samples(config, sample)
    texts = [metric_tokens(text) for part in made for text in part]
    texts = [text for text in texts if text]
    if len(texts) < 2:
        raise UserError(_("The model writes empty texts only."), _("Train it longer, then evaluate again."))
    held_out = [metric_tokens(text) for text in _some(dataset.texts("validation"))]
    training = [metric_tokens(text) for text in _some(dataset.texts("train"))]
    rows: Rows = [("texts", len(texts)), ("unique share", round(unique_share(texts), 4))]
    rows += [(f"distinct-{n}", round(distinct_n(texts, n), 4)) for n in (1, 2) if any(len(t) >= n for t in texts)]
    yield Progress(0, 0, _("Measuring {name}").format(name="self-BLEU"))
    rows.append(("self-BLEU-4", round(float(self_bleu_scores(texts, (4,)).mean()), 4)))
    if held_out:
        yield Progress(0, 0, _("Measuring {name}").format(name="BLEU"))
        rows.append(("BLEU-4 against held-out", round(float(bleu_scores(texts, held_out, (4,)).mean()), 4)))
    yield Progress(0, 0, _("Measuring {name}").format(name=_("copied passages")))
    copies = longest_copies(texts, training)
    rows.append(("longest copied passage, median", float(np.median(copies))))
    rows.append(("longest copied passage, most", int(copies.max())))
    return rows


def _samples(config: EvaluateConfig, sample: Callable[[int, int], Any]) -> Generator[Event, str | None, list[Any]]:
    made = []
    for start in range(0, config.count, SAMPLE_CHUNK):
        yield Progress(start, config.count, _("Making samples"))
        made.append(sample(min(SAMPLE_CHUNK, config.count - start), config.seed + start))
    return made


def _features(images: Images) -> Generator[Event, str | None, Vectors]:
    parts = [np.empty((0, 1280), np.float32)]
    done = 0
    for part in iter_image_features(_colour(images)):
        parts.append(part)
        done += len(part)
        yield Progress(done, len(images), _("Looking at pictures"))
    return np.concatenate(parts)


def _real(dataset: Dataset, split: Any, side: int) -> Images:
    """Return at most MOST_REAL pictures of a split, averaged down to the size of the samples."""
    images = np.asarray(dataset.image_map[dataset.indices(split)[:MOST_REAL]])
    factor = images.shape[1] // side
    if factor > 1 and len(images):
        count, _height, _width, channels = images.shape
        blocks = images.reshape(count, side, factor, side, factor, channels).astype(np.float32)
        images = np.rint(blocks.mean((2, 4))).astype(np.uint8)
    return images


def _colour(images: Images) -> Images:
    """Return pictures with three channels: grey repeated, transparency left out."""
    return np.repeat(images, 3, 3) if images.shape[3] == 1 else images[..., :3]


def _some(texts: Texts) -> list[str]:
    return texts[:MOST_REAL]


JOBS = Family(
    "evaluate", N_("Evaluation"), N_("Measures what a trained model makes, on real data."), "any",
    (Task("run", N_("Evaluate"), EvaluateConfig, evaluate, "evaluate"),),
)  # fmt: skip
