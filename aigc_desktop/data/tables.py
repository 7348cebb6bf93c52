"""Read rows of csv and jsonl files; a bad row is reported with its number and the others are used."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data import attributes
from aigc_desktop.data.encodings import bad_bytes, open_text
from aigc_desktop.data.problems import ItemProblem, shown_name
from aigc_desktop.data.spans import marked_text
from aigc_desktop.data.texts import TextItem, TextOptions, checked, numbered_lines

FILE_NAMES = ("file_name", "filename", "file", "image", "picture", "path", "文件名", "文件", "图片", "图像")
"""Columns that name a picture."""
TEXT_NAMES = ("text", "content", "body", "sentence", "caption", "review", "comment", "description", "prompt",
               "文本", "内容", "正文", "句子", "评论", "描述", "标题", "title")  # fmt: skip
_LABEL_NAMES = ("label", "class", "category", "tag", "sentiment", "标签", "类别", "分类")
_OTHER_NAMES = ("id", "name", "date", "index", "source", "author", "url", "编号", "日期", "作者", "来源")
_SEPARATORS = (",", ";", "\t", "|")
_PROBE_ROWS = 50
_MAX_DEPTH = 64


@dataclass(frozen=True)
class _Layout:
    """Where things are in a table; columns count from 0, `header` is empty when the first row is none."""

    separator: str
    header: list[str]
    width: int
    text: int
    label: int | None
    attributes: dict[str, int]


def columns_of(path: Path | str, encoding: str, options: TextOptions) -> list[str]:
    """Return the names of the columns of a csv file, or [] when its first row has none."""
    return _layout(path, encoding, options).header


def keys_of(path: Path | str, encoding: str, options: TextOptions) -> list[str]:
    """Return the keys of the first object in a jsonl file, or [] when none comes soon."""
    with open_text(path, encoding) as stream:
        for _row, line, whole in itertools.islice(numbered_lines(stream, options.limit), _PROBE_ROWS):
            value, _reason = _parse(line) if whole else (None, "")
            if isinstance(value, dict):
                return [str(key) for key in value]
    return []


def read_csv(path: Path | str, encoding: str, options: TextOptions) -> Iterator[TextItem]:
    """Yield the rows of a table with any common separator; UserError when a named column is not there."""
    csv.field_size_limit(options.limit)
    table = _layout(path, encoding, options)
    column = options.text_column or (table.header[table.text] if table.header else str(table.text + 1))
    with open_text(path, encoding) as stream:
        too_long: list[int] = []
        over: list[bool] = []
        lines = itertools.chain(_whole_lines(stream, options.limit, too_long), _note(over))
        reader = csv.reader(lines, delimiter=table.separator)
        skip, rows = bool(table.header), 0
        while True:
            began = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield _too_large(began, options) if "limit" in str(error) else TextItem(began, problem="corrupt")
                continue
            yield from (_too_large(number, options) for number in too_long)
            too_long.clear()
            if row is None:
                if table.header and not rows:
                    raise ItemProblem("no_rows")
                return
            if skip or not row:
                skip = skip and not row
                continue
            rows += 1
            if over:  # a row is whole at the end of its line, unless a quotation mark is open
                yield TextItem(began, problem="quote")
            elif len(row) != table.width:
                code = "too_few_cells" if len(row) < table.width else "too_many_cells"
                yield TextItem(began, problem=code, values={"found": len(row), "expected": table.width})
            elif not row[table.text].strip():
                yield TextItem(began, problem="no_text", values={"column": shown_name(column)})
            else:
                label = row[table.label].strip() if table.label is not None else ""
                told = attributes.kept({name: row[at] for name, at in table.attributes.items()})
                yield checked(TextItem(began, row[table.text], label, attributes=told), encoding)


def _note(over: list[bool]) -> Iterator[str]:
    """Note that the lines are over; there is none here."""
    over.append(True)
    yield from ()


def read_jsonl(path: Path | str, encoding: str, options: TextOptions) -> Iterator[TextItem]:
    """Yield the objects (or texts) of a file with one JSON value a line."""
    column = options.text_column
    inside = False
    with open_text(path, encoding) as stream:
        for row, line, whole in numbered_lines(stream, options.limit):
            if not whole or inside:
                if not inside:
                    yield _too_large(row, options)
                inside = not whole
                continue
            if not line.strip():
                continue
            value, reason = _parse(line)
            if reason:
                problem = checked(TextItem(row, line), encoding)
                yield problem if problem.problem else TextItem(row, problem="bad_json", values={"reason": reason})
                continue
            if isinstance(value, dict) and not column:
                taken = (options.label_column, *options.attributes)
                column = _text_key({key: item for key, item in value.items() if key not in taken})
            item = _from_value(row, value, column, options, encoding)
            if item.problem == "bad_bytes" and not bad_bytes(line):  # the bytes are right, not what JSON makes of them
                item = TextItem(row, problem="bad_json", values={"reason": _("half of a character, as in \\ud83d")})
            yield item


def _from_value(row: int, value: Any, column: str, options: TextOptions, encoding: str) -> TextItem:
    try:
        marked = marked_text(value, column)
    except ItemProblem as problem:
        return TextItem(row, problem=problem.code, values=problem.values)
    text = marked[0] if marked else value.get(column) if isinstance(value, dict) else value
    if not isinstance(text, str) or not text.strip():
        return TextItem(row, problem="no_text", values={"column": shown_name(column or "text")})
    label = value.get(options.label_column, "") if isinstance(value, dict) and options.label_column else ""
    label = label if isinstance(label, str) else "" if label is None else json.dumps(label)
    told = _told(value, column, options, marked is not None) if isinstance(value, dict) else {}
    marks = marked[1].line() if marked else ""
    return checked(TextItem(row, text, label.strip(), marks, attributes=told), encoding)


def _told(value: dict[str, Any], column: str, options: TextOptions, marked: bool) -> dict[str, str]:
    """Return the attributes in an object.

    With "*" all but objects within it, which are no short texts, and but lists where one holds the marked names.
    """
    if options.attributes == (attributes.ALL,):
        left_out = (dict, list) if marked else dict
        others = (key for key in value if key not in (column, options.label_column))
        return attributes.kept({key: value[key] for key in others if not isinstance(value[key], left_out)})
    return attributes.kept({key: value.get(key) for key in options.attributes})


def _parse(line: str) -> tuple[Any, str]:
    """Return (value, "") or (None, why not); neither deep nesting nor huge numbers get further than here."""
    if line.count("[") + line.count("{") > _MAX_DEPTH and _depth(line) > _MAX_DEPTH:
        return None, _("more than {limit} levels deep").format(limit=_MAX_DEPTH)
    try:
        return json.loads(line), ""
    except json.JSONDecodeError as error:
        return None, _("something is wrong at character {column}").format(column=error.colno)
    except (ValueError, RecursionError):
        return None, _("a number with too many digits")


def _depth(line: str) -> int:
    """Return how deep brackets nest outside of strings."""
    depth = deepest = 0
    quoted = escaped = False
    for c in line:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = c == "\\", c != '"'
        elif c == '"':
            quoted = True
        elif c in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "]}":
            depth -= 1
    return deepest


def _text_key(value: dict[str, Any]) -> str:
    """Return the key whose value is most likely the text: a known name, else the longest text."""
    texts = {key: item for key, item in value.items() if isinstance(item, str)}
    for name in TEXT_NAMES:
        for key in texts:
            if key.strip().casefold() == name:
                return key
    return max(texts, key=lambda key: len(texts[key]), default="text")


def _layout(path: Path | str, encoding: str, options: TextOptions) -> _Layout:
    """Find out the layout of a table from its first rows."""
    with open_text(path, encoding) as stream:
        lines = list(itertools.islice(_whole_lines(stream, options.limit, []), _PROBE_ROWS))
    separator = max(_SEPARATORS, key=lambda candidate: _agreement(lines, candidate))
    rows = [row for row in _probe(lines, separator) if row]
    first = [cell.strip().lstrip("\ufeff") for cell in rows[0]] if rows else []
    if any("\0" in cell for cell in first):
        raise ItemProblem("zero_byte")
    named = [name for name in (options.text_column, options.label_column, *options.attributes) if name]
    is_header = _names_columns(first, rows[1:]) or any(name in first for name in named)
    header = first if is_header else []
    width = len(header) or Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 1
    text_at = _column(options.text_column, header, width, path)
    label_at = _column(options.label_column, header, width, path)
    if text_at is None:
        taken = {_column(name, header, width, path) for name in options.attributes if name != attributes.ALL}
        whole = [row for row in rows[len(header) > 0 :] if len(row) == width]
        text_at = _text_column(header, whole, width, taken | {label_at})
    names = header or [str(at + 1) for at in range(width)]
    if options.attributes == (attributes.ALL,):
        told = {name: at for at, name in enumerate(names) if at not in (text_at, label_at)}
    else:
        found = {name: _column(name, header, width, path) for name in options.attributes}
        told = {name: at for name, at in found.items() if at is not None}
    return _Layout(separator, header, width, text_at, label_at, told)


def _names_columns(first: list[str], others: list[list[str]]) -> bool:
    """Return whether the first row has a usual column name that is not also a value of that column."""
    known = {*TEXT_NAMES, *FILE_NAMES, *_LABEL_NAMES, *_OTHER_NAMES}
    return any(
        cell.casefold() in known and not any(len(row) > at and row[at].strip() == cell for row in others)
        for at, cell in enumerate(first)
    )


def _column(name: str, header: list[str], width: int, path: Path | str) -> int | None:
    if not name:
        return None
    if name in header:
        return header.index(name)
    if name.isdecimal() and 1 <= int(name) <= width:
        return int(name) - 1
    raise UserError(
        _("“{file}” has no column “{column}”.").format(file=shown_name(Path(path).name), column=name),
        _("Choose one of its columns: {columns}.").format(
            columns=", ".join(shown_name(cell) for cell in header) or f"1–{width}"
        ),
    )


def _text_column(header: list[str], rows: list[list[str]], width: int, taken: set[int | None]) -> int:
    lowered = ["" if at in taken else cell.casefold() for at, cell in enumerate(header)]
    for name in TEXT_NAMES:
        if name in lowered:
            return lowered.index(name)
    candidates = [at for at in range(width) if at not in taken] or [0]
    return max(candidates, key=lambda at: sum(len(row[at]) for row in rows))


def _agreement(lines: list[str], separator: str) -> float:
    """Return how well a separator fits: cells in the commonest width × share of rows that have it."""
    widths = Counter(len(row) for row in _probe(lines, separator) if row)
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return min(width, 50) * count / widths.total() if width > 1 else 0.0


def _probe(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return []


def _whole_lines(stream: Any, limit: int, too_long: list[int]) -> Iterator[str]:
    inside = False
    for number, line, whole in numbered_lines(stream, limit):
        if whole and not inside:
            yield line + "\n"
        elif not inside:
            too_long.append(number)
            yield "\n"  # keeps the reader's count of lines right
        inside = not whole


def _too_large(row: int, options: TextOptions) -> TextItem:
    limit = _(_CHARACTERS).format(count=options.limit)
    return TextItem(row, problem="too_large", values={"size": _("more than that"), "limit": limit})


_CHARACTERS = N_("{count} characters")
