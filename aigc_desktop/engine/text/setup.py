"""Settings that every network has which learns texts from scratch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from aigc_desktop.core.config import param
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.training.trainee import TrainConfig


class TextConfig(TrainConfig):
    """Size of the network and kind of its tokens."""

    weight_decay: float = param(
        0.1, N_("Weight decay"), N_("Pulls weights towards zero; more helps against learning small data by heart."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    layers: int = param(
        4, N_("Layers"), N_("Depth of the network; 4 for a processor, 6 to 12 for a graphics card."), ge=1, le=48
    )
    width: int = param(
        128, N_("Width"), N_("Numbers per token inside the network; twice as wide takes four times as long."),
        ge=16, le=4096,
    )  # fmt: skip
    heads: int = param(
        4, N_("Heads"), N_("Parallel attentions; width divided by heads must be even, 32 to 64 is good."),
        ge=1, le=64, advanced=True,
    )  # fmt: skip
    tokenizer: Literal["auto", "char", "bpe"] = param(
        "auto", N_("Tokens"), N_("Characters suit little text, learned pieces of words suit more; automatic decides."),
        labels={"auto": N_("Automatic"), "char": N_("Characters"), "bpe": N_("Learned pieces")},
    )  # fmt: skip
    vocab: int = param(
        0, N_("Vocabulary"), N_("How many learned pieces there are; 0 chooses by the amount of text."),
        ge=0, le=65_536, advanced=True,
    )  # fmt: skip
    dropout: float = param(
        0.0, N_("Dropout"), N_("Share of numbers set to zero while training; 0.1 to 0.3 helps small data."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % (2 * self.heads):  # rotary positions turn pairs of numbers
            raise ValueError(_("The width must be a multiple of twice the number of heads."))
        return self
