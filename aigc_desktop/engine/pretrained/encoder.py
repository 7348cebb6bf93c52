"""Published text encoders from the disk: the network, and what turns text into its tokens.

Nothing of a model is run but known networks of the `transformers` package: weights come from safetensors files, code
that lies beside them is refused, and nothing is looked for outside of the folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.files import sha256_file
from aigc_desktop.core.i18n import _
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import ENCODERS, find_model
from aigc_desktop.engine.pretrained.reader import Reader, load_reader

_AFTER_PADDING = ("roberta", "xlm-roberta", "mpnet")
"""Networks whose positions are counted from the number of the padding token on."""
_LAYERS = ("num_hidden_layers", "n_layers")


@dataclass(frozen=True)
class Encoder:
    """A text encoder: `network` takes ids and mask (B, T), `last_hidden_state` of what it returns is (B, T, width)."""

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
    config = read_config(folder)
    transformers = quiet_transformers()
    try:
        network, told = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, str(error).strip().partition("\n")[0]) from error
    missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
    if missing or told["mismatched_keys"]:
        raise _damaged(folder, _("parts of the network are missing: {names}").format(names=", ".join(missing[:3])))
    return Encoder(_without_pooler(network).to(device), _reader(folder, config), config)


def build_network(config: dict[str, Any], layers: int | None = None) -> nn.Module:
    """Return the network of a configuration with new weights; `layers` makes it shallower, for measurements."""
    transformers = quiet_transformers()
    values = {name: value for name, value in config.items() if name not in ("dtype", "torch_dtype", "architectures")}
    if layers is not None:
        values |= {name: layers for name in _LAYERS if name in values}
    made = transformers.AutoConfig.for_model(**values)
    return _without_pooler(transformers.AutoModel.from_config(made))


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of an encoder; BadInput when the folder holds no whole, safe one."""
    found = find_model(folder)
    if isinstance(found, Path) or found.kind != "encoder":
        raise BadInput(
            folder.name, _("this is no text encoder"),
            _("Kinds that are: {kinds}.").format(kinds=", ".join(ENCODERS)),
        )  # fmt: skip
    return found.config


def weights_hash(folder: Path) -> str:
    """Return a SHA-256 that names the weights of an encoder."""
    digests = [sha256_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def layers_of(config: dict[str, Any]) -> int:
    """Return how many layers a configuration names; 12, as most have, when it does not say."""
    return next((int(config[name]) for name in _LAYERS if name in config), 12)


def width_of(config: dict[str, Any]) -> int:
    """Return the numbers per token that come out of the network."""
    return int(config.get("hidden_size") or config.get("dim") or 768)


def quiet_transformers() -> Any:
    """Import and return `transformers`; it takes seconds, so only who needs a network calls this."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def _reader(folder: Path, config: dict[str, Any]) -> Reader:
    positions = int(config.get("max_position_embeddings") or 512)
    pad = config.get("pad_token_id")
    pad = pad if type(pad) is int else 0
    if config["model_type"] in _AFTER_PADDING:
        positions -= pad + 1
    return load_reader(folder, pad, positions, int(config.get("vocab_size") or 0))


def _without_pooler(network: nn.Module) -> nn.Module:
    """Take away the layer for whole texts that some networks have; nothing here learns through it."""
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # type: ignore[assignment]
    return network


def _damaged(folder: Path, reason: str) -> BadInput:
    return BadInput(
        folder.name, _("the model cannot be read: {reason}").format(reason=reason[:200]),
        _("Copy the whole folder again from where it came."),
    )  # fmt: skip
