"""Published text encoders from the disk: the network, and what turns text into its tokens.

Nothing of a model is run but networks of our own: weights come from safetensors files, code that lies beside them is
refused, and nothing is looked for outside of the folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.files import sha256_file
from aigc_desktop.core.i18n import _
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import ENCODERS, FoundModel, find_model
from aigc_desktop.engine.pretrained.bert import Bert, BertShape, bert_shape, published_names
from aigc_desktop.engine.pretrained.deberta import Deberta, DebertaShape, deberta_shape
from aigc_desktop.engine.pretrained.modernbert import ModernBert, ModernBertShape, modernbert_shape
from aigc_desktop.engine.pretrained.reader import Reader, load_reader
from aigc_desktop.engine.pretrained.settings import Settings
from aigc_desktop.engine.weights import read_tensors


@dataclass(frozen=True)
class Encoder:
    """A text encoder: `network` takes ids and mask (B, T) and returns the last hidden states (B, T, width)."""

    network: nn.Module
    reader: Reader
    config: dict[str, Any]


def encoder_folder(value: str, workspace: Workspace) -> Path:
    """Return the folder of an encoder: of an imported model by its id, or any folder by its full path."""
    if Path(value).is_absolute():
        if not Path(value).is_dir():
            raise UserError(
                _("There is no folder “{name}”.").format(name=value), _("Choose the folder of a text encoder.")
            )
        return Path(value)
    return workspace.model(value).folder


def load_encoder(folder: Path, device: torch.device) -> Encoder:
    """Return the encoder in a folder, in float32; BadInput when it cannot be used."""
    found = _found(folder)
    names = check_encoder(found)
    own = {published: name for name, published in names.items()}
    state: dict[str, torch.Tensor] = {}
    for path in found.weights:
        state |= {own[name]: tensor.float() for name, tensor in read_tensors(path).items() if name in own}
    with torch.device("meta"):
        network = build_network(found.config)
    network.load_state_dict(state, assign=True)
    return Encoder(network.to(device), _reader(folder, found.config), found.config)


def check_encoder(found: FoundModel) -> dict[str, str]:
    """Return the name in the files of each part of the network; BadInput when one is missing or of another size."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in build_network(found.config).state_dict().items()}
    names = published_names(found.tensors, wanted)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise _damaged(
            found.folder, _("parts of the network are missing: {names}").format(names=", ".join(missing[:3]))
        )
    wrong = [name for name, own in names.items() if found.tensors[own] != wanted[name]]
    if wrong:
        raise _damaged(
            found.folder, _("parts of the network have another size: {names}").format(names=", ".join(wrong[:3]))
        )
    return names


def build_network(config: dict[str, Any], layers: int | None = None) -> nn.Module:
    """Return the network of a configuration with new weights; `layers` makes it shallower, for measurements."""
    shape = _shape(config)
    if isinstance(shape, ModernBertShape):
        return ModernBert(shape if layers is None else replace(shape, full=shape.full[:layers]))
    shallow = shape if layers is None else replace(shape, layers=layers)
    return Deberta(shallow) if isinstance(shallow, DebertaShape) else Bert(shallow)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of an encoder; BadInput when the folder holds no whole, safe one."""
    return _found(folder).config


def weights_hash(folder: Path) -> str:
    """Return a SHA-256 that names the weights of an encoder."""
    digests = [sha256_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def layers_of(config: dict[str, Any]) -> int:
    """Return how many layers a configuration names."""
    shape = _shape(config)
    return len(shape.full) if isinstance(shape, ModernBertShape) else shape.layers


def width_of(config: dict[str, Any]) -> int:
    """Return the numbers per token that come out of the network."""
    return _shape(config).width


def positions_of(config: dict[str, Any]) -> int:
    """Return how many tokens the network reads at once, special ones among them."""
    shape = _shape(config)
    return shape.positions - (shape.first_position if isinstance(shape, BertShape) else 0)


def _shape(config: dict[str, Any]) -> BertShape | DebertaShape | ModernBertShape:
    settings = Settings(config)
    if settings.kind == "modernbert":
        return modernbert_shape(settings)
    return deberta_shape(settings) if settings.kind == "deberta-v2" else bert_shape(settings)


def _reader(folder: Path, config: dict[str, Any]) -> Reader:
    shape = _shape(config)
    return load_reader(folder, shape.pad, positions_of(config), shape.vocab)


def _found(folder: Path) -> FoundModel:
    found = find_model(folder)
    if isinstance(found, Path) or found.kind != "encoder":
        raise BadInput(
            folder.name, _("this is no text encoder"),
            _("Kinds that are: {kinds}.").format(kinds=", ".join(ENCODERS)),
        )  # fmt: skip
    return found


def _damaged(folder: Path, reason: str) -> BadInput:
    return BadInput(
        folder.name, _("the model cannot be read: {reason}").format(reason=reason[:200]),
        _("Copy the whole folder again from where it came."),
    )  # fmt: skip
