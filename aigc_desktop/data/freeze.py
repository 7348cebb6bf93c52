"""Freeze: write the snapshot that training reads, once, with a hash of every file.

Each picture is read, compared with the hash of its scan, decoded and fitted in one pass; what changed since is
named and left out. The snapshot appears under its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from array import array
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import field_validator

from aigc_desktop.core.aspect import SQUARE, Aspect, usual_aspect
from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.dataset import FORMAT, MARKS, UNMARKED, Dataset, DatasetInfo, ItemRecord, write_info
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Result
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.files import atomic_folder, move, need_space, write_json
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.core.marks import read_marks
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.items import FIRST_PROBLEMS, read_items
from aigc_desktop.data.label_index import Corrections
from aigc_desktop.data.npy import ArrayWriter
from aigc_desktop.data.pictures import cut_picture, read_file
from aigc_desktop.data.pool import Pace, ordered_map
from aigc_desktop.data.problems import ItemProblem, describe_problem
from aigc_desktop.data.scan import describe
from aigc_desktop.data.split import choose, content_of, digests_of, split

_CHUNK = 4 << 20
_CHECK_EVERY = 256
_Digest = bytes  # where the name `bytes` is that of a field


class FreezeConfig(TaskConfig):
    """What the snapshot holds."""

    dataset: str = param(..., N_("Data set"), N_("The data set to make ready for training."), kind=FieldKind.DATASET)
    size: Literal["32", "64", "128", "256", "512", "768", "1024"] = param(
        "64", N_("Picture size"),
        N_("Side of square pictures; those of other shapes are about as large. Diffusion models learn from 512 px on."),
        labels={side: f"{side} px" for side in ("32", "64", "128", "256", "512", "768", "1024")},
    )  # fmt: skip
    aspect: Literal["1:1", "auto", "4:3", "3:2", "16:9", "2:1", "3:4", "2:3", "9:16", "1:2"] = param(
        SQUARE, N_("Shape"), N_("Width to height; the middle of each picture is cut out in this shape."),
        labels={
            SQUARE: N_("Square"), "auto": N_("As most pictures"), "4:3": N_("4:3, landscape"),
            "3:2": N_("3:2, photo"), "16:9": N_("16:9, screen"), "2:1": N_("2:1, banner"),
            "3:4": N_("3:4, portrait"), "2:3": N_("2:3, poster"), "9:16": N_("9:16, phone"), "1:2": N_("1:2, bookmark"),
        },
    )  # fmt: skip
    transparency: Literal["white", "keep"] = param(
        "white", N_("Transparency"),
        N_("Whether models learn what is transparent, or white in its place; drawings often gain from keeping it."),
        labels={"white": N_("On white"), "keep": N_("Keep")},
    )  # fmt: skip
    validation: float = param(
        0.1, N_("Validation share"), N_("Part of the items that is kept apart to check the training."), ge=0.0, le=0.5
    )
    seed: int = param(
        0, N_("Seed"), N_("The same seed splits the same data in the same way."), ge=0, le=2**31 - 1, advanced=True
    )
    max_items: int = param(
        0, N_("At most"), N_("Use only so many items, chosen by the seed; 0 uses all."), unit=N_("items"), ge=0,
        advanced=True,
    )  # fmt: skip

    @field_validator("size", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value


@dataclass
class _Frozen:
    """What the freeze has gathered so far; one entry per item in the snapshot."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("i"))
    digests: bytearray = field(default_factory=bytearray)
    left_out: list[dict[str, str]] = field(default_factory=list)
    left_out_count: int = 0
    characters: int = 0
    bytes: int = 0
    channels: int = 0

    def add(self, row: int, label: int, record: ItemRecord, content: _Digest) -> None:
        self.rows.append(row)
        self.labels.append(label)
        self.digests += content
        self.characters += record.length
        self.bytes += record.size

    def leave_out(self, record: ItemRecord, problem: ItemProblem) -> None:
        self.left_out_count += 1
        if len(self.left_out) < FIRST_PROBLEMS:
            detail = describe_problem(problem.code, record.name, **problem.values)
            self.left_out.append({"name": record.name, "problem": problem.code, "detail": detail})


Chosen = Iterator[tuple[int, int, ItemRecord]]
"""(line of items.jsonl, class index, record) of the items to freeze, in order."""


