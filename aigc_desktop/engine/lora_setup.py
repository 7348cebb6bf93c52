"""The settings that every training of LoRA adapters shares."""

from __future__ import annotations

from aigc_desktop.core.config import param
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.trainee import TrainConfig


class LoraConfig(TrainConfig):
    """Settings of a training that can learn adapters in place of all weights."""

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
