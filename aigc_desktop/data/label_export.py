"""Save the labels of a data set as a file that other tools, and an import here, read: CoNLL or JSONL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from aigc_desktop.core.dataset import Dataset, ItemRecord
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _
from aigc_desktop.core.marks import read_marks
from aigc_desktop.core.words import tags_on, words_of
from aigc_desktop.data.items import read_items
from aigc_desktop.data.label_index import Corrections

Format = Literal["conll", "jsonl"]
FORMATS: tuple[Format, ...] = ("jsonl", "conll")


def export_labels(dataset: Dataset, path: Path, form: Format) -> int:
    """Write the labelled texts of a data set, what was accepted before what was imported; return how many.

    JSONL has {"text", "spans", "label"}, places as letters. CoNLL has words with IOB2 tags, a name of which only a part
    of a word is marked takes the whole word; classes of whole texts have no place in it. UserError when no text is
    labelled.
    """
    count = 0
    with atomic_file(path, "w") as out:
        for text, record in labelled(dataset):
            line = _conll(text, record) if form == "conll" else _jsonl(text, record)
            out.write(line)
            count += bool(line)
        if not count:
            raise UserError(
                _("Nothing of “{title}” is labelled for this kind of file.").format(title=dataset.info.title),
                _("Label texts on the Data page and accept them first."),
            )
    return count


def labelled(dataset: Dataset) -> Iterator[tuple[str, ItemRecord]]:
    """Yield (text, record with its labels) of the texts that have any."""
    if dataset.info.kind != "text":
        raise UserError(
            _("“{title}” holds no texts.").format(title=dataset.info.title), _("Choose a data set with texts.")
        )
    corrections = Corrections(dataset)
    with dataset.found_texts.open("rb") as source:
        for row, found in enumerate(read_items(dataset.items_file)):
            record = corrections.of(row, found)
            if not record.problem and (record.label or record.marks):
                source.seek(record.offset)
                yield source.read(record.size).decode("utf-8", "replace"), record


def _jsonl(text: str, record: ItemRecord) -> str:
    row: dict[str, object] = {"text": text}
    if record.marks:
        row["spans"] = read_marks(record.marks).spans
    if record.label:
        row["label"] = record.label
    return json.dumps(row, ensure_ascii=False) + "\n"


def _conll(text: str, record: ItemRecord) -> str:
    if not record.marks:
        return ""
    marks = read_marks(record.marks)
    words = marks.words or words_of(text)
    tags = [re.sub(r"\s+", "_", tag) for tag in tags_on(words, marks.spans)]
    lines = [f"{text[start:end]}\t{tag}\n" for (start, end), tag in zip(words, tags, strict=True)]
    return "".join(lines) + "\n" if lines else ""
