"""Settings of making pictures with a diffusion model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.diffusion.memory import LABELS as MEMORY
from aigc_desktop.engine.pictures.making import MakeConfig

SCHEDULERS = {
    "auto": N_("the model's own"), "euler": "Euler", "euler_a": "Euler ancestral", "dpm": "DPM++ 2M",
    "dpm_karras": "DPM++ 2M Karras", "ddim": "DDIM", "unipc": "UniPC", "lcm": "LCM",
}  # fmt: skip


class DiffusionConfig(MakeConfig):
    """Settings of every task of a diffusion model."""

    model: str = param(
        "", N_("Diffusion model"), N_("The imported diffusion model that makes the pictures."), kind=FieldKind.DIFFUSION
    )
    run: str = param("", N_("Trained LoRA"), N_("The training whose LoRA changes its model."), kind=FieldKind.RUN)
    prompt: str = param(
        "", N_("Prompt"),
        N_("What the pictures show, best in English; empty shows what the samples of a training show."), multiline=True,
    )  # fmt: skip
    negative: str = param("", N_("Negative prompt"), N_("What the pictures must not show."))
    count: int = param(4, N_("How many"), N_("Pictures to make."), ge=1, le=10_000)
    lora: str = param("", N_("LoRA"), N_("An imported LoRA that gives a style or a thing."), kind=FieldKind.LORA)
    lora_weight: float = param(
        1.0, N_("Weight of the LoRA"), N_("How much it counts; 0.6 to 1 suits most."), ge=-4.0, le=4.0
    )
    second_lora: str = param(
        "", N_("Second LoRA"), N_("One more LoRA, added to the first one."), kind=FieldKind.LORA, advanced=True
    )
    second_weight: float = param(
        1.0, N_("Weight of the second LoRA"), N_("How much the second one counts."), ge=-4.0, le=4.0, advanced=True
    )
    walk_steps: int | None = param(
        None, N_("Steps per picture"),
        N_("More steps take longer and give more detail; empty takes what suits the model."), ge=1, le=200,
    )  # fmt: skip
    guidance: float | None = param(
        None, N_("Guidance"),
        N_("How closely pictures follow the prompt; empty takes what suits the model, 1 and below turns it off."),
        ge=0.0, le=30.0, advanced=True,
    )  # fmt: skip
    scheduler: Literal["auto", "euler", "euler_a", "dpm", "dpm_karras", "ddim", "unipc", "lcm"] = param(
        "auto", N_("Scheduler"), N_("How noise is taken away step by step; each gives other pictures."),
        labels=SCHEDULERS, advanced=True,
    )  # fmt: skip
    memory: Literal["auto", "whole", "parts", "layers"] = param(
        "auto", N_("Memory of the card"),
        N_("How much of the model lies on the graphics card at a time; automatic looks at what is free."),
        labels=MEMORY, advanced=True,
    )  # fmt: skip


class SizedConfig(DiffusionConfig):
    """Settings of tasks whose pictures may have any size."""

    width: int | None = param(
        None, N_("Picture width"),
        N_("Width of the pictures; empty takes what suits the model or the given picture."),
        unit="px", ge=8, le=4096,
    )  # fmt: skip
    height: int | None = param(
        None, N_("Picture height"),
        N_("Height of the pictures; empty takes what suits the model or the given picture."),
        unit="px", ge=8, le=4096,
    )  # fmt: skip


class GenerateConfig(SizedConfig):
    """Settings of making pictures from a prompt."""


class VaryConfig(SizedConfig):
    """Settings of making variants of a given picture."""

    picture: Path = param(..., N_("Picture"), N_("The picture to vary."), kind=FieldKind.FILE)
    strength: float = param(
        0.6, N_("Strength"), N_("How much may change: 0.3 changes details, 0.6 shapes, 1 everything."), ge=0.05, le=1.0
    )


class FillConfig(SizedConfig):
    """Settings of painting a part of a picture anew."""

    picture: Path = param(..., N_("Picture"), N_("The picture to change."), kind=FieldKind.FILE)
    mask: Path = param(
        ..., N_("Mask"), N_("A picture of the same form: what is white in it is painted anew."), kind=FieldKind.MASK
    )
    strength: float = param(
        1.0, N_("Strength"), N_("How much may change: 0.3 changes details, 0.6 shapes, 1 everything."), ge=0.05, le=1.0
    )