def freeze(config: FreezeConfig, run: Run) -> EventStream:
    """Write the snapshot of a data set; the Result "dataset" has its counts."""
    dataset = Workspace(run.workspace).dataset(config.dataset)
    info = dataset.info
    if info.frozen:
        raise UserError(
            _("“{title}” is frozen already; a snapshot is never changed.").format(title=info.title),
            _("Train on it, or import the source again to freeze it differently."),
        )
    pictures = info.kind == "image"
    yield Note(_("Freezing “{title}”.").format(title=info.title))
    corrections = Corrections(dataset)
    info = yield from _with_corrections(dataset, corrections)
    selected = yield from _select(dataset, config)
    if pictures:
        aspect = yield from _aspect(dataset, selected, config)
        channels = 4 if config.transparency == "keep" else 3
        info = replace(info, size=int(config.size), aspect=aspect, channels=channels)
    width, height = info.pixels
    needed = width * height * info.channels * len(selected) if pictures else info.bytes
    need_space(dataset.folder, needed + 32 * len(selected))
    shutil.rmtree(dataset.snapshot, ignore_errors=True)  # of a freeze that was killed before its last line
    with atomic_folder(dataset.snapshot) as folder:
        chosen = _chosen(dataset, selected, info, corrections)
        pace = Pace(_("Freezing"), len(selected), _("pictures") if pictures else _("texts"))
        if pictures:
            frozen = yield from _freeze_pictures(dataset, chosen, folder, info, pace)
        else:
            frozen = yield from _freeze_texts(dataset, chosen, folder, bool(info.span_classes), pace)
        yield from _freeze_attributes(dataset, frozen, folder)
        parts = _write_arrays(folder, frozen, config)
        yield from _write_manifest(folder, config, frozen)
    info = _updated(info, frozen, parts)
    write_info(dataset.folder, info)
    yield from _notes(info, frozen)
    yield Result("dataset", {**describe(info), "left_out": frozen.left_out_count, "first_problems": frozen.left_out})


def _select(dataset: Dataset, config: FreezeConfig) -> Generator[Event, str | None, set[int] | range]:
    """Return the lines of items.jsonl to freeze."""
    rows, hashes = array("q"), bytearray()
    pace = Pace(_("Reading the list"), dataset.info.found, _("items"))
    for row, record in enumerate(read_items(dataset.items_file)):
        if not record.problem:
            rows.append(row)
            hashes += bytes.fromhex(record.sha256[:32])
        if row % _CHECK_EVERY == 0 and pace.due():
            yield pace.progress(row)
    if len(rows) == dataset.info.found and not config.max_items:
        return range(len(rows))
    positions = choose(digests_of(bytes(hashes)), config.max_items, config.seed)
    return set(np.frombuffer(rows, np.int64)[positions].tolist())


def _aspect(
    dataset: Dataset, selected: set[int] | range, config: FreezeConfig
) -> Generator[Event, str | None, Aspect]:
    """Return the shape that was asked for, or the one of most pictures."""
    if config.aspect != "auto":
        return config.aspect
    sizes = []
    pace = Pace(_("Reading the list"), dataset.info.found, _("items"))
    for row, record in enumerate(read_items(dataset.items_file)):
        if row in selected:
            sizes.append((record.width, record.height))
        if row % _CHECK_EVERY == 0 and pace.due():
            yield pace.progress(row)
    return usual_aspect(sizes)


def _with_corrections(dataset: Dataset, corrections: Corrections) -> Generator[Event, str | None, DatasetInfo]:
    """Return what is known of a data set once the labels that were given here are used; tells how many there are."""
    info = dataset.info
    if not corrections.there:
        return info
    labels, names = Counter[str](), Counter[str]()
    pace = Pace(_("Reading the labels"), info.found, _("texts"))
    for row, record in enumerate(read_items(dataset.items_file)):
        if not record.problem:
            told = corrections.of(row, record)
            labels[told.label] += bool(told.label)
            if told.marks:
                names.update(name for _start, _end, name in read_marks(told.marks).spans)
        if row % _CHECK_EVERY == 0 and pace.due():
            yield pace.progress(row)
    yield from _correction_notes(corrections)
    del labels[""]
    classes, span_classes = sorted(labels), sorted(names)
    return replace(
        info, classes=classes, class_counts=[labels[name] for name in classes], span_classes=span_classes,
        span_counts=[names[name] for name in span_classes],
    )  # fmt: skip


