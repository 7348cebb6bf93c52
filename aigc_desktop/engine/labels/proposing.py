"""Propose labels for the texts of a data set with a trained model; the user accepts or corrects them on the Data page.

Proposals are appended to the data set's journal as they are made, so a stop loses nothing and the same model goes on
where it was. Texts are read one after another: memory does not grow with the data but for one byte a text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.claim import claim
from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset, ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Result
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.label_classes import present, read_classes
from aigc_desktop.core.labels import PROPOSED, JournalWriter, Kind, TextLabel, journal_lines, read_label
from aigc_desktop.core.run import Run
from aigc_desktop.core.words import words_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.items import read_items
from aigc_desktop.data.label_index import LabelIndex, digest_of
from aigc_desktop.data.pool import Pace
from aigc_desktop.engine.labels.adapted import Loaded
from aigc_desktop.engine.labels.classifying import find_classes
from aigc_desktop.engine.labels.labelling import UseConfig, load, need_texts
from aigc_desktop.engine.labels.tagging import find_sure_names
from aigc_desktop.engine.labels.words import spans_on

AT_ONCE = 32
_SYNC_S = 1.0  # so much work a power cut may cost


class ProposeConfig(UseConfig):
    """Settings of proposing labels."""

    dataset: str = param(..., N_("Data"), N_("The data set whose texts get proposals."), kind=FieldKind.DATASET)
    only_new: bool = param(
        True, N_("Only texts without labels"),
        N_("Leave out texts that came with labels; those that you labelled yourself are always left out."),
    )  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """What a model tells of one text, and how certain it is."""

    spans: tuple[tuple[int, int, str], ...]
    label: str
    certainty: float


Proposer = Callable[[Loaded, Sequence[str]], list[Proposal]]


def propose(config: ProposeConfig, run: Run) -> EventStream:
    """Write a proposal for each text that has no label; the Result "proposals" has how many, kind and classes."""
    workspace = Workspace(run.workspace)
    dataset = workspace.dataset(config.dataset)
    need_texts(dataset)
    kind, proposer = _proposer(workspace.run(config.run))
    yield Progress(0, dataset.info.found, _("Loading the model"))
    loaded = load(config, run)
    with claim(dataset.folder):
        version = f"{loaded.card.step:06d}"
        done = yield from _labelled(dataset, kind, config, version)
        yield from _class_notes(dataset, kind, loaded.classes)
        blank = TextLabel(0, "", kind, source="model", run=config.run, version=version)
        count = yield from _write(dataset, _proposals(dataset, done, loaded, proposer, blank))
    yield Result("proposals", {"dataset": dataset.id, "kind": kind, "count": count, "classes": loaded.classes})


def _write(dataset: Dataset, steps: Iterator[tuple[int, list[TextLabel]]]) -> Generator[Event, str | None, int]:
    """Append proposals to the journal as they come and return how many there were."""
    pace, synced, count = Pace(_("Proposing labels"), dataset.info.found, _("texts")), time.monotonic(), 0
    with JournalWriter(dataset.folder / PROPOSED) as journal:
        try:
            for passed, labels in steps:
                journal.write(labels)
                count += len(labels)
                if time.monotonic() - synced > _SYNC_S:
                    journal.sync()
                    synced = time.monotonic()
                if pace.due():
                    yield pace.progress(passed)
        finally:
            journal.sync()
    yield pace.progress(dataset.info.found)
    return count


def _proposer(trained: Run) -> tuple[Kind, Proposer]:
    """Return what a trained model tells of texts, and how; UserError for a model that tells nothing of them."""
    family = trained.info.task.split(".")[0]
    if family == "token_tagger":
        return "names", propose_names
    if family == "text_classifier":
        return "class", propose_classes
    raise UserError(
        _("“{title}” does not label texts.").format(title=trained.info.title),
        _("Choose a name finder or a text sorter that you trained."),
    )


def propose_names(loaded: Loaded, texts: Sequence[str]) -> list[Proposal]:
    """Return the names found in texts; a text is as certain as its least certain word."""
    words = [words_of(text) for text in texts]
    found = find_sure_names(loaded, texts, words)
    return [
        Proposal(tuple(spans_on(places, tags)), "", certainty)
        for places, (tags, certainty) in zip(words, found, strict=True)
    ]


def propose_classes(loaded: Loaded, texts: Sequence[str]) -> list[Proposal]:
    """Return the likeliest class of each text with its probability; of a long text the beginning is read."""
    told = find_classes(loaded, texts)
    return [Proposal((), loaded.classes[int(row.argmax())], min(1.0, float(np.exp(row.max())))) for row in told]


def _labelled(
    dataset: Dataset, kind: Kind, config: ProposeConfig, version: str
) -> Generator[Event, str | None, npt.NDArray[np.bool_]]:
    """Return which texts need no proposal: labelled ones, and those that this version has told of already."""
    every = np.ones(dataset.info.found, bool)
    done = LabelIndex(dataset, kind, every, ~every).accepted
    pace = Pace(_("Reading the labels"), dataset.info.found, _("texts"))
    for number, (_start, line) in enumerate(journal_lines(dataset.folder / PROPOSED)):
        try:
            label = read_label(line)
        except ValueError:
            continue
        if label.kind == kind and label.row < len(done) and (label.run, label.version) == (config.run, version):
            done[label.row] = True
        if number % 256 == 0 and pace.due():
            yield pace.progress(min(number, pace.total))
    if config.only_new:
        for row, record in enumerate(read_items(dataset.items_file)):
            done[row] |= bool(record.marks if kind == "names" else record.label)
            if row % 256 == 0 and pace.due():
                yield pace.progress(row)
    return done


def _class_notes(dataset: Dataset, kind: Kind, told: Sequence[str]) -> Iterator[Event]:
    """Say which classes the model tells of that the data set does not have."""
    imported = dataset.info.span_classes if kind == "names" else dataset.info.classes
    classes = read_classes(dataset.folder).of(kind)
    known = present(classes, imported, set())
    new = [name for name in told if classes.renamed.get(name, name) not in known]
    if known and new:
        message = _("The model tells of classes that the data set does not have: {names}.")
        yield Note(message.format(names=", ".join(new)), "warning")


def _proposals(
    dataset: Dataset, done: npt.NDArray[np.bool_], loaded: Loaded, proposer: Proposer, blank: TextLabel
) -> Iterator[tuple[int, list[TextLabel]]]:
    """Yield (texts passed, proposals) for batches of the texts that are not done; `blank` says whose they are."""
    with dataset.found_texts.open("rb") as source:

        def told(batch: Sequence[tuple[int, ItemRecord]]) -> list[TextLabel]:
            texts = []
            for _row, record in batch:
                source.seek(record.offset)
                texts.append(source.read(record.size).decode("utf-8", "replace"))
            return [
                replace(
                    blank, row=row, digest=digest_of(record), spans=each.spans, label=each.label,
                    certainty=each.certainty,
                ) for (row, record), each in zip(batch, proposer(loaded, texts), strict=True)
            ]  # fmt: skip

        batch: list[tuple[int, ItemRecord]] = []
        for row, record in enumerate(read_items(dataset.items_file)):
            if record.problem or row >= len(done) or done[row]:
                continue
            batch.append((row, record))
            if len(batch) == AT_ONCE:
                yield row + 1, told(batch)
                batch = []
        if batch:
            yield len(done), told(batch)


JOBS = Family(
    "labels", N_("Labels"), N_("Proposes labels for texts with a trained model."), "text",
    (Task("propose", N_("Propose labels"), ProposeConfig, propose, "data"),),
)  # fmt: skip
