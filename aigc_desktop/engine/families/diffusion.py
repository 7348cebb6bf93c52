"""Diffusion models from the disk (Stable Diffusion 1 to 3, XL, FLUX): they paint, and learn from pictures by LoRA."""

from __future__ import annotations

from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.diffusion.create import fill, generate, vary
from aigc_desktop.engine.diffusion.setup import FillConfig, GenerateConfig, VaryConfig
from aigc_desktop.engine.diffusion.train import train
from aigc_desktop.engine.diffusion.train_plan import plan
from aigc_desktop.engine.diffusion.train_setup import LoraTrainConfig
from aigc_desktop.engine.diffusion.trained import captions, sampler

FAMILY = Family(
    "diffusion",
    N_("Local diffusion model"),
    N_("A published model from your disk paints what you describe, and learns a style or a thing from your pictures."),
    "image",
    (
        Task("train", N_("Teach a diffusion model (LoRA)"), LoraTrainConfig, train, "train", plan),
        Task("generate", N_("Make pictures from words"), GenerateConfig, generate),
        Task("vary", N_("Vary a picture"), VaryConfig, vary),
        Task("fill", N_("Paint a part anew"), FillConfig, fill),
    ),
    sampler,
    captions=captions,
)
