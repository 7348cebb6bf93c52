"""Make pictures with a loaded diffusion model: each from its own seed and alone, so that it comes again to the bit."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image

from aigc_desktop.core.errors import UserError, is_out_of_memory
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.pipeline_lines import FLOW_SCHEDULERS
from aigc_desktop.engine.diffusion.given import Picture
from aigc_desktop.engine.diffusion.libraries import class_of, quiet
from aigc_desktop.engine.diffusion.loading import Diffusion
from aigc_desktop.engine.diffusion.stepping import Tell, shown, stepwise
from aigc_desktop.engine.pictures.common import Pictures, seeded

_T5_TOKENS = {"sd3": 256, "pixart": 300}  # as their pipelines cut prompts off; others read 512
INPAINTING_CHANNELS = 9  # of a U-Net that sees the mask and what is left of the picture
TASKS = {"make": N_("Make pictures from words"), "vary": N_("Vary a picture"), "fill": N_("Paint a part anew")}
MOST_READ = 32  # prompts that are remembered
_NOISE: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpm": ("DPMSolverMultistepScheduler", {}),
    "dpm_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "ddim": ("DDIMScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
_FLOW = {"euler": "FlowMatchEulerDiscreteScheduler", "lcm": "FlowMatchLCMScheduler"}


@dataclass(frozen=True)
class Wish:
    """What a picture is to be: texts, size, and the picture and mask it begins with."""

    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float
    picture: Picture | None = None
    mask: Any = None  # (H, W), true where it is painted anew
    strength: float = 1.0


class Painter:
    """A model with what it is to make. `task` is "make", "vary" or "fill"; `tries` counts the pictures to be made.

    A model that `stays` is not moved off the card when memory is short: it is being trained there.
    """

    def __init__(self, model: Diffusion, task: str, wish: Wish, tries: int, stays: bool = False) -> None:
        self.model, self.wish, self.stays = model, wish, stays
        self.kind: str = getattr(model.line, task)
        self.tries, self.made, self.withheld = tries, 0, 0
        self.pipeline = self._pipeline()

    def make(self, seeds: Sequence[int]) -> Generator[Event, None, tuple[Pictures, tuple[str, ...]]]:
        """Return the pictures (N, H, W, 3) of these seeds; yields Progress for each step, and Notes."""
        pictures = []
        for seed in seeds:
            pictures.append((yield from self._one(seed)))
            self.made += 1
        return np.stack(pictures), ()

    def _one(self, seed: int) -> Generator[Event, None, Picture]:
        """Return one picture; when the card's memory is short, less of the model lies on it from then on."""
        while True:
            try:
                return (yield from self._attempt(seed))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                placement = None if self.stays else self.model.placement.smaller()
                if placement is None:
                    raise UserError(
                        _("Not enough memory for pictures of {width} × {height} pixels.").format(
                            width=self.wish.width, height=self.wish.height
                        ),
                        _("Choose a smaller width and height, or close other programs."), kind="OutOfMemory",
                    ) from error  # fmt: skip
            self.model.move(placement)
            self.pipeline = self._pipeline()
            yield Note(_("Memory is short: from here on less of the model lies on the graphics card."), "warning")

    def _attempt(self, seed: int) -> Generator[Event, None, Picture]:
        last = (0, self.wish.steps)

        def progress(told: tuple[int, int] | None) -> Progress:
            nonlocal last
            done, steps = last = told or last
            total = max(self.tries, self.made + 1) * steps
            return Progress(self.made * steps + done, total, unit=N_("steps"))

        return self._picture((yield from shown(stepwise(functools.partial(self._call, seed)), progress)))

    def _call(self, seed: int, tell: Tell) -> Any:
        """Run the pipeline; it tells (steps done, steps)."""

        def after(pipeline: Any, step: int, _time: Any, kept: dict[str, Any]) -> dict[str, Any]:
            tell((step + 1, pipeline.num_timesteps))
            return kept

        def before(step: int, _time: Any, _latents: Any) -> None:  # as older pipelines call it
            tell((step + 1, self.wish.steps))

        with quiet():
            told = self._taken({"callback_on_step_end": after}) or {"callback": before}
            return self.pipeline(**self._arguments(), **told, generator=seeded(seed))

    def _arguments(self) -> dict[str, Any]:
        """Return what the pipeline is told, as far as it takes it."""
        wish = self.wish
        steps = max(wish.steps, math.ceil(1 / wish.strength)) if wish.picture is not None else wish.steps
        given: dict[str, Any] = {
            "prompt": wish.prompt, "width": wish.width, "height": wish.height, "num_inference_steps": steps,
            "guidance_scale": wish.guidance, "output_type": "np", "max_area": wish.width * wish.height,
            "_auto_resize": False, "use_resolution_binning": False, "clean_caption": False,
        }  # fmt: skip
        if wish.negative:
            given["negative_prompt"] = wish.negative
        if wish.picture is not None:
            given |= {"image": Image.fromarray(wish.picture), "strength": wish.strength}
        if wish.mask is not None:
            given["mask_image"] = Image.fromarray(wish.mask.astype(np.uint8) * 255)
        if self.model.line.name.startswith("flux") and wish.negative:  # its guidance is distilled into its weights
            given |= {"true_cfg_scale": wish.guidance}
        return self._taken(given)

    def _taken(self, given: dict[str, Any]) -> dict[str, Any]:
        takes = inspect.signature(self.pipeline.__call__).parameters
        return {name: value for name, value in given.items() if name in takes}

    def _picture(self, out: Any) -> Picture:
        picture = np.rint(np.nan_to_num(out.images[0]) * 255).clip(0, 255).astype(np.uint8)
        self.withheld += bool((getattr(out, "nsfw_content_detected", None) or [False])[0])
        if self.wish.mask is not None and self.wish.picture is not None:  # the rest stays as it is, to the bit
            picture = np.where(self.wish.mask[..., None], picture, self.wish.picture)
        return cast(Picture, picture)

    def _pipeline(self) -> Any:
        pipeline = self.model.pipeline(self.kind)
        inner, known = pipeline.encode_prompt, self.model.read

        def encode_prompt(*told: Any, **named: Any) -> Any:
            key = repr((self.kind, told, sorted(named.items())))
            if key not in known:
                if len(known) >= MOST_READ:
                    known.clear()
                known[key] = inner(*told, **named)
            return known[key]

        pipeline.encode_prompt = encode_prompt  # the prompt is the same for each picture
        return pipeline


