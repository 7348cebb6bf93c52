"""A diffusion pipeline in a folder, as diffusers lays it out, and LoRA files for one: found and checked by their files.

<folder>/
  model_index.json      the class of the pipeline, and for each part ["library", "class"]
  unet/ or transformer/ config.json, diffusion_pytorch_model.safetensors, or several files with an index
  vae/                  the same
  text_encoder/ …       config.json, model.safetensors
  tokenizer/ …          vocab.json and merges.txt, or tokenizer.json
  scheduler/            scheduler_config.json

Only safetensors count as weights. Files with other names, programs among them, are never taken along. Weights in half
precision, whose names have "fp16" in them, are taken where there are no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _
from aigc_desktop.data.found_model import (
    LICENCES,
    FoundModel,
    Tensors,
    half,
    licence_of,
    read_config,
    small_files,
    tensors_of,
    weights_of,
)
from aigc_desktop.data.pipeline_lines import LIBRARIES, LINES, Line, line_of

PIPELINE = "model_index.json"
LORA_WEIGHTS = "pytorch_lora_weights.safetensors"
VARIANT = "fp16"
_MARKERS = ("lora_A", "lora_B", "lora_down", "lora_up", "lora.down", "lora.up", ".alpha", "_lora.", "dora_scale")
_WORDS = (
    "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json",
)  # fmt: skip
_REFUSED = ("quantization_config", "_attn_implementation_internal", "attn_implementation")
"""Settings that make a library look for code or kernels beyond the weights (CVE-2026-4372)."""


def find_pipeline(folder: Path) -> FoundModel:
    """Return the pipeline in a folder with model_index.json; BadInput for unknown classes and missing parts."""
    index = read_config(folder / PIPELINE)
    name = str(index.get("_class_name"))
    line = line_of(name)
    if line is None:
        raise BadInput(
            folder.name, _("pipelines of the class “{name}” are not known here").format(name=name[:60]),
            _("Kinds that are: {kinds}.").format(kinds=", ".join(known.title for known in LINES)),
        )  # fmt: skip
    parts = _parts(folder, index, line)
    weights: list[Path] = []
    beside = list(small_files(folder, (PIPELINE, "README.md", "NOTICE", *LICENCES)))
    tensors: dict[str, tuple[int, ...]] = {}
    for part, kind in parts.items():
        own = _weights(folder / part, kind)
        weights += own
        beside += _small_files(folder / part, kind)
        tensors |= {f"{part}/{name}": size for name, size in tensors_of(own).items()}
    return FoundModel(
        "diffusion", name, folder, index, tuple(weights), tuple(beside), tensors, licence_of(folder), parts
    )


def _parts(folder: Path, index: dict[str, Any], line: Line) -> dict[str, str]:
    """Return the class of each part that a pipeline has."""
    found: dict[str, str] = {}
    for part, allowed in line.parts.items():
        told = index.get(part, (None, None))
        if not isinstance(told, list | tuple) or len(told) != 2:
            raise BadInput(PIPELINE, _("the file is damaged"), _("Copy the model again from where it came."))
        library, kind = told
        if kind is None:
            if part not in line.optional:
                raise half(folder, [part])
            continue
        if kind not in allowed or library != LIBRARIES[kind]:
            raise BadInput(
                folder.name,
                _("its part “{part}” is of the class “{name}”, which is not known here").format(
                    part=part, name=f"{library}.{kind}"[:80]
                ),
                _("Classes that are: {names}.").format(names=", ".join(allowed)),
            )
        if not (folder / part).is_dir():
            raise half(folder, [part])
        found[part] = kind
    return found


def config_name(kind: str) -> str:
    """Return the file that describes a part of this class; "" for a tokenizer."""
    if kind.endswith("Scheduler"):
        return "scheduler_config.json"
    if "Tokenizer" in kind:
        return ""
    return "preprocessor_config.json" if kind in ("CLIPImageProcessor", "CLIPFeatureExtractor") else "config.json"


def has_weights(kind: str) -> bool:
    """Return whether a part of this class has weights."""
    return config_name(kind) == "config.json"


def weights_name(kind: str) -> str:
    """Return the file with the weights of a part of this class."""
    return "diffusion_pytorch_model.safetensors" if LIBRARIES[kind] == "diffusers" else "model.safetensors"


def variant_of(folder: Path, kind: str) -> str:
    """Return the variant of the weights in a part's folder: "" where there are whole ones."""
    stem = weights_name(kind).removesuffix(".safetensors")
    whole = any((folder / name).is_file() for name in (f"{stem}.safetensors", f"{stem}.safetensors.index.json"))
    small = any(folder.glob(f"{stem}.{VARIANT}*.safetensors"))
    return VARIANT if small and not whole else ""


