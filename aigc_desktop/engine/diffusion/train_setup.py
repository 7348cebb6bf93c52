"""Settings of teaching a diffusion model with a LoRA, and the starting points."""

from __future__ import annotations

from typing import Literal

from aigc_desktop.core.config import again, param
from aigc_desktop.core.family import Preset
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.training.lora_setup import LoraConfig

LEAST_PICTURES = 2


class LoraTrainConfig(LoraConfig):
    """Settings of teaching a diffusion model a style or a thing; the presets choose them."""

    base: str = param(
        ..., N_("Diffusion model"), N_("The imported diffusion model that learns; it stays as it is."),
        kind=FieldKind.DIFFUSION,
    )  # fmt: skip
    trigger: str = param(
        "", N_("Trigger word"),
        N_("A rare word put before each caption, such as “ohwx style”; in Create it calls up what was learned."),
    )  # fmt: skip
    preview_prompt: str = param(
        "", N_("Prompt of the samples"), N_("What the samples show; empty takes a caption of the data.")
    )
    resolution: int | None = param(
        None, N_("Picture size"),
        N_("Side of the pictures while training; empty takes what suits the model and the data."), unit="px", ge=8,
        le=2048,
    )  # fmt: skip
    steps: int = param(
        1000, N_("Steps"), N_("How many updates the LoRA gets; 50 to 100 for each picture are usual."), ge=1, le=999_999
    )
    batch_size: int = param(
        1, N_("Batch size"), N_("Pictures per update; more is steadier and needs more memory."), ge=1, le=256
    )
    flip: bool = param(
        False, N_("Mirror pictures"), N_("Shows each picture mirrored half of the time; not for letters or logos.")
    )
    layers: Literal["attention", "all"] = param(
        "attention", N_("Layers that learn"),
        N_("Those of attention suit most; all layers change more and learn by heart sooner."),
        labels={"attention": N_("attention"), "all": N_("all")}, advanced=True,
    )  # fmt: skip
    alpha: float = param(
        16.0, N_("Strength of the adapters"), N_("How much the adapters count; the rank or half of it is usual."),
        ge=0.001, le=4096, advanced=True,
    )  # fmt: skip
    lora_dropout: float = param(
        0.0, N_("Dropout of the adapters"), N_("Share of numbers the adapters do not see; 0 is usual for pictures."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    lr: float = again(LoraConfig, "lr", 1e-4)
    caption_dropout: float = param(
        0.05, N_("Leaving captions out"),
        N_("How often a picture is shown without its caption; a little keeps guidance working."), ge=0.0, le=1.0,
        advanced=True,
    )  # fmt: skip
    snr_gamma: float = param(
        5.0, N_("Balance of noise levels"),
        N_("Keeps nearly clean pictures from counting too much (min-SNR); 5 is usual, 0 turns it off."), ge=0.0,
        le=100.0, advanced=True,
    )  # fmt: skip
    checkpointing: bool = param(
        False, N_("Save memory"), N_("Works out intermediate numbers twice: a third slower, far less memory."),
        advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        100, N_("Validate every"),
        N_("Steps between two checks on pictures the model never learns from; 0 turns it off."), ge=0, le=999_999,
        advanced=True,
    )  # fmt: skip
    sample_every: int = again(LoraConfig, "sample_every", 250)
    checkpoint_every: int = again(LoraConfig, "checkpoint_every", 250)


PRESETS = [
    Preset("usual", N_("Usual"), N_("A style or a thing from 10 to 100 pictures."), {}),
    Preset("small", N_("Little memory"), N_("Thin adapters, and intermediate numbers worked out twice."),
           {"rank": 8, "alpha": 8.0, "checkpointing": True}),
    Preset("strong", N_("Strong"), N_("All layers learn: for many pictures far from what the model knows."),
           {"rank": 32, "alpha": 32.0, "layers": "all"}),
]  # fmt: skip
