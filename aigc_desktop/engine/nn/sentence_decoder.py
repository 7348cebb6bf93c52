"""A causal Transformer that writes a text from one latent vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Cache
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape


class SentenceDecoder(nn.Module):
    """Codes z (B, Z) and tokens (B, T) to logits (B, T, V).

    The code is added to every embedded token. The first token of a text is always the same, so its place is a memory
    of the code that all later places look at: both ways of Optimus (arXiv:2004.04092) to feed a decoder.
    """

    def __init__(self, shape: Shape, latent: int) -> None:
        super().__init__()
        self.model = LanguageModel(shape)
        self.read_code = nn.Linear(latent, shape.width)
        nn.init.normal_(self.read_code.weight, std=0.02)  # like the embedding it is added to
        nn.init.zeros_(self.read_code.bias)

    @property
    def shape(self) -> Shape:
        """Return the size of the network."""
        return self.model.shape

    @property
    def embedding(self) -> nn.Embedding:
        """Return the table of token vectors, which is the head too."""
        return self.model.embedding

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` texts."""
        return self.model.new_cache(batch)

    def forward(self, tokens: Tensor, cache: Cache | None, codes: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return logits; of tokens where `kept` (B, T) is 0 the network sees the place only (word dropout)."""
        embedded = self.embedding(tokens)
        if kept is not None:
            embedded = embedded * kept[:, :, None].to(embedded.dtype)
        return self.model.decode(embedded + self.read_code(codes)[:, None], cache)


def words_kept(tokens: Tensor, dropout: float) -> Tensor | None:
    """Return which tokens (B, T) a decoder may see; the first always. arXiv:1511.06349, section 3.2."""
    if not dropout:
        return None
    kept = torch.rand(tokens.shape, device=tokens.device) >= dropout
    kept[:, 0] = True
    return kept
