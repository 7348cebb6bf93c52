"""A language model of a few thousand random weights in the form publishers give theirs: for checks, not for writing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.pretrained.llama import Llama, shape_of
from aigc_desktop.engine.weights import write_tensors

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 256, "vocab_size": 259,
    "tie_word_embeddings": True, "eos_token_id": 257,
}  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}{{ '<|im_start|>assistant\\n' }}"
)


def write_tiny_model(folder: Path, **changes: Any) -> None:
    """Write config.json, model.safetensors, tokenizer.json and a chat template; `changes` go into the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Llama(shape_of(config))
        network.model.embed_tokens.weight.data.mul_(0.1)  # a tied output would repeat the last token for ever
    tensors = network.state_dict()
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight")
    write_json(folder / "config.json", config)
    write_tensors(folder / "model.safetensors", tensors)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"eos_token": "<|im_end|>", "chat_template": TEMPLATE})


def add_tiny_model(workspace: Workspace, title: str = "tiny", **changes: Any) -> str:
    """Write a tiny model as an imported one of the workspace and return its id."""
    folder = workspace.new_model_folder(title)
    write_tiny_model(folder, **changes)
    files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    size = (folder / "model.safetensors").stat().st_size
    write_json(folder / "model.json", asdict(ModelInfo(
        title, "language", "llama", "", "", parameters=size // 4, bytes=size, context=256, vocab=259, chat=True,
        files=files,
    )))  # fmt: skip
    return folder.name


def tiny_tokenizer() -> Tokenizer:
    """Return a tokenizer of single bytes and three special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(words, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>", "<|pad|>"])
    return tokenizer
