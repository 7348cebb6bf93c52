"""A pretrained model that was brought into the workspace: a folder that describes itself.

models/<id>/
  model.json          ModelInfo
  config.json         the published configuration, as it came
  model.safetensors   the weights, or several files with model.safetensors.index.json
  tokenizer.json      and what else the publisher gave: tokenizer_config.json, chat_template.jinja, README.md, LICENSE
  adapter_*           of an adapter: its configuration and weights, instead of the model's own
  model_index.json    of a diffusion model, instead of config.json; its parts lie in folders of their own
  *.safetensors       of a LoRA for diffusion models
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigc_desktop.core.records import read_record, read_table

FORMAT = 1
PREFIX = "model:"
"""Before the id of an imported model where trained and imported models are offered together."""
ModelKind = Literal["language", "encoder", "adapter", "diffusion", "lora"]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of an imported model.

    `architecture` is the `model_type` of its configuration, the class of a pipeline, or the line of diffusion models
    that a LoRA was made for; `parts` names the class of each part of a pipeline. `source` is where it came from,
    `came_as` the file format there; `licence` is the publisher's word for it, "" when none was given. `bytes` counts
    the weights as they lie on the disk, `context` tokens; an adapter names the model it belongs to in `base`. `files`
    maps names to SHA-256.
    """

    title: str
    kind: ModelKind
    architecture: str
    created: str
    source: str
    came_as: Literal["safetensors", "gguf"] = "safetensors"
    licence: str = ""
    parameters: int = 0
    bytes: int = 0
    context: int = 0
    vocab: int = 0
    chat: bool = False
    base: str = ""
    files: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def weights_hash(info: ModelInfo) -> str:
    """Return a SHA-256 that names the weights of an imported model, from those of its files."""
    digests = sorted(digest for name, digest in info.files.items() if name.endswith(".safetensors"))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def memory_of(info: ModelInfo, bits: int, whole: bool = False) -> int:
    """Return the bytes of memory that writing with weights of so many bits takes.

    With 8 bits the embedding stays in 16 beside the output matrix. `whole` says that all weights are there in the
    numbers of their files while they are loaded.
    """
    needed = round(info.parameters * (1.2 if bits == 8 else bits / 8))
    return max(info.bytes, needed) if whole else needed


class Model:
    """A model's folder; `info` is read afresh, files are the truth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """Return the name of the folder, which identifies the model in its workspace."""
        return self.folder.name

    @property
    def info(self) -> ModelInfo:
        """Return the model's record."""
        return read_record(self.folder / "model.json", ModelInfo)

    def table(self, name: str) -> dict[str, Any]:
        """Return one of its JSON files, {} when the publisher gave none; UserError when it is damaged."""
        path = self.folder / name
        return read_table(path) if path.is_file() else {}
