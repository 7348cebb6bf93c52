"""Captions as states that other places look at: a small bidirectional Transformer over words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aigc_desktop.engine.nn.attention import Block, rotary_table
from aigc_desktop.engine.nn.lean import rms_norm

NO_WORD = 0
LAYERS = 2
Read = tuple[Tensor, Tensor]
"""States (B, 1 + L, C), and bool (B, 1 + L): which of them are there to be looked at."""


class CaptionEncoder(nn.Module):
    """Words (B, L) to states, with one place before them; words are numbered from 1, NO_WORD is none.

    A caption without a word is any caption: it has the first place alone, with a vector of its own.
    """

    def __init__(self, words: int, places: int, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 1, width)
        self.first = nn.Embedding(2, width)  # of any caption, and of one with words
        for table in (self.words, self.first):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, heads, dropout=dropout, causal=False) for _layer in range(LAYERS))
        cos, sin = rotary_table(1 + places, width // heads)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, words: Tensor) -> Read:
        """Return the states of captions (B, L); what a place without a word holds never reaches another one."""
        there = words != NO_WORD
        first = self.first(there.any(1, keepdim=True).long())
        x = rms_norm(torch.cat([first, self.words(words.long())], 1))
        shown = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        for block in self.blocks:
            x = block(x, self.cos[: x.shape[1]], self.sin[: x.shape[1]], seen=shown[:, None, None])
        return rms_norm(x), shown
