"""The settings that every training of LoRA adapters shares."""

from __future__ import annotations

from typing import Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.training.trainee import TrainConfig


class LoraConfig(TrainConfig):
    """Settings of a training that goes on from a published model, and can learn adapters in place of all weights."""

    schedule: Literal["constant", "cosine", "wsd"] = param(
        "cosine", N_("Schedule"), N_("How the learning rate goes down; “cosine” is good for most."),
        labels={"constant": N_("constant"), "cosine": N_("cosine"), "wsd": N_("late fall")}, advanced=True,
    )  # fmt: skip
    ema: float = param(
        0.0, N_("Averaging"), N_("Half-life of the averaged weights as a share of the run; 0 turns it off."),
        ge=0.0, le=0.5, advanced=True,
    )  # fmt: skip
    rank: int = param(
        16, N_("Rank of the adapters"), N_("Width of the adapters; 8 to 32 suits most tasks."), ge=1, le=1024,
        advanced=True,
    )  # fmt: skip
    alpha: float = param(
        32.0, N_("Strength of the adapters"), N_("How much the adapters count; twice the rank is usual."),
        ge=0.001, le=4096, advanced=True,
    )  # fmt: skip
    lora_dropout: float = param(
        0.05, N_("Dropout of the adapters"), N_("Share of numbers the adapters do not see; 0.05 is safe."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
