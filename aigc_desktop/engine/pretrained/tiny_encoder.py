"""A text encoder as small as can be, with new weights: for the self-check and for tests, where none may be fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.pretrained.encoder import build_network
from aigc_desktop.engine.weights import write_tensors

VOCAB = 200
CONFIG: dict[str, Any] = {
    "model_type": "bert", "vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip


def write_tiny_encoder(folder: Path, texts: Iterable[str], **changes: Any) -> Path:
    """Write a BERT of a few thousand weights, with a WordPiece tokenizer made from `texts`, and return its folder.

    `changes` replace values of its configuration.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _place in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    tokenizer = Tokenizer(models.WordPiece(_vocabulary(words), unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {**CONFIG, **changes}
    write_json(folder / "config.json", config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        write_tensors(folder / "model.safetensors", build_network(config).state_dict())
    return folder


def _vocabulary(words: Counter[str]) -> dict[str, int]:
    """Return the tokens: special ones, letters, then words, frequent ones first; the same for the same words."""
    letters = sorted({letter for word in words for letter in word})
    frequent = sorted(words, key=lambda word: (-words[word], word))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + letter for letter in letters), *frequent]
    return {token: number for number, token in enumerate(list(dict.fromkeys(tokens))[:VOCAB])}


def add_tiny_encoder(workspace: Workspace, texts: Iterable[str], title: str = "tiny", **changes: Any) -> str:
    """Write a tiny encoder as an imported model of the workspace and return its id."""
    folder = write_tiny_encoder(workspace.new_model_folder(title), texts, **changes)
    files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    size = (folder / "model.safetensors").stat().st_size
    info = ModelInfo(
        title, "encoder", "bert", "", "", parameters=size // 4, bytes=size, context=64, vocab=VOCAB, files=files
    )
    write_json(folder / "model.json", asdict(info))
    return folder.name