def _correction_notes(corrections: Corrections) -> Iterator[Event]:
    if corrections.used:
        message = ngettext(
            "{count} text takes the label that was given here.", "{count} texts take the labels that were given here.",
            corrections.used,
        )  # fmt: skip
        yield Note(message.format(count=f"{corrections.used:,}"))
    if corrections.lost:
        message = ngettext(
            "{count} label is left out: its text is not there any more or has changed.",
            "{count} labels are left out: their texts are not there any more or have changed.", corrections.lost,
        )  # fmt: skip
        yield Note(message.format(count=f"{corrections.lost:,}"), "warning")
    if corrections.damaged:
        message = ngettext(
            "{count} line of the labels is damaged and left out; all others are used.",
            "{count} lines of the labels are damaged and left out; all others are used.", corrections.damaged,
        )  # fmt: skip
        yield Note(message.format(count=f"{corrections.damaged:,}"), "warning")


def _chosen(dataset: Dataset, selected: set[int] | range, info: DatasetInfo, corrections: Corrections) -> Chosen:
    classes = {name: index for index, name in enumerate(info.classes)}
    for row, record in enumerate(read_items(dataset.items_file)):
        if row in selected:
            told = corrections.of(row, record)
            yield row, classes.get(told.label, -1), told


def _freeze_pictures(
    dataset: Dataset, chosen: Chosen, folder: Path, info: DatasetInfo, pace: Pace
) -> Generator[Event, str | None, _Frozen]:
    frozen = _Frozen(channels=info.channels)
    width, height = info.pixels
    done = clear = 0

    def prepare(item: tuple[int, int, ItemRecord]) -> tuple[tuple[int, int, ItemRecord], Any]:
        try:
            data = read_file(dataset.path_of(item[2]))
            if hashlib.sha256(data).hexdigest() != item[2].sha256:
                return item, ItemProblem("changed")
            return item, cut_picture(data, width, height, info.channels == 4)
        except ItemProblem as problem:
            return item, ItemProblem("changed") if problem.code in ("missing", "unreadable", "empty") else problem

    with ArrayWriter(folder / "images.npy", np.dtype(np.uint8), (height, width, info.channels)) as images:
        for result in ordered_map(prepare, chosen):
            if result is not None:
                (row, label, record), outcome = result
                done += 1
                if isinstance(outcome, ItemProblem):
                    frozen.leave_out(record, outcome)
                else:
                    images.append(outcome)
                    clear += info.channels == 4 and bool((outcome[..., 3] < 255).any())
                    # the same picture in two files falls on one side of the split
                    frozen.add(row, label, record, bytes.fromhex((record.first or record.sha256)[:32]))
            if pace.due():
                yield pace.progress(done)
    if info.channels == 4 and not clear:
        yield Note(_("No picture is transparent, so there is no transparency to keep."))
        frozen.channels = 3
        _drop_cover(folder / "images.npy")
    yield pace.progress(done)
    return frozen


def _drop_cover(path: Path) -> None:
    """Write pictures of four channels again with the first three."""
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    smaller = path.with_suffix(".opaque")
    with ArrayWriter(smaller, whole.dtype, (*whole.shape[1:3], 3)) as images:
        for pixels in whole:
            images.append(np.ascontiguousarray(pixels[..., :3]))
    del whole, pixels  # Windows replaces no file that is mapped
    move(smaller, path)


def _freeze_texts(
    dataset: Dataset, chosen: Chosen, folder: Path, marked: bool, pace: Pace
) -> Generator[Event, str | None, _Frozen]:
    frozen = _Frozen()
    offsets = array("q", [0])
    marks = (folder / MARKS).open("w", encoding="utf-8", newline="\n") if marked else nullcontext()
    with dataset.found_texts.open("rb") as source, (folder / "texts.bin").open("wb") as out, marks as lines:
        for done, (row, label, record) in enumerate(chosen):
            source.seek(record.offset)
            data = source.read(record.size)
            if hashlib.sha256(data).hexdigest() != record.sha256:
                frozen.leave_out(record, ItemProblem("changed"))
            else:
                out.write(data)
                if lines is not None:
                    lines.write((record.marks or UNMARKED) + "\n")
                offsets.append(offsets[-1] + len(data))
                frozen.add(row, label, record, content_of(data.decode()))
            if done % _CHECK_EVERY == 0 and pace.due():
                yield pace.progress(done)
    _save(folder / "offsets.npy", np.frombuffer(offsets, np.int64))
    yield pace.progress(pace.total)
    return frozen


