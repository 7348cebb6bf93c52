"""Settings of fine-tuning a published language model."""

from __future__ import annotations

from typing import Literal

from aigc_desktop.core.config import again, param
from aigc_desktop.core.family import Preset
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.nn.lora import LoraShape
from aigc_desktop.engine.training.lora_setup import LoraConfig

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""All linear layers but the output, as PEFT's "all-linear" means it."""
RATES = (1e-4, 2e-4, 5e-4, 1e-3)
"""Learning rates that are tried for adapters; for all weights a tenth of each (arXiv:2602.04998)."""


class TuneConfig(LoraConfig):
    """Settings of fine-tuning a published language model; the presets choose them."""

    base: str = param(
        ..., N_("Language model"), N_("The imported model that is fine-tuned; one that knows your language."),
        kind=FieldKind.MODEL,
    )  # fmt: skip
    method: Literal["lora", "full"] = param(
        "lora", N_("What learns"),
        N_("Adapters (LoRA) need little memory and keep what the model knows; all weights change it most."),
        labels={"lora": N_("adapters (LoRA)"), "full": N_("all weights")},
    )  # fmt: skip
    prompt: str = param(
        "", N_("Request from"),
        N_("Name of the attribute that asks for each text: the model learns to answer it. Empty learns to go on."),
    )  # fmt: skip
    chat: bool = param(
        True, N_("As a conversation"),
        N_("Requests are laid out by the model's own form for conversations, where it has one; off, as a plain line."),
    )  # fmt: skip
    steps: int = param(
        300, N_("Steps"), N_("How many updates the weights get; 1 to 3 rounds through the data are usual."),
        ge=1, le=999_999,
    )  # fmt: skip
    batch_size: int = param(
        4, N_("Batch size"), N_("Windows of text per update; more is steadier and needs more memory."), ge=1, le=1024
    )
    context: int = param(
        256, N_("Window"), N_("Tokens that are learned at once; short texts share a window without seeing each other."),
        unit=N_("tokens"), ge=16, le=131_072,
    )  # fmt: skip
    lr: float = param(
        0.0, N_("Learning rate"), N_("How far an update goes; 0 tries four on a small part and takes the best."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    warmup: int = param(
        15, N_("Warm-up steps"), N_("The learning rate rises over these steps; a twentieth of the steps is safe."),
        ge=0, le=100_000, advanced=True,
    )  # fmt: skip
    rank_scaling: bool = param(
        False, N_("Strength by the root of the rank"),
        N_("Divides the strength by the root of the rank (rsLoRA): keeps high ranks from learning too little."),
        advanced=True,
    )  # fmt: skip
    base_numbers: Literal["auto", "whole", "nf4"] = param(
        "auto", N_("Numbers of the base"),
        N_("4 bits (QLoRA) take a quarter of 16 bits and round the frozen model; automatic only when memory is short."),
        labels={"auto": N_("Automatic"), "whole": N_("as they are"), "nf4": N_("4-bit (NF4)")}, advanced=True,
    )  # fmt: skip
    checkpointing: Literal["auto", "on", "off"] = param(
        "auto", N_("Save memory"),
        N_("Works out intermediate numbers twice: a third slower; automatic does so when memory is short."),
        labels={"auto": N_("Automatic"), "on": N_("on"), "off": N_("off")}, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        50, N_("Validate every"), N_("Steps between two checks on texts the model never learns from; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    sample_every: int = again(LoraConfig, "sample_every", 100)
    patience: int = again(LoraConfig, "patience", 3)

    @property
    def adapter(self) -> LoraShape:
        """Return what the adapters are like; their strength is divided by the rank, whichever way it was chosen."""
        alpha = self.alpha * (self.rank**0.5 if self.rank_scaling else 1.0)
        return LoraShape(TARGETS, self.rank, alpha, self.lora_dropout)

    @property
    def rates(self) -> tuple[float, ...]:
        """Return the learning rates to choose from."""
        if self.lr:
            return (self.lr,)
        return RATES if self.method == "lora" else tuple(float(f"{rate / 10:g}") for rate in RATES)


PRESETS = [
    Preset("lora", N_("Adapters (LoRA)"), N_("Thin matrices learn beside a frozen model: it takes little memory."),
           {"method": "lora"}),
    Preset("full", N_("All weights"), N_("The whole model learns: for a small model and much text."),
           {"method": "full"}),
]  # fmt: skip
