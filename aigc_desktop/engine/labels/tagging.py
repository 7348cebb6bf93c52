"""Names in texts: words with tags from a data set, scores of words as tags, and the report."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import Figure, Section
from aigc_desktop.core.words import Words, tags_on, words_of
from aigc_desktop.engine.labels.adapted import Loaded
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.labels.labelling import (
    AT_ONCE,
    Findings,
    Labelled,
    confusion_table,
    example_table,
    score_table,
    shortened,
)
from aigc_desktop.engine.labels.pieces import Piece, Scores, scores_of, word_pieces
from aigc_desktop.engine.labels.words import marked_up, spans_on
from aigc_desktop.engine.metrics.figures import figure
from aigc_desktop.engine.metrics.tagging import (
    class_counts,
    confusion,
    entities,
    entity_counts,
    f1_estimate,
    kinds,
    tag_report,
)
from aigc_desktop.engine.nn.bio import decode, tags_of
from aigc_desktop.engine.pretrained.reader import Reader


@dataclass(frozen=True)
class TaggedTexts:
    """Texts with their words and the true tag of each word."""

    texts: list[str]
    words: list[Words]
    tags: list[list[str]]

    def __len__(self) -> int:
        return len(self.texts)


def tagged_texts(dataset: Dataset, *splits: Split) -> TaggedTexts:
    """Return the texts of splits in which names were looked for; words are those of the source where it gave them."""
    found = TaggedTexts([], [], [])
    for split in splits:
        for text, marks in zip(dataset.texts(split), dataset.marks(split), strict=True):
            if marks is not None:
                words = marks.words or words_of(text)
                found.texts.append(text)
                found.words.append(words)
                found.tags.append(tags_on(words, marks.spans))
    return found


def lessons_of(
    reader: Reader, source: TaggedTexts, classes: Sequence[str], length: int
) -> Generator[Event, str | None, list[Piece]]:
    """Return the pieces of tagged texts, with the numbers of their tags as labels."""
    number = {tag: index for index, tag in enumerate(tags_of(classes))}
    labels = [[number[tag] for tag in told] for told in source.tags]
    return (yield from word_pieces(reader, source.texts, source.words, labels, length))


def decoded(
    pieces: Sequence[Piece], scores: Sequence[Scores], counts: dict[int, int], tags: Sequence[str]
) -> dict[int, list[str]]:
    """Return the best allowed tags of texts by number, from the scores of their pieces; `counts` are their words.

    A word without tokens takes what goes best with its neighbours.
    """
    whole = _joined(pieces, scores, counts, len(tags))
    paths = decode(list(whole.values()), tags)
    return {text: [tags[i] for i in path] for text, path in zip(whole, paths, strict=True)}


def _joined(
    pieces: Sequence[Piece], scores: Sequence[Scores], counts: dict[int, int], outputs: int
) -> dict[int, np.ndarray[Any, Any]]:
    """Return log-probabilities (W, C) of all words of each text; of a word without tokens they are 0."""
    whole = {text: np.zeros((count, outputs)) for text, count in counts.items()}
    for piece, told in zip(pieces, scores, strict=True):
        whole[piece.text][piece.words] = told
    return whole


class TaggingAim:
    """Learn the tag of each word."""

    family, whole = "token_tagger", False

    def __init__(self, classes: Sequence[str], held_out: TaggedTexts) -> None:
        self.classes, self.held_out = list(classes), held_out
        self.tags = tags_of(self.classes)
        self.outputs = len(self.tags)

    def measure(self, pieces: Sequence[Piece], scores: Sequence[Scores]) -> dict[str, float]:
        """Return 1 - entity F1, the F1, and the accuracy of tokens."""
        found = self._found(pieces, scores)
        report = tag_report([self.held_out.tags[text] for text in found], list(found.values()))
        f1 = report.entities.micro.f1
        return {"val_error": 1 - f1, "val_entity_f1": f1, "val_token_accuracy": report.token_accuracy}

    def show(self, texts: Sequence[int], pieces: Sequence[Piece], scores: Sequence[Scores]) -> list[str]:
        """Return texts with their true names, and below each with those that were found."""
        found = self._found(pieces, scores)
        source = self.held_out
        return [
            f"{_shown(source, text, source.tags[text])}\n→ {_shown(source, text, found[text])}" for text in texts
        ]

    def _found(self, pieces: Sequence[Piece], scores: Sequence[Scores]) -> dict[int, list[str]]:
        counts = {piece.text: len(self.held_out.words[piece.text]) for piece in pieces}
        return decoded(pieces, scores, counts, self.tags)


def find_names(loaded: Loaded, texts: Sequence[str], words: Sequence[Words]) -> list[list[str]]:
    """Return the tags of the words of texts."""
    return [found for found, _certainty in find_sure_names(loaded, texts, words)]


def find_sure_names(loaded: Loaded, texts: Sequence[str], words: Sequence[Words]) -> list[tuple[list[str], float]]:
    """Return the tags of the words of texts, and how certain the least certain of them is, 0 to 1."""
    tags = tags_of(loaded.classes)
    pieces = value_of(word_pieces(loaded.reader, texts, words, (), loaded.length))
    scores = value_of(scores_of(loaded.model, pieces, loaded.reader, loaded.device))
    whole = list(_joined(pieces, scores, {i: len(w) for i, w in enumerate(words)}, len(tags)).values())
    found = []
    for told, path in zip(whole, decode(whole, tags), strict=True):
        certainty = float(np.exp(told[np.arange(len(path)), path].min(initial=0.0)))
        found.append(([tags[i] for i in path], min(1.0, certainty)))
    return found


def label_names(loaded: Loaded, texts: Sequence[str]) -> list[Labelled]:
    """Return texts with the names found in them."""
    words = [words_of(text) for text in texts]
    labelled = []
    for text, places, tags in zip(texts, words, find_names(loaded, texts, words), strict=True):
        spans = spans_on(places, tags)
        labelled.append(Labelled(marked_up(text, spans), {"text": text, "spans": spans}))
    return labelled


def predict(loaded: Loaded, source: TaggedTexts) -> Generator[Event, str | None, list[list[str]]]:
    """Return the tags found in texts whose words are known; yields Progress."""
    told: list[list[str]] = []
    for start in range(0, len(source), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        told += find_names(loaded, source.texts[part], source.words[part])
        yield Progress(len(told), len(source), _("Labelling"))
    return told


def report_of(source: TaggedTexts, told: Sequence[Sequence[str]]) -> Findings:
    """Return every figure of a tagger under the name of what it is."""
    report = tag_report(source.tags, told)
    truth = [kinds(tags) for tags in source.tags]
    found = [kinds(tags) for tags in told]
    classes = ["O", *sorted({kind for part in (*truth, *found) for kind in part} - {"O"})]
    counts = confusion([k for part in truth for k in part], [k for part in found for k in part], classes)
    examples = []
    for i, tags in enumerate(told):
        wrong = len({*entities(source.tags[i])} ^ {*entities(tags)})
        cells = [shortened(_shown(source, i, source.tags[i])), shortened(_shown(source, i, tags)), wrong]
        examples.append((float(wrong), cells))
    columns = (N_("true"), N_("found"), N_("wrong or missing entities"))
    return Findings(len(source), [Section(N_("Finding names"), _figures(source, told))], [
        score_table(N_("Entities (strict, IOB2)"), report.entities),
        score_table(N_("Tokens, with O"), report.tokens),
        confusion_table(N_("Confusion of tokens: true class in rows"), classes, counts),
        example_table(N_("Worst examples"), columns, examples),
    ])  # fmt: skip


def _figures(source: TaggedTexts, told: Sequence[Sequence[str]]) -> list[Figure]:
    whole = entity_counts([entities(tags) for tags in source.tags], [entities(tags) for tags in told])
    tags = sorted({tag for part in (*source.tags, *told) for tag in part})
    single = class_counts(source.tags, told, tags)
    named = [i for i, tag in enumerate(tags) if tag != "O"]
    count = int(whole[2].sum())
    figures = [
        figure(N_("Entity F1, micro (strict, IOB2)"), f1_estimate(*whole, "micro"), "higher",
               N_("Precision and recall of whole names in one; a name counts when both ends and its class are right."),
               headline=True),
        figure(N_("Entity F1, macro (strict, IOB2)"), f1_estimate(*whole, "macro"), "higher",
               N_("The same as the mean of the classes: a rare class counts as much as a common one."), headline=True),
        figure(N_("Token accuracy, with O"), f1_estimate(*single, "micro"), "higher",
               N_("Share of words with the right tag; high by itself, because most words are no part of a name.")),
    ]  # fmt: skip
    if named:
        parts = [part[:, named] for part in single]
        figures.append(figure(
            N_("Token F1, macro, without O"), f1_estimate(parts[0], parts[1], parts[2], "macro"), "higher",
            N_("Mean F1 of the tags of names, word by word."),
        ))  # fmt: skip
    says = N_("How many names there are in the texts that were measured on.")
    return [*figures, Figure(N_("Names in the data"), float(count), says, digits=0)]


def _shown(source: TaggedTexts, text: int, tags: Sequence[str]) -> str:
    return marked_up(source.texts[text], spans_on(source.words[text], tags))
