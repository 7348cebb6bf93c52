"""A trained image Transformer, ready to make pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_tokens
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.pictures.caption_words import CaptionWords, saved_words
from aigc_desktop.engine.pictures.common import known_class, seeded
from aigc_desktop.engine.pictures.tokens_learning import load_tokenizer
from aigc_desktop.engine.training.checkpoint import Card, part


@dataclass(frozen=True)
class Wish:
    """What pictures are asked for: the number of a class or -1, and a caption or ""."""

    label: int = -1
    caption: str = ""


@dataclass(frozen=True)
class Asked:
    """What one picture is asked for: its class and the words (1, L) of its caption, if the model knows any."""

    label: int
    words: Tensor | None


@dataclass(frozen=True)
class Model:
    """The networks of a checkpoint in evaluation mode, and what its card says of classes and captions."""

    tokenizer: PictureTokenizer
    transformer: TokenTransformer
    classes: list[str]
    shares: list[float]
    words: CaptionWords | None = None

    @property
    def device(self) -> torch.device:
        """Return where the weights lie."""
        return self.transformer.tokens.weight.device

    def asked(self, wish: Wish, generator: torch.Generator) -> Asked:
        """Return what a picture is asked for.

        Without a wish its class is drawn as often as it is in the data; with a caption alone it is any, as a class that
        is drawn would speak against the caption.
        """
        label = known_class(wish.label, self.shares, generator) if self.classes else 0
        if wish.caption and wish.label < 0:
            label = len(self.classes)
        return Asked(label, None if self.words is None else self.words.rows([wish.caption]))

    def names(self, labels: Sequence[int]) -> tuple[str, ...]:
        """Return the names of classes, "" for any; none where the model knows none."""
        names = [*self.classes, ""]
        return tuple(names[label] for label in labels) if self.classes else ()

    def paint(self, seed: int, wish: Wish, drawing: Drawing) -> tuple[Tensor, int]:
        """Return a new picture (1, 3, R, R) and its class."""
        generator = seeded(seed)
        asked = self.asked(wish, generator)
        tokens = draw_tokens(self.transformer, [asked.label], drawing, [generator], asked.words)
        return self.tokenizer.pictures(tokens), asked.label


def load_model(card: Card, weights: dict[str, Tensor], device: torch.device) -> Model:
    """Return the model of a checkpoint; those of earlier releases know no captions."""
    transformer = TokenTransformer(TransformerShape(**card.extra["transformer"]))
    transformer.load_state_dict(part(weights, "transformer"))
    transformer.to(device).eval().requires_grad_(False)
    return Model(
        load_tokenizer(card, weights, device), transformer, card.extra["classes"], card.extra["shares"],
        saved_words(card.extra.get("captions")),
    )  # fmt: skip
