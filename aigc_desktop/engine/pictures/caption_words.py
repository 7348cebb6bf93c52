"""Captions of pictures as numbers of words: which words a model knows, and how many of a caption it reads.

Words are those between spaces and marks; scripts without spaces are read letter by letter. So what is learned of a word
holds in any caption that has it, also beside words that it was never seen with, which pieces of words do not give.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.data.captions import CAPTION
from aigc_desktop.engine.nn.caption_encoder import NO_WORD

MOST_WORDS = 8000
LEAST_READ, MOST_READ = 8, 64  # words of a caption
_READ_WHOLE = 0.98  # of the captions
_EXAMPLES, _EXAMPLE_LENGTH = 3, 60
_ALONE = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def split_words(text: str) -> list[str]:
    """Return the words of a caption in small letters, without marks; "Red hat, 帽子!" gives red, hat, 帽, 子."""
    words, word = [], ""
    for letter in unicodedata.normalize("NFKC", text).casefold():
        kind = unicodedata.category(letter)
        without_spaces = ord(letter) > 0xE00 and unicodedata.name(letter, "").startswith(_ALONE)
        alone = kind == "So" or (kind[0] in "LNM" and without_spaces)
        if not alone and (kind[0] in "LN" or (kind[0] == "M" and word)):
            word += letter
            continue
        words += [word] if word else []
        words += [letter] if alone else []
        word = ""
    return [*words, word] if word else words


@dataclass(frozen=True)
class CaptionWords:
    """The words that a model knows, the most frequent first, and how many of a caption it reads."""

    words: tuple[str, ...]
    read: int
    examples: tuple[str, ...] = ()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, 1)}

    def rows(self, captions: Sequence[str]) -> Tensor:
        """Return the numbers of the words of captions, int16 (N, L); unknown words are left out."""
        found = torch.full((len(captions), self.read), NO_WORD, dtype=torch.int16)
        for row, caption in enumerate(captions):
            numbers = self._known(caption)[: self.read]
            found[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int16)
        return found

    def knows(self, caption: str) -> bool:
        """Return whether the model knows any word of a caption."""
        return bool(self._known(caption))

    def unknown(self, caption: str) -> list[str]:
        """Return the words of a caption that the model does not know, each once."""
        return list(dict.fromkeys(word for word in split_words(caption) if word not in self._numbers))

    def cut(self, captions: Iterable[str]) -> int:
        """Return how many of the captions have more words than are read."""
        return sum(len(self._known(caption)) > self.read for caption in captions)

    def told(self) -> dict[str, Any]:
        """Return what the card of a version says."""
        return {"words": list(self.words), "read": self.read, "examples": list(self.examples)}

    def _known(self, caption: str) -> list[int]:
        return [self._numbers[word] for word in split_words(caption) if word in self._numbers]


def captions_of(dataset: Dataset, split: Split) -> list[str]:
    """Return the caption of each picture of a split, "" without one."""
    return [told.get(CAPTION, "") for told in dataset.attributes(split)]


def words_of(dataset: Dataset | None) -> tuple[list[str], CaptionWords | None]:
    """Return the captions of the training pictures and the words in them; read once for each data set."""
    if dataset is None or not dataset.info.frozen or CAPTION not in dataset.info.attributes:
        return [], None
    return _words_of(dataset.folder, dataset.manifest_hash())


@lru_cache(maxsize=2)
def _words_of(folder: Path, _manifest_hash: str) -> tuple[list[str], CaptionWords | None]:
    captions = captions_of(Dataset(folder), "train")
    return captions, learn_words(captions)


def learn_words(captions: Iterable[str]) -> CaptionWords | None:
    """Return the words of the captions of a training; None when there are none."""
    split = [(caption, split_words(caption)) for caption in captions]
    counts = Counter(word for _caption, words in split for word in words)
    if not counts:
        return None
    known = sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]
    lengths = sorted(len(words) for _caption, words in split if words)
    read = lengths[min(len(lengths) - 1, int(_READ_WHOLE * len(lengths)))]
    short = dict.fromkeys(caption for caption, words in split if words and len(caption) <= _EXAMPLE_LENGTH)
    return CaptionWords(tuple(known), min(MOST_READ, max(LEAST_READ, read)), tuple(short)[:_EXAMPLES])


def saved_words(told: dict[str, Any] | None) -> CaptionWords | None:
    """Return the words in the card of a version; None where it knows no captions."""
    return CaptionWords(tuple(told["words"]), told["read"], tuple(told["examples"])) if told else None


def caption_notes(captions: Sequence[str], words: CaptionWords) -> list[str]:
    """Return what a user should know of the captions of the training pictures."""
    count, notes = sum(map(bool, captions)), []
    if count < len(captions):
        text = ngettext(
            "{count} of {all} pictures has a caption; the others are learned as pictures of anything.",
            "{count} of {all} pictures have a caption; the others are learned as pictures of anything.", count,
        )  # fmt: skip
        notes.append(text.format(count=f"{count:,}", all=f"{len(captions):,}"))
    if cut := words.cut(captions):
        text = _("Of long captions the first {words} words are read; longer ones: {count}.")
        notes.append(text.format(words=words.read, count=f"{cut:,}"))
    return notes


def passed_over(words: CaptionWords | None, caption: str) -> list[str]:
    """Return what a model passes over in a caption that it is asked for, in sentences.

    UserError when nothing of it is left.
    """
    if words is None:
        raise UserError(
            _("This model has not learned captions."), _("Leave the caption empty: it was trained without captions.")
        )
    unknown = words.unknown(caption)
    if not words.knows(caption):
        raise UserError(
            _("No word of “{caption}” was learned from the captions.").format(caption=caption),
            _("Use words as in: {examples}.").format(examples=" · ".join(words.examples or words.words[:_EXAMPLES])),
        )
    notes = []
    if unknown:
        notes.append(_("Not learned from the captions, so without effect: {words}.").format(words=", ".join(unknown)))
    if words.cut([caption]):
        notes.append(_("Only the first {count} words of the caption are read.").format(count=words.read))
    return notes