def _freeze_attributes(dataset: Dataset, frozen: _Frozen, folder: Path) -> Iterator[Event]:
    """Write what is told of each item in the snapshot, when anything is."""
    if not dataset.info.attributes:
        return
    rows, offsets = set(frozen.rows), array("q", [0])
    pace = Pace(_("Freezing"), dataset.info.found, _("items"))
    with (folder / "attributes.bin").open("wb") as out:
        for row, record in enumerate(read_items(dataset.items_file)):
            if row in rows:
                data = (record.attributes or "{}").encode()
                out.write(data)
                offsets.append(offsets[-1] + len(data))
            if row % _CHECK_EVERY == 0 and pace.due():
                yield pace.progress(row)
    _save(folder / "attribute_offsets.npy", np.frombuffer(offsets, np.int64))


def _write_arrays(folder: Path, frozen: _Frozen, config: FreezeConfig) -> npt.NDArray[np.uint8]:
    """Write labels, rows and split, and return the split."""
    if not frozen.rows:
        first = frozen.left_out[0]["detail"] if frozen.left_out else ""
        raise UserError(_("Nothing of this data set can be used any more."), first or _("Import the source again."))
    labels = np.frombuffer(frozen.labels, np.int32)
    parts = split(digests_of(bytes(frozen.digests)), labels, config.validation, config.seed)
    _save(folder / "labels.npy", labels)
    _save(folder / "rows.npy", np.frombuffer(frozen.rows, np.int64))
    _save(folder / "split.npy", parts)
    return parts


def _write_manifest(folder: Path, config: FreezeConfig, frozen: _Frozen) -> Iterator[Event]:
    """Read every file back, and write its size and hash; the hash over all of them names the snapshot."""
    files: dict[str, dict[str, Any]] = {}
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    pace = Pace(_("Checking what was written"), sum(path.stat().st_size for path in paths), "B")
    done = 0
    for path in paths:
        digest = hashlib.sha256()
        with path.open("rb") as f:
            while chunk := f.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if pace.due():
                    yield pace.progress(done)
        files[path.name] = {"size": path.stat().st_size, "sha256": digest.hexdigest()}
    summary = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    write_json(folder / "manifest.json", {
        "format": FORMAT, "files": files, "sha256": hashlib.sha256(summary.encode()).hexdigest(),
        "config": config.model_dump(), "left_out": frozen.left_out_count, "first_left_out": frozen.left_out,
    })  # fmt: skip


def _updated(info: DatasetInfo, frozen: _Frozen, parts: npt.NDArray[np.uint8]) -> DatasetInfo:
    labels = np.frombuffer(frozen.labels, np.int32)
    counts = np.bincount(labels[labels >= 0], minlength=len(info.classes))
    validation = int(parts.sum())
    return replace(
        info, frozen=True, channels=frozen.channels, train=len(parts) - validation, validation=validation,
        class_counts=[int(count) for count in counts], characters=frozen.characters, bytes=frozen.bytes,
    )  # fmt: skip


def _notes(info: DatasetInfo, frozen: _Frozen) -> Iterator[Event]:
    if frozen.left_out_count:
        first = "\n".join(entry["detail"] for entry in frozen.left_out[:3])
        message = ngettext(
            "{count} item was left out because it changed or cannot be read any more:\n{first}",
            "{count} items were left out because they changed or cannot be read any more:\n{first}",
            frozen.left_out_count,
        )  # fmt: skip
        yield Note(message.format(count=frozen.left_out_count, first=first), "warning")
    if not info.validation:
        yield Note(_("No item is kept apart for validation."), "warning")


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    with path.open("wb") as f:
        np.save(f, values, allow_pickle=False)
        f.flush()
        os.fsync(f.fileno())
