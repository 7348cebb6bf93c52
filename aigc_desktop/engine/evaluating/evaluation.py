"""Evaluate a trained model on samples it makes: nearness to real data, variety, copying, each with its uncertainty.

Pictures are compared in EfficientNet-Lite0 features; texts by their words, and in the vectors of a text encoder that
the user imported. A family that measures itself by another model of its checkpoint has that one beside it. What cannot
be computed is left out and said in a note: no number here is a guess.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aigc_desktop.core.config import TaskConfig, check, describe, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Result
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import Report
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.evaluating.picture_report import measure_pictures
from aigc_desktop.engine.evaluating.text_material import TextJob
from aigc_desktop.engine.evaluating.text_report import measure_texts
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.metrics.figures import new_report, trained_dataset, training_plots
from aigc_desktop.engine.metrics.image import FEWEST
from aigc_desktop.engine.training.checkpoint import read_card


class EvaluateConfig(TaskConfig):
    """What to evaluate and on how many samples."""

    run: str = param(..., N_("Model"), N_("The trained model to evaluate."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    dataset: str = param(
        "", N_("Data"), N_("Models that label texts can be measured on any data set; empty takes the held-out texts."),
        kind=FieldKind.DATASET,
    )  # fmt: skip
    encoder: str = param(
        "", N_("Text encoder"),
        N_("An imported text encoder to compare meanings with; empty leaves these figures out. For texts only."),
        kind=FieldKind.ENCODER,
    )  # fmt: skip
    count: int = param(
        500, N_("Number of samples"),
        N_("How many samples to make; more is slower and more exact, 500 is a good start."), ge=FEWEST, le=20_000,
    )  # fmt: skip
    sweep: int = param(
        128, N_("Samples per temperature"),
        N_("Texts for each point of quality over variety; 128 is a good start, 0 leaves the plot out."), ge=0, le=5000,
    )  # fmt: skip
    temperatures: str = param(
        "0.6, 0.8, 1, 1.2", N_("Temperatures"), N_("The points of that plot, 0.1 to 3; 1 is what was learned."),
        advanced=True,
    )  # fmt: skip
    seed: int = param(
        0, N_("Seed"), N_("Start of the random numbers; the same seed gives the same samples."), ge=0, le=2**31 - 1,
        advanced=True,
    )  # fmt: skip
    device: str = param("auto", N_("Device"), N_("Where to compute; auto takes the fastest."), advanced=True)


def evaluate(config: EvaluateConfig, run: Run) -> EventStream:
    """Measure a model and yield one Result "evaluation": a Report as plain data; stoppable between small pieces."""
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
    temperatures = read_temperatures(config.temperatures)
    dataset = trained_dataset(workspace, trained)
    folder = trained.checkpoint(config.checkpoint)
    set_up(choose_device(config.device), config.seed)
    yield Progress(0, config.count, _("Loading the model"))
    card = read_card(folder)
    report = new_report(trained, folder.name, dataset, config.count, config.seed)
    training = {name: round(value, 5) for name, value in card.metrics.items()}
    report = replace(report, training=training, plots=training_plots(trained))
    if family.kind == "image":
        model = None if family.latents is None else family.latents(folder, config.device)
        sample = family.sampler(folder, config.device) if model is None else model.sample
        captions = held_out_captions(family, folder, dataset, config.seed)
        if captions:
            report = replace(report, notes=[_("Each picture is asked for by the caption of a held-out picture.")])
            sample = partial(sample, captions=captions)
        measuring = measure_pictures(sample, dataset, report, model)
    else:
        job = TextJob(
            family, folder, config.device, dataset, workspace, config.encoder, config.sweep, tuple(temperatures)
        )
        measuring = measure_texts(job, report)
    report = yield from _with_notes(measuring)
    yield Result("evaluation", report.plain())


def held_out_captions(family: Family, folder: Path, dataset: Dataset, seed: int) -> list[str]:
    """Return the captions of held-out pictures in a seeded order, of training pictures where none are held out.

    None for a model that is not asked in words.
    """
    if family.captions is None:
        return []
    told = family.captions(folder, dataset, "validation" if dataset.info.validation else "train")
    return [told[i] for i in np.random.default_rng(seed).permutation(len(told))] if any(told) else []


def read_temperatures(text: str) -> list[float]:
    """Return the temperatures in a text, ascending; UserError when one cannot be used."""
    try:
        found = sorted({float(part) for part in text.replace(",", " ").replace("，", " ").split()})
    except ValueError:
        found = [0.0]
    if not all(0.1 <= value <= 3 for value in found) or len(found) > 12:
        raise UserError(
            _("“{text}” is no list of temperatures.").format(text=text),
            _("Write up to 12 numbers between 0.1 and 3, for example: 0.6, 0.8, 1, 1.2"),
        )
    return found


def _with_notes(measuring: Generator[Event, str | None, Report]) -> Generator[Event, str | None, Report]:
    """Pass events on; return the report with the notes among them."""
    notes: list[str] = []
    while True:
        try:
            event = next(measuring)
        except StopIteration as end:
            report: Report = end.value
            return replace(report, notes=[*report.notes, *notes])
        if isinstance(event, Note):
            notes.append(event.message)
        yield event


JOBS = Family(
    "evaluate", N_("Evaluation"), N_("Measures what a trained model makes, on real data."), "any",
    (Task("run", N_("Evaluate"), EvaluateConfig, evaluate, "evaluate"),),
)  # fmt: skip
"""Measures of what a generator makes, computed from real data only."""

