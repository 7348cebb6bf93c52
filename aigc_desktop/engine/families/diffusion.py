"""Diffusion models from the disk (Stable Diffusion 1 to 3, XL, FLUX): pictures from words, from pictures, in parts."""

from __future__ import annotations

from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.diffusion.create import fill, generate, vary
from aigc_desktop.engine.diffusion.setup import FillConfig, GenerateConfig, VaryConfig

FAMILY = Family(
    "diffusion",
    N_("Local diffusion model"),
    N_("A published model from your disk paints what you describe, varies your pictures, or paints parts anew."),
    "image",
    (
        Task("generate", N_("Make pictures from words"), GenerateConfig, generate),
        Task("vary", N_("Vary a picture"), VaryConfig, vary),
        Task("fill", N_("Paint a part anew"), FillConfig, fill),
    ),
)
