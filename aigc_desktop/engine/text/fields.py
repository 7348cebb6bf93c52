"""What is told of a text as lines of a prompt, "name: value": from the data set, and as a user types it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.dataset import Dataset, Split
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import damaged_file
from aigc_desktop.core.i18n import _
from aigc_desktop.data.attributes import clean
from aigc_desktop.engine.text.tokenizer import Tokenizer

LABEL = "label"
"""Name of the line that holds the label; an attribute of this name takes its place."""
_COLONS = (":", "：")
_PROBED = 512  # texts that tell how long lines are
_SHOWN = 0.6  # of the lines, in the mean, as text_packing.py draws them
Ids = npt.NDArray[np.integer]


def names_of(dataset: Dataset) -> list[str]:
    """Return the names of all lines that texts of a data set may have, in order."""
    return list(dict.fromkeys([*([LABEL] if dataset.info.classes else []), *dataset.info.attributes]))


def told_of(dataset: Dataset, split: Split) -> Iterator[dict[str, str]]:
    """Yield for each text of a split its values by name."""
    classes = dataset.info.classes
    for label, told in zip(dataset.labels(split).tolist(), dataset.attributes(split), strict=True):
        yield ({LABEL: clean(classes[label])} if 0 <= label < len(classes) else {}) | told


def line(name: str, value: str) -> str:
    """Return one line of a prompt."""
    return f"{name}: {value}\n"


def lines_of(dataset: Dataset, split: Split) -> Iterator[str]:
    """Yield all lines of a split, for the training of a tokenizer."""
    for told in told_of(dataset, split):
        yield from (line(name, value) for name, value in told.items())


def lines_share(dataset: Dataset) -> float:
    """Return about how many characters of lines training sees for each character of text."""
    return _SHOWN * all_lines_share(dataset)


def all_lines_share(dataset: Dataset) -> float:
    """Return about how many characters the lines of a text have, all of them, for each character of the text."""
    pairs = zip(told_of(dataset, "train"), dataset.texts("train"), strict=True)
    lines = texts = 0
    for told, text in itertools.islice(pairs, _PROBED):
        lines += sum(len(line(name, value)) for name, value in told.items())
        texts += len(text)
    return lines / max(1, texts)


@dataclass(frozen=True)
class FieldLines:
    """The lines of N texts as tokens: line k of text i is `tokens[offsets[i * K + k] : offsets[i * K + k + 1]]`.

    An absent line is empty.
    """

    names: tuple[str, ...]
    tokens: Ids
    offsets: npt.NDArray[np.int64]

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of tokens of each line, int64 (N, K)."""
        return np.diff(self.offsets).reshape(-1, max(1, len(self.names)))

    def line(self, text: int, field: int) -> Ids:
        """Return the tokens of a line."""
        at = text * len(self.names) + field
        return self.tokens[self.offsets[at] : self.offsets[at + 1]]


def write_lines(
    folder: Path, split: Split, names: Sequence[str], dataset: Dataset, tokenizer: Tokenizer
) -> Iterator[int]:
    """Write `SPLIT_fields.npy` and `SPLIT_field_offsets.npy`; yields the number of texts done."""
    parts: list[Ids] = []
    lengths: list[int] = []
    for done, told in enumerate(told_of(dataset, split)):
        for name in names:
            ids = tokenizer.encode(line(name, told[name])) if name in told else np.zeros(0, np.int32)
            parts.append(ids.astype(np.int32))
            lengths.append(len(ids))
        yield done
    np.save(folder / f"{split}_fields.npy", np.concatenate([np.zeros(0, np.int32), *parts]))
    np.save(folder / f"{split}_field_offsets.npy", np.cumsum([0, *lengths], dtype=np.int64))


def read_lines(folder: Path, split: Split, names: Sequence[str], texts: int) -> FieldLines:
    """Return the lines of `texts` texts; UserError when the files are damaged."""
    path = folder / f"{split}_fields.npy"
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)
        offsets = np.load(folder / f"{split}_field_offsets.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise damaged_file(path) from error
    if len(offsets) != texts * len(names) + 1 or offsets[-1] != len(tokens):
        raise damaged_file(path)
    return FieldLines(tuple(names), tokens, offsets)


def parse(entered: str, known: Sequence[str]) -> dict[str, str]:
    """Return the values by name in lines "name: value"; UserError for a name that is not among `known`."""
    values: dict[str, str] = {}
    for number, text in enumerate(entered.splitlines(), 1):
        if not text.strip():
            continue
        name, value = _split(text.strip(), number, known)
        if name in values:
            raise UserError(_("The attribute “{name}” is given twice.").format(name=name), _("Keep one of its lines."))
        if clean(value):
            values[name] = clean(value)
    return values


def _split(text: str, number: int, known: Sequence[str]) -> tuple[str, str]:
    """Return (name, value) of one line; the longest name counts, as a name may hold a colon itself."""
    for name in sorted(known, key=len, reverse=True):
        rest = text[len(name) :].lstrip()
        if text.startswith(name) and rest.startswith(_COLONS):
            return name, rest[1:]
    places = [text.index(colon) for colon in _COLONS if colon in text]
    if not places:
        raise UserError(
            _("Line {number} of the attributes is not of the form “name: value”.").format(number=number),
            known_names(known),
        )
    raise unknown_name(text[: min(places)].strip(), known)


def unknown_name(name: str, known: Sequence[str]) -> UserError:
    """Return the error for an attribute that a model does not know."""
    if not known:
        return UserError(
            _("This model knows no attributes: it was trained on texts without any."), _("Leave the attributes empty.")
        )
    return UserError(
        _("This model knows no attribute “{name}”, only: {names}.").format(name=name, names=", ".join(known)),
        _("Correct the name, or leave the line out."),
    )


def known_names(known: Sequence[str]) -> str:
    """Return a sentence that lists the attributes of a model."""
    return _("It knows: {names}.").format(names=", ".join(known)) if known else _("Leave the attributes empty.")
