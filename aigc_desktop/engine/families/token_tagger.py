"""Token tagger: a published text encoder that learns to mark names in texts, in IOB2 (arXiv:1810.04805, section 5.3).

The first token of each word is told of; at inference the likeliest sequence of tags that means something is taken.
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
)
from aigc_desktop.engine.labels.tagging import (
    TaggingAim,
    label_names,
    lessons_of,
    predict,
    report_of,
    tagged_texts,
)
from aigc_desktop.engine.training.data import open_dataset
from aigc_desktop.engine.training.loop import begin, fit


class TaggerConfig(AdapterConfig):
    """Settings of teaching an encoder to mark names."""


def need(dataset: Dataset) -> str:
    """Return why names cannot be learned from a data set, "" when they can."""
    if not dataset.info.span_classes:
        return _("No names are marked in “{title}”: import a CoNLL file, or JSONL with spans.").format(
            title=dataset.info.title
        )
    return ""


def train(config: TaggerConfig, run: Run) -> EventStream:
    """Teach the encoder the names of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    if lacking := need(dataset):
        raise UserError(lacking, _("Choose another data set."))
    train_texts, held_out = (tagged_texts(dataset, split) for split in ("train", "validation"))
    classes = dataset.info.span_classes
    encoder = load_base(config, run, device)
    length = min(config.length, encoder.reader.longest)
    pieces = yield from lessons_of(encoder.reader, train_texts, classes, length)
    checks = yield from lessons_of(encoder.reader, held_out, classes, length)
    if not pieces:
        raise UserError(
            _("Not one text of “{title}” that is to be learned has marks.").format(title=dataset.info.title),
            _("Freeze it with a smaller validation share, or choose another data set."),
        )
    aim = TaggingAim(classes, held_out if checks else train_texts)
    yield from fit(config, run, AdapterTrainee(config, encoder, Lessons(pieces, checks), aim, device, run))


def label(config: LabelConfig, run: Run) -> EventStream:
    """Mark the names in given texts."""
    yield from label_given(config, run, label_names)


def label_data(config: LabelDataConfig, run: Run) -> EventStream:
    """Mark the names in the texts of a data set."""
    yield from label_stored(config, run, label_names)


def evaluate(config: MeasureConfig, run: Run) -> EventStream:
    """Compare the names that are found with the true ones; yield one Result "evaluation", a Report."""
    dataset, splits = measured_dataset(config, run)
    source = tagged_texts(dataset, *splits)
    if not len(source):
        raise nothing_to_measure([], [])
    yield Progress(0, len(source), _("Loading the model"))
    loaded = load(config, run)
    told = yield from predict(loaded, source)
    trained = Workspace(run.workspace).run(config.run)
    yield measured(trained, loaded.card.step, dataset, report_of(source, told))


FAMILY = Family(
    "token_tagger",
    N_("Name finder"),
    N_("Marks names in texts: people, places, products, whatever your data mark. Learns on a published text encoder."),
    "text",
    (
        Task("train", N_("Train a name finder"), TaggerConfig, train, "train",
             adapter_planner(TaggerConfig, False, need)),
        Task("label", N_("Mark names in texts"), LabelConfig, label),
        Task("label_data", N_("Mark names in a data set"), LabelDataConfig, label_data),
        Task("evaluate", N_("Measure a name finder"), MeasureConfig, evaluate, "evaluate"),
    ),
)  # fmt: skip
