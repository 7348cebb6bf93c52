"""What the tasks that label texts share: their settings, labels as a stream, and tables of figures as a Result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Note, Progress, Result, Text
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import Section, Table
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import DEVICES
from aigc_desktop.engine.labels.adapted import Loaded, load_adapted
from aigc_desktop.engine.metrics.figures import new_report, trained_dataset
from aigc_desktop.engine.metrics.tagging import Report as Scored
from aigc_desktop.engine.metrics.tagging import Scores

LABELS = "labels.jsonl"
"""What labelling writes into the folder of its result: one JSON object a text, which the Data page imports."""
AT_ONCE = 32
WORST = 10
_LETTERS = 300  # of a text that is shown as an example
_CLASSES = 12  # that are named in a sentence


class UseConfig(TaskConfig):
    """Settings of every task that uses a trained model on texts."""

    run: str = param(..., N_("Model"), N_("The trained model that labels."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version of it; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = param(
        "auto", N_("Device"), N_("Where to compute; automatic takes a graphics card when there is one."),
        labels=DEVICES, advanced=True,
    )  # fmt: skip


class LabelConfig(UseConfig):
    """Settings of labelling texts that are given."""

    text: str = param("", N_("Texts"), N_("What is labelled; each line is a text of its own."), multiline=True)


class LabelDataConfig(UseConfig):
    """Settings of labelling a data set."""

    dataset: str = param(..., N_("Data"), N_("The data set whose texts are labelled."), kind=FieldKind.DATASET)
    count: int = param(0, N_("At most"), N_("Label so many of its first texts; 0 labels all."), ge=0)


class MeasureConfig(UseConfig):
    """Settings of measuring a trained model."""

    dataset: str = param(
        "", N_("Data"), N_("A data set to measure on; empty takes the texts that were held out in training."),
        kind=FieldKind.DATASET,
    )  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A text with its labels: as people read it, and as a row of LABELS."""

    shown: str
    row: dict[str, Any]


Labeller = Callable[[Loaded, Sequence[str]], Sequence[Labelled]]


def label_given(config: LabelConfig, run: Run, label: Labeller) -> EventStream:
    """Label the texts in a field."""
    yield from _label(config, run, given_texts(config), label)


def label_stored(config: LabelDataConfig, run: Run, label: Labeller) -> EventStream:
    """Label the texts of a data set."""
    yield from _label(config, run, stored_texts(config, run), label)


def load(config: UseConfig, run: Run) -> Loaded:
    """Return the model of a task."""
    return load_adapted(config.run, config.checkpoint, config.device, Workspace(run.workspace))


def _label(config: UseConfig, run: Run, texts: Sequence[str], label: Labeller) -> EventStream:
    """Yield the labelled texts as they come, and write them into the run's folder; what is done stays after a stop."""
    yield Progress(0, len(texts), _("Loading the model"))
    loaded = load(config, run)
    with (run.folder / LABELS).open("w", encoding="utf-8", newline="\n") as out:
        for start in range(0, len(texts), AT_ONCE):
            found = label(loaded, texts[start : start + AT_ONCE])
            out.writelines(json.dumps(item.row, ensure_ascii=False) + "\n" for item in found)
            out.flush()
            yield Text(0, tuple(item.shown for item in found))
            yield Progress(start + len(found), len(texts), _("Labelling"), unit=N_("texts"))


def given_texts(config: LabelConfig) -> list[str]:
    """Return the lines of a text field that hold a text; UserError when there are none."""
    texts = [line.strip() for line in config.text.splitlines() if line.strip()]
    if not texts:
        raise UserError(_("There is no text to label."), _("Write or paste a text into the field."))
    return texts


def stored_texts(config: LabelDataConfig, run: Run) -> list[str]:
    """Return the texts of a data set, in the order of its items; UserError when it holds none."""
    dataset = Workspace(run.workspace).dataset(config.dataset)
    need_texts(dataset)
    pairs = [
        pair for split in ("train", "validation")
        for pair in zip(dataset.indices(split), dataset.texts(split), strict=True)
    ]  # fmt: skip
    texts = [text for _index, text in sorted(pairs)]
    return texts[: config.count] if config.count else texts


