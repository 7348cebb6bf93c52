"""The two games an image GAN can play: who judges pictures, and what either side wins."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from aigc_desktop.engine.nn.adversarial import hinge_loss, pairing_loss
from aigc_desktop.engine.nn.convnet import Discriminator
from aigc_desktop.engine.pictures.projected import ProjectedCritic, feature_maps


class Game(Protocol):
    """`smooth` says whether gradient penalties keep the critic smooth, `paired` that made pictures need real ones."""

    smooth: bool
    paired: bool

    @property
    def critic(self) -> nn.Module:
        """Return the network that judges."""

    def scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (B, …) of pictures (B, C, H, W) of the classes (B,); higher is more like a real one."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the critic minimises."""

    def painter_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return what the generator minimises; `real` are scores of real pictures in a paired game."""


class RelativisticGame:
    """Real pictures should score higher than made ones, and the other way round (arXiv:2501.05441)."""

    smooth = paired = True

    def __init__(self, critic: Discriminator) -> None:
        self.critic = critic

    def scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (B,)."""
        scores: Tensor = self.critic(images, labels)
        return scores

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the pairing loss."""
        return pairing_loss(real, fake)

    def painter_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return the pairing loss the other way round."""
        assert real is not None
        return pairing_loss(fake, real)


class ProjectedGame:
    """Critics look at projections of what a trained network sees (arXiv:2111.01007); their spectra keep them smooth."""

    smooth = paired = False

    def __init__(self, critic: ProjectedCritic) -> None:
        self.critic = critic

    def scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (B, N) of all places at all scales."""
        scores: Tensor = self.critic(feature_maps(images), labels)
        return scores

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the hinge loss."""
        return hinge_loss(real, fake)

    def painter_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return how little the made pictures score."""
        return -fake.mean()
