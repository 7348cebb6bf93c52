"""Works as the window handles them: made just now, made earlier, or kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Sample
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.rating import Rating
from aigc_desktop.core.run import Run

if TYPE_CHECKING:
    from aigc_desktop.export.piece import Piece

MARKS = "marks.json"
Mark = Literal["", "kept", "rejected"]


@dataclass(frozen=True)
class Work:
    """One made work: a picture in memory or in a file, or a text; `origin` says how to make it again.

    A `failed` one was made but rejected by "Only good ones", for the reasons in its rating. An `original` was not made
    but given, and is shown beside its copy.
    """

    kind: Literal["image", "text"]
    title: str
    index: int
    seed: int | None = None
    label: str = ""
    text: str = ""
    pixels: npt.NDArray[np.uint8] | None = None
    file: Path | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False
    rating: Rating | None = None
    failed: bool = False
    original: bool = False

    def picture(self) -> npt.NDArray[np.uint8]:
        """Return the pixels, uint8 (H, W, C), read from the file when they are not in memory."""
        from aigc_desktop.data.samples import read_png

        if self.pixels is not None:
            return self.pixels
        if self.file is None:
            raise ValueError("a text has no pixels")
        return read_png(self.file)

    def piece(self) -> Piece:
        """Return the work for export."""
        from aigc_desktop.export.piece import Piece

        if self.kind == "text":
            return Piece("text", self.title, text=self.text, origin=self.origin)
        return Piece("image", self.title, self.picture(), origin=self.origin)


class Batch:
    """What one job makes, as it comes, and what the user thinks of it; marks are kept in the result's folder."""

    def __init__(self, result: Run) -> None:
        from aigc_desktop.export.results import origin_of

        self.result = result
        self.origin = origin_of(result)
        self.works: list[Work] = []
        self.marks: dict[int, Mark] = {}
        self.final_texts = 0
        try:
            saved = read_json(result.folder / MARKS)
            self.marks = {int(index): mark for index, mark in saved.items() if mark in ("kept", "rejected")}
        except (OSError, UserError, ValueError, AttributeError):
            self.marks = {}

    def load(self) -> None:
        """Read what the job has written so far."""
        from aigc_desktop.data.samples import read_pictures, read_samples
        from aigc_desktop.export.results import work_title

        self.works = []
        for picture in read_pictures(self.result):
            title = work_title(self.origin.model_title, picture.seed, picture.label, picture.index)
            self.works.append(
                Work("image", title, len(self.works), picture.seed, picture.label, file=picture.file,
                     origin=self.origin.of(picture.seed, picture.label, picture.rating), rating=picture.rating,
                     failed=picture.rejected, original=picture.original)
            )  # fmt: skip
        for sheet in read_samples(self.result):
            if sheet.role != "real":
                self.add_texts(sheet.items, sheet.seeds, False)

    def add_pictures(self, sample: Sample) -> None:
        """Take pictures that just arrived; those the recorder has written are read from there when needed."""
        from aigc_desktop.data.samples import is_original
        from aigc_desktop.export.results import work_title

        for i, pixels in enumerate(sample.images):
            index = len(self.works)
            seed = sample.seeds[i] if i < len(sample.seeds) else None
            label = sample.labels[i] if i < len(sample.labels) else ""
            rating = sample.ratings[i] if i < len(sample.ratings) else None
            file = self.result.folder / "pictures" / f"{index:06d}.png"
            there = file.is_file()
            self.works.append(
                Work("image", work_title(self.origin.model_title, seed, label, index), index, seed, label,
                     pixels=None if there else pixels, file=file if there else None,
                     origin=self.origin.of(seed, label, rating), rating=rating, failed=sample.role == "rejected",
                     original=is_original(sample.role, index))
            )  # fmt: skip

    def add_texts(self, items: tuple[str, ...], seeds: tuple[int, ...], partial: bool) -> list[int]:
        """Take texts, in place of the unfinished ones there are, and return the places that changed."""
        from aigc_desktop.export.results import text_title

        del self.works[self.final_texts + len(items) :]
        changed = []
        for i, text in enumerate(items):
            place = self.final_texts + i
            seed = seeds[i] if i < len(seeds) else None
            work = Work("text", text_title(text), place, seed, text=text, origin=self.origin.of(seed, ""),
                        partial=partial)  # fmt: skip
            if place < len(self.works):
                self.works[place] = work
            else:
                self.works.append(work)
            changed.append(place)
        if not partial:
            self.final_texts += len(items)
        return changed

    def settle_texts(self) -> None:
        """Take unfinished texts as they are: the job is over."""
        self.works = [replace(work, partial=False) for work in self.works]

    def mark(self, places: list[int], mark: Mark) -> None:
        """Mark works as kept or rejected, or take the mark away; remembered over a restart."""
        for place in places:
            if mark:
                self.marks[place] = mark
            else:
                self.marks.pop(place, None)
        if self.result.folder.is_dir():
            write_json(self.result.folder / MARKS, {str(place): self.marks[place] for place in sorted(self.marks)})
