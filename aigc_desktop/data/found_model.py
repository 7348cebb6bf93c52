"""A published model that was found on a disk, and how its parts are read: configurations, headers, licence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.files import read_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.model import ModelKind
from aigc_desktop.data.safetensors_header import check_header

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
MOST_BESIDE = 64_000_000  # bytes of one small file that is taken along
LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
_SHARD = re.compile(r"[A-Za-z0-9_\-]{1,100}(\.[A-Za-z0-9_\-]{1,100}){0,3}\.safetensors")
_CODE_OF_ITS_OWN = ("auto_map", "custom_pipelines", "custom_pipeline")
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([^\s\"']{1,80})", re.MULTILINE)

Tensors = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class FoundModel:
    """A model on disk: `weights` and `beside` are its files below `folder`, `tensors` the shapes in them by name.

    `beside` are the small files, configurations among them; `index` says in which of several files a weight is, so it
    belongs to these files alone. `parts` names the class of each part of a pipeline.
    """

    kind: ModelKind
    architecture: str
    folder: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]
    beside: tuple[Path, ...]
    tensors: Tensors = field(repr=False, default_factory=dict)
    licence: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    index: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files of the model."""
        return (*self.weights, *self.index, *self.beside)

    @property
    def bytes(self) -> int:
        """Return the size of the weights."""
        return sum(path.stat().st_size for path in self.weights)


def read_config(path: Path) -> dict[str, Any]:
    """Return a model's configuration; BadInput when it is no table or asks for code of its own."""
    try:
        config = read_json(path)
    except UserError:
        config = None
    if not isinstance(config, dict):
        raise BadInput(path.name, _("the file is damaged"), _("Copy the model again from where it came."))
    if any(config.get(name) for name in _CODE_OF_ITS_OWN):
        raise BadInput(
            path.name, _("the model asks to run program code of its own"),
            _("Choose a model that needs none; the program never runs code that comes with a model."),
        )  # fmt: skip
    return config


def weights_of(folder: Path, name: str = WEIGHTS, variant: str = "") -> tuple[Path, ...]:
    """Return the files of the weights called `name`; BadInput for a pickled model, odd names and missing parts.

    Publishers put a `variant` such as "fp16" into the names of weights in smaller numbers.
    """
    index = folder / f"{name}.index{f'.{variant}' if variant else ''}.json"
    single = folder / (f"{name.removesuffix('.safetensors')}.{variant}.safetensors" if variant else name)
    if index.is_file():
        table = read_json(index)
        places = table.get("weight_map") if isinstance(table, dict) else None
        if not isinstance(places, dict) or not places:
            raise BadInput(index.name, _("the file is damaged"), _("Copy the model again from where it came."))
        names = sorted({str(place) for place in places.values()})
        odd = next((name for name in names if not _SHARD.fullmatch(name)), None)
        if odd is not None:
            raise BadInput(
                index.name, _("“{name}” is not a plain name of a file").format(name=odd[:80]),
                _("Copy the model again from where it came."),
            )  # fmt: skip
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise half(folder, missing)
        return tuple(folder / name for name in names)
    if single.is_file():
        return (single,)
    if any(path.suffix in PICKLED for path in folder.iterdir()):
        raise pickled(folder.name)
    raise half(folder, [single.name])


def tensors_of(weights: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors by their headers; BadInput when a name stands in two files."""
    found: dict[str, tuple[int, ...]] = {}
    for path in weights:
        header = check_header(path)
        twice = next((name for name in header if name in found), None)
        if twice is not None:
            raise BadInput(
                path.name, _("“{name}” is also in another file").format(name=twice),
                _("Copy the model again from where it came."),
            )  # fmt: skip
        found |= {name: tuple(entry["shape"]) for name, entry in header.items()}
    return found


def types_of(weights: Iterable[Path]) -> dict[str, str]:
    """Return the type of number of each tensor, such as "BF16"."""
    return {name: str(entry["dtype"]) for path in weights for name, entry in check_header(path).items()}


def small_files(folder: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Return those of the named files that are there; BadInput when one is far too large."""
    found = [folder / name for name in names if (folder / name).is_file()]
    large = next((path for path in found if path.stat().st_size > MOST_BESIDE), None)
    if large is not None:
        raise BadInput(large.name, _("the file is far too large for what it is"), _("Copy the model again."))
    return tuple(found)


def licence_of(folder: Path) -> str:
    """Return the licence the model's README names, or that there is a licence file; "" for neither."""
    readme = folder / "README.md"
    if readme.is_file():
        with readme.open(encoding="utf-8", errors="replace") as f:
            named = _LICENCE.search(f.read(20_000))
        if named:
            return named[1]
    file = next((name for name in LICENCES if (folder / name).is_file()), "")
    if not file:
        return ""
    with (folder / file).open(encoding="utf-8", errors="replace") as f:
        first = next((line.strip() for line in f.read(2000).splitlines() if line.strip()), "")
    return first[:80]


def half(folder: Path, missing: list[str]) -> BadInput:
    """Return the error for a model of which files are missing."""
    return BadInput(
        folder.name, _("half of the model is missing: {names}").format(names=", ".join(missing[:5])),
        _("Copy the whole folder again from where it came."),
    )  # fmt: skip


def pickled(name: str) -> BadInput:
    """Return the error for weights that could run code."""
    return BadInput(
        name, _("its weights are pickled Python objects, which can run foreign code"),
        _("Get the same model in safetensors files."),
    )  # fmt: skip
