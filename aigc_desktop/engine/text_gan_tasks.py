"""What a trained text GAN does: write new texts, its own or those of the likelihood model beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.events import EventStream, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.text_gan_model import Which, load, load_folder
from aigc_desktop.engine.writing import WriteConfig, decoded, stream_texts


class GenerateConfig(WriteConfig):
    """Settings of writing new texts."""

    temperature: float = param(
        1.0, N_("Temperature"), N_("Low is careful, high is daring; 1 is what was learned, 0.7 to 1.0 is good."),
        ge=0.0, le=5.0,
    )  # fmt: skip
    which: Literal["generator", "likelihood"] = param(
        "generator", N_("Which model"),
        N_("The GAN, or the same network trained for likelihood only: compare them to see whether the game helped."),
        labels={"generator": N_("GAN"), "likelihood": N_("Likelihood only")},
    )  # fmt: skip


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write new texts; the seed of each decides it alone."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run, config.which)
    seeds = range(config.seed, config.seed + config.count)
    yield from stream_texts(loaded.write(seeds, config.temperature, config.top_p), loaded.tokenizer, config.count)


def sampler_of(which: Which) -> Callable[[Path, str], Callable[[int, int], list[str]]]:
    """Return a Family's sampler of one of the two models, at temperature 1, the distribution that was learned."""

    def sampler(folder: Path, device_name: str) -> Callable[[int, int], list[str]]:
        loaded = load_folder(folder, device_name, which)

        def sample(count: int, seed: int) -> list[str]:
            seeds = range(seed, seed + count)
            written: dict[int, list[int]] = {}
            for state in loaded.write(seeds):
                written |= state.tokens
            return list(decoded(loaded.tokenizer, written, seeds))

        return sample

    return sampler
