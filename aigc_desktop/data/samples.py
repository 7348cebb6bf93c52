"""Samples of a run on disk: a sheet of pictures with what each cell is, and texts; written and read back."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.events import Images, Sample, Text
from aigc_desktop.core.files import atomic_file, read_json, write_json, write_text
from aigc_desktop.core.i18n import _
from aigc_desktop.core.lines import read_lines
from aigc_desktop.core.rating import Rating, rating_of
from aigc_desktop.core.run import Run

PICTURES = "pictures.jsonl"
"""The list of what a run in `results` made, one picture a line."""
METADATA_KEY = "aigc-desktop"
"""The PNG text chunk that holds a picture's origin as JSON."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class SampleSheet:
    """What was recorded at one step: a sheet of pictures, cell by cell in rows, or texts.

    `file` is the sheet (PNG) or the readable texts (TXT); `cell` is (width, height) of one picture.
    """

    step: int
    role: str
    file: Path
    count: int
    cell: tuple[int, int] = (0, 0)
    columns: int = 0
    seeds: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    def images(self) -> Images:
        """Return the pictures, uint8 (N, H, W, C); BadInput when the sheet is damaged."""
        sheet = read_png(self.file)
        width, height = self.cell
        if sheet.shape[:2] != (math.ceil(self.count / self.columns) * height, self.columns * width):
            raise damaged_picture(self.file)
        cells = sheet.reshape(-1, height, self.columns, width, sheet.shape[2]).swapaxes(1, 2)
        return np.ascontiguousarray(cells.reshape(-1, height, width, sheet.shape[2])[: self.count])


@dataclass(frozen=True)
class MadePicture:
    """A picture a run in `results` made, and where it comes from."""

    file: Path
    index: int
    seed: int | None
    label: str
    step: int
    role: str = "samples"
    rating: Rating | None = None

    @property
    def rejected(self) -> bool:
        """Return whether it was made but did not pass."""
        return self.role == "rejected"

    @property
    def original(self) -> bool:
        """Return whether it was not made but given: beside it stands the copy that was made of it."""
        return is_original(self.role, self.index)


def is_original(role: str, index: int) -> bool:
    """Return whether the picture `index` of a result is one that was given, beside which stands its copy."""
    return role in ("reconstruction", "copies") and index % 2 == 0


def write_sheet(folder: Path, name: str, sample: Sample) -> None:
    """Write a Sample as `name`.png and then `name`.json, which says that the sheet is complete."""
    count, height, width, _channels = sample.images.shape
    columns = math.ceil(math.sqrt(count))
    if sample.role in ("reconstruction", "copies"):
        columns += columns % 2  # original and copy side by side
    with atomic_file(folder / f"{name}.png") as f:
        f.write(encode_png(_grid(sample.images, columns)))
    write_json(folder / f"{name}.json", {
        "kind": "images", "step": sample.step, "role": sample.role, "count": count, "cell": [width, height],
        "columns": columns, "seeds": list(sample.seeds), "labels": list(sample.labels),
        "captions": list(sample.captions),
    })  # fmt: skip


def write_texts(folder: Path, name: str, text: Text) -> None:
    """Write a Text as `name`.txt to read and `name`.json with the exact texts."""
    write_text(folder / f"{name}.txt", "\n\n".join(text.items) + "\n")
    write_json(folder / f"{name}.json", {
        "kind": "texts", "step": text.step, "role": text.role, "count": len(text.items), "items": list(text.items),
        "seeds": list(text.seeds), "partial": text.partial,
    })  # fmt: skip


def read_samples(run: Run) -> list[SampleSheet]:
    """Return the recorded samples of a run, oldest first; what a crash left incomplete is left out."""
    sheets = []
    for path in sorted(run.samples_dir.glob("*.json")):
        try:
            sheet = _sheet(path, read_json(path))
        except (UserError, KeyError, TypeError, ValueError, OverflowError):
            continue  # damaged from outside: the other samples are still worth showing
        if sheet.file.is_file():
            sheets.append(sheet)
    return sorted(sheets, key=lambda sheet: sheet.step)


def read_pictures(run: Run) -> list[MadePicture]:
    """Return the pictures a run in `results` made, in the order they came."""
    return list(_pictures(run))


def _pictures(run: Run) -> Iterator[MadePicture]:
    for values in read_lines(run.folder / PICTURES):
        try:
            index, step, seed = int(values["index"]), int(values["step"]), values["seed"]
            file = run.folder / "pictures" / f"{index:06d}.png"
            picture = MadePicture(
                file, index, None if seed is None else int(seed), str(values["label"]), step,
                str(values.get("role", "samples")), rating_of(values.get("rating")),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        if file.name == values.get("file") and file.is_file():
            yield picture


def made_picture_line(picture: MadePicture) -> str:
    """Return the line of PICTURES for a picture."""
    return json.dumps({**asdict(picture), "file": picture.file.name}, ensure_ascii=False) + "\n"


def read_png(path: Path) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture this program made, uint8 (H, W, C); BadInput when it is damaged."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            pixels = np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise damaged_picture(path) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def damaged_picture(path: Path) -> BadInput:
    """Return the error for a picture this program made that was damaged since."""
    return BadInput(path.name, _("the picture is damaged"), _("Make it again from its settings."))


def encode_png(pixels: npt.NDArray[np.uint8], metadata: dict[str, Any] | None = None) -> bytes:
    """Return pixels, uint8 (H, W, C), as PNG; `metadata` becomes a JSON text chunk."""
    info = PngImagePlugin.PngInfo()
    if metadata is not None:
        info.add_itxt(METADATA_KEY, json.dumps(metadata, ensure_ascii=False))
    values = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values), _MODES[pixels.shape[2]]).save(
        out, "PNG", pnginfo=info, compress_level=3
    )
    return out.getvalue()


def _grid(images: Images, columns: int) -> npt.NDArray[np.uint8]:
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    empty = 0 if channels == 4 else 255  # transparent, else white as paper
    cells = np.full((rows * columns, height, width, channels), empty, np.uint8)
    cells[:count] = images
    sheet: npt.NDArray[np.uint8] = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, channels)


def _sheet(path: Path, values: dict[str, Any]) -> SampleSheet:
    step, role, count = int(values["step"]), str(values["role"]), int(values["count"])
    seeds = tuple(int(seed) for seed in values["seeds"])
    if values["kind"] == "texts":
        items = tuple(str(item) for item in values["items"])
        return SampleSheet(step, role, path.with_suffix(".txt"), count, seeds=seeds, items=items)
    width, height, columns = (int(number) for number in (*values["cell"], values["columns"]))
    if min(count, width, height, columns) < 1:
        raise ValueError("a sheet of nothing")
    labels, captions = (tuple(str(text) for text in values.get(name, ())) for name in ("labels", "captions"))
    return SampleSheet(
        step, role, path.with_suffix(".png"), count, (width, height), columns, seeds, labels, captions=captions
    )
