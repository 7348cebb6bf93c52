"""The networks of a text VAE (Bowman et al., arXiv:1511.06349) with Transformers on both sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.language_model import Shape
from aigc_desktop.engine.nn.sentence_decoder import SentenceDecoder
from aigc_desktop.engine.nn.sentence_encoder import SentenceEncoder
from aigc_desktop.engine.nn.variational import LIMITS

_LOGVAR = -2.0  # where log variances start: nearly certain, so that copying can begin


class TextVae(nn.Module):
    """An encoder from tokens (B, T) to a Gaussian over codes (B, Z), and a decoder back."""

    def __init__(self, shape: Shape, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.reading = nn.Embedding(shape.vocab, shape.width)  # its own: the decoder's begins anew after copying
        nn.init.normal_(self.reading.weight, std=0.02)
        self.encoder = SentenceEncoder(shape.layers, shape.width, shape.heads, shape.context, shape.dropout)
        self.mean = nn.Linear(shape.width, latent)
        self.logvar = nn.Linear(shape.width, latent)
        nn.init.zeros_(self.logvar.weight)
        nn.init.constant_(self.logvar.bias, _LOGVAR)
        self.decoder = SentenceDecoder(shape, latent)

    def encode(self, targets: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance (B, Z) of the codes of texts (B, T), end tokens included where `known`."""
        vector = self.encoder(self.reading(targets), known)
        return self.mean(vector).float(), self.logvar(vector).float().clamp(*LIMITS)

    def hidden_matrices(self) -> list[Tensor]:
        """Return the matrices of all layers: what Muon should train."""
        layers = (self.encoder.layers, self.decoder.model.blocks)
        return [p for part in layers for p in part.parameters() if p.ndim == 2]

    @torch.no_grad()
    def reset_decoder(self) -> None:
        """Give the decoder new random weights."""
        fresh = SentenceDecoder(self.decoder.shape, self.latent).to(self.reading.weight.device)
        self.decoder.load_state_dict(fresh.state_dict())


class ClassMeans(nn.Module):
    """Mean codes (K, Z) of the classes of a data set, for directions in the latent space; zeros until fitted."""

    means: Tensor

    def __init__(self, classes: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(classes, latent))

    def fit(self, codes: Tensor, classes: Tensor) -> None:
        """Take the means of codes (N, Z) of the classes (N,); one without codes lies at the mean of all."""
        for k in range(len(self.means)):
            own = codes[classes == k]
            self.means[k] = (own if len(own) else codes).mean(0)

    def direction(self, k: int) -> Tensor:
        """Return the way (Z,) from the mean of the other classes to that of class k."""
        others = [row for i, row in enumerate(self.means) if i != k]
        return self.means[k] - torch.stack(others).mean(0)
