"""Where an image flow walks: among pictures, or among the grids of a VAE with a code by place (arXiv:2112.10752)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.nn.spatial import SIDE, SpatialDecoder, SpatialEncoder
from aigc_desktop.engine.pictures.common import ResizedSource, shares_of
from aigc_desktop.engine.pictures.vae_model import new_networks
from aigc_desktop.engine.pictures.vae_setup import ImageVaeConfig, widths_of
from aigc_desktop.engine.training.checkpoint import Card, part, read_model

FAMILY_NAME = "image_vae"
KEPT = ("resolution", "widths", "blocks", "latent", "classes", "spatial")  # of the card of the VAE
LEAST, REACH_DECAY = 1e-3, 0.98  # of a deviation; of its running mean, per step
MOST_SCALED, AT_ONCE = 512, 32  # pictures whose grids say how far grids reach, and how many are read at once


class GridSpace(nn.Module):
    """The networks of a VAE, between pictures (B, 3, R, R) and grids (B, C, 8, 8) of mean 0 and deviation 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, extra: dict[str, Any]) -> None:
        super().__init__()
        self.extra = extra
        encoder, decoder = new_networks(extra, len(extra["classes"]))
        self.encoder, self.decoder = cast(SpatialEncoder, encoder), cast(SpatialDecoder, decoder)
        channels = self.decoder.channels
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))

    @property
    def channels(self) -> int:
        """Return the channels of the grids."""
        return self.decoder.channels

    def read(self, images: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the codes while these are learned, and note how far they reach."""
        mean, logvar = self.encoder(images, self._known(shares))
        with torch.no_grad():
            grids = mean.view(len(images), -1, SIDE, SIDE)
            self.mean.lerp_(_each_channel(grids.mean((0, 2, 3))), 1 - REACH_DECAY)
            self.deviation.lerp_(_each_channel(grids.std((0, 2, 3)).clamp(min=LEAST)), 1 - REACH_DECAY)
        return mean, logvar

    def encode(self, images: Tensor, shares: Tensor) -> Tensor:
        """Return the grids of pictures; `shares` (B, K) of the classes that the flow knows."""
        mean, _logvar = self.encoder(images, self._known(shares))
        grids: Tensor = (mean.view(len(images), -1, SIDE, SIDE) - self.mean) / self.deviation
        return grids

    def decode(self, grids: Tensor, shares: Tensor) -> Tensor:
        """Return the pictures of grids."""
        pictures: Tensor = self.decoder((grids * self.deviation + self.mean).flatten(1), self._known(shares))
        return pictures

    def _known(self, shares: Tensor) -> Tensor:
        return shares if self.encoder.embedding is not None else shares[:, :0]

    def fit_scale(self, source: ResizedSource, classes: int) -> Iterator[Event]:
        """Measure mean and deviation of each channel on training pictures, with their classes."""
        grids, count = [], min(MOST_SCALED, len(source))
        for start in range(0, count, AT_ONCE):
            indices = np.arange(start, min(count, start + AT_ONCE))
            with torch.no_grad():
                grids.append(self.encode(source.images(indices), shares_of(source.labels(indices), classes)))
            yield Progress(start + len(indices), count, _("Reading the codes of pictures"))
        together = torch.cat(grids)
        self.mean.copy_(_each_channel(together.mean((0, 2, 3))))
        self.deviation.copy_(_each_channel(together.std((0, 2, 3)).clamp(min=LEAST)))


def _each_channel(values: Tensor) -> Tensor:
    """Return numbers (C,) as (C, 1, 1)."""
    return values[:, None, None]


def new_space(config: ImageVaeConfig, classes: list[str], device: torch.device) -> GridSpace:
    """Return the space of a VAE that is not trained yet."""
    return GridSpace({
        "resolution": int(config.resolution), "widths": list(widths_of(config)), "blocks": config.blocks,
        "latent": config.latent, "classes": classes, "spatial": True,
    }).to(device)  # fmt: skip


def chosen_space(run: Run, name: str, classes: list[str], device: torch.device) -> GridSpace:
    """Return the space of the VAE of run `name`, not yet scaled; UserError when a flow cannot build on it."""
    trained = Workspace(run.workspace).run(name)
    title = trained.info.title
    if trained.info.task.split(".")[0] != FAMILY_NAME:
        raise UserError(
            _("“{title}” is no image VAE.").format(title=title),
            _("Choose a training of an image VAE with “Code by place”, or none."),
        )
    card, weights = read_model(trained.checkpoint("best"))
    if not card.extra.get("spatial"):
        raise UserError(
            _("“{title}” has one code for the whole picture, which a flow cannot build on.").format(title=title),
            _("Choose a training of an image VAE with “Code by place”, or none."),
        )
    if card.extra["classes"] and card.extra["classes"] != classes:
        raise UserError(
            _("“{title}” has learned other classes than these data have.").format(title=title),
            _("Train the VAE on the same data, or without “Use labels”."),
        )
    space = GridSpace({name: card.extra[name] for name in KEPT})
    for which in ("encoder", "decoder"):
        getattr(space, which).load_state_dict(part(weights, which))
    return space.to(device).eval().requires_grad_(False)


def saved_space(card: Card, weights: dict[str, Tensor], device: torch.device) -> GridSpace | None:
    """Return the space of a checkpoint of a flow; None where it walks among pictures."""
    if not card.extra.get("space"):
        return None
    space = GridSpace(card.extra["space"])
    space.load_state_dict(part(weights, "space"))
    return space.to(device).eval().requires_grad_(False)
