"""Settings of the text VAE, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from aigc_desktop.core.config import param
from aigc_desktop.core.family import Preset
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.nn.text_vae import TextVae
from aigc_desktop.engine.text.sentence_setup import SentenceConfig, sentence_planner


class TextVaeConfig(SentenceConfig):
    """Settings of training a text VAE; the presets choose them."""

    steps: int = param(
        3000, N_("Steps"), N_("How many updates the weights get; more steps take longer and give better texts."),
        ge=1, le=999_999,
    )  # fmt: skip
    lr: float = param(
        0.01, N_("Learning rate"), N_("How far an update goes; 0.005 to 0.02 is right."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    latent: int = param(
        32, N_("Latent size"), N_("Numbers that stand for a text; 32 suits sentences."), ge=2, le=1024, advanced=True
    )
    copy_share: float = param(
        0.15, N_("Copying first"),
        N_("Share of the steps in which texts are only copied through the code; then the decoder begins anew."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    kl_warmup: float = param(
        0.25, N_("Warm-up of the code"),
        N_("Share of the steps over which the price of the code rises to its full value."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    free_bits: float = param(
        0.25, N_("Free bits"), N_("Nats of each latent number that cost nothing, so that none of them falls silent."),
        unit="nats", ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    word_dropout: float = param(
        0.3, N_("Word dropout"),
        N_("Share of words the decoder does not see while it learns, so that it asks the code."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    components: int = param(
        10, N_("Mixture components"), N_("Gaussians in the density that new texts are drawn from."),
        ge=1, le=100, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        500, N_("Validate every"), N_("Steps between two checks on held-out texts; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip


PRESETS = [
    Preset("cpu", N_("Small"), N_("For a processor: whole sentences after a quarter of an hour."),
           {"layers": 3, "width": 128, "heads": 4, "steps": 3000, "batch_size": 64}),
    Preset("gpu", N_("Medium"), N_("For a graphics card."),
           {"layers": 4, "width": 256, "heads": 4, "steps": 20_000, "batch_size": 128, "latent": 64, "lr": 0.007}),
]  # fmt: skip


def _trial(
    config: TextVaeConfig, vocab: int, batch: int, device: torch.device
) -> tuple[Callable[[], None], nn.Module]:
    """Return a training step without the optimizer's part, on texts of full length, and the network."""
    model = TextVae(config.shape(vocab), config.latent).to(device)
    ids = torch.ones(batch, config.length, dtype=torch.long, device=device)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        mean, _logvar = model.encode(ids, torch.ones_like(ids, dtype=torch.bool))
        model.decoder(ids, None, mean).float().logsumexp(-1).mean().backward()

    return step, model


def _notes(config: TextVaeConfig) -> list[str]:
    if config.copy_share + config.kl_warmup > 0.9:
        return [_("Copying and warm-up fill the whole training; the code never costs its full price.")]
    return []


plan = sentence_planner(TextVaeConfig, PRESETS, _trial, _notes)
