"""A trained image Transformer, ready to make pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aigc_desktop.engine.checkpoint import Card, part
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_tokens
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.picture_tokens import load_tokenizer
from aigc_desktop.engine.pictures import known_class, seeded


@dataclass(frozen=True)
class Model:
    """The networks of a checkpoint in evaluation mode, and what its card says of classes."""

    tokenizer: PictureTokenizer
    transformer: TokenTransformer
    classes: list[str]
    shares: list[float]

    @property
    def device(self) -> torch.device:
        """Return where the weights lie."""
        return self.transformer.tokens.weight.device

    def label(self, wish: int, generator: torch.Generator) -> int:
        """Return the class of a picture: the one wished for, or for -1 one drawn as often as it is in the data."""
        return known_class(wish, self.shares, generator) if self.classes else 0

    def names(self, labels: Sequence[int]) -> tuple[str, ...]:
        """Return the names of classes, none where the model knows none."""
        return tuple(self.classes[label] for label in labels) if self.classes else ()

    def paint(self, seed: int, wish: int, drawing: Drawing) -> tuple[Tensor, int]:
        """Return a new picture (1, 3, R, R) and its class."""
        generator = seeded(seed)
        label = self.label(wish, generator)
        return self.tokenizer.pictures(draw_tokens(self.transformer, [label], drawing, [generator])), label


def load_model(card: Card, weights: dict[str, Tensor], device: torch.device) -> Model:
    """Return the model of a checkpoint."""
    transformer = TokenTransformer(TransformerShape(**card.extra["transformer"]))
    transformer.load_state_dict(part(weights, "transformer"))
    transformer.to(device).eval().requires_grad_(False)
    return Model(load_tokenizer(card, weights, device), transformer, card.extra["classes"], card.extra["shares"])
