"""Settings of the text GAN, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import model_validator
from torch import nn

from aigc_desktop.core.config import param
from aigc_desktop.core.family import Preset
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.nn.adversarial import binary_loss
from aigc_desktop.engine.nn.gumbel import straight_through
from aigc_desktop.engine.nn.language_model import LanguageModel
from aigc_desktop.engine.nn.text_critic import MultiCritic, TextCritic, TransformerCritic, normalised
from aigc_desktop.engine.text.sentence_setup import SentenceConfig, sentence_planner


class TextGanConfig(SentenceConfig):
    """Settings of training a text GAN; the presets choose them."""

    steps: int = param(
        2000, N_("Steps"), N_("How many updates the weights get; more steps take longer and give better texts."),
        ge=1, le=999_999,
    )  # fmt: skip
    lr: float = param(
        0.01, N_("Learning rate"), N_("How far an update of the likelihood goes; 0.005 to 0.02 is right."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    likelihood_share: float = param(
        0.75, N_("Likelihood first"),
        N_("Share of the steps that learn to predict the next token; then the game begins. 0.6 to 0.9 is good."),
        ge=0.1, le=1.0,
    )  # fmt: skip
    critic: Literal["views", "transformer"] = param(
        "views", N_("Critic"), N_("The network that tells texts apart; many small views are steadier."),
        labels={"views": N_("Many views (CNN)"), "transformer": N_("Transformer")},
    )  # fmt: skip
    game: Literal["relativistic", "binary"] = param(
        "relativistic", N_("Game"), N_("Whether the critic compares a real and a made text or judges each alone."),
        labels={"relativistic": N_("Relativistic"), "binary": N_("Binary cross-entropy")}, advanced=True,
    )  # fmt: skip
    game_lr: float = param(
        1e-4, N_("Learning rate of the game"),
        N_("How far the generator moves in the game; 0.00005 to 0.0002 is safe."),
        ge=1e-7, le=0.1, advanced=True,
    )  # fmt: skip
    critic_lr: float = param(
        1e-3, N_("Learning rate of the critic"),
        N_("How far the critic moves; it has to learn faster than the generator, 0.0005 to 0.002 is right."),
        ge=1e-7, le=0.1, advanced=True,
    )  # fmt: skip
    likelihood_weight: float = param(
        1.0, N_("Likelihood in the game"),
        N_("How much predicting the next token counts in the game; less lets the critic lead and breaks more often."),
        ge=0.0, le=100.0, advanced=True,
    )  # fmt: skip
    critic_steps: int = param(
        1, N_("Critic's steps"), N_("Updates of the critic for each of the generator; 1 is fast, 5 is the classic."),
        ge=1, le=20, advanced=True,
    )  # fmt: skip
    beta: float = param(
        100.0, N_("Sharpness"),
        N_("Inverse temperature at the end of the game; 100 is for quality, 1000 for variety."),
        ge=1.0, le=10_000.0, advanced=True,
    )  # fmt: skip
    hard: bool = param(
        True, N_("Straight through"),
        N_("The critic sees the drawn tokens, the gradient passes the soft ones; off shows it the soft ones."),
        advanced=True,
    )  # fmt: skip
    views: int = param(
        64, N_("Views"), N_("Ways in which the critic looks at each token; 64 is good."), ge=1, le=512, advanced=True
    )
    gamma: float = param(
        1.0, N_("Gradient penalty"), N_("Weight of R1 and R2, which keep the many views smooth; 0 turns them off."),
        ge=0.0, le=1000.0, advanced=True,
    )  # fmt: skip
    penalty_every: int = param(
        4, N_("Penalty every"), N_("Steps between two penalties, whose weight grows in step; 1 is exact and slow."),
        ge=1, le=64, advanced=True,
    )  # fmt: skip
    spectral: bool = param(
        False, N_("Spectral norm"), N_("Holds the critic's matrices at size one, which steadies a Transformer."),
        advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        100, N_("Validate every"),
        N_("Steps between two checks, which also watch for a collapse of the game; 0 turns them off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip

    @model_validator(mode="after")
    def _penalty_fits(self) -> TextGanConfig:
        if self.critic == "transformer" and self.gamma > 0:
            raise ValueError(_("A Transformer as critic takes no gradient penalty: set it to 0, or choose many views."))
        return self

    @property
    def likelihood_steps(self) -> int:
        """Return after how many steps the game begins: where a validation is due, so that its start is measured."""
        steps, every = round(self.likelihood_share * self.steps), self.validate_every
        return steps // every * every if 0 < every <= steps < self.steps else steps


FILTERS = 16  # of each reach in the critic of many views


def make_critic(config: TextGanConfig, vocab: int) -> TextCritic:
    """Return the critic that a configuration asks for."""
    critic: TextCritic
    if config.critic == "views":
        critic = MultiCritic(vocab, config.views, FILTERS)
    else:
        critic = TransformerCritic(config.shape(vocab))
    return normalised(critic) if config.spectral else critic


PRESETS = [
    Preset("cpu", N_("Small"), N_("For a processor: whole sentences after a quarter of an hour."),
           {"layers": 3, "width": 128, "heads": 4, "steps": 2000, "batch_size": 64}),
    Preset("gpu", N_("Medium"), N_("For a graphics card."),
           {"layers": 4, "width": 256, "heads": 4, "steps": 12_000, "batch_size": 128, "lr": 0.007,
            "validate_every": 500}),
    Preset("article", N_("As in the article"),
           N_("Two Transformers, binary cross-entropy and Adam at 0.0002; for comparison, it collapses more easily."),
           {"layers": 3, "width": 128, "heads": 4, "steps": 2000, "batch_size": 64, "critic": "transformer",
            "game": "binary", "game_lr": 2e-4, "critic_lr": 2e-4, "gamma": 0.0, "likelihood_weight": 0.0}),
]  # fmt: skip


def _trial(config: TextGanConfig, vocab: int, batch: int, device: torch.device) -> tuple[Callable[[], None], nn.Module]:
    """Return a training step without the optimizers' part, on texts of full length, and the networks.

    The game is played with its share of the texts, so that the time is that of an average step. Drawing takes nearly as
    long for few texts as for many, so it is done for the whole batch, but for as small a share of the places.
    """
    shape = config.shape(vocab)
    model, critic = LanguageModel(shape).to(device), make_critic(config, vocab).to(device)
    ids = torch.ones(batch, config.length, dtype=torch.long, device=device)
    share = 1 - config.likelihood_steps / config.steps
    played = ids[: round(batch * share)]
    drawn = ids[:1, :1].expand(config.batch_size, 1)
    places = round(share * config.critic_steps * config.length * batch / config.batch_size)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model.loss(ids, ids).backward()
        if not len(played):
            return
        with torch.no_grad():
            cache = model.new_cache(len(drawn))
            for _place in range(min(places, config.length)):
                model(drawn, cache)
        known = torch.ones_like(played, dtype=torch.bool)
        for _step in range(config.critic_steps):
            binary_loss(critic(critic.embed(played), known), critic(critic.embed(played), known)).backward()
        tokens = straight_through(model(played), played, 1.0)
        (binary_loss(critic(critic.embed(tokens), known)) + model.loss(played, played)).backward()

    return step, nn.ModuleList([model, critic])


def _notes(config: TextGanConfig) -> list[str]:
    if config.likelihood_steps >= config.steps:
        return [_("All steps go into the likelihood; the game never begins.")]
    return []


plan = sentence_planner(TextGanConfig, PRESETS, _trial, _notes)
