"""Discriminators of texts. Both read embedded tokens (B, T, E), so that a drawn token can pass a gradient.

Shapes: B batch, T time, V vocabulary, E numbers per token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from aigc_desktop.engine.nn.language_model import Shape
from aigc_desktop.engine.nn.sentence_encoder import SentenceEncoder

REACHES = (2, 3, 4, 5)  # tokens that a filter sees
_SLOPE = 0.2


class TextCritic(nn.Module):
    """A table of token vectors (V, E), which also reads soft tokens, and a score above it."""

    def __init__(self, vocab: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, size)
        nn.init.normal_(self.table.weight, std=0.1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return (B, T, E) of token numbers (B, T) or of weights over the vocabulary (B, T, V)."""
        return tokens @ self.table.weight if tokens.is_floating_point() else self.table(tokens)


class MultiCritic(TextCritic):
    """Many narrow views of each token, one small CNN over all of them, the mean of their scores.

    RelGAN (Nie et al., ICLR 2019) with one number per token and view: each view sorts the vocabulary in its own way.
    It is twice differentiable, so R1 and R2 can be taken.
    """

    def __init__(self, vocab: int, views: int, filters: int) -> None:
        super().__init__(vocab, views)
        self.filters = nn.ModuleList(nn.Conv1d(1, filters, reach) for reach in REACHES)
        self.inner = nn.Linear(filters * len(REACHES), 2 * filters)
        self.score = nn.Linear(2 * filters, 1)
        nn.init.normal_(self.table.weight)

    def forward(self, embedded: Tensor, known: Tensor) -> Tensor:
        """Return scores (B,); what lies behind the last known place counts as zero, however much there is of it."""
        B, T, S = embedded.shape
        x = (embedded * known[:, :, None]).transpose(1, 2).reshape(B * S, 1, T)  # (B, T, S) -> (B S, 1, T)
        x = F.pad(x, (0, REACHES[-1]))
        found = [F.leaky_relu(layer(x), _SLOPE).amax(2) for layer in self.filters]  # each (B S, F)
        hidden = F.leaky_relu(self.inner(torch.cat(found, 1)), _SLOPE)
        return self.score(hidden).view(B, S).mean(1)


class TransformerCritic(TextCritic):
    """A bidirectional Transformer with one score; its layers are once differentiable, so it takes no R1 and R2."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.vocab, shape.width)
        self.encoder = SentenceEncoder(shape.layers, shape.width, shape.heads, shape.context, shape.dropout)
        for name, parameter in self.encoder.named_parameters():
            if name.endswith("out.weight"):  # a normalised matrix must not be zero
                nn.init.normal_(parameter, std=0.02)
        self.score = nn.Linear(shape.width, 1)

    def forward(self, embedded: Tensor, known: Tensor) -> Tensor:
        """Return scores (B,)."""
        return self.score(self.encoder(embedded, known)).squeeze(1)


def normalised(critic: TextCritic) -> TextCritic:
    """Divide every matrix but the table by its largest singular value, from now on (arXiv:1802.05957)."""
    for layer in list(critic.modules()):
        if isinstance(layer, nn.Linear | nn.Conv1d):
            spectral_norm(layer)
    return critic
