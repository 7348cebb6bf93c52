"""What a published model on disk consists of: found and checked by its files and headers, before anything is loaded.

Only safetensors and GGUF are opened: a pickled file can run foreign code. Names in an index must be plain names, a
configuration may not ask for code of its own, and its kind must be one that the program knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.files import read_json
from aigc_desktop.core.i18n import _
from aigc_desktop.data.safetensors_header import check_header

LANGUAGE = ("llama", "mistral", "qwen2", "qwen3")
ENCODERS = (
    "albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet", "roberta",
    "xlm-roberta",
)  # fmt: skip
"""Values of `model_type` in the configurations that are opened."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
    "generation_config.json", "chat_template.jinja", "added_tokens.json", "README.md", "LICENSE", "LICENSE.txt",
    "NOTICE",
)  # fmt: skip
"""Small files that are taken along."""
MOST_BESIDE = 64_000_000  # bytes of one of them
_SHARD = re.compile(r"[A-Za-z0-9_\-]{1,100}(\.[A-Za-z0-9_\-]{1,100}){0,3}\.safetensors")
_CODE_OF_ITS_OWN = ("auto_map", "custom_pipelines")
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([^\s\"']{1,80})", re.MULTILINE)

Tensors = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class FoundModel:
    """A model on disk: `weights` and `beside` are its files, `tensors` the shapes in the weights by name."""

    kind: Literal["language", "encoder", "adapter"]
    architecture: str
    folder: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]
    beside: tuple[Path, ...]
    tensors: Tensors = field(repr=False, default_factory=dict)
    licence: str = ""

    @property
    def bytes(self) -> int:
        """Return the size of the weights."""
        return sum(path.stat().st_size for path in self.weights)


def find_model(path: Path) -> FoundModel | Path:
    """Return what lies in a folder, or the path of the one GGUF file meant; BadInput when it is no whole model."""
    if path.is_file():
        if path.suffix.lower() == ".gguf":
            return path
        if path.suffix.lower() in PICKLED:
            raise _pickled(path.name)
        path = path.parent
    if not path.is_dir():
        raise BadInput(path.name, _("it is not there any more"), _("Put it back or choose another one."))
    if (path / ADAPTER).is_file():
        return _adapter(path)
    if (path / "config.json").is_file():
        return _model(path)
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return files[0]
    if len(files) > 1:
        raise BadInput(path.name, _("it holds several GGUF files"), _("Choose one of the files."))
    raise BadInput(
        path.name, _("there is no model in this folder"),
        _("Choose a folder with config.json and model.safetensors, an adapter, or a GGUF file."),
    )  # fmt: skip


def _model(folder: Path) -> FoundModel:
    config = read_config(folder / "config.json")
    kind = config.get("model_type")
    if kind not in (*LANGUAGE, *ENCODERS):
        raise BadInput(
            folder.name, _("models of the kind “{kind}” are not known here").format(kind=str(kind)[:60]),
            _("Kinds that are: {kinds}.").format(kinds=", ".join((*LANGUAGE, *ENCODERS))),
        )  # fmt: skip
    weights = _weights(folder)
    tensors = _tensors(weights)
    beside = _beside(folder)
    names = {path.name for path in beside}
    if "tokenizer.json" not in names and not (kind in ENCODERS and "vocab.txt" in names):
        raise BadInput(
            folder.name, _("the model has no tokenizer.json, so it cannot read text"),
            _("Copy the whole folder again from where it came."),
        )  # fmt: skip
    group: Literal["language", "encoder"] = "language" if kind in LANGUAGE else "encoder"
    return FoundModel(group, str(kind), folder, config, weights, beside, tensors, _licence(folder))


def _adapter(folder: Path) -> FoundModel:
    config = read_config(folder / ADAPTER)
    weights = folder / ADAPTER_WEIGHTS
    if config.get("peft_type") != "LORA":
        raise BadInput(folder.name, _("only LoRA adapters are known here"), _("Choose another adapter."))
    if not weights.is_file():
        raise _half(folder, [ADAPTER_WEIGHTS])
    return FoundModel(
        "adapter", "lora", folder, config, (weights,), _beside(folder), _tensors((weights,)), _licence(folder)
    )


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


def _weights(folder: Path) -> tuple[Path, ...]:
    """Return the files of the weights; BadInput for a pickled model, odd names and missing parts."""
    if (folder / INDEX).is_file():
        table = read_json(folder / INDEX)
        places = table.get("weight_map") if isinstance(table, dict) else None
        if not isinstance(places, dict) or not places:
            raise BadInput(INDEX, _("the file is damaged"), _("Copy the model again from where it came."))
        names = sorted({str(name) for name in places.values()})
        odd = next((name for name in names if not _SHARD.fullmatch(name)), None)
        if odd is not None:
            raise BadInput(INDEX, _("“{name}” is not a plain name of a file").format(name=odd[:80]))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise _half(folder, missing)
        return tuple(folder / name for name in names)
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if any(path.suffix in PICKLED for path in folder.iterdir()):
        raise _pickled(folder.name)
    raise _half(folder, [WEIGHTS])


def _tensors(weights: Iterable[Path]) -> Tensors:
    """Return the shapes of all tensors by their headers; BadInput when a name stands in two files."""
    found: dict[str, tuple[int, ...]] = {}
    for path in weights:
        header = check_header(path)
        twice = next((name for name in header if name in found), None)
        if twice is not None:
            raise BadInput(path.name, _("“{name}” is also in another file").format(name=twice))
        found |= {name: tuple(entry["shape"]) for name, entry in header.items()}
    return found


def _beside(folder: Path) -> tuple[Path, ...]:
    found = [folder / name for name in BESIDE if (folder / name).is_file()]
    large = next((path for path in found if path.stat().st_size > MOST_BESIDE), None)
    if large is not None:
        raise BadInput(large.name, _("the file is far too large for what it is"), _("Copy the model again."))
    return tuple(found)


def _licence(folder: Path) -> str:
    """Return the licence the model's README names, or that there is a licence file; "" for neither."""
    readme = folder / "README.md"
    if readme.is_file():
        with readme.open(encoding="utf-8", errors="replace") as f:
            named = _LICENCE.search(f.read(20_000))
        if named:
            return named[1]
    file = next((name for name in ("LICENSE", "LICENSE.txt") if (folder / name).is_file()), "")
    if not file:
        return ""
    with (folder / file).open(encoding="utf-8", errors="replace") as f:
        first = next((line.strip() for line in f.read(2000).splitlines() if line.strip()), "")
    return first[:80]


def _half(folder: Path, missing: list[str]) -> BadInput:
    return BadInput(
        folder.name, _("half of the model is missing: {names}").format(names=", ".join(missing[:5])),
        _("Copy the whole folder again from where it came."),
    )  # fmt: skip


def _pickled(name: str) -> BadInput:
    return BadInput(
        name, _("its weights are pickled Python objects, which can run foreign code"),
        _("Get the same model in safetensors files."),
    )  # fmt: skip
