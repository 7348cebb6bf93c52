"""Read CoNLL files: a token and its tag on each line, a blank line after each sentence.

The first column is the token, the last one the tag. IOB2, IOBES and BILOU are read as they are; a file in which names
begin with I- and never with B- after another label is IOB1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from aigc_desktop.data.encodings import open_text
from aigc_desktop.data.problems import ItemProblem
from aigc_desktop.data.spans import from_tags, is_tag, one_each
from aigc_desktop.data.texts import TextItem, TextOptions, checked, numbered_lines

MOST_WORDS = 5000
"""A longer sentence is cut where no name is."""
_PROBE_LINES = 400
_LEAST_SHARE = 0.95

Line = tuple[int, list[str]]
"""(number, columns)"""


def looks_like_conll(path: Path | str, encoding: str, options: TextOptions) -> bool:
    """Return whether nearly every line at the beginning of a plain text ends in a tag, one of them that of a class."""
    with open_text(path, encoding) as stream:
        lines = [text.split() for _row, text, _whole in itertools.islice(numbered_lines(stream, 10_000), _PROBE_LINES)]
    filled = [cells for cells in lines if cells and not cells[0].startswith("-DOCSTART-")]
    tagged = [cells for cells in filled if len(cells) >= 2 and is_tag(cells[-1])]
    named = any(cells[-1] != "O" for cells in tagged)
    return options.unit == "auto" and named and len(tagged) >= _LEAST_SHARE * len(filled)


def read_conll(path: Path | str, encoding: str, options: TextOptions) -> Iterator[TextItem]:
    """Yield the sentences of a file; one whose tags mean nothing is a problem with its reason."""
    iob1 = _is_iob1(path, encoding, options)
    with open_text(path, encoding) as stream:
        for sentence in _sentences(_lines(stream, options)):
            yield _item(sentence, encoding, iob1)


def _item(sentence: list[Line], encoding: str, iob1: bool) -> TextItem:
    row = sentence[0][0]
    tokens = [cells[0] for _row, cells in sentence]
    tags, several = one_each([cells[-1] if len(cells) > 1 else "" for _row, cells in sentence])
    try:
        text, marks = from_tags(tokens, tags, iob1)
    except ItemProblem as problem:
        return TextItem(row, problem=problem.code, values=problem.values)
    return checked(TextItem(row, text, marks=marks.line(), note="several" if several else ""), encoding)


def _lines(stream: object, options: TextOptions) -> Iterator[Line]:
    """Yield the columns of each line, [] for a blank one; a tab parts columns where there is one."""
    for row, text, _whole in numbered_lines(stream, options.limit):  # type: ignore[arg-type]
        cells = [cell.strip() for cell in text.split("\t")] if "\t" in text.strip() else text.split()
        yield row, [cell for cell in cells if cell]


def _sentences(lines: Iterator[Line]) -> Iterator[list[Line]]:
    held: list[Line] = []
    for row, cells in lines:
        begins_document = bool(cells) and cells[0].startswith("-DOCSTART-")
        comment = not held and bool(cells) and cells[0].startswith("#") and not is_tag(cells[-1])
        if comment:
            continue
        full = len(held) >= MOST_WORDS and bool(cells) and cells[-1][0] not in "IEL"
        if held and (not cells or begins_document or full):
            yield held
            held = []
        if cells and not begins_document:
            held.append((row, cells))
    if held:
        yield held


def _is_iob1(path: Path | str, encoding: str, options: TextOptions) -> bool:
    """Return whether I- begins names in a file: some I- continue nothing, and no B- follows another label."""
    orphans, begins = False, False
    before = "O"
    with open_text(path, encoding) as stream:
        for _row, cells in _lines(stream, options):
            tag = cells[-1] if len(cells) > 1 else "O"
            same = before[1:] == tag[1:]
            orphans |= tag.startswith("I-") and not same
            begins |= tag[0] in "BSU" and is_tag(tag) and tag != "O" and not same
            before = tag
    return orphans and not begins
