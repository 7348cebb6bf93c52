"""Start a training from weights that ship with the program: resources/models/NAME/ is a checkpoint without its moments.

model.safetensors   16-bit tensors, named as in a training: generator.…, discriminator.…, encoder.…
model.json          the card: what it was trained on, under which licence, by which command, with which metrics
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.checkpoint import part
from aigc_desktop.engine.weights import read_tensors

NETWORKS = {"generator": N_("generator"), "discriminator": N_("critic"), "encoder": N_("encoder")}
"""What the networks of a shipped model are called."""


def shipped_extra(model: str) -> dict[str, object] | None:
    """Return what the card of a shipped model says of its networks, None when it does not ship."""
    card = resources() / "models" / model / "model.json"
    return dict(read_json(card)["extra"]) if card.is_file() else None


def shipped_tensors(name: str, model: str) -> dict[str, Tensor]:
    """Return the tensors of the network `name` of a shipped model, in 16 bits."""
    return part(read_tensors(resources() / "models" / model / "model.safetensors"), name)


def take_over(module: nn.Module, name: str, model: str) -> str:
    """Give `module` the shipped tensors of its own shapes and return a sentence that says how many there were."""
    if shipped_extra(model) is None:
        raise UserError(
            _("The weights “{model}” for a warm start are not part of this installation.").format(model=model),
            _("Turn the warm start off, or install the program again."),
        )
    shipped = shipped_tensors(name, model)
    own = module.state_dict()
    fitting = {key: value for key, value in shipped.items() if key in own and own[key].shape == value.shape}
    with torch.no_grad():
        for key, tensor in fitting.items():
            own[key].copy_(tensor)
    sentence = _("Warm start: the {name} begins with the weights of “{model}”.")
    if len(fitting) < len(own):
        sentence = _("Warm start: {taken} of {total} parts of the {name} come from “{model}”, the rest begins new.")
    return sentence.format(taken=len(fitting), total=len(own), name=_(NETWORKS[name]), model=model)
