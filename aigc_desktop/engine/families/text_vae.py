"""Text VAE: a Transformer that turns a text into a code and one that writes it back (arXiv:1511.06349).

Against the collapse of the code, training goes in the three steps of Li et al. (arXiv:1909.00868): copy texts without
a price for the code, give the decoder new weights, then raise the price while each latent number has some nats free.
New texts come from a mixture of Gaussians fitted to the codes of the training texts (arXiv:1903.12436).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.events import Event, EventStream, Progress, Text
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.nn.density import LatentDensity
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.nn.sentence_decoder import words_kept
from aigc_desktop.engine.nn.text_vae import ClassMeans, TextVae
from aigc_desktop.engine.nn.variational import draw, kl_per_dimension
from aigc_desktop.engine.text import vae_tasks as tasks
from aigc_desktop.engine.text.likelihood import ids_of
from aigc_desktop.engine.text.sentence_setup import SentenceData, prepare_sentences
from aigc_desktop.engine.text.sentences import Rows, joined, piece_rows
from aigc_desktop.engine.text.vae_model import Model, copies_of, load_folder
from aigc_desktop.engine.text.vae_setup import TextVaeConfig, plan
from aigc_desktop.engine.text.writing import decoded
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.optim import muon_and_adamw
from aigc_desktop.engine.training.step import Step

ADAM_SHARE = 0.25  # AdamW's learning rate as a share of Muon's
PREVIEW_TEXTS, PREVIEW_PAIRS = 6, 4
MOST_CODES = 4000  # training texts that the density is fitted to
MOST_VALIDATED = 512
BATCH = 64  # texts encoded between two chances to stop
WEIGHED_TEXTS, DRAWS = 64, 32  # of the importance-weighted bound while training
BOUNDED = 16  # texts whose bound is computed side by side
ACTIVE = 0.01  # variance of the means above which a latent number says something (arXiv:1509.00519)


def train(config: TextVaeConfig, run: Run) -> EventStream:
    """Train encoder and decoder on the texts of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    data = yield from prepare_sentences(run, dataset, config)
    yield from fit(config, run, TextVaeTrainee(config, data, device))


