"""Scan: look at every file of a folder, archive or list and write a data set that names what can be used.

The data set appears under its name only when the scan is complete; a stop, an error or a full disk leaves nothing,
a killed process at most a folder that ends in `.partial`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.dataset import DatasetInfo, write_info
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Result
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.files import atomic_folder, need_space
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data import archive, pictures, texts
from aigc_desktop.data.attributes import need_found, parse_columns
from aigc_desktop.data.captions import CAPTION
from aigc_desktop.data.items import ItemWriter
from aigc_desktop.data.pool import Pace
from aigc_desktop.data.problems import count_problems, describe_alike, shown_name
from aigc_desktop.data.scan_pictures import scan_pictures
from aigc_desktop.data.scan_texts import scan_texts
from aigc_desktop.data.sources import Found, find_files, label_by_folder, parse_sources, single_file, title_of

_BYTES_PER_ITEM = 500
_FEW_ITEMS = 20
_MANY_CLASSES = 1000
_PROBE = 200


class ScanConfig(TaskConfig):
    """What to import and how to read it."""

    source: str = param(
        ..., N_("Source"), N_("A folder, a zip archive or files; several are given one a line."), kind=FieldKind.PATH
    )
    title: str = param("", N_("Name"), N_("What the data set is called; empty takes the name of the source."))
    kind: Literal["auto", "image", "text"] = param(
        "auto", N_("Kind"), N_("Pictures or texts."),
        labels={"auto": N_("find out"), "image": N_("picture data"), "text": N_("text data")},
    )  # fmt: skip
    labels: Literal["none", "folders", "column"] = param(
        "none", N_("Labels"), N_("Where the class of an item comes from."),
        labels={"none": N_("none"), "folders": N_("sub-folders"), "column": N_("a column of the table")},
    )  # fmt: skip
    text_item: Literal["auto", "line", "paragraph", "document", "row"] = param(
        "auto", N_("A text is"), N_("What counts as one text; rows are for csv and jsonl files."),
        labels={
            "auto": N_("find out"), "line": N_("a line"), "paragraph": N_("a paragraph"),
            "document": N_("a whole file"), "row": N_("a row of a table"),
        }, advanced=True,
    )  # fmt: skip
    text_column: str = param("", N_("Text column"), N_("Column with the text; empty means find out."), advanced=True)
    label_column: str = param("", N_("Label column"), N_("Column with the label, when labels come from a column."))
    attribute_columns: str = param(
        "", N_("Attribute columns"),
        N_("Further columns that a text writer can learn to follow, parted by commas; * takes all others."),
    )  # fmt: skip
    minimum_side: int = param(
        16, N_("Minimum side"), N_("Pictures with a shorter side are left out."), unit="px", ge=1, le=4096,
        advanced=True,
    )  # fmt: skip
    remove_duplicates: bool = param(
        True, N_("Remove duplicates"), N_("Use only the first of several items with exactly the same content.")
    )
    licence: str = param("", N_("Licence"), N_("Where the data come from and what is allowed with them."))
    encoding: Literal[
        "auto", "utf-8", "utf-16", "gb18030", "big5hkscs", "cp932", "euc_jp", "cp949", "cp1252", "cp1250", "cp1251",
        "koi8_r", "cp1253", "cp1254", "cp1256",
    ] = param(
        "auto", N_("Text encoding"), N_("How bytes become letters; choose it when texts look wrong."),
        labels={
            "auto": N_("find out"), "utf-8": "UTF-8", "utf-16": "UTF-16", "gb18030": "GB18030 / GBK",
            "big5hkscs": "Big5", "cp932": "Shift-JIS", "euc_jp": "EUC-JP", "cp949": "EUC-KR",
            "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "koi8_r": "KOI8-R",
            "cp1253": "Windows-1253", "cp1254": "Windows-1254", "cp1256": "Windows-1256",
        }, advanced=True,
    )  # fmt: skip


def scan(config: ScanConfig, run: Run) -> EventStream:
    """Make a data set from the source; the Result "dataset" has its id, counts and the first 100 problems."""
    workspace = Workspace(run.workspace)
    workspace.remove_leftovers()  # of a killed import, which would take its name and its space
    paths = parse_sources(config.source)
    title = config.title.strip() or title_of(paths[0])
    target = workspace.new_dataset_folder(title)
    with atomic_folder(target) as folder:
        found = yield from _gather(paths, folder, workspace.folder)
        if config.labels == "folders":
            found = label_by_folder(found)
        kind = config.kind if config.kind != "auto" else guess_kind(found)
        options = _options(config)
        need_space(folder, _estimate(found, kind))
        with ItemWriter(folder / "items.jsonl", config.remove_duplicates) as items:
            if kind == "image":
                yield from scan_pictures(found, items, config.minimum_side, options.label_column, config.encoding)
            else:
                yield from scan_texts(found, items, folder / "texts.bin", options, config.labels == "folders")
        _need_usable(items, paths, kind)
        need_found(parse_columns(config.attribute_columns), items.attributes)
        classes, counts = items.labels()
        if config.labels == "column" and not classes:  # a misspelt name must not end as data without labels
            raise _no_labels(config.label_column, kind)
        span_classes, span_counts = items.names()
        info = DatasetInfo(
            id=target.name, title=title, kind=kind, source="\n".join(shown_name(path) for path in paths),
            created=datetime.now().astimezone().isoformat(timespec="seconds"),
            found=items.found, usable=items.usable, problems=dict(items.problems), notes=dict(items.notes),
            classes=classes, class_counts=counts, attributes=list(items.attributes),
            span_classes=span_classes, span_counts=span_counts,
            characters=items.characters, bytes=items.bytes, licence=config.licence,
        )  # fmt: skip
        write_info(folder, info)
    yield from _notes(info, items.attributes[CAPTION] if kind == "image" else 0)
    yield Result("dataset", {**describe(info), "first_problems": items.first_problems})


def describe(info: DatasetInfo) -> dict[str, object]:
    """Return what a Result tells of a data set."""
    names = (
        "id", "title", "kind", "found", "usable", "problems", "notes", "classes", "class_counts", "attributes",
        "characters", "bytes", "frozen", "size", "channels", "train", "validation", "span_classes", "span_counts",
        "aspect",
    )  # fmt: skip
    return {name: getattr(info, name) for name in names}


def guess_kind(found: list[Found]) -> Literal["image", "text"]:
    """Return what most of the first files are: by name, else by content."""
    votes = 0
    for item in [item for item in found if not item.problem][:_PROBE]:
        suffix = PurePath(item.name).suffix.lower()
        if suffix in pictures.SUFFIXES or (suffix not in texts.SUFFIXES and _begins_like_picture(item.path)):
            votes += 1
        elif suffix in texts.SUFFIXES:
            votes -= 0 if suffix == "" and _begins_like_picture(item.path) else 1
    return "image" if votes >= 0 else "text"


def _gather(paths: list[str], folder: Path, workspace: Path) -> Generator[Event, str | None, list[Found]]:
    """Return all files of the sources; archives are unpacked into the data set."""
    found: list[Found] = []
    skip = os.path.realpath(workspace)
    pace = Pace(_("Looking for files"), 0, _("files"))
    for number, path in enumerate(paths):
        if archive.is_zip(path):
            found += yield from archive.extract(Path(path), folder / "files" / str(number), folder)
            continue
        below = find_files(path, skip) if Path(path).is_dir() else iter([single_file(path)])
        outer = shown_name(Path(path).name) if len(paths) > 1 else ""
        for item in below:
            found.append(item._replace(label=outer))
            if pace.due():
                yield pace.progress(len(found))
    if not found:
        raise UserError(
            _("“{path}” is empty.").format(path=shown_name(paths[0])),
            _("Choose a folder that holds pictures or texts."),
        )
    return found


def _no_labels(column: str, kind: str) -> UserError:
    """Return the error for a column that gave no label, or for pictures without a table."""
    if kind == "image":
        return UserError(
            _("No picture has a label in the column “{column}”.").format(column=shown_name(column)),
            _("Put a table beside the pictures, with their names in a column “file_name”, or go without labels."),
        )
    return UserError(
        _("No text has a label in the column “{column}”.").format(column=shown_name(column)),
        _("Correct the name of the label column, or go without labels."),
    )


def _options(config: ScanConfig) -> texts.TextOptions:
    label_column = config.label_column if config.labels == "column" else ""
    if config.labels == "column" and not label_column:
        raise UserError(_("The label column is not named."), _("Enter the name of the column with the labels."))
    columns = parse_columns(config.attribute_columns)
    return texts.TextOptions(config.text_item, config.text_column, label_column, config.encoding, attributes=columns)


def _begins_like_picture(path: str) -> bool:
    try:
        return bool(pictures.sniff(pictures.read_head(path)))
    except OSError:
        return False


def _estimate(found: list[Found], kind: str) -> int:
    """Return about how many bytes the data set will take."""
    if kind == "image":
        return _BYTES_PER_ITEM * len(found)
    return sum(3 * _size(item.path) for item in found if not item.problem)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _need_usable(items: ItemWriter, paths: list[str], kind: str) -> None:
    if items.usable:
        return
    what = _("usable pictures") if kind == "image" else _("usable texts")
    reason = count_problems(dict(items.problems))
    first = items.first_problems[0]["detail"] if items.first_problems else ""
    path = shown_name(paths[0])
    if not reason:
        raise UserError(_("“{path}” holds no {what}.").format(path=path, what=what), _("Choose another source."))
    raise UserError(_("“{path}” holds no {what}: {reason}.").format(path=path, what=what, reason=reason), first)


def _notes(info: DatasetInfo, captions: int) -> Iterator[Event]:
    if info.usable < _FEW_ITEMS:
        few = ngettext(
            "Only {count} usable item: a model would learn it by heart. Add more.",
            "Only {count} usable items: a model would learn them by heart. Add more.", info.usable,
        )  # fmt: skip
        yield Note(few.format(count=info.usable), "warning")
    if info.problems:
        yield Note(_("Left out: {reasons}.").format(reasons=count_problems(info.problems)), "warning")
    if info.notes:
        yield Note(_("Used, but odd: {reasons}.").format(reasons=count_problems(info.notes)))
    if captions:
        told = ngettext("{count} picture has a caption.", "{count} pictures have captions.", captions)
        yield Note(told.format(count=captions))
    if alike := describe_alike(info.classes) or describe_alike(info.span_classes):
        yield Note(alike, "warning")
    if len(info.classes) > _MANY_CLASSES:
        yield Note(
            _("{count} different labels: this is probably not a column of classes.").format(count=len(info.classes)),
            "warning",
        )
