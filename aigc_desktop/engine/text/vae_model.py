"""A trained text VAE: read from a checkpoint, ready to encode and to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Progress, Text
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.nn.density import LatentDensity
from aigc_desktop.engine.nn.next_token import Sampling, Written, write_texts
from aigc_desktop.engine.nn.text_vae import ClassMeans, TextVae
from aigc_desktop.engine.text.sentences import Sentences, rows_of_texts
from aigc_desktop.engine.text.tokenizer import END, Tokenizer, load_tokenizer
from aigc_desktop.engine.text.vae_setup import TextVaeConfig
from aigc_desktop.engine.text.writing import WriteConfig, not_read
from aigc_desktop.engine.training.checkpoint import part, read_model


class Model:
    """Encoder, decoder and density, ready to write."""

    def __init__(self, vae: TextVae, density: LatentDensity) -> None:
        self.vae, self.density = vae, density
        self.device = vae.reading.weight.device
        self.length = vae.decoder.shape.context - 1

    def encode(self, ids: list[int]) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (Z,) of the code of one text."""
        rows = rows_of_texts([ids], self.length, self.device)
        with torch.no_grad():
            mean, logvar = self.vae.encode(rows.targets, rows.known)
        return mean[0].cpu(), (0.5 * logvar[0]).exp().cpu()

    def write(self, codes: Mapping[int, Tensor], sampling: Sampling) -> Iterator[Written]:
        """Yield the texts of codes (Z,) by seed, as `write_texts` does."""
        return write_texts(
            self.vae.decoder, [], list(codes), END, sampling, lambda seed: codes[seed].to(self.device)
        )

    def new(self, seeds: Sequence[int], sampling: Sampling, spread: float = 1.0) -> Iterator[Written]:
        """Yield new texts, each from a draw of the density by its own seed."""
        return self.write({s: self.density.sample(torch.Generator().manual_seed(s), spread) for s in seeds}, sampling)


def copies_of(
    model: Model, source: Sentences, indices: Sequence[int], tokenizer: Tokenizer, step: int = 0
) -> Iterator[Event]:
    """Yield one Text: each piece of `source`, and below it the likeliest text of its mean code."""
    codes = {i: model.encode(source.ids(i))[0] for i in indices}
    tokens: dict[int, list[int]] = {}
    for state in model.write(codes, Sampling(temperature=0, most_tokens=model.length)):
        tokens |= state.tokens
        yield Progress(step, 0, _("Copying"))
    pairs = (f"{tokenizer.decode(source.ids(i))}\n→ {tokenizer.decode(tokens[i])}" for i in indices)
    yield Text(step, tuple(pairs), role="reconstruction")


@dataclass(frozen=True)
class Loaded:
    """A trained model with what its tasks need."""

    model: Model
    tokenizer: Tokenizer
    class_means: ClassMeans
    class_names: list[str]

    def sampling(self, config: WriteConfig) -> Sampling:
        """Return how words are chosen."""
        return Sampling(config.temperature, config.top_p, most_tokens=self.model.length)

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a given text; UserError when there is none."""
        if not text.strip():
            raise UserError(_("There is no text to begin from."), _("Write or paste a text into the field."))
        return [int(i) for i in self.tokenizer.encode(text.strip())]

    def not_read(self, *texts: str) -> Iterator[Event]:
        """Yield Notes on what the model cannot read of given texts."""
        return not_read(self.tokenizer, [text.strip() for text in texts], self.model.length)

    def direction(self, name: str) -> Tensor:
        """Return the way (Z,) towards a class; UserError when the data had no such class."""
        if len(self.class_names) < 2:
            raise UserError(
                _("The data of this model has no classes to move between."),
                _("Import texts with a label column or one folder for each class, and train on them."),
            )
        choose = _("Choose one of: {names}.").format(names=", ".join(self.class_names))
        if not name.strip():
            raise UserError(_("There is no class to move to."), choose)
        if name not in self.class_names:
            raise UserError(_("This model has not learned the class “{name}”.").format(name=name), choose)
        return self.class_means.direction(self.class_names.index(name))


def load(config: WriteConfig, run: Run) -> Loaded:
    """Return the model of a checkpoint, in evaluation mode."""
    return load_folder(Workspace(run.workspace).run(config.run).checkpoint(config.checkpoint), config.device)


def load_folder(folder: Path, device_name: str) -> Loaded:
    """Return the model that lies in a checkpoint's folder, in evaluation mode."""
    device = choose_device(device_name)
    set_up(device, 0)
    card, tensors = read_model(folder)
    config = TextVaeConfig.model_validate(card.config)
    names: list[str] = card.extra["classes"]
    vae = TextVae(config.shape(card.extra["vocab"]), config.latent)
    density, means = LatentDensity(config.latent, config.components), ClassMeans(len(names), config.latent)
    for name, module in (("vae", vae), ("density", density), ("classes", means)):
        module.load_state_dict(part(tensors, name))
        module.eval().requires_grad_(False)
    return Loaded(Model(vae.to(device), density), load_tokenizer(folder), means, names)
