"""What a trained text VAE does: write new texts, vary one, blend two, move one towards a class, copy held-out ones."""

from __future__ import annotations

import numpy as np
import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Progress
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.nn.variational import between
from aigc_desktop.engine.text.sentences import Sentences
from aigc_desktop.engine.text.tokens import open_tokens
from aigc_desktop.engine.text.vae_model import copies_of, load
from aigc_desktop.engine.text.writing import WriteConfig, stream_texts

_COPIED_AT_ONCE = 64


class GenerateConfig(WriteConfig):
    """Settings of writing new texts."""

    wildness: float = param(
        1.0, N_("Safe … wild"), N_("Below 1 texts are nearer to typical ones, above 1 they are bolder."),
        ge=0.0, le=2.0,
    )  # fmt: skip


class VaryConfig(WriteConfig):
    """Settings of writing more texts like a given one."""

    text: str = param("", N_("Text"), N_("Texts like this one are written."), multiline=True)
    spread: float = param(
        1.0, N_("Distance"), N_("How far from the given text; 1 stays close, 2 is free."), ge=0.0, le=5.0
    )


class InterpolateConfig(WriteConfig):
    """Settings of going from one text to another in `count` steps."""

    count: int = param(7, N_("How many"), N_("Texts on the way, both ends included."), ge=2, le=1000)
    temperature: float = param(
        0.0, N_("Temperature"), N_("0 takes the likeliest words, which shows the way most clearly."), ge=0.0, le=5.0
    )
    text: str = param("", N_("From"), N_("The text where the way begins."), multiline=True)
    to_text: str = param("", N_("To"), N_("The text where the way ends."), multiline=True)


class SteerConfig(WriteConfig):
    """Settings of moving a text towards a class, from its opposite, in `count` steps."""

    count: int = param(5, N_("How many"), N_("Texts from the opposite of the class to the class."), ge=2, le=1000)
    temperature: float = param(
        0.0, N_("Temperature"), N_("0 takes the likeliest words, which shows the way most clearly."), ge=0.0, le=5.0
    )
    text: str = param("", N_("Text"), N_("The text that is moved."), multiline=True)
    label: str = param(
        "", N_("Class"), N_("Name of the class in the data that the text is moved to."), kind=FieldKind.CLASS
    )
    strength: float = param(
        1.0, N_("Strength"), N_("1 goes as far as the classes lie apart; more exaggerates."), ge=0.0, le=10.0
    )


class ReconstructConfig(WriteConfig):
    """Settings of copying held-out texts through the code; `seed` is the number of the first text."""


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write new texts; the seed of each decides it alone."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run)
    seeds = range(config.seed, config.seed + config.count)
    states = loaded.model.new(seeds, loaded.sampling(config), config.wildness)
    yield from stream_texts(states, loaded.tokenizer, config.count)


def vary(config: VaryConfig, run: Run) -> EventStream:
    """Write texts whose codes lie around that of a given text."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run)
    mean, deviation = loaded.model.encode(loaded.ids(config.text))
    yield from loaded.not_read(config.text)
    codes = {}
    for seed in range(config.seed, config.seed + config.count):
        noise = torch.randn(len(mean), generator=torch.Generator().manual_seed(seed))
        codes[seed] = mean + config.spread * deviation * noise
    yield from stream_texts(loaded.model.write(codes, loaded.sampling(config)), loaded.tokenizer, config.count)


def interpolate(config: InterpolateConfig, run: Run) -> EventStream:
    """Show the way between two texts, along an arc between their codes."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run)
    start, end = (loaded.model.encode(loaded.ids(text))[0] for text in (config.text, config.to_text))
    yield from loaded.not_read(config.text, config.to_text)
    codes = {config.seed + i: between(start, end, i / (config.count - 1)) for i in range(config.count)}
    states = loaded.model.write(codes, loaded.sampling(config))
    yield from stream_texts(states, loaded.tokenizer, config.count, alone=False)


def steer(config: SteerConfig, run: Run) -> EventStream:
    """Move a text along the direction of a class."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run)
    direction = loaded.direction(config.label)
    code, _deviation = loaded.model.encode(loaded.ids(config.text))
    yield from loaded.not_read(config.text)
    shares = np.linspace(-config.strength, config.strength, config.count)
    codes = {config.seed + i: code + float(share) * direction for i, share in enumerate(shares)}
    states = loaded.model.write(codes, loaded.sampling(config))
    yield from stream_texts(states, loaded.tokenizer, config.count, alone=False)


def reconstruct(config: ReconstructConfig, run: Run) -> EventStream:
    """Show held-out texts beside their copies."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load(config, run)
    trained = Workspace(run.workspace).run(config.run)
    texts = Sentences(open_tokens(trained.folder / "tokens").validation, loaded.model.length)
    if not len(texts):
        raise UserError(
            _("No texts were held out that could be copied."),
            _("Freeze the data set with a validation share above 0."),
        )
    count = min(config.count, len(texts))
    chosen = [(config.seed + i) % len(texts) for i in range(count)]
    for start in range(0, count, _COPIED_AT_ONCE):
        yield from copies_of(loaded.model, texts, chosen[start : start + _COPIED_AT_ONCE], loaded.tokenizer)
        yield Progress(min(count, start + _COPIED_AT_ONCE), count)
