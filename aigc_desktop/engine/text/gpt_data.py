"""What a language model learns from: a stream of tokens cut into windows, or whole texts packed into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from aigc_desktop.engine.text.fields import LABEL
from aigc_desktop.engine.text.gpt_setup import GPTConfig
from aigc_desktop.engine.text.items import open_items
from aigc_desktop.engine.text.marks import MarkedTokenizer
from aigc_desktop.engine.text.packing import Batch, Packs, Recipe
from aigc_desktop.engine.text.tokenizer import Tokenizer
from aigc_desktop.engine.text.tokens import TokenData, Windows, validation_batches, windows
from aigc_desktop.engine.training.data import Indices

VALIDATION_WINDOWS = 256


class GPTData:
    """Batches for training and for validation; `train` is the sampler, `told` what the card says of prompts.

    A batch has `config.batch_size` windows for each model of an ensemble.
    """

    def __init__(self, config: GPTConfig, tokens: TokenData, folder: Path, classes: Sequence[str]) -> None:
        self.config, self.tokens = config, tokens
        self.batch_size = config.batch_size * config.ensemble
        marked = bool(tokens.fields) or config.infill > 0
        self.tokenizer: Tokenizer = MarkedTokenizer(tokens.tokenizer) if marked else tokens.tokenizer
        self.told: dict[str, Any] = {
            "fields": list(tokens.fields), "classes": list(classes) if LABEL in tokens.fields else [],
            "marks": marked, "infill": config.infill > 0,
        }  # fmt: skip
        self.packs: Packs | None = None
        self.train: Packs | Windows
        if marked or config.packing == "apart":
            recipe = Recipe(config.infill, config.packing != "stream", config.learn_lines)
            train, held_out = open_items(folder, tokens)
            held_out = held_out.share(VALIDATION_WINDOWS * config.context)
            self.train = self.packs = self._packs(train, recipe)
            self.validation = self._packs(held_out, Recipe(config.infill, recipe.apart, varied=False))
        else:
            self.train = Windows(tokens.train, config.context, self.batch_size, config.seed)

    def _packs(self, items: Any, recipe: Recipe) -> Packs:
        return Packs(items, self.tokenizer, recipe, self.config.context, self.batch_size, self.config.seed)

    @property
    def crowded(self) -> float:
        """Return the share of texts whose attribute lines do not all fit."""
        return self.packs.crowded if self.packs is not None else 0.0

    def batch(self, positions: Indices, device: torch.device) -> Batch:
        """Return a batch of training."""
        if self.packs is not None:
            return self.packs.batch(positions, device)
        return Batch(*windows(self.tokens.train, positions, self.config.context, device))

    def held_out(self, device: torch.device) -> Iterator[Batch]:
        """Yield the batches of validation."""
        context, size = self.config.context, self.config.batch_size
        if self.packs is not None:
            yield from (self.validation.batch(indices, device) for indices in self.validation.epoch())
            return
        for positions in validation_batches(self.tokens.validation, context, size, VALIDATION_WINDOWS):
            yield Batch(*windows(self.tokens.validation, positions, context, device))
