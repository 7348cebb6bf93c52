"""What a trained text GAN does: write new texts, its own or those of the likelihood model beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.events import EventStream, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.text.gan_model import Loaded, Which, load, load_folder
from aigc_desktop.engine.text.likelihood import ids_of
from aigc_desktop.engine.text.sentences import piece_rows
from aigc_desktop.engine.text.writing import WriteConfig, decoded, stream_texts


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


def sampler_of(which: Which) -> Callable[[Path, str], Callable[..., list[str]]]:
    """Return a Family's sampler of one of the two models; temperature 1 gives the distribution that was learned."""

    def sampler(folder: Path, device_name: str) -> Callable[..., list[str]]:
        loaded = load_folder(folder, device_name, which)

        def sample(count: int, seed: int, temperature: float = 1.0) -> list[str]:
            seeds = range(seed, seed + count)
            written: dict[int, list[int]] = {}
            for state in loaded.write(seeds, temperature):
                written |= state.tokens
            return list(decoded(loaded.tokenizer, written, seeds))

        return sample

    return sampler


def likelihood_of(which: Which) -> Callable[[Path, str], Callable[[Sequence[str]], Iterator[float]]]:
    """Return a Family's likelihood of one of the two models; texts are read in pieces of the length it learned."""

    def likelihood(folder: Path, device_name: str) -> Callable[[Sequence[str]], Iterator[float]]:
        loaded = load_folder(folder, device_name, which)
        return lambda texts: (_nats(loaded, ids_of(loaded.tokenizer, text)) for text in texts)

    return likelihood


@torch.no_grad()
def _nats(loaded: Loaded, ids: list[int] | None) -> float:
    if ids is None:
        return math.nan
    total, device = 0.0, loaded.model.embedding.weight.device
    for rows in piece_rows(ids, loaded.length, device):
        losses = loaded.model.token_losses(rows.inputs, rows.targets)
        total += float((losses * rows.known).sum())
    return total
