"""How good a text GAN in training is beside the likelihood model it came from, and when its game has collapsed.

Texts of both models are compared with held-out ones by the Fréchet distance of sentence vectors. These are the means of
the last hidden layer of the likelihood model as it was when the game began: it ships nothing and knows the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.metrics.image import frechet_distance
from aigc_desktop.engine.metrics.text import metric_tokens, self_bleu_scores, unique_share
from aigc_desktop.engine.nn.language_model import LanguageModel
from aigc_desktop.engine.nn.lean import rms_norm
from aigc_desktop.engine.nn.text_critic import TextCritic
from aigc_desktop.engine.text.gan_model import draw_rows, texts_of
from aigc_desktop.engine.text.sentence_setup import SentenceData
from aigc_desktop.engine.text.sentences import Rows, Sentences

MEASURED, DRAWN, BATCH = 2000, 250, 64  # texts whose vectors are compared; at once where they are drawn and where read
ALIKE = 512  # of them, compared with each other: more would repeat each other more, whatever the model
_ENOUGH = 256  # held-out texts below which training texts are compared with
_SEED = 1_000_000

LEAST_UNIQUE, MOST_REPEATED = 0.95, 0.05
_DIFFERENT, _BELOW = 0.97, 0.05  # when data repeats itself so does a sound model: then it is the measure
_RISES, _RISE = 3, 1.2  # evaluations in a row, and by how much in all: less is chance
ALARMS = (
    "",
    N_("The game was stopped: too many of its texts are the same."),
    N_("The game was stopped: its texts are more alike than those of the likelihood model."),
    N_("The game was stopped: its texts move away from the real ones."),
)


@dataclass(frozen=True)
class Quality:
    """What is measured on texts of one model; `frechet` and `self_bleu` are better when low, `unique` when high."""

    frechet: float
    unique: float
    self_bleu: float


class Collapse:
    """Remembers the measurements of a game and says when it has collapsed; `alarm` is an index into ALARMS."""

    def __init__(self) -> None:
        self.distances: list[float] = []
        self.alarm = 0

    def look(self, game: Quality, likelihood: Quality) -> None:
        """Take one evaluation."""
        self.distances.append(game.frechet)
        last = self.distances[-_RISES - 1 :]
        rises = sum(a < b for a, b in itertools.pairwise(last))
        if game.unique < (LEAST_UNIQUE if likelihood.unique >= _DIFFERENT else likelihood.unique - _BELOW):
            self.alarm = 1
        elif game.self_bleu > likelihood.self_bleu + MOST_REPEATED:
            self.alarm = 2
        elif rises == _RISES and last[-1] > _RISE * last[0]:
            self.alarm = 3

    @property
    def sentence(self) -> str:
        """Return why the game has to end, or ""."""
        return _(ALARMS[self.alarm]) if self.alarm else ""

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"distances": torch.tensor(self.distances, dtype=torch.float64), "alarm": torch.tensor(self.alarm)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.distances, self.alarm = tensors["distances"].tolist(), int(tensors["alarm"])


class Judge:
    """Compares drawn texts with real ones in the space of `reader`, a frozen likelihood model."""

    def __init__(self, reader: LanguageModel, data: SentenceData, length: int) -> None:
        self.reader, self.data, self.length = reader, data, length
        self.real: np.ndarray | None = None

    def measure(self, model: LanguageModel) -> Generator[None, None, tuple[Quality, list[Rows]]]:
        """Return the quality of a model and what it drew; the random numbers are the same each time."""
        device = model.embedding.weight.device
        if self.real is None:
            self.real = yield from self._real(device)
        generator = torch.Generator(device).manual_seed(_SEED)
        drawn, parts = [], []
        for start in range(0, MEASURED, DRAWN):
            drawn.append(draw_rows(model, min(DRAWN, MEASURED - start), self.length, generator))
            parts.append(features(self.reader, drawn[-1]))
            yield
        few = drawn[: -(-ALIKE // DRAWN)]
        texts = [metric_tokens(text) for rows in few for text in texts_of(rows, self.data.tokenizer)][:ALIKE]
        yield
        repeated = float(self_bleu_scores(texts, (4,)).mean())
        yield
        return Quality(frechet_distance(self.real, np.concatenate(parts)), unique_share(texts), repeated), drawn

    def _real(self, device: torch.device) -> Generator[None, None, np.ndarray]:
        texts = self.data.validation if len(self.data.validation) >= _ENOUGH else self.data.train
        parts = []
        for rows in evenly(texts, MEASURED, device):
            parts.append(features(self.reader, rows))
            yield
        return np.concatenate(parts)


def evenly(texts: Sentences, most: int, device: torch.device) -> Generator[Rows, None, None]:
    """Yield batches of at most `most` texts in all, evenly from first to last."""
    chosen = np.linspace(0, len(texts) - 1, min(most, len(texts))).astype(np.int64)
    for start in range(0, len(chosen), BATCH):
        yield texts.rows(chosen[start : start + BATCH], device)


@torch.no_grad()
def features(model: LanguageModel, rows: Rows) -> np.ndarray:
    """Return the mean over the known places of the last hidden layer, (B, C)."""
    x = rms_norm(model.embedding(rows.inputs))
    places = x.shape[1]
    for layer, block in enumerate(model.blocks):
        x = block(x, model.cos[:places], model.sin[:places], None, layer)
    weights = rows.known[:, :, None].to(x.dtype)
    mean: np.ndarray = ((rms_norm(x) * weights).sum(1) / weights.sum(1)).float().cpu().numpy()
    return mean


@torch.no_grad()
def accuracy(critic: TextCritic, real: Rows, made: Rows, in_pairs: bool) -> float:
    """Return how often the critic is right: about which of a pair is real, or about each text alone."""
    count = min(len(real.targets), len(made.targets))
    scores, others = (
        critic(critic.embed(rows.targets[:count]), rows.known[:count]).float() for rows in (real, made)
    )
    return float(right_share(scores, others, in_pairs))


def right_share(real: Tensor, fake: Tensor, in_pairs: bool) -> Tensor:
    """Return how often scores (B,) are right: about which of a pair is real, or about each text alone."""
    right = real > fake if in_pairs else torch.cat([real > 0, fake < 0])
    return right.float().mean()