def set_scheduler(model: Diffusion, wish: str) -> None:
    """Give a model the scheduler that is wished for; UserError when it is for another kind of model."""
    own = model.scheduler
    if wish == "auto":
        model.parts["scheduler"] = own
        return
    if type(own).__name__ in FLOW_SCHEDULERS:
        if wish not in _FLOW:
            raise UserError(
                _("“{title}” is a flow model, for which this scheduler is not made.").format(title=model.title),
                _("Choose “Euler”, or the model's own."),
            )
        model.parts["scheduler"] = class_of(_FLOW[wish]).from_config(own.config)
        return
    kind, changes = _NOISE[wish]
    with quiet():
        model.parts["scheduler"] = class_of(kind).from_config(own.config, **changes)


def steps_of(model: Diffusion) -> int:
    """Return the steps that suit a model: few for one that was distilled to need few."""
    return 4 if _is_quick(model) else model.line.steps


def guidance_of(model: Diffusion) -> float:
    """Return the guidance that suits a model."""
    return 1.0 if _is_quick(model) else model.line.guidance


def _is_quick(model: Diffusion) -> bool:
    if model.line.name.startswith("flux"):
        return not model.denoiser.config.guidance_embeds
    return type(model.parts["scheduler"]).__name__ in ("LCMScheduler", "TCDScheduler", "FlowMatchLCMScheduler")


def too_long(model: Diffusion, prompt: str) -> Note | None:
    """Return a Note when a prompt is longer than the model reads, None when it is not."""
    limits = []
    for part, words in model.parts.items():
        if part.startswith("tokenizer"):
            size = len(words(prompt).input_ids)
            most = _T5_TOKENS.get(model.line.name, 512) if "T5" in type(words).__name__ else int(words.model_max_length)
            limits.append((size, most))
    if not limits or any(size <= limit for size, limit in limits):
        return None
    size, limit = min(limits, key=lambda pair: pair[0] - pair[1])
    return Note(
        _("The prompt has {count} tokens; the model reads {most}, the rest does not count.").format(
            count=size, most=limit
        ), "warning",
    )  # fmt: skip


def need_line(model: Diffusion, task: str) -> None:
    """Raise UserError when a model cannot do a task: some only change pictures that they are given."""
    painter = model.line.denoiser == "unet" and getattr(model.denoiser.config, "in_channels", 0) == INPAINTING_CHANNELS
    can = {name for name in TASKS if getattr(model.line, name)}
    if painter:
        can = {"fill"}
    if task not in can:
        raise UserError(
            _("“{title}” cannot do this: it is made for other tasks.").format(title=model.title),
            _("It can: {tasks}.").format(tasks=", ".join(_(TASKS[name]) for name in TASKS if name in can)),
        )
