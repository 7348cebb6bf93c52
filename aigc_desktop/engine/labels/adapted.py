"""A published encoder with a new last layer that tells of each word or of a whole text, and its way to disk.

With LoRA only the thin matrices and the last layer are written; the encoder itself is found again by its name and the
hash of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.labels.pieces import Batch
from aigc_desktop.engine.nn.dropout import QuickDropout
from aigc_desktop.engine.nn.lora import LoraShape, add_lora
from aigc_desktop.engine.pretrained.encoder import (
    build_network,
    encoder_folder,
    load_encoder,
    weights_hash,
    width_of,
)
from aigc_desktop.engine.pretrained.reader import Reader, load_reader
from aigc_desktop.engine.training.checkpoint import Card, part, read_model


class Adapted(nn.Module):
    """An encoder and a linear layer on the tokens told of, or on their mean (`whole`).

    With `lora` the encoder is frozen but for its adapters, and the state holds what learns only.
    """

    def __init__(
        self, encoder: nn.Module, width: int, outputs: int, dropout: float, whole: bool, lora: LoraShape | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.whole, self.lora = encoder, whole, lora
        self.dropout, self.head = QuickDropout(dropout), nn.Linear(width, outputs)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        if lora is not None:
            add_lora(encoder, lora.targets, lora.rank, lora.alpha, lora.dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits (B, W, C) of the tokens told of, or (B, 1, C) of the whole text."""
        hidden = self.encoder(batch.ids, batch.mask)  # (B, T, D)
        if self.whole:
            weights = batch.mask[:, :, None].to(hidden.dtype)
            told = (hidden * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        else:
            told = hidden.gather(1, batch.places[:, :, None].expand(-1, -1, hidden.shape[2]))
        return self.head(self.dropout(told))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return what must be kept: everything, or with LoRA what learns."""
        state = super().state_dict(*args, **kwargs)
        return state if self.lora is None else {name: t for name, t in state.items() if _learns(name)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take back what `state_dict` gave; RuntimeError when it is of another network."""
        if self.lora is None:
            return super().load_state_dict(state_dict, strict, assign)
        if state_dict.keys() != self.state_dict().keys():
            raise RuntimeError("the state is of another adapter")
        return super().load_state_dict(state_dict, False, assign)


def _learns(name: str) -> bool:
    return name.startswith("head.") or ".lora_" in name


def lora_shape(encoder: nn.Module, rank: int, alpha: float, dropout: float) -> LoraShape:
    """Return an adapter of all linear layers of an encoder, by their whole names, which no layer beside it has."""
    names = tuple(name for name, layer in encoder.named_modules() if type(layer) is nn.Linear)
    return LoraShape(names, rank, alpha, dropout)


@dataclass(frozen=True)
class Loaded:
    """A trained model with what its tasks need; `classes` are those of names or of texts."""

    model: Adapted
    reader: Reader
    classes: list[str]
    length: int
    device: torch.device
    card: Card


def load_adapted(run_id: str, checkpoint: str, device_name: str, workspace: Workspace) -> Loaded:
    """Return the model of a run, in evaluation mode; UserError when the encoder it needs is not there any more."""
    device = choose_device(device_name)
    set_up(device, 0)
    folder = workspace.run(run_id).checkpoint(checkpoint)
    card, tensors = read_model(folder)
    extra, config = card.extra, card.config
    lora = None
    if config["method"] == "lora":
        lora = LoraShape(tuple(extra["targets"]), config["rank"], config["alpha"], config["lora_dropout"])
        network = _same_encoder(extra, config["encoder"], workspace)
    else:
        network = build_network(extra["encoder"])
    model = Adapted(
        network, width_of(extra["encoder"]), extra["outputs"], config["dropout"], extra["whole"], lora
    )
    model.load_state_dict(part(tensors, "model"))
    model.to(device).eval().requires_grad_(False)
    reader = load_reader(folder, extra["pad"], extra["positions"], 0)
    return Loaded(model, reader, list(extra["classes"]), min(config["length"], reader.longest), device, card)


def _same_encoder(extra: dict[str, Any], name: str, workspace: Workspace) -> nn.Module:
    """Return the encoder an adapter was trained on; UserError when it is gone or another one is in its place."""
    way_out = _("Import the same model again, or train again.")
    try:
        folder: Path = encoder_folder(name, workspace)
    except UserError as error:
        raise UserError(_("The text encoder this adapter needs is not there any more: {name}.").format(name=name),
                        way_out) from error  # fmt: skip
    if weights_hash(folder) != extra["weights"]:
        raise UserError(_("“{name}” is not the text encoder this adapter was trained on.").format(name=name), way_out)
    return load_encoder(folder, torch.device("cpu")).network
