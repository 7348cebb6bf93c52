"""Several language models that write together by the mean of their logits, as in arXiv:2509.14786."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Cache
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape


class Caches:
    """The caches of the members, filled alike."""

    def __init__(self, caches: Sequence[Cache]) -> None:
        self.caches = list(caches)

    @property
    def filled(self) -> int:
        """Return how many positions are in use."""
        return self.caches[0].filled

    @filled.setter
    def filled(self, value: int) -> None:
        for cache in self.caches:
            cache.filled = value


class Ensemble(nn.Module):
    """Members of one shape, used like a single LanguageModel."""

    def __init__(self, shape: Shape, count: int) -> None:
        super().__init__()
        self.shape = shape
        self.members = nn.ModuleList(LanguageModel(shape) for _member in range(count))

    @property
    def models(self) -> list[LanguageModel]:
        """Return the members."""
        return [member for member in self.members if isinstance(member, LanguageModel)]

    @property
    def embedding(self) -> nn.Embedding:
        """Return the table of token vectors of the first member."""
        return self.models[0].embedding

    def forward(self, tokens: Tensor, cache: Caches | None = None, documents: Tensor | None = None) -> Tensor:
        """Return the mean logits (B, T, V); arguments as those of a LanguageModel."""
        caches: Sequence[Cache | None] = cache.caches if cache is not None else [None] * len(self.members)
        logits = [model(tokens, own, documents) for model, own in zip(self.models, caches, strict=True)]
        return torch.stack(logits).mean(0)

    def loss(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the mean of the members' losses in nats per token.

        Of K members, member k learns from rows k, k + K and so on, so that each sees other texts in the same step;
        fewer rows than members are shared by all.
        """
        losses = []
        for number, model in enumerate(self.models):
            rows = slice(number, None, len(self.members)) if len(tokens) >= len(self.members) else slice(None)
            losses.append(model.loss(tokens[rows], targets[rows], None if documents is None else documents[rows]))
        return torch.stack(losses).mean()

    def hidden_matrices(self) -> list[Tensor]:
        """Return the matrices of all members that Muon should train."""
        return [matrix for model in self.models for matrix in model.hidden_matrices()]

    def new_cache(self, batch: int) -> Caches:
        """Return empty caches for `batch` texts."""
        return Caches([model.new_cache(batch) for model in self.models])

    @torch.no_grad()
    def token_losses(self, tokens: Tensor, targets: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the cross-entropy (B, T) of each target in nats under the mean logits, 0 for NO_TARGET."""
        logits = self(tokens, None, documents)
        return F.cross_entropy(logits.transpose(1, 2).float(), targets, reduction="none")
