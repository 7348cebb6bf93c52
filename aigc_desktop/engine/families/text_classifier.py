"""Text classifier: a published text encoder that learns to sort texts into the classes of a data set.

The mean of the tokens goes through one new linear layer (arXiv:1908.10084 compares it with the first token).
"""

from __future__ import annotations

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Progress
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.labels.adapting import AdapterTrainee, Lessons, load_base
from aigc_desktop.engine.labels.classifying import ClassAim, label_classes, predict, report_of, sorted_texts
from aigc_desktop.engine.labels.encoder_setup import AdapterConfig, adapter_planner
from aigc_desktop.engine.labels.labelling import (
    LabelConfig,
    LabelDataConfig,
    MeasureConfig,
    label_given,
    label_stored,
    load,
    measured,
    measured_dataset,
    nothing_to_measure,
    strangers,
)
from aigc_desktop.engine.labels.pieces import whole_pieces
from aigc_desktop.engine.training.data import open_dataset
from aigc_desktop.engine.training.loop import begin, fit


class ClassifierConfig(AdapterConfig):
    """Settings of teaching an encoder to sort texts."""


def need(dataset: Dataset) -> str:
    """Return why classes cannot be learned from a data set, "" when they can."""
    info = dataset.info
    there = [name for name, count in zip(info.classes, info.class_counts, strict=False) if count]
    if not there:
        return _("The texts of “{title}” have no classes: import them with a label column or sub-folders.").format(
            title=info.title
        )
    if len(there) == 1:
        return _("All labelled texts of “{title}” are of one class, “{name}”: there is nothing to tell apart.").format(
            title=info.title, name=there[0]
        )
    return ""


def train(config: ClassifierConfig, run: Run) -> EventStream:
    """Teach the encoder the classes of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    if lacking := need(dataset):
        raise UserError(lacking, _("Choose another data set."))
    classes = dataset.info.classes
    train_texts, held_out = (sorted_texts(dataset, classes, split) for split in ("train", "validation"))
    encoder = load_base(config, run, device)
    length = min(config.length, encoder.reader.longest)
    pieces = yield from whole_pieces(encoder.reader, train_texts.texts, train_texts.classes, length)
    checks = yield from whole_pieces(encoder.reader, held_out.texts, held_out.classes, length)
    aim = ClassAim(classes, held_out if checks else train_texts)
    yield from fit(config, run, AdapterTrainee(config, encoder, Lessons(pieces, checks), aim, device, run))


def label(config: LabelConfig, run: Run) -> EventStream:
    """Tell the class of given texts."""
    yield from label_given(config, run, label_classes)


def label_data(config: LabelDataConfig, run: Run) -> EventStream:
    """Tell the class of the texts of a data set."""
    yield from label_stored(config, run, label_classes)


def evaluate(config: MeasureConfig, run: Run) -> EventStream:
    """Compare the classes that are found with the true ones; yield one Result "evaluation", a Report."""
    dataset, splits = measured_dataset(config, run)
    yield Progress(0, 0, _("Loading the model"))
    loaded = load(config, run)
    source = sorted_texts(dataset, loaded.classes, *splits)
    if not len(source):
        raise nothing_to_measure(loaded.classes, dataset.info.classes)
    yield from strangers(loaded.classes, dataset.info.classes)
    told = yield from predict(loaded, source)
    trained = Workspace(run.workspace).run(config.run)
    yield measured(trained, loaded.card.step, dataset, report_of(source, loaded.classes, told))


FAMILY = Family(
    "text_classifier",
    N_("Text sorter"),
    N_("Sorts texts into the classes of your data: mood, subject, quality. Learns on a published text encoder."),
    "text",
    (
        Task("train", N_("Train a text sorter"), ClassifierConfig, train, "train",
             adapter_planner(ClassifierConfig, True, need)),
        Task("label", N_("Sort texts"), LabelConfig, label),
        Task("label_data", N_("Sort a data set"), LabelDataConfig, label_data),
        Task("evaluate", N_("Measure a text sorter"), MeasureConfig, evaluate, "evaluate"),
    ),
)  # fmt: skip
