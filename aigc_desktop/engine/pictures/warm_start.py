"""Start a training from weights that ship with the program, or from those of an earlier training.

What ships lies in resources/models/NAME/, a checkpoint without its moments; or it is a starter (core/starters.py).

model.safetensors   16-bit tensors, named as in a training: generator.…, discriminator.…, encoder.…
model.json          the card: what it was trained on, under which licence, by which command, with which metrics
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note
from aigc_desktop.core.files import read_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import resources
from aigc_desktop.core.run import Run
from aigc_desktop.core.starters import TITLES, shipped_run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.pictures.setup import TransferConfig
from aigc_desktop.engine.training.checkpoint import part, read_model
from aigc_desktop.engine.weights import read_tensors

NETWORKS = {"generator": N_("generator"), "discriminator": N_("critic"), "encoder": N_("encoder"),
            "network": N_("network"), "space": N_("autoencoder")}  # fmt: skip
"""What the networks of a training that can start from another are called."""


@dataclass(frozen=True)
class Origin:
    """Weights to begin with: whose they are, tensors by name like "generator.last.bias", and what their card says."""

    title: str
    tensors: dict[str, Tensor]
    extra: dict[str, Any]

    def take_over_all(self, modules: Mapping[str, nn.Module]) -> Generator[Event, None, dict[str, int]]:
        """Give all networks what fits, with a Note for each; return how many tensors of each are left."""
        left = {}
        for name in NETWORKS:
            if name in modules:
                left[name], sentence = self.take_over(modules[name], name)
                yield Note(sentence)
        return left

    def take_over(self, module: nn.Module, name: str) -> tuple[int, str]:
        """Give `module` the tensors of its own shapes; return how many are left, and a sentence that says it."""
        own, found = module.state_dict(), part(self.tensors, name)
        fitting = {key: value for key, value in found.items() if key in own and own[key].shape == value.shape}
        with torch.no_grad():
            for key, tensor in fitting.items():
                own[key].copy_(tensor)
        sentence = _("Warm start: the {name} begins with the weights of “{model}”.")
        if len(fitting) < len(own):
            sentence = _("Warm start: {taken} of {total} parts of the {name} come from “{model}”, the rest begins new.")
        shown = sentence.format(taken=len(fitting), total=len(own), name=_(NETWORKS[name]), model=self.title)
        return len(own) - len(fitting), shown


def shipped_extra(model: str) -> dict[str, object] | None:
    """Return what the card of a shipped model says of its networks, None when it does not ship."""
    card = resources() / "models" / model / "model.json"
    return dict(read_json(card)["extra"]) if card.is_file() else None


def shipped(model: str) -> Origin:
    """Return the weights of a model that ships with the program."""
    if shipped_extra(model) is None:
        raise UserError(
            _("The weights “{model}” for a warm start are not part of this installation.").format(model=model),
            _("Turn the warm start off, or install the program again."),
        )
    tensors = read_tensors(resources() / "models" / model / "model.safetensors")
    return Origin(model, tensors, shipped_extra(model) or {})


def starter_extra(name: str) -> dict[str, Any] | None:
    """Return what the card of a starter says of its networks, None when it does not ship."""
    try:
        return dict(read_json(shipped_run(name).checkpoint("best") / "model.json")["extra"])
    except UserError:
        return None


def starter(name: str) -> Origin:
    """Return the weights of a starter."""
    card, tensors = read_model(shipped_run(name).checkpoint("best"))
    return Origin(_(TITLES[name]), tensors, card.extra)


def beginning(config: TransferConfig, run: Run, family: str, ship: Callable[[], Origin]) -> Origin | None:
    """Return the weights that a new training of `family` begins with; `ship` gives those of the program."""
    if run.checkpoints():
        return None
    if config.start_from:
        return earlier(Workspace(run.workspace), config.start_from, family)
    return ship() if config.warm_start else None


def earlier(workspace: Workspace, run_id: str, family: str) -> Origin:
    """Return the weights of the best version of a training of `family`; of some only those that generate are left."""
    run = workspace.run(run_id)
    folder = run.checkpoint("best")
    card, tensors = read_model(folder)
    if card.family != family:
        raise UserError(
            _("“{title}” is a model of another kind, whose weights do not fit.").format(title=run.info.title),
            _("Start from a training of the same kind, or begin new."),
        )
    state = folder / "train_state.safetensors"
    if state.is_file():
        tensors = {**part(read_tensors(state), "module"), **tensors}  # averages before raw weights
    return Origin(run.info.title, tensors, card.extra)
