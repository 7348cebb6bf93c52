"""Texts as lessons for a published model: a request that is given and a text that is learned, made once per run.

runs/<id>/tokens/
  lessons.json      what they were made with, and notes to tell
  train.npy         int32 (T,): tokens of all pieces, one after another
  train_index.npy   int64 (N, 4): for each piece where it ends, how many of its tokens are given, the bytes of UTF-8
                    that the learned ones stand for, and the number of its text
  validation.npy, validation_index.npy

A plain text that does not fit into a window is cut into pieces, between characters; of an answer only the beginning is
kept, because without its request it would be another lesson.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.files import atomic_folder, damaged_file, write_json
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.engine.pretrained.load import LanguageModel
from aigc_desktop.engine.text.tokens import TAIL
from aigc_desktop.engine.training.data import Indices

LEAST = 16  # tokens that must be learned, and must be held out
_LEAST_ANSWER = 4  # tokens of room after a request
_EVERY = 64  # texts between two chances to stop
Ids = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Form:
    """How a text becomes a lesson: `prompt` names the attribute that is the request, "" for none."""

    prompt: str = ""
    chat: bool = False

    def teach(self, loaded: LanguageModel) -> LanguageModel:
        """Return a model that reads what is asked of it in the form that it learns."""
        ending = replace(loaded, end=loaded.end | {loaded.last})
        if self.chat:
            return ending
        return replace(ending, template="", begin=loaded.first, between="\n" if self.prompt else "")


@dataclass(frozen=True)
class Lessons:
    """Pieces of texts: piece i is `tokens[starts[i]:ends[i]]`, its first `given[i]` tokens do not count in the loss.

    `sizes` are the bytes of UTF-8 that the others stand for, `texts` numbers of texts of the data set's `split`.
    """

    tokens: Ids
    starts: Indices
    ends: Indices
    given: Indices
    sizes: Indices
    texts: Indices
    split: Split

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def learned(self) -> int:
        """Return how many tokens count in the loss."""
        return int((self.ends - self.starts - self.given).sum())

    def at(self, chosen: Indices | slice) -> Lessons:
        """Return some of the pieces."""
        names = ("starts", "ends", "given", "sizes", "texts")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def share(self, most: int) -> Lessons:
        """Return pieces of about `most` tokens, evenly spread."""
        total = int((self.ends - self.starts).sum())
        if total <= most:
            return self
        return self.at(np.linspace(0, len(self) - 1, max(1, int(len(self) * most / total))).astype(np.int64))


def make_lessons(
    run: Run, dataset: Dataset, loaded: LanguageModel, form: Form, context: int
) -> Generator[Event, str | None, tuple[Lessons, Lessons]]:
    """Return the lessons of a run for training and for validation, made at its first start; yields Progress and Notes.

    UserError when there is too little text, or no text has the attribute that is to be the request.
    """
    folder = run.folder / "tokens"
    if not (folder / "lessons.json").is_file():
        need_prompt(dataset, form.prompt)
        with atomic_folder(folder) as partial:
            notes = []
            splits: tuple[Split, ...] = ("train", "validation")
            for split in splits:
                notes += yield from _write(partial, split, dataset, form.teach(loaded), form, context)
            write_json(partial / "lessons.json", {"context": context, "notes": sorted(set(notes))})
        for note in read_table(folder / "lessons.json")["notes"]:
            yield Note(note, "warning")
    train, held_out = open_lessons(folder)
    if min(train.learned, held_out.learned) < LEAST:
        raise UserError(
            _("“{title}” has too little text; tokens: {count}, and at least {least} are needed.").format(
                title=dataset.info.title, count=train.learned + held_out.learned, least=2 * LEAST
            ),
            _("Add more text."),
        )
    return train, held_out


def need_prompt(dataset: Dataset, prompt: str) -> None:
    """Raise UserError when no text to learn from has a value of this attribute; "" is always right."""
    known = dataset.info.attributes
    if prompt and prompt not in known:
        raise UserError(
            _("The texts of “{title}” have no attribute “{name}”.").format(title=dataset.info.title, name=prompt),
            _("They have: {names}.").format(names=", ".join(known)) if known
            else _("Import them from a table, and name its columns as attributes; or leave the request empty."),
        )  # fmt: skip
    if prompt and not any(told.get(prompt) for told in dataset.attributes("train")):
        raise UserError(
            _("The attribute “{name}” is empty in all texts.").format(name=prompt),
            _("Choose another one, or leave the request empty."),
        )


def open_lessons(folder: Path) -> tuple[Lessons, Lessons]:
    """Return the lessons in a folder; the last tenth of all is held out when hardly any text is."""
    train, held_out = _read(folder, "train"), _read(folder, "validation")
    return (train, held_out) if held_out.learned >= LEAST else _without_tail(train)


def _without_tail(lessons: Lessons) -> tuple[Lessons, Lessons]:
    """Return lessons without and with the last tenth; a single piece is cut in two."""
    if len(lessons) == 1:
        cut = lessons.ends - np.maximum(LEAST + 1, ((lessons.ends - lessons.starts) * TAIL).astype(np.int64))
        held_bytes = np.maximum(1, lessons.sizes * (lessons.ends - cut - 1) // (lessons.ends - lessons.starts))
        tail = replace(lessons, starts=cut, given=np.ones(1, np.int64), sizes=held_bytes)
        return replace(lessons, ends=cut), tail
    count = 1
    while count < len(lessons) - 1 and (count < len(lessons) * TAIL or lessons.at(slice(-count, None)).learned < LEAST):
        count += 1
    return lessons.at(slice(None, -count)), lessons.at(slice(-count, None))


def requests_of(dataset: Dataset, held_out: Lessons, form: Form, count: int) -> list[str]:
    """Return up to `count` requests of held-out texts, evenly spread; none where nothing is asked for."""
    if not form.prompt:
        return []
    told = list(dataset.attributes(held_out.split))
    asked = [told[n][form.prompt] for n in np.unique(held_out.texts).tolist() if told[n].get(form.prompt)]
    return [asked[i] for i in _spread(len(asked), count)]


def beginnings_of(held_out: Lessons, loaded: LanguageModel, count: int, length: int) -> list[str]:
    """Return the first `length` tokens of up to `count` held-out pieces, evenly spread, as texts."""
    found = []
    for piece in _spread(len(held_out), count):
        start = int(held_out.starts[piece] + held_out.given[piece])
        ids = held_out.tokens[start : min(start + length, int(held_out.ends[piece]) - 1)]
        found.append(loaded.words.decode(ids.tolist(), unfinished=True))
    return [text for text in found if text.strip()]


def _spread(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` of the numbers below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(int)).tolist() if count else []


# making


def _write(
    folder: Path, split: Split, dataset: Dataset, loaded: LanguageModel, form: Form, context: int
) -> Generator[Event, str | None, list[str]]:
    """Write the lessons of a split and return sentences about what did not fit."""
    texts = dataset.texts(split)
    tokens: list[Ids] = [np.zeros(0, np.int32)]
    rows: list[tuple[int, int, int, int]] = []
    place = cut = left_out = 0
    for number, (text, told) in enumerate(zip(texts, dataset.attributes(split), strict=True)):
        request = told.get(form.prompt, "") if form.prompt else ""
        given = loaded.read(request, form.chat) if request else loaded.first
        if request and context + 1 - len(given) < _LEAST_ANSWER:
            left_out += 1
            continue
        for ids, known, size in _pieces(loaded, text, given, context + 1, whole=not request):
            tokens.append(np.array(ids, np.int32))
            place += len(ids)
            rows.append((place, known, size, number))
            cut += bool(request) and ids[-1] != loaded.last
        if number % _EVERY == 0:
            yield Progress(number, len(texts), _("Turning text into tokens"))
    np.save(folder / f"{split}.npy", np.concatenate(tokens))
    np.save(folder / f"{split}_index.npy", np.array(rows, np.int64).reshape(-1, 4))
    return list(_told(cut, left_out, context))


def _pieces(
    loaded: LanguageModel, text: str, given: tuple[int, ...], room: int, whole: bool
) -> Iterator[tuple[list[int], int, int]]:
    """Yield (tokens, how many are given, bytes of the others) of the pieces of a text; `whole` keeps all of them."""
    encoding = loaded.words.inner.encode(text, add_special_tokens=False)
    ids, spans = [*encoding.ids, loaded.last], [*encoding.offsets, (len(text), len(text))]
    known, start = list(given), 0
    while start < len(ids):
        end = min(len(ids), start + room - len(known))
        if end < len(ids):
            end = _between_characters(spans, start, end)
        last = end == len(ids)
        size = len(text[spans[start][0] : len(text) if last else spans[end][0]].encode("utf-8", "replace")) + last
        yield known + ids[start:end], len(known), size
        if not whole:
            return
        known, start = [ids[end - 1]], end


def _between_characters(spans: list[tuple[int, int]], start: int, end: int) -> int:
    """Return `end`, or the place before it where no character is cut in two."""
    cut = end
    while cut > start + 1 and spans[cut][0] < spans[cut - 1][1]:
        cut -= 1
    return cut if cut > start + 1 or spans[cut][0] >= spans[cut - 1][1] else end


def _told(cut: int, left_out: int, context: int) -> Iterator[str]:
    if cut:
        yield ngettext(
            "{count} text is longer than the window of {context} tokens: its end is not learned.",
            "{count} texts are longer than the window of {context} tokens: their ends are not learned.", cut,
        ).format(count=cut, context=context)  # fmt: skip
    if left_out:
        yield ngettext(
            "{count} request fills the window of {context} tokens: it is left out.",
            "{count} requests fill the window of {context} tokens: they are left out.", left_out,
        ).format(count=left_out, context=context)  # fmt: skip


def _read(folder: Path, split: Split) -> Lessons:
    try:
        tokens = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
        index = np.load(folder / f"{split}_index.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise damaged_file(folder / f"{split}.npy") from error
    if index.ndim != 2 or index.shape[1] != 4 or (len(index) and index[-1, 0] != len(tokens)):
        raise damaged_file(folder / f"{split}_index.npy")
    ends, given, sizes, texts = index.T
    starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
    return Lessons(tokens, starts, ends, given, sizes, texts, split)
