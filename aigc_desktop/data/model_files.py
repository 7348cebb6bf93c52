"""What a published model on disk consists of: found and checked by its files and headers, before anything is loaded.

Only safetensors and GGUF are opened: a pickled file can run foreign code. Names in an index must be plain names, a
configuration may not ask for code of its own, and its kind must be one that the program knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _
from aigc_desktop.data.found_model import (
    INDEX,
    LICENCES,
    PICKLED,
    FoundModel,
    Tensors,
    half,
    licence_of,
    pickled,
    read_config,
    small_files,
    tensors_of,
    weights_of,
)
from aigc_desktop.data.pipeline_files import PIPELINE, find_lora, find_pipeline

__all__ = ["FoundModel", "Tensors", "find_model"]

LANGUAGE = ("llama", "mistral", "qwen2", "qwen3")
ENCODERS = (
    "albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet", "roberta",
    "xlm-roberta",
)  # fmt: skip
"""Values of `model_type` in the configurations that are opened."""
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
    "generation_config.json", "chat_template.jinja", "added_tokens.json", "README.md", "NOTICE", *LICENCES,
)  # fmt: skip
"""Small files that are taken along."""
_DESCRIBED = ("config.json", ADAPTER, PIPELINE)


def find_model(path: Path) -> FoundModel | Path:
    """Return what lies in a folder, or the path of the one GGUF file meant; BadInput when it is no whole model."""
    if path.is_file():
        if path.suffix.lower() == ".gguf":
            return path
        if path.suffix.lower() in PICKLED:
            raise pickled(path.name)
        if path.suffix == ".safetensors" and not any((path.parent / name).is_file() for name in _DESCRIBED):
            return _need_lora(path)
        path = path.parent
    if not path.is_dir():
        raise BadInput(path.name, _("it is not there any more"), _("Put it back or choose another one."))
    if (path / PIPELINE).is_file():
        return find_pipeline(path)
    if (path / ADAPTER).is_file():
        return _adapter(path)
    if (path / "config.json").is_file():
        return _model(path)
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return files[0]
    if len(files) > 1:
        raise BadInput(path.name, _("it holds several GGUF files"), _("Choose one of the files."))
    return _need_lora(path)


def _need_lora(path: Path) -> FoundModel:
    found = find_lora(path)
    if found is None:
        raise BadInput(
            path.name, _("there is no model in this folder"),
            _("Choose a folder with config.json or model_index.json and safetensors files, a LoRA, or a GGUF file."),
        )  # fmt: skip
    return found


def _model(folder: Path) -> FoundModel:
    config = read_config(folder / "config.json")
    kind = config.get("model_type")
    if kind not in (*LANGUAGE, *ENCODERS):
        raise BadInput(
            folder.name, _("models of the kind “{kind}” are not known here").format(kind=str(kind)[:60]),
            _("Kinds that are: {kinds}.").format(kinds=", ".join((*LANGUAGE, *ENCODERS))),
        )  # fmt: skip
    weights = weights_of(folder)
    tensors = tensors_of(weights)
    beside = small_files(folder, ("config.json", *BESIDE))
    names = {path.name for path in beside}
    if "tokenizer.json" not in names and not (kind in ENCODERS and "vocab.txt" in names):
        raise BadInput(
            folder.name, _("the model has no tokenizer.json, so it cannot read text"),
            _("Copy the whole folder again from where it came."),
        )  # fmt: skip
    group: Literal["language", "encoder"] = "language" if kind in LANGUAGE else "encoder"
    index = small_files(folder, (INDEX,))
    return FoundModel(group, str(kind), folder, config, weights, beside, tensors, licence_of(folder), index=index)


def _adapter(folder: Path) -> FoundModel:
    config = read_config(folder / ADAPTER)
    weights = folder / ADAPTER_WEIGHTS
    if config.get("peft_type") != "LORA":
        raise BadInput(folder.name, _("only LoRA adapters are known here"), _("Choose another adapter."))
    if not weights.is_file():
        raise half(folder, [ADAPTER_WEIGHTS])
    beside = small_files(folder, (ADAPTER, *BESIDE))
    return FoundModel("adapter", "lora", folder, config, (weights,), beside, tensors_of((weights,)), licence_of(folder))