def _weights(folder: Path, kind: str) -> tuple[Path, ...]:
    if not has_weights(kind):
        return ()
    return weights_of(folder, weights_name(kind), variant_of(folder, kind))


def _small_files(folder: Path, kind: str) -> tuple[Path, ...]:
    """Return the configuration of a part, checked, or the files of a tokenizer, and the index of weights."""
    name = config_name(kind)
    if not name:
        return _tokenizer_files(folder)
    if not (folder / name).is_file():
        raise half(folder, [f"{folder.name}/{name}"])
    config = read_config(folder / name)
    refused = next((key for key in _REFUSED if config.get(key)), None)
    if refused is not None:
        raise BadInput(
            f"{folder.name}/{name}", _("it asks for “{name}”, which is not done here").format(name=refused),
            _("Get the model in plain numbers."),
        )  # fmt: skip
    _need_class(folder, name, kind, config)
    if not has_weights(kind):
        return small_files(folder, (name,))
    stem = weights_name(kind)
    return small_files(folder, (name, f"{stem}.index.json", f"{stem}.index.{VARIANT}.json"))


def _need_class(folder: Path, name: str, kind: str, config: dict[str, Any]) -> None:
    """Raise BadInput when a part's own configuration speaks of another class than the pipeline does."""
    if LIBRARIES[kind] == "diffusers":
        told = config.get("_class_name", kind)
        known = told == kind or (kind.endswith("Scheduler") and told in LIBRARIES)
    else:
        names = config.get("architectures") or [kind]
        told = names[0] if isinstance(names, list) else names
        known = told in LIBRARIES or told in ("CLIPModel", "T5ForConditionalGeneration") or not has_weights(kind)
    if not known:
        raise BadInput(
            f"{folder.name}/{name}", _("it describes a “{told}”, the pipeline says “{kind}”").format(
                told=str(told)[:60], kind=kind
            ), _("Copy the whole folder again from where it came."),
        )  # fmt: skip


def _tokenizer_files(folder: Path) -> tuple[Path, ...]:
    files = small_files(folder, _WORDS)
    names = {path.name for path in files}
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
        raise half(folder, [f"{folder.name}/tokenizer.json"])
    for path in files:
        if path.name == "tokenizer_config.json":
            read_config(path)
    return files


# LoRA


def find_lora(path: Path) -> FoundModel | None:
    """Return the LoRA for pictures in a file, or the one in a folder; None when there is none.

    BadInput for a file with other weights, as a whole model in one file.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    files = [file for file in files if file.name == LORA_WEIGHTS] or files
    if len(files) != 1 or files[0].suffix.lower() != ".safetensors":
        return None
    (file,) = files
    tensors = tensors_of(files)
    if not tensors or not all(any(marker in name for marker in _MARKERS) for name in tensors):
        if path.is_dir():
            return None
        raise BadInput(
            file.name, _("it is no LoRA: it holds other weights"),
            _("Of a whole model choose the folder with model_index.json or config.json."),
        )  # fmt: skip
    if path.is_file():  # what else lies beside it need not belong to it
        return FoundModel("lora", made_for(tensors), file.parent, {}, (file,), (), tensors)
    beside = small_files(path, ("README.md", *LICENCES))
    return FoundModel("lora", made_for(tensors), path, {}, (file,), beside, tensors, licence_of(path))


def made_for(tensors: Tensors) -> str:
    """Return the line of models a LoRA seems to be made for by its names and sizes; "" when they do not tell."""
    titles = {line.name: line.title for line in LINES}
    if any("single_transformer_blocks" in name or "single_blocks" in name for name in tensors):
        return titles["flux"]
    if any(name.startswith(("transformer.", "lora_transformer_")) for name in tensors):
        return titles["sd3"]
    for name, size in tensors.items():
        across = "attn2" in name and ("to_k" in name or "to_v" in name)
        if across and any(down in name for down in ("lora_A", "lora_down", "lora.down")):
            return titles["sdxl"] if size[1] == 2048 else titles["sd"]
    return ""
