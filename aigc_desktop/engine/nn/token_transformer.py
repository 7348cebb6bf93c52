"""A Transformer over the tokens of a picture: bidirectional over masked places (arXiv:2202.04200), or causal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Block, Cache, rotary_grid
from aigc_desktop.engine.nn.caption_encoder import NO_WORD, CaptionEncoder, Read
from aigc_desktop.engine.nn.lean import rms_norm


@dataclass(frozen=True)
class TransformerShape:
    """Size of the network for grids of side² tokens with `codes` values each; `masked` makes it bidirectional.

    `words` is the number of words that captions are read in, 0 without captions; `caption` how many of them are read.
    """

    codes: int
    side: int
    layers: int
    width: int
    heads: int
    classes: int = 0
    masked: bool = True
    dropout: float = 0.0
    words: int = 0
    caption: int = 0

    @property
    def before(self) -> int:
        """Return how many places of a caption lie before the class."""
        return 1 + self.caption if self.words else 0

    @property
    def places(self) -> int:
        """Return how many tokens a picture has."""
        return self.side**2


class TokenTransformer(nn.Module):
    """Tokens, the class and the caption of a picture to logits of tokens.

    The class is a vector before the first token, the caption the states of its words before that. A place without a
    word is never looked at, so a picture does not depend on the captions beside it.
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.codes + 1, shape.width)  # the last one marks a place that is not known
        self.classes = nn.Embedding(shape.classes + 1, shape.width)  # the last one is any class
        self.places = nn.Embedding(shape.places + 1, shape.width)
        for table in (self.tokens, self.classes, self.places):
            nn.init.normal_(table.weight, std=0.02)
        self.captions: CaptionEncoder | None = None
        if shape.words:
            self.captions = CaptionEncoder(shape.words, shape.caption, shape.width, shape.heads, shape.dropout)
        self.blocks = nn.ModuleList(
            Block(shape.width, shape.heads, dropout=shape.dropout, causal=not shape.masked)
            for _layer in range(shape.layers)
        )
        cos, sin = rotary_grid(shape.side, shape.width // shape.heads)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @property
    def unknown(self) -> int:
        """Return the token of a place that is not known."""
        return self.shape.codes

    def forward(
        self, tokens: Tensor, labels: Tensor, cache: Cache | None = None, caption: Read | None = None
    ) -> Tensor:
        """Return logits for tokens (B, N), classes (B,), where `classes` is any, and captions as `read` gives them.

        Masked: (B, N, codes) of every place. Causal: (B, N + 1, codes) of the first place and of each one after a
        token; with a cache `tokens` are the new ones, and only the last place's logits come back.
        """
        shape, start = self.shape, cache.filled if cache is not None else 0
        if self.captions is not None and caption is None:
            caption = self.read(torch.full((len(tokens), shape.caption), NO_WORD, device=tokens.device))
        x = self.tokens(tokens)
        if not start:
            x = torch.cat([self.classes(labels)[:, None], x], 1)
        first = max(0, start - shape.before)
        end = first + x.shape[1]
        x = rms_norm(x + self.places.weight[first:end])
        cos, sin, seen = self.cos[first:end], self.sin[first:end], None
        if caption is not None:
            states, shown = caption
            if not start:
                x = torch.cat([states.to(x.dtype), x], 1)
                cos, sin = (torch.cat([turn[:1].expand(shape.before, -1), turn]) for turn in (cos, sin))
            seen = self._seen(shown, x.shape[1], shape.before + end)
        for layer, block in enumerate(self.blocks):
            x = block(x, cos, sin, cache, layer, seen)
        if cache is not None:
            cache.filled, x = shape.before + end, x[:, -1:]
        else:
            x = x[:, shape.before + shape.masked :]
        return F.linear(rms_norm(x), self.tokens.weight[: shape.codes])

    def _seen(self, shown: Tensor, queries: int, keys: int) -> Tensor:
        """Return bool (B, 1, 1 or T, S): the places that the last T of S look at."""
        seen = F.pad(shown, (0, keys - shown.shape[1]), value=True)[:, None, None]
        if self.shape.masked or queries == 1:
            return seen
        return seen & torch.ones(queries, keys, dtype=torch.bool, device=shown.device).tril(keys - queries)

    def read(self, words: Tensor) -> Read | None:
        """Return captions (B, `shape.caption`) as `forward` takes them; None where the network knows none."""
        return None if self.captions is None else self.captions(words)

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` pictures."""
        shape = self.shape
        head = shape.width // shape.heads
        return Cache(shape.layers, batch, shape.heads, shape.before + shape.places, head, self.tokens.weight)

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs for one token of one picture."""
        return torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