class TextVaeTrainee(Trainee):
    """The networks, the density of the codes, and one step of training."""

    family, unit, generates = "text_vae", N_("texts"), ("vae", "density", "classes")

    def __init__(self, config: TextVaeConfig, data: SentenceData, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.vae = TextVae(config.shape(data.tokenizer.size), config.latent).to(device)
        self.density = LatentDensity(config.latent, config.components)
        self.classes = ClassMeans(len(data.class_names), config.latent)
        self.modules = {"vae": self.vae, "density": self.density, "classes": self.classes}
        self.optimizers = muon_and_adamw(
            self.vae, self.vae.hidden_matrices(), config.lr, config.lr * ADAM_SHARE, config.weight_decay, (0.9, 0.99)
        )
        self.sampler = Sampler(len(data.train), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.copying_steps = round(config.copy_share * config.steps)
        self.density_is_fresh = False

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the negative evidence lower bound, per token."""
        if step.number == self.copying_steps > 0:
            self._begin_decoder_anew()
        copying, weight = step.number < self.copying_steps, self._price(step.number)
        values: dict[str, Tensor | None] = {}
        for indices in step.micro_batches():
            rows = self.data.train.rows(indices, self.device)
            with step.autocast():
                mean, logvar = self.vae.encode(rows.targets, rows.known)
            codes = mean if copying else draw(mean, logvar)
            with step.autocast():
                logits = self.vae.decoder(rows.inputs, None, codes, words_kept(rows.inputs, self.config.word_dropout))
            tokens = rows.known.sum()
            nats = text_nats(logits, rows).sum() / tokens
            per_dimension = kl_per_dimension(mean, logvar).mean(0)  # (Z,)
            price = per_dimension.clamp(min=self.config.free_bits).sum() * len(mean) / tokens
            step.backward(nats + weight * price if weight else nats)
            shown = {"recon": nats, "kl": per_dimension.sum()}
            values = {name: step.mean(values.get(name), value) for name, value in shown.items()}
        norms = [step.optimize(optimizer) for optimizer in self.optimizers.values()]
        self.density_is_fresh = False
        kept = {name: value for name, value in values.items() if value is not None}
        return kept | {"grad_norm": torch.stack(norms).norm()}

    def _price(self, number: int) -> float:
        """Return the weight of the KL divergence in step `number`."""
        warmup = round(self.config.kl_warmup * self.config.steps)
        done = number - self.copying_steps
        return 0.0 if done < 0 else min(1.0, (done + 1) / (warmup + 1))

    def _begin_decoder_anew(self) -> None:
        self.vae.reset_decoder()
        for parameter in self.vae.decoder.parameters():
            for optimizer in self.optimizers.values():
                optimizer.state.pop(parameter, None)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return bounds on the nats per token of held-out texts, the KL divergence in nats, and the active units.

        The density is fitted here too, because a checkpoint may be written right after.
        """
        yield from self._fit_density(models)
        vae, held_out = cast(TextVae, models["vae"]), self.data.validation
        nats = kl = 0.0
        tokens, means = 0, []
        count = min(MOST_VALIDATED, len(held_out))
        for start in range(0, count, BATCH):
            rows = held_out.rows(np.arange(start, min(count, start + BATCH)), self.device)
            with torch.no_grad():
                mean, logvar = vae.encode(rows.targets, rows.known)
                nats += float(text_nats(vae.decoder(rows.inputs, None, draw(mean, logvar)), rows).sum())
            kl += float(kl_per_dimension(mean, logvar).sum())
            tokens += int(rows.known.sum())
            means.append(mean)
            yield
        if not tokens:
            return {}
        weighed, of_tokens = yield from self._weighed(vae, min(WEIGHED_TEXTS, count))
        return {
            "val_loss": (nats + kl) / tokens,
            "val_recon": nats / tokens,
            "val_weighted": weighed / of_tokens,
            "val_kl": kl / count,
            "active_units": float(active_units(torch.cat(means))),
        }

    def _weighed(self, vae: TextVae, count: int) -> Generator[None, None, tuple[float, int]]:
        rows = self.data.validation.rows(np.arange(count), self.device)
        bound = torch.zeros(count, device=self.device)
        for bound in weighted_nats(vae, rows, DRAWS):  # noqa: B007 - the last one is what counts
            yield
        return float(bound.sum()), int(rows.known.sum())

    def _fit_density(self, models: Mapping[str, nn.Module]) -> Iterator[None]:
        """Fit density and class means to the codes of now, unless no step was taken since the last time."""
        train, count = self.data.train, min(MOST_CODES, len(self.data.train))
        if self.density_is_fresh or count < 2:
            return
        chosen = np.linspace(0, len(train) - 1, count).astype(np.int64)
        means, codes = [], []
        for start in range(0, count, BATCH):
            rows = train.rows(chosen[start : start + BATCH], self.device)
            with torch.no_grad():
                mean, logvar = cast(TextVae, models["vae"]).encode(rows.targets, rows.known)
                means.append(mean.cpu())
                codes.append(draw(mean, logvar).cpu())
            yield
        self.classes.fit(torch.cat(means), self._classes_of(chosen))
        for _level in self.density.fit(torch.cat(codes), torch.Generator().manual_seed(self.config.seed)):
            yield
        for name in ("density", "classes"):
            models[name].load_state_dict(self.modules[name].state_dict())
        self.density_is_fresh = True

    def _classes_of(self, chosen: Any) -> Tensor:
        """Return the classes (N,) of pieces of training texts, -1 where there is none."""
        classes = np.append(self.data.classes, -1)  # texts that are not in the training split come last
        return torch.from_numpy(classes[np.minimum(self.data.train.text[chosen], len(classes) - 1)])

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Write new texts of the same seeds, and held-out texts with their copies."""
        for _piece in self._fit_density(models):
            yield Progress(step, self.config.steps, _("Fitting the density of the codes"))
        model = Model(cast(TextVae, models["vae"]), cast(LatentDensity, models["density"]))
        seeds = tuple(range(PREVIEW_TEXTS))
        sampling = Sampling(temperature=0.8, top_p=0.95, most_tokens=self.config.length)
        tokens: dict[int, list[int]] = {}
        for state in model.new(seeds, sampling):
            tokens |= state.tokens
            yield Progress(step, self.config.steps, _("Writing"))
        yield Text(step, decoded(self.data.tokenizer, tokens, seeds), seeds)
        yield from self._copies(step, model)

    def _copies(self, step: int, model: Model) -> Iterator[Event]:
        source = self.data.validation if len(self.data.validation) else self.data.train
        yield from copies_of(model, source, range(min(PREVIEW_PAIRS, len(source))), self.data.tokenizer, step)

    def card(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {"vocab": self.data.tokenizer.size, "classes": self.data.class_names}

    def write_files(self, folder: Path) -> None:
        """Put the tokenizer beside the weights."""
        self.data.tokenizer.save(folder)


def text_nats(logits: Tensor, rows: Rows) -> Tensor:
    """Return -log p(text | code) in nats (B,) from logits (B, T, V)."""
    losses = F.cross_entropy(logits.float().transpose(1, 2), rows.targets, reduction="none")
    return (losses * rows.known).sum(1)


def weighted_nats(vae: TextVae, rows: Rows, draws: int) -> Iterator[Tensor]:
    """Yield the importance-weighted bound on -log p(text) in nats (B,) after 1, 2, … `draws`; arXiv:1509.00519."""
    with torch.no_grad():
        mean, logvar = vae.encode(rows.targets, rows.known)
    total: Tensor | None = None
    for count in range(1, draws + 1):
        with torch.no_grad():
            noise = torch.randn_like(mean)
            code = mean + noise * (0.5 * logvar).exp()
            log_ratio = 0.5 * (noise.square() + logvar - code.square()).sum(1)  # log p(z) - log q(z | x)
            log_weight = log_ratio - text_nats(vae.decoder(rows.inputs, None, code), rows)
            total = log_weight if total is None else torch.logaddexp(total, log_weight)
        yield math.log(count) - total


def active_units(means: Tensor) -> int:
    """Return how many latent numbers vary from text to text, of mean codes (N, Z)."""
    return int((means.var(0) > ACTIVE).sum()) if len(means) > 1 else 0


def sampler(folder: Path, device_name: str) -> Callable[..., list[str]]:
    """Return a function (count, seed, temperature) -> new texts; at 1 they are of the distribution that was learned."""
    loaded = load_folder(folder, device_name)

    def sample(count: int, seed: int, temperature: float = 1.0) -> list[str]:
        seeds = range(seed, seed + count)
        written: dict[int, list[int]] = {}
        for state in loaded.model.new(seeds, Sampling(temperature, most_tokens=loaded.model.length)):
            written |= state.tokens
        return list(decoded(loaded.tokenizer, written, seeds))

    return sample


def likelihood(folder: Path, device_name: str) -> Callable[[Sequence[str]], Iterator[float]]:
    """Return a function texts -> a bound on the nats of each; a text longer than the code holds is read in pieces."""
    loaded = load_folder(folder, device_name)
    model = loaded.model

    def bounds(texts: Sequence[str]) -> Iterator[float]:
        for start in range(0, len(texts), BOUNDED):
            ids = [ids_of(loaded.tokenizer, text) for text in texts[start : start + BOUNDED]]
            nats = [math.nan if part is None else 0.0 for part in ids]
            pieces = [
                (owner, rows) for owner, part in enumerate(ids) if part is not None
                for rows in piece_rows(part, model.length, model.device)
            ]  # fmt: skip
            for first in range(0, len(pieces), BOUNDED):
                chosen = pieces[first : first + BOUNDED]
                *_fewer_draws, bound = weighted_nats(model.vae, joined([rows for _owner, rows in chosen]), DRAWS)
                for (owner, _rows), value in zip(chosen, bound.tolist(), strict=True):
                    nats[owner] += value
            yield from nats

    return bounds


FAMILY = Family(
    "text_vae",
    N_("Text VAE"),
    N_("Learns a code for texts like yours: writes new ones, varies one, blends two, moves one towards a class."),
    "text",
    (
        Task("train", N_("Train a text VAE"), TextVaeConfig, train, "train", plan),
        Task("generate", N_("Write texts"), tasks.GenerateConfig, tasks.generate),
        Task("vary", N_("More like this text"), tasks.VaryConfig, tasks.vary),
        Task("interpolate", N_("Blend two texts"), tasks.InterpolateConfig, tasks.interpolate),
        Task("steer", N_("Move a text towards a class"), tasks.SteerConfig, tasks.steer),
        Task("reconstruct", N_("Copy held-out texts"), tasks.ReconstructConfig, tasks.reconstruct),
    ),
    sampler,
    tempered=True,
    likelihood=likelihood,
    likelihood_note=N_("A bound from above, importance-weighted over 32 codes: the model itself may need less."),
)
