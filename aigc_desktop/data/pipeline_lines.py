"""The lines of diffusion models that are known: the parts each is made of, and what runs it.

Whatever is not named here is refused before a library sees the folder: a library that looks up classes by the names in
a file can be led to run other code (CVE-2026-44513, GHSA-4prv-5hj7-c2xr).
"""

from __future__ import annotations

from dataclasses import dataclass, field

CLIP, CLIP_PROJECTED, T5 = "CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"
CLIP_WORDS, T5_WORDS = ("CLIPTokenizer", "CLIPTokenizerFast"), ("T5Tokenizer", "T5TokenizerFast")
SAFETY, PREPARER = "StableDiffusionSafetyChecker", ("CLIPImageProcessor", "CLIPFeatureExtractor")

NOISE_SCHEDULERS = (
    "DDIMScheduler", "DDPMScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "LCMScheduler",
    "LMSDiscreteScheduler", "PNDMScheduler", "TCDScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
FLOW_SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler")
_DENOISERS = (
    "UNet2DConditionModel", "SD3Transformer2DModel", "FluxTransformer2DModel", "PixArtTransformer2DModel",
)  # fmt: skip
LIBRARIES = {
    CLIP: "transformers", CLIP_PROJECTED: "transformers", T5: "transformers",
    **dict.fromkeys((*CLIP_WORDS, *T5_WORDS, *PREPARER), "transformers"),
    SAFETY: "stable_diffusion",
    **dict.fromkeys(_DENOISERS, "diffusers"),
    **dict.fromkeys(("AutoencoderKL", "AutoencoderTiny", *NOISE_SCHEDULERS, *FLOW_SCHEDULERS), "diffusers"),
}
"""Class of a part -> the library that a pipeline names for it. Classes that are not here are never looked up."""


@dataclass(frozen=True)
class Line:
    """A line of models that share their parts.

    `classes` are the names of pipelines in files; `make`, `vary`, `fill` the classes that run each task, "" for none.
    `parts` maps the name of a part to the classes it may have, `optional` ones may be missing. `denoiser` is the part
    that takes the noise away, and that learns where a line `learns` here. `steps` and `guidance` suit most models.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    make: str
    vary: str
    fill: str
    parts: dict[str, tuple[str, ...]] = field(repr=False)
    optional: tuple[str, ...] = ()
    denoiser: str = "unet"
    steps: int = 30
    guidance: float = 7.0
    learns: bool = True


_UNET = {"unet": ("UNet2DConditionModel",), "vae": ("AutoencoderKL", "AutoencoderTiny"), "scheduler": NOISE_SCHEDULERS}
_TRANSFORMER = {"vae": ("AutoencoderKL", "AutoencoderTiny"), "scheduler": FLOW_SCHEDULERS}
_FLUX = {
    "text_encoder": (CLIP,), "tokenizer": CLIP_WORDS, "text_encoder_2": (T5,), "tokenizer_2": T5_WORDS,
    "transformer": ("FluxTransformer2DModel",), **_TRANSFORMER,
}  # fmt: skip

LINES = (
    Line(
        "sd", "Stable Diffusion", (
            "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline",
            "LatentConsistencyModelPipeline",
        ), "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline",
        {"text_encoder": (CLIP,), "tokenizer": CLIP_WORDS, **_UNET, "safety_checker": (SAFETY,),
         "feature_extractor": PREPARER}, ("safety_checker", "feature_extractor"),
    ),
    Line(
        "sdxl", "Stable Diffusion XL", (
            "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline",
        ), "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline",
        {"text_encoder": (CLIP,), "tokenizer": CLIP_WORDS, "text_encoder_2": (CLIP_PROJECTED,),
         "tokenizer_2": CLIP_WORDS, **_UNET}, guidance=5.0,
    ),
    Line(
        "sd3", "Stable Diffusion 3", (
            "StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline",
        ), "StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline",
        {"text_encoder": (CLIP_PROJECTED,), "tokenizer": CLIP_WORDS, "text_encoder_2": (CLIP_PROJECTED,),
         "tokenizer_2": CLIP_WORDS, "text_encoder_3": (T5,), "tokenizer_3": T5_WORDS,
         "transformer": ("SD3Transformer2DModel",), **_TRANSFORMER}, ("text_encoder_3", "tokenizer_3"),
        "transformer", 28,
    ),
    Line(
        "flux", "FLUX", ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
        "FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline",
        _FLUX, (), "transformer", 28, 3.5,
    ),
    Line(
        "flux_fill", "FLUX Fill", ("FluxFillPipeline",), "", "", "FluxFillPipeline", _FLUX, (), "transformer", 28, 30.0,
        learns=False,
    ),
    Line(
        "flux_kontext", "FLUX Kontext", ("FluxKontextPipeline",), "FluxKontextPipeline", "FluxKontextPipeline", "",
        _FLUX, (), "transformer", 28, 2.5, learns=False,
    ),
    Line(
        "pixart", "PixArt Sigma", ("PixArtSigmaPipeline",), "PixArtSigmaPipeline", "", "",
        {"text_encoder": (T5,), "tokenizer": T5_WORDS, "transformer": ("PixArtTransformer2DModel",), **_TRANSFORMER,
         "scheduler": NOISE_SCHEDULERS}, (), "transformer", 20, 4.5, learns=False,
    ),
)  # fmt: skip


def line_of(pipeline: str) -> Line | None:
    """Return the line that a class of pipelines belongs to, None for one that is not known."""
    return next((line for line in LINES if pipeline in line.classes), None)
