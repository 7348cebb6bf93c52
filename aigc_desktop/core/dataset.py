"""A data set on disk: what was found, and the frozen snapshot that training reads.

datasets/<id>/
  dataset.json      DatasetInfo
  items.jsonl       one ItemRecord a line: every file or text that was found, also the unusable ones
  texts.bin         the texts as they were found, UTF-8, one after another; an item names its piece of it
  files/            what came out of a zip archive, so that the archive may vanish
  snapshot/         written once, never changed; present when `info.frozen`
    manifest.json   {"format", "files": {name: {"size", "sha256"}}}
    images.npy      uint8 (N, H, W, C): the middle of each picture in the shape `info.aspect`, resized
    texts.bin       all texts, UTF-8, one after another; text i is bytes offsets[i]:offsets[i + 1]
    offsets.npy     int64 (N + 1,)
    attributes.bin  JSON objects, UTF-8, one after another: what is told of each item; only with `info.attributes`
    attribute_offsets.npy   int64 (N + 1,): where each object begins in it
    labels.npy      int32 (N,): index into `info.classes`, -1 without a label
    split.npy       uint8 (N,): 0 train, 1 validation
    rows.npy        int64 (N,): line of items.jsonl the item comes from
    spans.jsonl     where names are marked: for each text its Marks (core/marks.py), or null; only then it is there
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.aspect import SQUARE, Aspect, pixels_of
from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.marks import Marks, read_marks
from aigc_desktop.core.records import read_record, read_table

FORMAT = 1
MARKS, UNMARKED = "spans.jsonl", "null"
_DTYPES = {
    "images": "uint8", "offsets": "int64", "attribute_offsets": "int64", "labels": "int32", "split": "uint8",
    "rows": "int64",
}  # fmt: skip
_LARGE = ("images.npy", "texts.bin")
SPLITS = {"train": 0, "validation": 1}
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class ItemRecord:
    """One thing that was found: `name` to show, `source` where it lies.

    `source` is a path, for texts followed by ":" and the row; a relative path lies in the data set's folder and
    came out of an archive. `problem` is "" for a usable item, else a code of data/problems.py (corrupt,
    too_small, duplicate ...); `note` is such a code for something odd about a usable item; `detail` is the
    translated reason for either. `length` counts characters, `size` bytes; `offset` is where a text begins in
    `texts.bin`. `attributes` is a JSON object of texts by name, as text, or "" without any; `marks` is the line of
    core/marks.py of a text in which names are marked. `first` is the hash of an earlier file with the same picture.
    """

    name: str
    source: str
    sha256: str = ""
    width: int = 0
    height: int = 0
    length: int = 0
    label: str = ""
    problem: str = ""
    detail: str = ""
    note: str = ""
    offset: int = 0
    size: int = 0
    attributes: str = ""
    marks: str = ""
    first: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set; counts are of usable items. `size` 0 and `frozen` False before the freeze.

    `classes` are those of whole items, `span_classes` those of names marked in texts. `size` and `aspect` are those of
    core/aspect.py.
    """

    id: str
    title: str
    kind: Literal["image", "text"]
    source: str
    created: str
    found: int = 0
    usable: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    frozen: bool = False
    size: int = 0
    channels: int = 0
    train: int = 0
    validation: int = 0
    characters: int = 0
    bytes: int = 0
    licence: str = ""
    span_classes: list[str] = field(default_factory=list)
    span_counts: list[int] = field(default_factory=list)
    aspect: Aspect = SQUARE
    format: int = FORMAT

    @property
    def pixels(self) -> tuple[int, int]:
        """Return width and height of the frozen pictures."""
        return pixels_of(self.aspect, self.size)


