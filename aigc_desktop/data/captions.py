"""What is told of pictures beside them: captions in text files of the same name, captions and labels in tables.

Trainers of LoRAs all read such pairs: `cat.jpg` with `cat.txt` beside it. Tables name a picture in each row, as
`metadata.csv` or `metadata.jsonl` of published data sets do in their column `file_name`, by its path from the table.
A caption is kept as the attribute "caption" of its picture.
"""

from __future__ import annotations

import posixpath
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.data import texts
from aigc_desktop.data.attributes import encode
from aigc_desktop.data.encodings import bad_bytes, detect_encoding, open_text
from aigc_desktop.data.pictures import SUFFIXES
from aigc_desktop.data.pool import Pace
from aigc_desktop.data.problems import ItemProblem
from aigc_desktop.data.sources import Found
from aigc_desktop.data.tables import FILE_NAMES, TEXT_NAMES, columns_of, keys_of, read_csv, read_jsonl

CAPTION = "caption"
"""Name of the attribute."""
ENDINGS = (".txt", ".caption")
LONGEST = 2000  # characters; text encoders read a quarter of that at most


@dataclass(frozen=True)
class Told:
    """Of one picture: the path of the file with its caption, or the caption itself, and its label; "" for none."""

    file: str = ""
    caption: str = ""
    label: str = ""

    def attributes(self) -> str:
        """Return the caption as an item's attributes; "" for none, an empty or an unreadable one."""
        caption = _one_line(_read(self.file)) if self.file else self.caption
        return encode({CAPTION: caption}) if caption else ""


def gather(
    found: Iterable[Found], label_column: str, encoding: str
) -> Generator[Event, str | None, tuple[list[Found], dict[str, Told]]]:
    """Return the files that say nothing of pictures, and what the others say of each picture, by its path.

    A text file goes before a table. `label_column` names the column of the labels, "" for none. Yields Progress while
    tables are read, and a Note where they name pictures that are not there.
    """
    files = list(found)
    pictures = {_place(item): item.path for item in files if _ending(item) in SUFFIXES and not item.problem}
    by_stem = {_stem(place): path for place, path in pictures.items()}
    others: list[Found] = []
    captions: dict[str, str] = {}
    told: dict[str, Told] = {}
    for item in files:
        picture = by_stem.get(_stem(_place(item))) if _ending(item) in ENDINGS else None
        if picture is not None and not item.problem:
            captions.setdefault(picture, item.path)
        elif not pictures or item.problem or not _is_table(item, encoding):
            others.append(item)
        else:
            told |= yield from _read_table(item, pictures, label_column, encoding)
    told |= {path: Told(file, "", told[path].label if path in told else "") for path, file in captions.items()}
    return others, told


def _read_table(
    item: Found, pictures: dict[str, str], label_column: str, encoding: str
) -> Generator[Event, str | None, dict[str, Told]]:
    """Return what a table says; it is read once for names and labels, and once for captions, which may be missing."""
    folded = {place.casefold(): path for place, path in pictures.items()}  # tables come from systems that do not care
    columns = _columns(item, encoding)
    file = _column(columns, FILE_NAMES)
    caption = _column([name for name in columns if name not in (file, label_column)], TEXT_NAMES)
    pace = Pace(_("Reading captions"), 0, _("rows"))
    told: dict[str, Told] = {}
    rows: dict[int, str] = {}
    unknown = 0
    for row in _rows(item, texts.TextOptions("row", file, label_column, encoding)):
        name = row.text.strip().replace("\\", "/")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(_place(item)), name))
        picture = pictures.get(place) or folded.get(place.casefold())
        if picture is None:
            unknown += 1
        elif picture not in told:
            rows[row.row], told[picture] = picture, Told(label=row.label)
        if pace.due():
            yield pace.progress(row.row)
    for row in _rows(item, texts.TextOptions("row", caption, "", encoding)) if caption else ():
        if row.row in rows:
            told[rows[row.row]] = replace(told[rows[row.row]], caption=_one_line(row.text))
        if pace.due():
            yield pace.progress(row.row)
    if not told:
        yield Note(_("“{file}” says nothing of these pictures.").format(file=item.name), "warning")
    elif unknown:
        text = ngettext(
            "{count} row of “{file}” names no picture that is there.",
            "{count} rows of “{file}” name no picture that is there.", unknown,
        )  # fmt: skip
        yield Note(text.format(count=unknown, file=item.name), "warning")
    return told


def _rows(item: Found, options: texts.TextOptions) -> Iterator[texts.TextItem]:
    """Yield the rows that can be read; none of a table that has none."""
    read = read_csv if texts.SUFFIXES[_ending(item)] == "csv" else read_jsonl
    try:
        codec = texts.encoding_of(item.path, options).codec
        yield from (row for row in read(item.path, codec, options) if not row.problem)
    except ItemProblem:
        return


def _is_table(item: Found, encoding: str) -> bool:
    """Return whether a file is a table with a column for the names of pictures."""
    if texts.SUFFIXES.get(_ending(item)) not in ("csv", "jsonl"):
        return False
    try:
        return bool(_column(_columns(item, encoding), FILE_NAMES))
    except (ItemProblem, UserError, OSError):  # it is told as a file that is no picture
        return False


def _columns(item: Found, encoding: str) -> list[str]:
    options = texts.TextOptions("row", encoding=encoding)
    found = texts.encoding_of(item.path, options).codec
    if texts.SUFFIXES[_ending(item)] == "csv":
        return columns_of(item.path, found, options)
    return keys_of(item.path, found, options)


def _column(columns: Iterable[str], known: tuple[str, ...]) -> str:
    """Return the first column with a known name, "" when there is none; the names come in order of preference."""
    by_name = {name.strip().casefold(): name for name in reversed(list(columns))}
    return next((by_name[name] for name in known if name in by_name), "")


def _read(path: str) -> str:
    try:
        with open_text(path, detect_encoding(path).codec) as f:
            return f.read(LONGEST)
    except (ItemProblem, OSError):
        return ""


def _one_line(text: str) -> str:
    """Return a caption in one line; "" when its bytes were no text."""
    return "" if bad_bytes(text) else " ".join(text[:LONGEST].split())


def _place(item: Found) -> str:
    """Return where a file lies beside others: in an archive it has another name once it is unpacked."""
    if not item.source:
        return PurePath(item.path).as_posix()
    _files, archive, _rest = item.source.split("/", 2)
    return f"{archive}/{item.name}"


def _stem(place: str) -> str:
    return posixpath.splitext(place)[0]


def _ending(item: Found) -> str:
    return PurePath(item.name).suffix.lower()