def need_texts(dataset: Dataset) -> None:
    """Raise UserError unless a data set holds texts."""
    if dataset.info.kind != "text":
        raise UserError(
            _("“{title}” holds the wrong kind of data for this model.").format(title=dataset.info.title),
            _("Choose a data set with texts."),
        )


# figures

def score_table(title: str, report: Scored) -> Table:
    """Return the scores of all classes and their averages as a table."""
    averages = {_("micro average"): report.micro, _("macro average"): report.macro,
                _("weighted average"): report.weighted}  # fmt: skip
    rows = [_score_row(name, scores) for name, scores in (*report.classes.items(), *averages.items())]
    return Table(title, ["", N_("precision"), N_("recall"), "F1", N_("support")], rows)


def confusion_table(title: str, classes: Sequence[str], counts: Any) -> Table:
    """Return a confusion matrix (C, C) as a table: a row is what is true, a column what was told."""
    rows = [[name, *(int(count) for count in row)] for name, row in zip(classes, counts, strict=True)]
    return Table(title, ["", *classes], rows, "confusion")


def example_table(title: str, columns: Sequence[str], examples: Sequence[tuple[float, Sequence[Any]]]) -> Table:
    """Return the examples with the greatest number, how wrong they are, worst first; those of 0 are left out."""
    worst = sorted((example for example in examples if example[0] > 0), key=lambda example: -example[0])[:WORST]
    return Table(title, list(columns), [list(cells) for _wrong, cells in worst], "examples")


def measured(trained: Run, step: int, dataset: Dataset, findings: Findings) -> Result:
    """Return what was measured on a version of a run as the Result of the task."""
    report = new_report(trained, f"{step:06d}", dataset, findings.count)
    return Result("evaluation", replace(
        report, sections=[section for section in findings.sections if section.figures], tables=findings.tables,
        methods=[LABEL_METHOD],
    ).plain())  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """Figures and tables on `count` texts."""

    count: int
    sections: list[Section]
    tables: list[Table]


LABEL_METHOD = N_("Intervals hold 95 %: texts are drawn again 200 times with replacement, always in the same way.")


def shortened(text: str) -> str:
    """Return a text that fits into a table."""
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"


def _score_row(name: str, scores: Scores) -> list[Any]:
    values = (scores.precision, scores.recall, scores.f1)
    return [name, *(round(float(np.float64(value)), 5) for value in values), scores.support]


def measured_dataset(config: MeasureConfig, run: Run) -> tuple[Dataset, tuple[Literal["train", "validation"], ...]]:
    """Return the data set to measure on and its splits: a named one as a whole, else what training held out."""
    workspace = Workspace(run.workspace)
    if config.dataset:
        dataset = workspace.dataset(config.dataset)
        need_texts(dataset)
        return dataset, ("train", "validation")
    dataset = trained_dataset(workspace, workspace.run(config.run))
    return dataset, ("validation",)


def nothing_to_measure(known: Sequence[str], found: Sequence[str]) -> UserError:
    """Return the error for data without a text whose labels are known; `found` are the classes of the data."""
    if found and not set(known) & set(found):
        return UserError(
            _("The model knows none of the classes of these data: {names}.").format(names=", ".join(found[:_CLASSES])),
            _("It knows: {names}.").format(names=", ".join(known[:_CLASSES])),
        )
    return UserError(
        _("There are no texts with known labels to measure on."),
        _("Freeze the data set with a validation share above 0, or choose a data set with labels."),
    )


def strangers(known: Sequence[str], found: Sequence[str]) -> Iterator[Note]:
    """Yield a Note on classes of the data that the model does not know."""
    names = [name for name in found if name not in known]
    if names and len(names) < len(found):
        text = _("The model does not know these classes; it is not measured on them: {names}.")
        yield Note(text.format(names=", ".join(names[:_CLASSES])), "warning")