class Dataset:
    """A data set folder; arrays are memory-mapped, so any size opens at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # a folder that was copied or renamed is known by its name, whatever it was called when it was imported
        self.info = replace(read_record(folder / "dataset.json", DatasetInfo), id=folder.name)

    @property
    def id(self) -> str:
        """Return the name of the folder, which identifies the data set in its workspace."""
        return self.info.id

    @property
    def snapshot(self) -> Path:
        """Return the folder of the frozen arrays."""
        return self.folder / "snapshot"

    @property
    def items_file(self) -> Path:
        """Return the file with one ItemRecord a line."""
        return self.folder / "items.jsonl"

    @property
    def found_texts(self) -> Path:
        """Return the file with all texts that were found, for previews and for the freeze."""
        return self.folder / "texts.bin"

    def path_of(self, record: ItemRecord) -> Path:
        """Return the file a picture lies in; what came out of an archive lies inside the data set."""
        return self.folder / record.source

    def manifest_hash(self) -> str:
        """Return the SHA-256 over the manifest's file hashes: it names the exact data a run was trained on."""
        self._need_frozen()
        return str(self._manifest["sha256"])

    def images(self, split: Split) -> npt.NDArray[np.uint8]:
        """Return the pictures of a split, uint8 (N, H, W, C), gathered from the memory map."""
        return np.asarray(self.image_map[self.indices(split)])

    def texts(self, split: Split) -> Texts:
        """Return the texts of a split, decoded when asked for."""
        return Texts(self.text_map, self._array("offsets"), self.indices(split))

    def attributes(self, split: Split) -> Iterator[dict[str, str]]:
        """Yield what is told of each item of a split, by the names in `info.attributes`; an item may lack some."""
        indices = self.indices(split)
        if not self.info.attributes:
            yield from ({} for _index in indices)
            return
        for told in Texts(self._bytes("attributes.bin"), self._array("attribute_offsets"), indices):
            try:
                yield json.loads(told)
            except ValueError as error:
                raise self._damaged() from error

    def marks(self, split: Split) -> list[Marks | None]:
        """Return the marks of each text of a split, None where nobody looked for names, or in a set without any."""
        indices = self.indices(split)
        if MARKS not in self._manifest["files"]:
            return [None] * len(indices)
        lines = self._whole_file(MARKS).read_text(encoding="utf-8").split("\n")
        try:
            return [None if lines[i] == UNMARKED else read_marks(lines[i]) for i in indices]
        except (ValueError, IndexError) as error:
            raise self._damaged() from error

    def labels(self, split: Split) -> npt.NDArray[np.int32]:
        """Return the class index of each item of a split, -1 without a label."""
        return np.asarray(self._array("labels")[self.indices(split)], dtype=np.int32)

    def indices(self, split: Split) -> npt.NDArray[np.int64]:
        """Return the snapshot positions of a split, ascending."""
        return np.flatnonzero(self._array("split") == SPLITS[split])

    @cached_property
    def image_map(self) -> npt.NDArray[np.uint8]:
        """Return all pictures of the snapshot as a read-only memory map, uint8 (N, H, W, C)."""
        return self._array("images")

    @cached_property
    def text_map(self) -> npt.NDArray[np.uint8]:
        """Return the bytes of all texts as a read-only memory map."""
        return self._bytes("texts.bin")

    def _bytes(self, name: str) -> npt.NDArray[np.uint8]:
        self._need_frozen()
        path = self._whole_file(name)
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)

    def check_snapshot(self) -> None:
        """Raise BadInput unless the files of the snapshot are those that the freeze wrote.

        Sizes of all, hashes of all but the pictures and texts, which would take long: a flipped bit in these is one
        odd pixel or letter, elsewhere it is another data set.
        """
        self._need_frozen()
        for name in self._manifest["files"]:
            path = self._whole_file(name)
            if name not in _LARGE and sha256_file(path) != self._manifest["files"][name]["sha256"]:
                raise self._damaged()

    def rows(self) -> npt.NDArray[np.int64]:
        """Return for each item of the snapshot its line of items.jsonl."""
        return self._array("rows")

    def parts(self) -> npt.NDArray[np.uint8]:
        """Return for each item of the snapshot the number of its split, as in SPLITS."""
        return self._array("split")

    def _array(self, name: str) -> npt.NDArray[Any]:
        self._need_frozen()
        path = self._whole_file(f"{name}.npy")
        try:
            array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, SyntaxError, TypeError, TokenError) as error:
            raise self._damaged() from error
        count = self.info.train + self.info.validation + name.endswith("offsets")
        if array.dtype != _DTYPES[name] or len(array) != count or array.ndim != (4 if name == "images" else 1):
            raise self._damaged()
        return array

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        values = read_table(self.snapshot / "manifest.json")
        files = values.get("files")
        entries = files.values() if isinstance(files, dict) and "sha256" in values else [None]
        if not all(isinstance(told, dict) and {"size", "sha256"} <= set(told) for told in entries):
            raise self._damaged()
        return values

    def _whole_file(self, name: str) -> Path:
        path = self.snapshot / name
        told = self._manifest["files"].get(name)
        if told is None or not path.is_file() or path.stat().st_size != told["size"]:
            raise self._damaged()
        return path

    def _damaged(self) -> BadInput:
        return BadInput(
            self.info.title, _("its files are damaged"),
            _("Import and freeze the source again, or restore the data set from a backup."),
        )  # fmt: skip

    def _need_frozen(self) -> None:
        if not self.info.frozen:
            raise UserError(
                _("The data set “{title}” is not ready for training yet.").format(title=self.info.title),
                _("Open it on the Data page and choose “Freeze and train”."),
            )


class Texts(Sequence[str]):
    """Texts of one split; decoding happens on access, so a large set costs no memory."""

    def __init__(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], indices: npt.NDArray[np.int64]
    ) -> None:
        self.data, self.offsets, self.indices = data, offsets, indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self._text(index) for index in self.indices[i]]
        return self._text(self.indices[i])

    def _text(self, index: int) -> str:
        start, end = self.offsets[index], self.offsets[index + 1]
        return self.data[start:end].tobytes().decode("utf-8", "replace")


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write `dataset.json` of a data set, atomically."""
    write_json(folder / "dataset.json", asdict(info))
